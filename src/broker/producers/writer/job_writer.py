"""Writes one job: its status, its lines, its end; each line once, whatever happens to Redis meanwhile.

    async with open_job("redis://localhost", NewJob(user_id="ada", name="nightly")) as job:
        await job.append(["hello"])
        await job.finish(exit_code=0)

`append` queues; one task delivers, in order (`fantail.broker.producers.writer.delivery`). While Redis answers, a full
queue makes `append` wait, so that a fast command waits rather than this process's memory grows. While Redis is away,
output goes to a bounded file, and what has no room there is counted, and told by a line of stream `system` in its
place.

What holds:
- Lines appear once, in the order in which they were appended (`fantail.broker.producers.writer.append_window` says
how).
- A field that is set never overtakes the lines appended before it: a terminal status comes after all output (trap 1).
- A job that was deleted stays deleted. A server that lost what it had confirmed is given it again. The two are told
  apart by the id of the server process.
- One job has one writer: it holds the job's lease, and a second one is refused.

Decided against: ending the command when Redis is away (recording is not worth more than the job); a queue that
forgets what it sent (nothing could be written anew after a crash).
"""

from __future__ import annotations

import logging
import os
import random
import secrets
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import anyio

from fantail.broker.errors import SourceUnavailableError
from fantail.broker.jobs import JOB, checked_id
from fantail.broker.lenient_json import without_surrogates
from fantail.broker.limits import (
    APPEND_RECORDS_MAX,
    FLUSH_S_MAX,
    FLUSH_TOLD_S,
    JOB_TTL_S,
    LEASE_S,
    OPEN_S_MAX,
    REDIS_BACKOFF_S_MAX,
    REDIS_BACKOFF_S_MIN,
    REDIS_TIMEOUT_S,
    REWRITE_BYTES_MAX,
    SPOOL_BYTES_MAX,
    UNSENT_BYTES_MAX,
)
from fantail.broker.log.records import STREAMS, entry_of
from fantail.broker.masking.masker import SecretMasker, masked_text
from fantail.broker.masking.rules import Rules
from fantail.broker.producers.writer.delivery import AWAY, Delivery, DeliveryStatistics, Opened
from fantail.broker.producers.writer.redis_job import JobTakenError, RedisJob, connected, now_ms
from fantail.broker.producers.writer.spool import Spool
from fantail.broker.sources.redis.address import shown_address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

__all__ = [
    "Deleted",
    "Delivered",
    "Ending",
    "JobTakenError",
    "JobWriter",
    "NewJob",
    "Undelivered",
    "WriterSettings",
    "new_job_id",
    "open_job",
]

log = logging.getLogger(__name__)

_FIXED_FIELDS = frozenset({"id", "user_id", "created_at"})


