"""Readers in a crowd read what they would have read alone: every record once, in order, and every change of state."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.lowlevel import checkpoint

from fantail.broker import Batch, Broker, CaughtUp, Closed, Diverged, Encoding, Lost, Retention
from fantail.broker.log.notify import Waiter
from fantail.broker.readers.fanout import live_group_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from anyio.abc import TaskGroup

    from fantail.broker import Job, Record, Subscription


def _numbers(_: int, records: Sequence[Record]) -> list[bytes]:
    return [record.data.split(b'"line":"')[1].split(b'"')[0] + b" " for record in records]


NUMBERS = Encoding("numbers", _numbers)


@dataclass(slots=True, eq=False)
class Reader:
    """Reads as a face does; what it takes in its sleep is counted apart."""

    broker: Broker
    job_id: str = "1"
    refuses: float = 0.0
    dice: random.Random = field(default_factory=random.Random)
    got: list[bytes] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    taken: int = 0
    wakes: int = 0
    subscription: Subscription | None = None

    def offer(self, encoded: bytes) -> bool:
        if self.dice.random() < self.refuses:
            return False
        self.taken += 1
        self.got.append(encoded)
        return True

    async def run(self) -> None:
        waiter = Waiter()
        waiter.offer = self.offer
        async with self.broker.watch(self.job_id) as job:
            self.subscription = self.broker.subscribe(job, waiter)
            while True:
                match await self.subscription.next():
                    case Batch() as batch:
                        self.got.append(batch.encoded(NUMBERS))
                    case CaughtUp():
                        if self.statuses[-1:] != [job.status]:
                            self.statuses.append(job.status)
                        if job.ended:
                            return
                        self.wakes += 1
                        await self.subscription.wait(NUMBERS)
                    case Lost():
                        self.events.append("lost")
                    case Diverged():
                        self.events.append("diverged")
                        self.got.clear()
                    case Closed():
                        return

    @property
    def lines(self) -> list[int]:
        return [int(number) for number in b"".join(self.got).split()]


@asynccontextmanager
async def running(*readers: Reader) -> AsyncIterator[TaskGroup]:
    """Runs readers until they end, or are cancelled, within a bound; first they come to the tail."""
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for reader in readers:
                tasks.start_soon(reader.run)
            await settle()
            yield tasks


async def settle() -> None:
    for _ in range(10):
        await checkpoint()


async def job_of(broker: Broker) -> Job:
    await broker.create_job("1", {"status": "running"})
    return broker.job("1")


async def publish(broker: Broker, *numbers: int) -> None:
    for number in numbers:
        await broker.publish("1", str(number))


async def test_one_wakes_and_all_get_the_very_same_bytes() -> None:
    broker = Broker()
    job = await job_of(broker)
    readers = [Reader(broker) for _ in range(50)]
    async with running(*readers):
        assert len(live_group_of(job, NUMBERS)) == 50
        before = sum(reader.wakes for reader in readers)
        await publish(broker, 1, 2)
        await settle()
        assert all(reader.lines == [1, 2] for reader in readers)
        assert len({id(reader.got[0]) for reader in readers}) == 1
        assert sum(reader.wakes for reader in readers) == before + 1
        await broker.update_job("1", status="success")
    assert all(reader.statuses == ["running", "success"] for reader in readers)
    assert len(live_group_of(job, NUMBERS)) == 0
    assert not job.notifier._sleepers


async def test_a_change_of_state_wakes_everybody_after_the_records_before_it() -> None:
    broker = Broker()
    await job_of(broker)
    readers = [Reader(broker) for _ in range(5)]
    async with running(*readers):
        await publish(broker, 1)
        await broker.update_job("1", branch="b")
        await publish(broker, 2)
        await broker.update_job("1", status="failed")
    assert all(reader.lines == [1, 2] for reader in readers)
    assert all(reader.statuses[-1] == "failed" for reader in readers)


async def test_who_cannot_take_reads_alone_and_comes_back() -> None:
    broker = Broker()
    job = await job_of(broker)
    slow, quick = Reader(broker, refuses=1.0), Reader(broker)
    async with running(slow, quick) as tasks:
        for number in range(10):
            await publish(broker, number)
            await settle()
        assert len(live_group_of(job, NUMBERS)) == 2
        assert slow.lines == quick.lines == list(range(10))
        assert slow.taken == 0
        tasks.cancel_scope.cancel()


async def test_who_is_cancelled_when_it_was_to_serve_the_others_still_does() -> None:
    broker = Broker()
    await job_of(broker)
    server, other = Reader(broker), Reader(broker)
    scope = anyio.CancelScope()

    async def run_server() -> None:
        with scope:
            await server.run()

    async with running() as tasks:
        tasks.start_soon(run_server)
        await settle()
        tasks.start_soon(other.run)
        await settle()
        await publish(broker, 1)  # pokes the first: it has not run yet
        scope.cancel()
        await settle()
        assert other.lines == [1]
        await publish(broker, 2)
        await settle()
        assert other.lines == [1, 2]
        tasks.cancel_scope.cancel()


async def test_who_serves_the_others_and_leaves_does_not_take_them_off_the_bell() -> None:
    broker = Broker()
    await job_of(broker)
    other = Reader(broker)

    async def wait_once() -> None:
        waiter = Waiter()
        waiter.offer = Reader(broker).offer
        async with broker.watch("1") as job:
            subscription = broker.subscribe(job, waiter)
            assert isinstance(await subscription.next(), CaughtUp)
            await subscription.wait(NUMBERS)

    async with running() as tasks:
        tasks.start_soon(wait_once)
        await settle()
        tasks.start_soon(other.run)
        await settle()
        for number in range(3):
            await publish(broker, number)
            await settle()
        assert other.lines == [0, 1, 2]
        tasks.cancel_scope.cancel()


async def test_a_log_written_anew_and_a_deleted_job_wake_everybody() -> None:
    broker = Broker()
    job = await job_of(broker)
    readers = [Reader(broker) for _ in range(3)]
    async with running(*readers):
        await publish(broker, 1, 2, 3)
        await settle()
        job.output.restart()
        await publish(broker, 7)
        await settle()
        assert all(reader.events == ["diverged"] and reader.lines == [7] for reader in readers)
        job.close()
    assert len(live_group_of(job, NUMBERS)) == 0


async def test_everybodys_lag_is_known_in_their_sleep() -> None:
    broker = Broker()
    await job_of(broker)
    readers = [Reader(broker) for _ in range(3)]
    async with running(*readers) as tasks:
        await publish(broker, 1, 2, 3)
        await settle()
        assert all(reader.subscription is not None and reader.subscription.lag == 0 for reader in readers)
        tasks.cancel_scope.cancel()


class Schedule:
    """Readers that come, go and refuse at random while lines are written in bursts."""

    def __init__(self, seed: int, broker: Broker, tasks: TaskGroup) -> None:
        self.dice = random.Random(seed)
        self.readers: list[tuple[Reader, anyio.CancelScope]] = []
        self.written = 0
        self._broker = broker
        self._tasks = tasks

    async def step(self) -> None:
        dice = self.dice
        match dice.randrange(5):
            case 0 if len(self.readers) < 30:
                self._come()
            case 1 if self.readers and dice.random() < 0.2:
                dice.choice(self.readers)[1].cancel()
            case 2 if dice.random() < 0.3:
                await self._broker.update_job("1", branch=str(dice.random()))
            case 3 if self.readers:
                subscription = dice.choice(self.readers)[0].subscription
                if subscription is not None:
                    subscription.waiter.wake()
            case _:
                count = dice.choice([1, 1, 1, 3, 600])
                await publish(self._broker, *range(self.written, self.written + count))
                self.written += count
        for _ in range(dice.randrange(4)):
            await checkpoint()

    def _come(self) -> None:
        refuses = self.dice.choice([0.0, 0.0, 0.2, 1.0])
        reader, scope = (
            Reader(self._broker, refuses=refuses, dice=random.Random(self.dice.random())),
            anyio.CancelScope(),
        )

        async def run() -> None:
            with scope:
                await reader.run()

        self.readers.append((reader, scope))
        self._tasks.start_soon(run)


@pytest.mark.parametrize("seed", range(40))
async def test_whatever_happens_in_whatever_order_each_reads_what_it_would_have_read_alone(seed: int) -> None:
    broker = Broker()
    job = await job_of(broker)
    job.output.retention = Retention(bytes_max=2**30)
    async with running() as tasks:
        schedule = Schedule(seed, broker, tasks)
        for _ in range(150):
            await schedule.step()
        await broker.update_job("1", status="success")
    for reader, scope in schedule.readers:
        if scope.cancel_called:
            assert reader.lines == list(range(len(reader.lines)))
        else:
            assert reader.lines == list(range(schedule.written))
            assert reader.statuses[-1] == "success"
    assert len(live_group_of(job, NUMBERS)) == 0
    assert not job.notifier._sleepers
