"""Many readers of one job against random schedules: each sees every record once, in order, or is told why not.

A truth that is written, trimmed and written anew; a source that notices late and does not always answer; memory of a
few records; readers fast and slow, alone and in a crowd, that are cut and come back. The clock is simulated and every
choice comes from one seed, so a schedule can be had again: a failing one is a case by the name of its seed.

The oracle is the truth itself (`lists`, one for each time the log was written anew). It says of each step of each
reader whether that step is allowed; at the end everybody must have everything.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import pytest
import trio
import trio.testing

from fantail.broker.broker import Broker, BrokerLimits
from fantail.broker.errors import SourceUnavailableError
from fantail.broker.log import segment as segments
from fantail.broker.log.msg_store import Batch
from fantail.broker.log.notify import Waiter
from fantail.broker.log.outcomes import CaughtUp, Diverged, Lost
from fantail.broker.log.position import Position, checksum, log_position, parse_position
from fantail.broker.log.records import entry_of
from fantail.broker.log.segment import Encoding
from support.simulation import virtual_time
from support.simulation.simulated_source import SimulatedSource, SimulatedTruth

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fantail.broker.jobs import Job
    from fantail.broker.readers.subscription import Subscription

JOB_ID = "42"
LONGEST_S = 20_000.0
WIRE_FORMAT = Encoding("face", lambda _, records: [b"%s\n" % record.data for record in records])


@pytest.fixture(autouse=True)
def _small_segments() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "SEGMENT_RECORDS", 5)
        yield


@dataclass
class Chances:
    """How this world is: drawn once from its seed."""

    chance: random.Random
    lines: int = field(init=False)
    pause_s: float = field(init=False)
    fails: float = field(init=False)
    skips: float = field(init=False)
    evicts: float = field(init=False)
    trims: float = field(init=False)
    rewrites: float = field(init=False)
    cuts: float = field(init=False)

    def __post_init__(self) -> None:
        draw = self.chance
        self.lines = draw.randrange(1, 60)
        self.pause_s = draw.choice([0.0, 0.1, 3.0])
        self.fails = draw.choice([0.0, 0.0, 0.2])
        self.skips = draw.choice([0.0, 0.3, 1.0])
        self.evicts = draw.choice([0.0, 0.3, 0.6])
        self.trims = draw.choice([0.0, 0.0, 0.05])
        self.rewrites = draw.choice([0.0, 0.0, 0.03])
        self.cuts = draw.choice([0.0, 0.05, 0.2])


class World:
    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.chances = Chances(self.chance)
        self.truth = SimulatedTruth()
        self.truth.put(JOB_ID, status="running")
        self.trace: list[str] = []
        self.serial = 0

        def follow(broker: Broker) -> SimulatedSource:
            self.source = SimulatedSource(
                broker,
                self.truth,
                pause=self.pause,
                fails=lambda: self.happens(self.chances.fails),
                skips=lambda: self.happens(self.chances.skips),
                page=lambda: self.chance.choice([1, 3, 7, 20]),
            )
            return self.source

        limits = BrokerLimits(store_bytes_max=8000, idle_s=self.chance.choice([0.0, 30.0]), linger_s=5.0)
        self.broker = Broker(follow, limits=limits, now_s=anyio.current_time)

    def happens(self, probability: float) -> bool:
        return self.chance.random() < probability

    def note(self, who: str, what: object) -> None:
        self.trace.append(f"{anyio.current_time():.3f} {who}: {what}")

    async def pause(self) -> None:
        await anyio.sleep(self.chance.random() * self.chances.pause_s)

    async def run(self) -> None:
        with anyio.fail_after(LONGEST_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.broker.run)
                tasks.start_soon(self.evict_now_and_then)
                async with anyio.create_task_group() as readers:
                    for number in range(self.chance.randrange(1, 5)):
                        readers.start_soon(Reader(self, f"reader {number}").read)
                    await self.produce()
                tasks.cancel_scope.cancel()

    async def produce(self) -> None:
        job = self.truth.job(JOB_ID)
        for _ in range(self.chances.lines):
            await anyio.sleep(self.chance.choice([0.0, 0.0, 0.5, 5.0]))
            burst = [self.entry() for _ in range(self.chance.choice([1, 1, 4, 30]))]
            self.truth.push(JOB_ID, *burst)
            if self.happens(self.chances.trims):
                self.truth.trim(JOB_ID, self.chance.randrange(len(job.entries)))
                self.note("truth", f"trimmed below {job.floor}")
            if self.happens(self.chances.rewrites):
                self.truth.write_anew(JOB_ID)
                self.note("truth", "written anew")
        self.truth.put(JOB_ID, status="success")
        self.note("truth", f"ended with {len(job.entries)}")

    def entry(self) -> bytes:
        self.serial += 1
        return entry_of(self.serial, "x" * self.chance.randrange(120), "stdout")

    async def evict_now_and_then(self) -> None:
        while True:
            await anyio.sleep(0.7)
            job = self.broker.find(JOB_ID)
            while job is not None and self.happens(self.chances.evicts) and job.output.evict_one():
                pass


class Reader:
    """One client over all its connections, and the oracle of what it may be told.

    Attributes:
        list: which of the truth's lists it is reading; None before the first look.
        told: the offset up to which it was told everything.
        position: what it would come back with.
    """

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.list: int | None = None
        self.told = 0
        self.position: str | None = None
        self.slow_s = world.chance.choice([0.0, 0.0, 0.2, 8.0])
        self.refuses = world.chance.choice([0.0, 0.0, 0.3])
        self.in_group = world.happens(0.5)
        self.ended = False

    async def read(self) -> None:
        while not self.ended:
            try:
                async with self.world.broker.watch(JOB_ID) as job:
                    await self.follow(job)
            except SourceUnavailableError:
                self.world.note(self.name, "no answer")
                await anyio.sleep(1.0)

    async def follow(self, job: Job) -> None:
        """One connection: comes with its position, reads until it is cut or at the end."""
        world, waiter = self.world, Waiter()
        if self.in_group:
            waiter.offer = self.take_asleep
        subscription = world.broker.subscribe(job, waiter)
        position = parse_position(self.position)
        refused = None if position is None else await subscription.seek(position)
        self.check_seek(job, subscription, position, refused)
        while not world.happens(world.chances.cuts):
            step = await subscription.next()
            world.note(self.name, step if not isinstance(step, Batch) else f"{step.first}..{step.next.offset}")
            match step:
                case Batch():
                    await self.offer(job, step)
                case Lost(start, stop):
                    assert start == self.told
                    assert stop <= world.truth.job(JOB_ID).floor or self.is_old(job)
                    self.told = stop
                case Diverged():
                    assert world.source.list_of(job, subscription.cursor.generation) != self.list
                    self.start_over(job, subscription)
                case CaughtUp():
                    # No await since the read: what is seen of the state now is not newer than the lines (trap 1).
                    if job.ended:
                        assert self.told == len(world.truth.job(JOB_ID).entries)
                        self.ended = True
                        return
                    if self.in_group:
                        await subscription.wait(WIRE_FORMAT)
                    else:
                        await self.send()  # the state, to a slow client: lines may come meanwhile
                        await subscription.wait()
                    assert subscription.cursor.generation != job.output.generation or (
                        subscription.cursor.offset == self.told
                    )
        world.note(self.name, f"cut at {self.position}")

    def check_seek(
        self, job: Job, subscription: Subscription, position: Position | None, refused: Diverged | None
    ) -> None:
        now = self.world.source.list_of(job, subscription.cursor.generation)
        if refused is not None:
            assert position is not None
            written_anew = now != self.list or self.is_old(job)
            trimmed = position.offset < self.world.truth.job(JOB_ID).floor
            assert written_anew or trimmed, f"{self.name}: {position} was refused"
            self.start_over(job, subscription)
        elif position is None:
            self.start_over(job, subscription)
        else:
            assert now == self.list
            self.told = position.offset + 1  # a gap told after that record is told again
            assert subscription.cursor.offset == self.told

    def start_over(self, job: Job, subscription: Subscription) -> None:
        self.list = self.world.source.list_of(job, subscription.cursor.generation)
        self.told = subscription.cursor.offset
        assert self.told == 0
        self.position = None

    def is_old(self, job: Job) -> bool:
        """Whether the truth was written anew, and the job's log still shows the one before."""
        return self.world.source.list_of(job, job.output.generation) != len(self.world.truth.job(JOB_ID).lists) - 1

    def take_asleep(self, encoded: bytes) -> bool:
        """Is handed lines while it waits (`fantail.broker.readers.fanout`), and cannot always take them."""
        if self.world.happens(self.refuses):
            return False
        lines = encoded.splitlines()
        assert self.list is not None
        entries = self.world.truth.job(JOB_ID).lists[self.list][self.told : self.told + len(lines)]
        assert lines == entries
        self.told += len(lines)
        self.position = str(log_position(self.told - 1, checksum(entries[-1])))
        self.world.note(self.name, f"took {len(lines)}")
        return True

    async def send(self) -> None:
        """Waits as long as this client's socket takes."""
        await anyio.sleep(self.world.chance.random() * self.slow_s)

    async def offer(self, job: Job, batch: Batch) -> None:
        assert self.world.source.list_of(job, batch.next.generation) == self.list
        assert batch.first == self.told
        assert self.list is not None
        expected = self.world.truth.job(JOB_ID).lists[self.list][batch.first : batch.next.offset]
        assert [record.data for record in batch.records()] == expected
        await self.send()  # the segment may be evicted meanwhile
        assert batch.encoded(WIRE_FORMAT) == b"".join(b"%s\n" % entry for entry in expected)
        self.told = batch.next.offset
        self.position = str(batch.last_position())


def run(seed: int) -> list[str]:
    world = World(seed)
    virtual_time.run(world.run)
    return world.trace


@pytest.mark.parametrize("seed", range(100))
def test_every_reader_sees_every_record_once_in_order_or_is_told_why_not(seed: int) -> None:
    run(seed)


@pytest.mark.parametrize("seed", range(0, 100, 10))
def test_the_same_on_another_event_loop(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trio._core._run, "_ALLOW_DETERMINISTIC_SCHEDULING", True)
    monkeypatch.setattr(trio._core._run, "_r", random.Random(seed))
    clock = trio.testing.MockClock(autojump_threshold=0)
    anyio.run(World(seed).run, backend="trio", backend_options={"clock": clock})


@pytest.mark.parametrize("seed", range(0, 100, 25))
def test_the_same_seed_gives_the_same_trace(seed: int) -> None:
    assert run(seed) == run(seed)


def test_the_schedules_contain_what_they_are_for() -> None:
    seen = "\n".join(line for seed in range(0, 100, 4) for line in run(seed))
    for what in ("Lost(", "Diverged(", "cut at", "no answer", "trimmed", "written anew", "CaughtUp", "took "):
        assert what in seen
