"""The broker: the registry of jobs, who watches them, and what may stay in memory.

A job is in the registry while somebody watches it and for a while after, so that a reload or a short cut costs nothing:
one that runs is let go after `idle_s`, one that ended after `linger_s`. A job that does not exist leaves at once. Every
log is bounded by itself, and all together by one budget: what was read longest ago goes first, whosever it is.

Changes of state here have no await in them. `run` holds the only tasks: the source, the alarm clock, housekeeping.
"""

from __future__ import annotations

import itertools
import secrets
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from fantail.broker.documents.diffs import FILES, opening
from fantail.broker.errors import NotFoundError, SourceUnavailableError, TooManyJobsError
from fantail.broker.jobs import JOB, Job, JobKind, Presence, checked_id
from fantail.broker.ledger import InProcessLedger, Ledger, MaskingLedger
from fantail.broker.limits import (
    HOUSEKEEPING_S,
    IDLE_S,
    JOBS_MAX,
    LINE_BYTES_MAX,
    LINGER_S,
    STORE_BYTES_MAX,
    TABLE_ROWS_MAX,
    TOTAL_BYTES_MAX,
)
from fantail.broker.log.msg_store import Batch, Retention
from fantail.broker.log.notify import Notifier, TimerQueue, Waiter
from fantail.broker.log.outcomes import CaughtUp, Closed, Diverged, Lost
from fantail.broker.log.records import Record, entry_of
from fantail.broker.memory_budget import keep_within
from fantail.broker.published import Published, PublishedLog
from fantail.broker.readers.subscription import Subscription
from fantail.broker.stats import BrokerStats
from fantail.broker.tables import Tables

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping

    from fantail.broker.documents.patch_store import PatchStore
    from fantail.broker.log.position import Position
    from fantail.broker.source import Source


@dataclass(frozen=True, slots=True)
class BrokerLimits:
    """The bounds that an operator may move; `fantail.broker.limits` has the reasons."""

    store_bytes_max: int = STORE_BYTES_MAX
    total_bytes_max: int = TOTAL_BYTES_MAX
    line_bytes_max: int = LINE_BYTES_MAX
    linger_s: float = LINGER_S
    idle_s: float = IDLE_S
    jobs_max: int = JOBS_MAX
    table_rows_max: int = TABLE_ROWS_MAX


