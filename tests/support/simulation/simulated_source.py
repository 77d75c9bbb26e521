"""A truth that is a Python list, and a source that follows it with all the trouble a real one has.

For tests of the core alone: what takes long, what fails and what is noticed late is decided by the test, so that the
schedules which a real server shows once in a million runs can be had at will. The rules that a source keeps
(`fantail.broker.readers.subscription.Archive`, `fantail.broker.sources.Source`) are kept here in the fewest lines.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from anyio.lowlevel import checkpoint

from fantail.broker.errors import SourceUnavailableError
from fantail.broker.log.notify import Notifier, Waiter
from fantail.broker.log.position import checksum
from fantail.broker.log.records import record_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from fantail.broker.broker import Broker
    from fantail.broker.jobs import Job
    from fantail.broker.log.position import Cursor, Position


@dataclass
class SimulatedJob:
    """One job as the truth has it.

    Attributes:
        lists: its output, one list for each time it was written anew; the last is the one of now.
        floor: what is below was trimmed away.
        fields: its hash; None: it does not exist.
    """

    lists: list[list[bytes]] = field(default_factory=lambda: [[]])
    floor: int = 0
    fields: dict[str, str] | None = None

    @property
    def entries(self) -> list[bytes]:
        return self.lists[-1]


class SimulatedTruth:
    """All jobs. Each change is one step; whoever follows is told by a bell, as by client tracking."""

    def __init__(self) -> None:
        self.jobs: dict[str, SimulatedJob] = {}
        self.notifier = Notifier()

    def job(self, job_id: str) -> SimulatedJob:
        return self.jobs.setdefault(job_id, SimulatedJob())

    def push(self, job_id: str, *entries: bytes) -> None:
        self.job(job_id).entries.extend(entries)
        self.notifier.notify()

    def put(self, job_id: str, **fields: str) -> None:
        job = self.job(job_id)
        job.fields = {**(job.fields or {}), **fields}
        self.notifier.notify()

    def trim(self, job_id: str, floor: int) -> None:
        job = self.job(job_id)
        job.floor = max(job.floor, min(floor, len(job.entries)))
        self.notifier.notify()

    def write_anew(self, job_id: str) -> None:
        job = self.job(job_id)
        job.lists.append([])
        job.floor = 0
        self.notifier.notify()

    def delete(self, job_id: str) -> None:
        self.job(job_id).fields = None
        self.write_anew(job_id)


def _never() -> bool:
    return False


class SimulatedSource:
    """A `Source` over a `SimulatedTruth`.

    Args:
        broker: what it feeds.
        truth: what it follows.
        pause: awaited wherever a real source waits for its server.
        fails: asked before each answer: whether it is that the server does not answer.
        skips: asked for each page of new entries: whether they stay in the archive.
        page: asked for the length of each page.
    """

    def __init__(
        self,
        broker: Broker,
        truth: SimulatedTruth,
        *,
        pause: Callable[[], Awaitable[None]] = checkpoint,
        fails: Callable[[], bool] = _never,
        skips: Callable[[], bool] = _never,
        page: Callable[[], int] = lambda: 10,
    ) -> None:
        self.available = True
        self.mode = "simulated"
        self.tables_lack = ""
        self.followed: dict[str, Job] = {}
        self.asking = 0
        self.fills: list[tuple[str, int]] = []
        self._broker = broker
        self._truth = truth
        self._pause = pause
        self._fails = fails
        self._skips = skips
        self._page = page
        self._mirrored: WeakKeyDictionary[Job, dict[int, int]] = WeakKeyDictionary()

    def list_of(self, job: Job, generation: int) -> int:
        """Which of a job's lists a generation of its log mirrors."""
        return self._mirrored[job][generation]

    # -- the Source -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        waiter = Waiter()
        while True:
            version = self._truth.notifier.version
            await self._pause()
            for job in list(self.followed.values()):
                self.look(job)
            await waiter.sleep(self._truth.notifier, version)

    def watch(self, job: Job) -> None:
        self.followed[job.id] = job
        number = len(self._truth.job(job.id).lists) - 1
        self._mirrored.setdefault(job, {job.output.generation: number})

    def unwatch(self, job: Job) -> None:
        self.followed.pop(job.id, None)

    async def refresh(self, job: Job) -> None:
        await self._answer()
        self.look(job)

    async def refresh_diff(self, job: Job) -> None:
        await self._answer()
        job.diff_loaded = True

    async def refresh_tables(self) -> None:
        await self._answer()

    async def job_id_of(self, kind: str, alias: str) -> str | None:
        await self._answer()
        return None if kind == "process" else alias

    async def fill(self, job: Job, offset: int) -> None:
        self.fills.append((job.id, offset))
        log, truth = job.output, self._truth.job(job.id)
        generation = log.generation
        number, floor = len(truth.lists) - 1, truth.floor
        page = truth.entries[offset : min(offset + self._page(), log.tail)]
        await self._answer()
        if log.generation != generation:
            return  # the answer is about another log
        if number != self.list_of(job, generation) or offset < floor:
            self.look(job)
        else:
            log.fill(offset, [record_of(entry, 0) for entry in page], self._broker.now_s())

    async def relocate(self, job: Job, position: Position) -> Cursor | None:
        await self._answer()
        del job, position
        return None

    async def entries(self, job: Job, start: int, stop: int) -> Sequence[bytes]:
        await self._answer()
        return self._truth.job(job.id).entries[start : min(stop, start + self._page())]

    # -- one look ---------------------------------------------------------------------------------------------------

    def look(self, job: Job) -> None:
        """Takes in what the truth has now, in one step: first the output, then the fields."""
        truth, now_s, log = self._truth.job(job.id), self._broker.now_s(), job.output
        if job.output.closed:
            return
        number = len(truth.lists) - 1
        if self.list_of(job, log.generation) != number:
            log.restart()
            self._mirrored[job][log.generation] = number
        new = truth.entries[log.tail :]
        if new and self._skips():
            log.advance(len(truth.entries), checksum(new[-1]))
        elif new:
            log.append([record_of(entry, 0) for entry in new], now_s)
        if truth.floor > log.floor:
            log.forget_below(truth.floor)
        job.set_fields(truth.fields, now_s)

    async def _answer(self) -> None:
        self.asking += 1
        try:
            await self._pause()
        finally:
            self.asking -= 1
        if self._fails():
            raise SourceUnavailableError("the simulated server does not answer")