def new_job_id() -> str:
    """An id for a new job: its time (UTC), so that ids sort, and 32 random bits."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(4)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """What a job is at its start. Fields left empty are absent.

    Attributes:
        id: within the grammar of ids. A job of that id that is there already is taken up, its output continued.
        user_id: its owner; everyone's where empty.
        name: for people.
        command: for people.
        fields: more fields of its hash, in snake_case.
    """

    id: str = field(default_factory=new_job_id)
    user_id: str = ""
    name: str = ""
    command: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterSettings:
    """How a writer behaves; the reasons of the defaults stand in `fantail.broker.limits`.

    Attributes:
        key_prefix: of the job's keys.
        ttl_s: how long the job is kept after its last refresh.
        lease_s: how long after its writer's death a job is known to be stale.
        timeout_s: how long Redis may take for one command.
        unsent_bytes_max: output in memory, past which `append` waits.
        rewrite_bytes_max: confirmed output in memory, to be written anew if Redis loses it.
        spool_bytes_max: output on disk while Redis is away; 0: none.
        spool_directory: where; the system's directory for temporary files where None.
        secrets: values that are masked in all that is written, beside what looks like a secret by itself; see
            `fantail.broker.masking`.
    """

    key_prefix: str = JOB.prefix
    ttl_s: float = JOB_TTL_S
    lease_s: float = LEASE_S
    timeout_s: float = REDIS_TIMEOUT_S
    unsent_bytes_max: int = UNSENT_BYTES_MAX
    rewrite_bytes_max: int = REWRITE_BYTES_MAX
    spool_bytes_max: int = SPOOL_BYTES_MAX
    spool_directory: Path | None = None
    secrets: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class Delivered:
    """Everything is in Redis."""


@dataclass(frozen=True, slots=True)
class Undelivered:
    """Something is missing in Redis: it did not take the rest in time, or was away for too long.

    Attributes:
        lines: how many lines are not in it.
        first: offset of the first line that still waits; None where none does.
        dropped: how many of the lines were given up because there was no more room to keep them.
        status: whether the last field changes, the status among them, are missing.
        reason: why Redis did not take the rest, in its words or the system's.
    """

    lines: int
    first: int | None = None
    dropped: int = 0
    status: bool = False
    reason: str = field(default="", compare=False)

    def __str__(self) -> str:
        """What is missing, as a user is told."""
        waiting = self.lines - self.dropped
        missing = []
        if self.first is not None and waiting:
            last = self.first + waiting - 1
            missing.append(f"line {self.first}" if waiting == 1 else f"lines {self.first} to {last}")
        if self.dropped:
            missing.append(f"{self.dropped:,} lines for which there was no room on disk")
        if self.status:
            missing.append("the status")
        return " and ".join(missing)


@dataclass(frozen=True, slots=True)
class Deleted:
    """The job was deleted while it ran, and stays so."""


Ending = Delivered | Undelivered | Deleted


class JobWriter:
    """The writer of one job; made by `open_job`. Its methods are for the event loop's thread."""

    def __init__(self, job: RedisJob, delivery: Delivery, rules: Rules) -> None:
        self._job = job
        self._delivery = delivery
        self.rules = rules
        """What is masked in all that is written."""
        self._maskers = {stream: SecretMasker(rules) for stream in STREAMS}
        self.ending: Ending | None = None
        """How `finish` ended; None before."""

    @property
    def id(self) -> str:
        """The job's id."""
        return self._job.id

    async def append(
        self,
        lines: Sequence[str],
        stream: str = "stdout",
        *,
        source: str | None = None,
        timestamp_ms: int | None = None,
        masked: bool = False,
    ) -> None:
        """Appends lines, their secrets masked. Waits while Redis has too much to take already.

        Cancelled, it leaves out the last of them.

        Args:
            lines: each becomes one entry; lone surrogates are replaced.
            stream: stdout, stderr, system or error.
            source: who printed them, where several do.
            timestamp_ms: when, in ms since 1970; now where None.
            masked: whether they have been through a `SecretMasker` of their own already.

        Raises:
            ValueError: no such stream, or the job is finished.
        """
        if stream not in STREAMS:
            raise ValueError(f"no such stream: {stream!r}")
        self._check_running()
        moment_ms = now_ms() if timestamp_ms is None else timestamp_ms
        if not masked:
            lines = self._masked(lines, stream)
            source = None if source is None else masked_text(source, self.rules)
        for start in range(0, len(lines), APPEND_RECORDS_MAX):
            part = lines[start : start + APPEND_RECORDS_MAX]
            await self._delivery.put([entry_of(moment_ms, line, stream, source) for line in part])

    def update(self, **fields: str | int | None) -> None:
        """Sets fields of the job, in snake_case; None makes one absent. They follow the lines appended before.

        Raises:
            ValueError: the field is fixed (id, user_id, created_at), or the job is finished.
        """
        if fixed := _FIXED_FIELDS & fields.keys():
            raise ValueError(f"cannot be changed: {', '.join(sorted(fixed))}")
        self._check_running()
        self._delivery.set_fields(_texts(fields, self.rules))

    async def settled(self) -> None:
        """Waits until all that was appended and set is in Redis, or the job was deleted; without a bound."""
        await self._delivery.settled()

    async def finish(
        self,
        status: str | None = None,
        *,
        exit_code: int | None = None,
        error_message: str | None = None,
        flush_s: float = FLUSH_S_MAX,
    ) -> Ending:
        """Ends the job: delivers the rest, then the status, then gives the lease back.

        Args:
            status: success, failed or cancelled; by the exit code where None.
            exit_code: the command's.
            error_message: why it failed, for people.
            flush_s: how many seconds Redis has to take the rest.

        Returns:
            Whether everything is in Redis; kept as `ending` too.

        Raises:
            ValueError: the status is not terminal, or the job is finished.
        """
        status = status or ("failed" if exit_code else "success")
        if status not in JOB.terminal:
            raise ValueError(f"not the status of an ended job: {status!r}")
        self._check_running()
        self.ending = Undelivered(0)
        ended = {"status": status, "exit_code": exit_code, "error_message": error_message, "finished_at": now_ms()}
        told = {name: value for name, value in ended.items() if value is not None}
        self._delivery.set_fields(_texts(told, self.rules))
        with anyio.move_on_after(flush_s):
            await self._settled_or_told(flush_s)
        self.ending = await self._ended()
        self._delivery.stop()  # it would take the lease again
        return self.ending

    def undelivered(self) -> Undelivered:
        """What is not in Redis now."""
        now = self._delivery.statistics()
        waiting = now.unsent + now.spooled
        return Undelivered(
            waiting + now.dropped,
            first=now.first if waiting else None,
            dropped=now.dropped,
            status=bool(now.unset),
            reason=now.error if self._delivery.has_work else "",
        )

    def statistics(self) -> DeliveryStatistics:
        """What waits to be delivered, and what is lost, now."""
        return self._delivery.statistics()

    async def _settled_or_told(self, flush_s: float) -> None:
        with anyio.move_on_after(FLUSH_TOLD_S):
            await self._delivery.settled()
            return
        left = self.undelivered()
        log.warning("job %s: %s wait for Redis, for up to %.0f s (%s)", self.id, left, flush_s, left.reason or "busy")
        await self._delivery.settled()

    async def _ended(self) -> Ending:
        now = self._delivery.statistics()
        if now.deleted:
            return Deleted()
        if self._delivery.has_work:
            return self.undelivered()
        with suppress(*AWAY):  # it expires by itself, and a terminal status needs none
            await self._job.release()
        return self.undelivered() if now.dropped else Delivered()

    def _masked(self, lines: Sequence[str], stream: str) -> Sequence[str]:
        """Lines of one stream: the body of a private key may go on from those before."""
        lines = [without_surrogates(line) for line in lines]
        text = "\n".join([*lines, ""])
        shown = iter(self._maskers[stream].feed(text.encode()).decode("utf-8", "replace").split("\n"))
        # A line may have line feeds: it stays one entry.
        return ["\n".join(islice(shown, line.count("\n") + 1)) for line in lines]

    def _check_running(self) -> None:
        if self.ending is not None:
            raise ValueError(f"job {self.id} is finished")