class Broker:
    """Buffers what jobs write and fans it out to whoever watches.

    With a source (Redis) the stores are a cache of the truth there. Without one the broker is the truth itself:
    create jobs and publish lines with `create_job` and `publish`.

    Args:
        source: makes the source that feeds this broker, given the broker; None: there is none.
        ledger: makes what writes the truth; None: the broker's own stores are the truth.
        tables: names of the global tables.
        limits: bounds.
        masks_secrets: whether secrets are masked in what the source reads and the ledger writes.
        now_s: a monotonic clock, in seconds.

    Use it as `async with broker.running():`, or run `broker.run()` in a task of your own.
    """

    def __init__(
        self,
        source: Callable[[Broker], Source] | None = None,
        ledger: Callable[[Broker], Ledger] | None = None,
        *,
        tables: Iterable[str] = ("jobs", "tasks"),
        limits: BrokerLimits | None = None,
        masks_secrets: bool = True,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits or BrokerLimits()
        self.masks_secrets = masks_secrets
        self.now_s = now_s
        self.timers = TimerQueue(now_s)
        self.epoch = secrets.token_hex(6)
        self._uses: Iterator[int] = itertools.count()
        self._jobs: dict[tuple[str, str], Job] = {}
        self._published_before = Published()  # by jobs that are no longer in memory
        self.tables_notifier = Notifier()
        self.tables = Tables(tables, self.epoch, on_change=self.tables_notifier.notify, uses=self._uses)
        self.tables_watchers = 0
        self.source = None if source is None else source(self)
        written: Ledger = InProcessLedger(self) if ledger is None else ledger(self)
        self.ledger: Ledger = MaskingLedger(written) if masks_secrets else written

    @property
    def line_bytes_max(self) -> int:
        """A longer line is cut for viewers."""
        return self.limits.line_bytes_max

    @property
    def source_available(self) -> bool:
        """Whether the truth can be read now; without a source it is here."""
        return self.source is None or self.source.available

    @property
    def tables_lack(self) -> str:
        """Why rows of the tables may be missing, for people; empty where none is."""
        return "" if self.source is None else self.source.tables_lack

    # -- the registry -----------------------------------------------------------------------------------------------

    def find(self, job_id: str, kind: JobKind = JOB) -> Job | None:
        """The job if it is in the registry now; being there says nothing about the truth."""
        return self._jobs.get((kind.name, job_id))

    def job(self, job_id: str, kind: JobKind = JOB) -> Job:
        """The job of the registry, put there if need be. It is not followed until somebody watches it.

        Raises:
            InvalidIdError: the id is outside the grammar.
            TooManyJobsError: the registry is full.
        """
        job = self.find(checked_id(job_id), kind)
        if job is None:
            if len(self._jobs) >= self.limits.jobs_max and not self._free_one_that_lingers():
                raise TooManyJobsError(f"{self.limits.jobs_max} jobs are being watched")
            job = self._jobs[(kind.name, job_id)] = Job(
                kind,
                job_id,
                epoch=secrets.token_hex(6),  # of its own: a job that is let go and comes back counts from 0 again
                archived=self.source is not None,
                retention=Retention(bytes_max=self.limits.store_bytes_max),
                uses=self._uses,
            )
            job.unwatched_since_s = self.now_s()
        return job

    @asynccontextmanager
    async def watch(self, job_id: str, kind: JobKind = JOB) -> AsyncIterator[Job]:
        """Counts a watcher and makes sure that the job has been read; look at `presence` first.

        Raises:
            InvalidIdError, TooManyJobsError: as `job`.
            SourceUnavailableError: it has never been read, and the source does not answer.
        """
        job = self.job(job_id, kind)
        job.watchers += 1
        job.unwatched_since_s = None
        try:
            if job.watchers == 1 and self.source is not None:
                self.source.watch(job)
            if self.source is None:
                job.loaded = True
                if job.presence is Presence.UNKNOWN:
                    job.presence = Presence.ABSENT
            elif job.watchers == 1 or not job.loaded or job.presence is not Presence.PRESENT:
                await self._read_afresh(job, self.source)
            yield job
        finally:
            job.watchers -= 1
            if job.watchers == 0:
                job.unwatched_since_s = self.now_s()
                self.forget_if_unwatched(job, keep_present=True)

    async def _read_afresh(self, job: Job, source: Source) -> None:
        """Reads a job that nobody followed until now; with the source away, one in memory is shown as it was."""
        try:
            await source.refresh(job)
        except SourceUnavailableError:
            if not job.loaded or job.presence is not Presence.PRESENT:
                raise

    @asynccontextmanager
    async def watch_diff(self, job: Job) -> AsyncIterator[PatchStore]:
        """Counts a watcher of a watched job's diff, which is as the source has it now, or, with it away, as it was.

        Raises:
            SourceUnavailableError: it has never been read, and the source does not answer.
        """
        job.diff_watchers += 1
        try:
            if self.source is None:
                if FILES not in job.diff.document:
                    job.diff.append(opening(), self.now_s())
            elif job.diff_watchers == 1 or not job.diff_loaded:
                try:
                    await self.source.refresh_diff(job)
                except SourceUnavailableError:
                    if FILES not in job.diff.document:
                        raise
            yield job.diff
        finally:
            job.diff_watchers -= 1
            if job.diff_watchers == 0:
                job.diff_loaded = False
                if self.source is not None:
                    self.source.watch(job)  # a status that waits for the diff waits no longer

    async def job_id_of(self, kind: str, alias: str) -> str:
        """The job that a process or a task attempt stands for: what its hash names, else its own id.

        Args:
            kind: `process` or `task_attempt`.
            alias: its id, within the grammar.

        Raises:
            SourceUnavailableError: the source does not answer.
        """
        return alias if self.source is None else await self.source.job_id_of(kind, alias) or alias

    def subscribe(self, job: Job, waiter: Waiter | None = None) -> Subscription:
        """A cursor into a watched job's output."""
        return Subscription(job, self.source, waiter)

    @asynccontextmanager
    async def watch_tables(self) -> AsyncIterator[Tables]:
        """Counts a watcher of the tables, which are as the source has them now, or, with it away, as they were.

        Raises:
            SourceUnavailableError: they have never been read, and the source does not answer.
        """
        self.tables_watchers += 1
        try:
            if self.source is not None:
                await self.source.refresh_tables()
            yield self.tables
        finally:
            self.tables_watchers -= 1

    def forget_if_unwatched(self, job: Job, *, keep_present: bool = False) -> None:
        """Frees a job that nobody watches; or only if it is absent, or was never read: ids are free to invent."""
        if job.watchers or (keep_present and job.presence is Presence.PRESENT):
            return
        if self._jobs.pop((job.kind.name, job.id), None) is not None:
            self._published_before += job.published
            if self.source is not None:
                self.source.unwatch(job)
            job.close()

    # -- as a library -----------------------------------------------------------------------------------------------

    async def create_job(self, job_id: str, fields: Mapping[str, str] | None = None) -> None:
        """Creates a job.

        Raises:
            AlreadyExistsError: there is one.
            InvalidIdError: the id is outside the grammar.
        """
        await self.ledger.create_job(checked_id(job_id), {"status": "running", **(fields or {})})

    async def publish(self, job_id: str, line: str, stream: str = "stdout", timestamp_ms: int | None = None) -> int:
        """Appends one line to a job's output; returns its offset.

        Raises:
            NotFoundError: no such job.
        """
        at_ms = time.time_ns() // 1_000_000 if timestamp_ms is None else timestamp_ms
        return await self.ledger.append_output(job_id, [entry_of(at_ms, line, stream)])

    async def update_job(self, job_id: str, **fields: str | None) -> None:
        """Sets fields of a job, `status` for one; None removes a field.

        Raises:
            NotFoundError: no such job.
        """
        await self.ledger.update_job(job_id, fields)

    async def records(self, job_id: str, after: Position | None = None) -> AsyncGenerator[tuple[int, Record], None]:
        """Follows a job's output to its end: every record with its offset, once, in order.

        What was evicted for good is left out, and a log written anew starts over: the offsets tell. Close the iterator
        (`contextlib.aclosing`) if you leave it before its end.

        Args:
            job_id: the job.
            after: go on after this position; one that no longer fits starts at the beginning.

        Raises:
            NotFoundError: there is no such job, or no longer.
            SourceUnavailableError: the source, which must be asked, does not answer.
        """
        async with self.watch(job_id) as job:
            subscription = self.subscribe(job)
            if after is not None:
                await subscription.seek(after)
            while True:
                match await subscription.next():
                    case Batch() as batch:
                        for offset, record in enumerate(batch.records(), batch.first):
                            yield offset, record
                    case CaughtUp() if job.ended:
                        return
                    case CaughtUp() if job.presence is Presence.ABSENT:
                        raise NotFoundError(f"job {job_id}")
                    case CaughtUp():
                        await subscription.wait()
                    case Closed():
                        return
                    case Lost() | Diverged():
                        pass  # the cursor has moved on

    # -- life -------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follows the source, rings alarms, and keeps house, until cancelled."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.timers.run)
                tasks.start_soon(self._keep_house)
                if self.source is not None:
                    tasks.start_soon(self.source.run)
        finally:
            await self.ledger.aclose()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Broker]:
        """Runs the broker's tasks while the block is active."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.run)
                try:
                    yield self
                finally:
                    tasks.cancel_scope.cancel()
        finally:
            self.close()  # not before the source has ended: it may be about to append

    def close(self) -> None:
        """Ends every log, so that whoever still reads finds the end."""
        for job in list(self._jobs.values()):
            job.close()
        self.tables.log.close()

    @property
    def published(self) -> Published:
        """How much was taken in since the start: lines and changes."""
        now = sum((job.published for job in self._jobs.values()), Published(0, self.tables.log.appended_total))
        return self._published_before + now

    async def _keep_house(self) -> None:
        told = PublishedLog(lambda: self.published, self.now_s)
        while True:
            await anyio.sleep(HOUSEKEEPING_S)
            self.free_what_is_over()
            self.enforce_budget()
            told.tell_when_due()

    def _free_one_that_lingers(self) -> bool:
        """Makes room for a newcomer: the job that nobody has watched for longest goes before its time."""
        idle = [job for job in self._jobs.values() if job.unwatched_since_s is not None and not self._is_truth(job)]
        if not idle:
            return False
        self.forget_if_unwatched(min(idle, key=lambda job: job.unwatched_since_s or 0.0))
        return True

    def _is_truth(self, job: Job) -> bool:
        """Whether the job is nowhere but here: without a source, one that runs is kept however idle."""
        return self.source is None and job.presence is Presence.PRESENT and job.ended_since_s is None

    def free_what_is_over(self) -> None:
        """Frees jobs that nobody has watched for long enough."""
        now_s = self.now_s()
        for job in list(self._jobs.values()):
            if job.unwatched_since_s is None or self._is_truth(job):
                continue
            if job.ended_since_s is not None:
                since_s, wait_s = max(job.unwatched_since_s, job.ended_since_s), self.limits.linger_s
            else:
                since_s, wait_s = job.unwatched_since_s, self.limits.idle_s
            if now_s - since_s >= wait_s:
                self.forget_if_unwatched(job)

    def enforce_budget(self) -> None:
        """Frees memory until every log, and all that is held together, are within their bounds."""
        keep_within(self.limits.total_bytes_max, self._jobs.values(), self.tables, self.now_s())

    def stats(self) -> BrokerStats:
        """What is live now."""
        return BrokerStats.of(
            self._jobs.values(),
            self.tables,
            tables_watchers=self.tables_watchers,
            total_bytes_max=self.limits.total_bytes_max,
            source=self.source,
        )
