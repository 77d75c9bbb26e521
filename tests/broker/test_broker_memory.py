"""What all logs of a broker may hold together, and what readers share of it."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

from fantail.broker.broker import Broker, BrokerLimits
from fantail.broker.limits import SEGMENT_RECORDS
from fantail.broker.log.msg_store import Batch
from fantail.broker.log.outcomes import CaughtUp, Lost
from fantail.broker.log.records import record_of
from fantail.broker.log.segment import Encoding
from support.simulation.simulated_world import SimulatedWorld, entry

if TYPE_CHECKING:
    from fantail.broker.jobs import Job
    from fantail.broker.readers.subscription import Step

WIRE_FORMAT = Encoding("face", lambda _, records: [b"data: %s\n\n" % record.data for record in records])


def job_with(broker: Broker, job_id: str, count: int, length: int = 0) -> Job:
    """A job of the registry with so many lines in memory."""
    job = broker.job(job_id)
    for number in range(0, count, 100):
        page = [record_of(entry(at, length), 0) for at in range(number, min(number + 100, count))]
        job.output.append(page, broker.now_s())
    return job


# -- memory ---------------------------------------------------------------------------------------------------------


def heads(*jobs: Job) -> list[int]:
    return [job.output.head // SEGMENT_RECORDS for job in jobs]


def test_all_logs_share_one_budget_and_what_was_read_longest_ago_goes_first() -> None:
    broker = SimulatedWorld(library=True).broker
    first, second, third = jobs = [job_with(broker, name, 3 * SEGMENT_RECORDS) for name in ("1", "2", "3")]
    for job in (third, first):  # the second was never read
        job.output.read(job.output.start())
    sealed_bytes = first.output._segments[0].size

    def after_freeing(segments: int) -> list[int]:
        total = sum(job.retained_bytes for job in jobs)
        broker.limits = BrokerLimits(total_bytes_max=int(total - (segments - 0.5) * sealed_bytes))
        broker.enforce_budget()
        assert sum(job.retained_bytes for job in jobs) <= broker.limits.total_bytes_max
        return heads(first, second, third)

    assert after_freeing(0) == [0, 0, 0]
    assert after_freeing(2) == [0, 2, 0]
    assert after_freeing(2) == [0, 2, 2]
    assert after_freeing(2) == [2, 2, 2]


def test_documents_take_room_from_old_lines_but_never_more_than_half() -> None:
    broker = SimulatedWorld(library=True).broker
    job = job_with(broker, "1", 8 * SEGMENT_RECORDS)
    sealed_bytes, all_bytes = job.output._segments[0].size, job.output.retained_bytes
    broker.limits = BrokerLimits(total_bytes_max=all_bytes + 2 * sealed_bytes)
    broker.enforce_budget()
    assert heads(job) == [0]
    job.diff_bytes = 4 * sealed_bytes
    broker.enforce_budget()
    assert 2 <= heads(job)[0] <= 3
    broker.tables.put_row("jobs", "1", {"name": "y" * 10_000}, 1.0)
    assert broker.tables.retained_bytes > 20_000
    job.diff_bytes = 100 * all_bytes
    broker.enforce_budget()
    half = broker.limits.total_bytes_max // 2
    assert half - 2 * sealed_bytes < job.output.retained_bytes <= half


def test_the_open_segments_stay_whatever_the_budget() -> None:
    world = SimulatedWorld(library=True, limits=BrokerLimits(total_bytes_max=1))
    jobs = [job_with(world.broker, str(number), 10) for number in range(5)]
    world.broker.enforce_budget()
    assert all(isinstance(job.output.read(job.output.start()), Batch) for job in jobs)


def test_housekeeping_lets_what_is_too_old_go() -> None:
    world = SimulatedWorld(library=True)
    job = job_with(world.broker, "1", 10)
    world.wait_s(25 * 3600)
    world.broker.enforce_budget()
    assert job.output.read(job.output.start()) == Lost(0, 10)


async def test_a_job_that_is_let_go_is_freed_at_once() -> None:  # trap 53
    broker = Broker()
    await broker.create_job("1")
    freed = await watched_and_let_go(broker)
    assert freed() is None


async def watched_and_let_go(broker: Broker) -> weakref.ref[Job]:
    """Follows job 1 in a crowd for a moment; the collector is off meanwhile."""
    gc.disable()
    try:
        async with broker.watch("1") as job:
            reader = broker.subscribe(job)
            reader.waiter.offer = lambda _: True
            assert isinstance(await reader.next(), CaughtUp)
            reader.waiter.wake()
            await reader.wait(WIRE_FORMAT)
        broker.forget_if_unwatched(job)
        return weakref.ref(job)
    finally:
        gc.enable()


async def test_memory_is_bounded_by_bytes_while_slow_and_fast_readers_read_all_of_it() -> None:  # traps 26 and 28
    world = SimulatedWorld(limits=BrokerLimits(store_bytes_max=300_000))
    world.truth.put("1", status="running")
    async with world.broker.watch("1") as job:
        fast, slow = world.broker.subscribe(job), world.broker.subscribe(job)
        read = {fast: 0, slow: 0}

        async def step(who: Any) -> bool:
            batch = await who.next()
            if not isinstance(batch, Batch):
                assert batch == CaughtUp()
                return False
            assert batch.first == read[who]
            assert batch.encoded(WIRE_FORMAT).count(b"data: ") == len(batch)
            read[who] += len(batch)
            return True

        for number in range(0, 4000, 100):
            world.truth.push("1", *[entry(at, 500) for at in range(number, number + 100)])
            await world.source.refresh(job)
            while await step(fast):
                pass
            await step(slow)
            world.broker.enforce_budget()
            assert job.output.retained_bytes <= 300_000
        while await step(slow):
            world.broker.enforce_budget()
            assert job.output.retained_bytes <= 300_000
        assert read == {fast: 4000, slow: 4000}


def assert_shared(steps: list[Step]) -> None:
    taken = [step.encoded(WIRE_FORMAT) for step in steps if isinstance(step, Batch)]
    assert len(taken) == len(steps)
    assert all(one is taken[0] for one in taken)


async def test_readers_of_one_job_are_given_the_very_same_bytes() -> None:  # trap 26
    world = SimulatedWorld()
    world.truth.put("1", status="running")
    world.truth.push("1", *[entry(number) for number in range(2 * SEGMENT_RECORDS)])
    async with world.broker.watch("1") as job:
        readers = [world.broker.subscribe(job) for _ in range(10)]
        for _ in range(2):
            assert_shared([await reader.next() for reader in readers])
        world.truth.push("1", entry(9999))
        await world.source.refresh(job)
        assert_shared([await reader.next() for reader in readers])