@asynccontextmanager
async def open_job(
    redis_url: str, new: NewJob | None = None, settings: WriterSettings | None = None
) -> AsyncIterator[JobWriter]:
    """Creates a job, or takes one up, and writes it while the context lasts.

    A context left without `finish` ends the job: as a success, as failed after an exception, as cancelled after a
    cancellation.

    Raises:
        InvalidIdError: the id is outside the grammar.
        JobTakenError: another writer has the job, or it is another user's.
        SourceUnavailableError: Redis did not answer within `OPEN_S_MAX` seconds.
        ValueError: the address is not of a known form.
    """
    new, settings = new or NewJob(), settings or WriterSettings()
    checked_id(new.id)
    rules = Rules(settings.secrets)
    failure: Exception | None = None
    async with connected(redis_url, timeout_s=settings.timeout_s) as client:
        job = RedisJob(client, new.id, key_prefix=settings.key_prefix, ttl_s=settings.ttl_s, lease_s=settings.lease_s)
        name = f"{os.uname().nodename}:{os.getpid()}:{secrets.token_hex(8)}"
        opened = await _patiently(lambda: _opened(job, new, name, rules), redis_url)
        with Spool(settings.spool_bytes_max, settings.spool_directory) as spool:
            delivery = Delivery(
                job,
                opened,
                spool,
                unsent_bytes_max=settings.unsent_bytes_max,
                rewrite_bytes_max=settings.rewrite_bytes_max,
            )
            writer = JobWriter(job, delivery, rules)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(delivery.run)
                try:
                    yield writer
                    await _end(writer, "success")
                except Exception as error:  # noqa: BLE001 - raised again below, outside of the task group
                    failure = error
                    await _end(writer, "failed", type(error).__name__)
                except BaseException:
                    with anyio.CancelScope(shield=True):
                        await _end(writer, "cancelled", flush_s=settings.timeout_s)
                    raise
                finally:
                    delivery.stop()
    if failure is not None:
        raise failure


