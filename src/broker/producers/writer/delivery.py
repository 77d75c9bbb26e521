"""Brings a job's entries and fields to Redis, in order, through its absences.

Entries wait in memory, and on disk while Redis is away; field changes wait for the entries put before them. One task,
`run`, is the only one that talks to Redis: it appends batches, sets fields, keeps the lease, and on any doubt (an
error, a length that is not the one expected, a hash that is gone) examines what is there before it goes on.

What holds:
- `put` waits while Redis answers and much is unsent; while Redis is away it never waits.
- An entry is in memory, in the spool, confirmed, or counted as dropped; nothing is in two of these.
- All waiting is for the bell, which rings after every change; between a look and falling asleep there is no await.
"""

from __future__ import annotations

import logging
import random
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio
from redis.exceptions import RedisError

from fantail.broker.limits import (
    APPEND_BYTES_MAX,
    LEASE_BEATS,
    REDIS_BACKOFF_S_MAX,
    REDIS_BACKOFF_S_MIN,
    REWRITE_BYTES_MAX,
    TTL_REFRESH_S,
    UNSENT_BYTES_MAX,
    UPDATES_WAITING_MAX,
)
from fantail.broker.log.notify import Notifier, Waiter
from fantail.broker.log.records import entry_of
from fantail.broker.producers.writer.append_window import AppendWindow, Seen
from fantail.broker.producers.writer.redis_job import now_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fantail.broker.producers.writer.redis_job import RedisJob
    from fantail.broker.producers.writer.spool import Spool

log = logging.getLogger(__name__)

AWAY: Final = (RedisError, OSError)
"""What every command may raise while Redis is away, starting, full, or not the primary."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A job as its writer found or made it: the state a delivery starts from.

    Attributes:
        writer: the lease's value.
        fields: the hash.
        seen: the end of the output list.
        server: the id of the server process.
    """

    writer: str
    fields: Mapping[str, str]
    seen: Seen
    server: str


@dataclass(frozen=True, slots=True)
class DeliveryStatistics:
    """What waits, and what is lost.

    Attributes:
        first: offset of the first line that is not confirmed, or would be next.
        unsent: lines in memory.
        spooled: lines on disk, behind those.
        dropped: lines that were given up, ever.
        unset: field changes that wait.
        away: whether Redis takes nothing now.
        error: what it last answered instead, or why it did not answer; empty where nothing went wrong.
        deleted: whether the job was deleted.
    """

    first: int
    unsent: int
    spooled: int
    dropped: int
    unset: int
    away: bool
    error: str
    deleted: bool


@dataclass(frozen=True, slots=True)
class _Update:
    after: int
    """How many entries go before it."""
    fields: dict[str, str]


