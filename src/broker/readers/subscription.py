"""The one loop by which anything is followed: read; page in what is missing; when caught up, wait; read on.

A subscription is a cursor into a job's output and a waker. It holds no lines. It awaits in three places only: the
archive, the bell, and (in its caller) the socket, so a slow reader delays nobody, and cancelling it leaves nothing
behind.

`next` never waits for news: it returns `CaughtUp`, and its caller looks at the job's state in the same step, with no
await between the two. That is what keeps a terminal status from overtaking a line. Then the caller sleeps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias, assert_never

from fantail.broker.errors import SourceUnavailableError
from fantail.broker.limits import ARCHIVE_TRIES_MAX
from fantail.broker.log.msg_store import Batch
from fantail.broker.log.notify import Waiter
from fantail.broker.log.outcomes import Behind, CaughtUp, Closed, Diverged, Located, Lost, Reason
from fantail.broker.log.position import Cursor
from fantail.broker.readers.fanout import live_group_of

if TYPE_CHECKING:
    from fantail.broker.jobs import Job
    from fantail.broker.log.position import Position
    from fantail.broker.log.segment import Encoding


class Archive(Protocol):
    """Where a job's records can be had that are no longer in memory."""

    async def fill(self, job: Job, offset: int) -> None:
        """Loads the record at `offset`, and some after it, into the job's output.

        It may find that the job's output is another one now, and restart the log instead.

        Raises:
            SourceUnavailableError: it does not answer.
        """

    async def refresh(self, job: Job) -> None:
        """Reads the job afresh: a cache may be behind the truth.

        Raises:
            SourceUnavailableError: it does not answer.
        """

    async def relocate(self, job: Job, position: Position) -> Cursor | None:
        """Finds a position whose record stands elsewhere now, because older ones were trimmed away.

        Returns:
            Where its reader goes on, if that is beyond doubt; None: the position no longer fits.

        Raises:
            SourceUnavailableError: it does not answer.
        """


Step: TypeAlias = Batch | Lost | Diverged | CaughtUp | Closed


class Subscription:
    """Follows one job's output from a cursor on.

    Args:
        job: what is followed; its watchers must count this reader (`Broker.watch`).
        archive: where older records are; None: they are lost.
        waiter: how it sleeps; whoever else holds it can poke it.
    """

    def __init__(self, job: Job, archive: Archive | None, waiter: Waiter | None = None) -> None:
        self.job = job
        self.waiter = waiter or Waiter()
        self.cursor: Cursor = job.output.start()
        self._archive = archive
        self._version = -1
        job.subscriptions.add(self)

    @property
    def lag(self) -> int:
        """How many records it is behind the tail."""
        if self.cursor.generation != self.job.output.generation:
            return self.job.output.tail
        return self.job.output.tail - self.cursor.offset

    async def seek(self, position: Position) -> Diverged | None:
        """Goes on after a position that a client came back with.

        Returns:
            None when it was found to be true, or Diverged: the cursor then stands at the start.

        Raises:
            SourceUnavailableError: the archive, which must be asked, does not answer.
        """
        refreshed = False
        for _ in range(ARCHIVE_TRIES_MAX):
            match self.job.output.locate(position):
                case Located(cursor):
                    self.cursor = cursor
                    return None
                case Behind() if self._archive is not None:
                    await self._archive.fill(self.job, position.offset)
                case Diverged() as diverged:
                    if self._archive is not None and not refreshed:
                        await self._archive.refresh(self.job)
                        refreshed = True
                        continue
                    moved = None if self._archive is None else await self._archive.relocate(self.job, position)
                    self.cursor = moved or self.job.output.start()
                    return None if moved else diverged
                case Behind():
                    self.cursor = self.job.output.start()
                    return Diverged(Reason.OFFSET)
        raise SourceUnavailableError("the archive does not give what it said it has")

    async def next(self) -> Step:
        """The next step of the stream. Waits for the archive at most, never for news.

        After `Lost` and `Diverged` the cursor has moved past the gap, or to the start of the new log.

        Raises:
            SourceUnavailableError: the archive, which must be asked, does not answer; call again later.
        """
        for _ in range(ARCHIVE_TRIES_MAX):
            step = self.next_in_memory()
            if step is not None:
                return step
            assert self._archive is not None, "without an archive nothing is behind"
            await self._archive.fill(self.job, self.cursor.offset)
        raise SourceUnavailableError("the archive does not give what it said it has")

    def next_in_memory(self) -> Step | None:
        """As `next`, but never waits: None says that the archive must be asked, which `next` does.

        Live readers of a crowd go this way: a coroutine for each read is a tenth of what a line costs them.
        """
        output = self.job.output
        self._version = self.job.notifier.version
        outcome = output.read(self.cursor)
        match outcome:
            case Batch():
                self.cursor = outcome.next
                return outcome
            case CaughtUp() | Closed():
                return outcome
            case Lost(start=_, stop=stop):
                self.cursor = Cursor(output.generation, stop)
                return outcome
            case Diverged():
                self.cursor = output.start()
                return outcome
            case Behind(start=_, stop=stop):
                if self._archive is not None:
                    return None
                lost = Lost(self.cursor.offset, stop)
                self.cursor = Cursor(output.generation, stop)
                return lost
            case _:
                assert_never(outcome)

    async def wait(self, encoding: Encoding | None = None) -> None:
        """Sleeps until the job has changed since the last `next`, or somebody pokes the waker.

        Args:
            encoding: with it, and a waker that takes bytes, new records are handed to that waker in its sleep, and the
                cursor moves; to be given only where the last `next` was `CaughtUp`.
        """
        if encoding is None or self.waiter.offer is None or self.job.notifier.version != self._version:
            await self.waiter.sleep(self.job.notifier, self._version)
        else:
            await live_group_of(self.job, encoding).join(self, self.waiter.offer)