async def _opened(job: RedisJob, new: NewJob, writer: str, rules: Rules) -> Opened:
    """Takes the lease, then makes the job or takes it up; may be repeated."""
    await job.claim(writer)
    before = await job.fields()
    owner = before.get("user_id") or before.get("userId") or ""
    server = await job.server()
    fields = _first_fields(job, new, before, rules)
    others = new.user_id and owner and owner != new.user_id
    if others or not await job.open(owner, fields):
        await job.release()
        raise JobTakenError(f"job {job.id} of another user")
    seen = await job.look(1)
    return Opened(writer, before | fields, seen, server)


def _first_fields(job: RedisJob, new: NewJob, before: Mapping[str, str], rules: Rules) -> dict[str, str]:
    """The first HSET: whose it is together with what it is (trap 40). What is known of a job taken up stays."""
    started_at_ms = now_ms()
    said = {"name": new.name, "command": new.command, **new.fields}
    ended = {name: "" for name in ("finished_at", "exit_code", "error_message") if name in before}
    return {
        "id": job.id,
        "user_id": before.get("user_id") or before.get("userId") or new.user_id,
        "status": "running",
        "created_at": before.get("created_at") or str(started_at_ms),
        "started_at": str(started_at_ms),
        "lease_s": f"{job.lease_s:g}",
        **ended,
        **_texts({name: text for name, text in said.items() if text}, rules),
    }


def _texts(fields: Mapping[str, str | int | None], rules: Rules) -> dict[str, str]:
    """Values as a hash holds them, secrets masked; the empty text is absent (PROTOCOL.md, section R)."""
    texts = {name: "" if value is None else without_surrogates(str(value)) for name, value in fields.items()}
    return {name: masked_text(text, rules) for name, text in texts.items()}


async def _end(
    writer: JobWriter, status: str, error_message: str | None = None, *, flush_s: float = FLUSH_S_MAX
) -> None:
    if writer.ending is None:
        await writer.finish(status, error_message=error_message, flush_s=flush_s)


async def _patiently(attempt: Callable[[], Awaitable[Opened]], redis_url: str) -> Opened:
    """Tries until it succeeds, for `OPEN_S_MAX` seconds: a server that is just being started refuses at first."""
    deadline_s = anyio.current_time() + OPEN_S_MAX
    pause_s = REDIS_BACKOFF_S_MIN
    while True:
        try:
            return await attempt()
        except AWAY as error:
            hopeless = "WRONGTYPE" in str(error)  # a key of the job's is something else
            if hopeless or anyio.current_time() + pause_s > deadline_s:
                raise SourceUnavailableError(f"Redis at {shown_address(redis_url)} cannot be used: {error}") from error
        await anyio.sleep(random.uniform(pause_s / 2, pause_s))  # noqa: S311 - jitter is no secret
        pause_s = min(2 * pause_s, REDIS_BACKOFF_S_MAX)