class Delivery:
    """The queue of one job, and the task that empties it."""

    def __init__(
        self,
        job: RedisJob,
        opened: Opened,
        spool: Spool,
        *,
        unsent_bytes_max: int = UNSENT_BYTES_MAX,
        rewrite_bytes_max: int = REWRITE_BYTES_MAX,
    ) -> None:
        self._job = job
        self._writer = opened.writer
        self._fields = dict(opened.fields)
        self._server = opened.server
        self._window = AppendWindow(opened.seen, rewrite_bytes_max=rewrite_bytes_max)
        self._spool = spool
        self._unsent_bytes_max = unsent_bytes_max
        self._updates: deque[_Update] = deque()
        self._accepted = 0  # entries taken so far, and the one that will tell of those dropped
        self._dropped_lines = self._dropped_bytes = self._dropped_ever = 0
        self._away = self._deleted = False
        self._error = self._told = ""
        self._notifier = Notifier()
        self._running = anyio.CancelScope(shield=True)
        self._beat_every_s = job.lease_s / LEASE_BEATS
        self._beat_at_s = anyio.current_time() + self._beat_every_s
        self._keep_at_s = anyio.current_time() + TTL_REFRESH_S

    async def put(self, entries: Sequence[bytes]) -> None:
        """Takes entries, behind all others. Waits while Redis answers and has too much to take already."""
        while entries and not self._deleted:
            if not self._away and not self._spool and not self._dropped_lines:
                self._window.push(entries)
                self._accepted += len(entries)
                self._notifier.notify()
                await self._until(lambda: self._away or self._window.unsent_bytes <= self._unsent_bytes_max)
                return
            taken = self._spooled(entries)
            entries = entries[taken:]
            if entries and self._away:
                self._drop(entries)
                return
            if entries:
                await self._until(lambda: self._away or not (self._spool or self._dropped_lines))

    def set_fields(self, fields: Mapping[str, str]) -> None:
        """Takes field changes; they are made after all entries put before."""
        if len(self._updates) < UPDATES_WAITING_MAX:
            self._updates.append(_Update(self._accepted, dict(fields)))
        else:
            last = self._updates.pop()
            self._updates.append(_Update(self._accepted, last.fields | dict(fields)))
        self._notifier.notify()

    @property
    def has_work(self) -> bool:
        """Whether something is not in Redis yet."""
        return not self._deleted and (bool(self._outstanding) or bool(self._updates))

    async def settled(self) -> None:
        """Waits until everything taken is in Redis, or the job was deleted."""
        await self._until(lambda: not self.has_work)

    def statistics(self) -> DeliveryStatistics:
        """What waits and what is lost, now."""
        return DeliveryStatistics(
            first=self._window.length,
            unsent=self._window.unsent,
            spooled=len(self._spool),
            dropped=self._dropped_ever,
            unset=len(self._updates),
            away=self._away,
            error=self._error,
            deleted=self._deleted,
        )

    async def run(self) -> None:
        """Delivers until `stop`, or until the job is deleted.

        A cancellation from outside does not end it: the producer that is cancelled still has an end to tell, within
        its own bound.
        """
        pause_s = REDIS_BACKOFF_S_MIN
        with self._running:
            while not self._deleted:
                try:
                    await self._deliver()
                except AWAY as error:
                    self._leave(error)
                    await anyio.sleep(random.uniform(pause_s / 2, pause_s))  # noqa: S311 - jitter is no secret
                    pause_s = min(2 * pause_s, REDIS_BACKOFF_S_MAX)
                else:
                    pause_s = REDIS_BACKOFF_S_MIN
                    with anyio.move_on_after(self._beat_at_s - anyio.current_time()):
                        await self._until(lambda: self.has_work)

    def stop(self) -> None:
        """Ends `run`, at once."""
        self._running.cancel()

    async def _deliver(self) -> None:
        while not self._deleted:
            if self._away:
                await self._examine()
            elif anyio.current_time() >= self._beat_at_s:
                await self._beat()
            elif self._has_due_update():
                await self._update()
            elif self._outstanding:
                await self._append()
            else:
                self._taken()
                return

    async def _append(self) -> None:
        if self._spool and self._window.unsent_bytes < APPEND_BYTES_MAX:
            self._window.push(self._spool.take())
        elif self._dropped_lines and not self._spool:
            self._window.push([self._drop_mark()])
        batch = self._window.batch()
        if await self._job.append(self._window.length, self._window.last, batch):
            self._window.confirm(len(batch))
            self._taken()
            self._notifier.notify()
        else:
            await self._examine()

    async def _update(self) -> None:
        update = self._updates[0]
        # What was confirmed may be lost by now: a status must not be seen before the lines are written anew (trap 1).
        intact = await self._job.append(self._window.length, self._window.last, [])
        if not intact or not await self._job.update(update.fields, self._server):
            await self._examine()
            return
        # A later change may have been merged into it meanwhile; it is then written again.
        if self._updates[0] is update:
            self._updates.popleft()
        self._fields |= update.fields
        self._notifier.notify()

    async def _beat(self) -> None:
        present = await self._job.exists()
        if not present or not await self._job.append(self._window.length, self._window.last, []):
            await self._examine()
        if self._deleted:
            return
        await self._job.keep_lease(self._writer)
        now_s = anyio.current_time()
        if now_s >= self._keep_at_s:
            await self._job.keep()
            self._keep_at_s = now_s + TTL_REFRESH_S
        self._beat_at_s = now_s + self._beat_every_s

    async def _examine(self) -> None:
        """Compares what is there with what was confirmed, and prepares to go on from it."""
        server = await self._job.server()
        present = await self._job.exists()
        if (not present and server and server == self._server) or await self._job.is_another():
            self._give_up()
            return
        if not present or server != self._server:
            await self._restore()
        seen = await self._job.look()
        plan = self._window.plan(seen)
        if plan.lost:
            log.warning("Redis lost %d lines of job %s for good", plan.lost, self._job.id)
            self._accepted += 1
        again = self._window.follow(plan, seen, _gap_entry(plan.lost) if plan.lost else None)
        if again:
            log.warning("Redis lost %d lines of job %s; they are written anew", again, self._job.id)
        self._server = server
        self._away = False
        self._notifier.notify()

    async def _restore(self) -> None:
        """Gives another server process, or one that lost the job, what was confirmed of it; owner and lease first."""
        await self._job.keep_lease(self._writer)
        await self._job.open(self._fields.get("user_id", ""), self._fields, keep_content=True)

    def _taken(self) -> None:
        """Redis has taken what was to be written."""
        if self._told:
            self._told = ""
            log.warning("Redis is back; job %s goes on", self._job.id)

    def _leave(self, error: Exception) -> None:
        self._error = " ".join(str(error).split()) or type(error).__name__
        if self._told != self._error:  # where it can be read and not written, each attempt fails in the same way
            self._told = self._error
            log.warning("Redis is away (%s); the output of job %s waits on disk", self._error, self._job.id)
        self._away = True
        self._notifier.notify()

    def _give_up(self) -> None:
        log.warning("job %s was deleted; its output is no longer recorded", self._job.id)
        self._deleted = True
        self._window.clear()
        self._spool.close()
        self._updates.clear()
        self._dropped_lines = self._dropped_bytes = 0
        self._notifier.notify()

    def _spooled(self, entries: Sequence[bytes]) -> int:
        # Behind a gap nothing is taken until the spool is empty and the gap is told: one mark for one absence.
        taken = 0 if self._dropped_lines else self._spool.append(entries)
        self._accepted += taken
        self._notifier.notify()
        return taken

    def _drop(self, entries: Sequence[bytes]) -> None:
        if not self._dropped_lines:
            log.warning("the spool of job %s is full; lines are being dropped", self._job.id)
            self._accepted += 1
        self._dropped_lines += len(entries)
        self._dropped_bytes += sum(map(len, entries))
        self._dropped_ever += len(entries)

    def _drop_mark(self) -> bytes:
        text = (
            f"{self._dropped_lines:,} lines ({self._dropped_bytes:,} bytes) are missing here: "
            "Redis was away, and there was no more room to keep them"
        )
        self._dropped_lines = self._dropped_bytes = 0
        return entry_of(now_ms(), text, "system")

    @property
    def _outstanding(self) -> int:
        """Entries taken and not confirmed; what was dropped counts as the one that will tell of it."""
        return self._window.unsent + len(self._spool) + bool(self._dropped_lines)

    def _has_due_update(self) -> bool:
        return bool(self._updates) and self._accepted - self._outstanding >= self._updates[0].after

    async def _until(self, condition: Callable[[], bool]) -> None:
        waiter = Waiter()
        while not condition():
            await waiter.sleep(self._notifier, self._notifier.version)


def _gap_entry(lost: int) -> bytes:
    return entry_of(
        now_ms(),
        f"{lost:,} lines are missing here: Redis lost them, and they were too old to be written anew",
        "system",
    )
