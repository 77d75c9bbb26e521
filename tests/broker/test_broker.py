"""The broker: who is in the registry and for how long, what may stay in memory, and its use as a library."""

from __future__ import annotations

import gc
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.lowlevel import checkpoint

from fantail.broker.broker import Broker, BrokerLimits
from fantail.broker.errors import (
    InvalidIdError,
    NotFoundError,
    SourceUnavailableError,
    StoreClosedError,
    TooManyJobsError,
)
from fantail.broker.jobs import JOB, WORK_SESSION, Presence
from fantail.broker.limits import HOUSEKEEPING_S, SEGMENT_RECORDS
from fantail.broker.log.outcomes import CaughtUp, Closed
from fantail.broker.log.position import log_position
from fantail.broker.log.records import line_of
from fantail.broker.log.segment import Encoding
from fantail.broker.stats import JobStats
from support.simulation import virtual_time
from support.simulation.simulated_source import SimulatedSource, SimulatedTruth
from support.simulation.simulated_world import LIMITS, SimulatedWorld, entry, position

if TYPE_CHECKING:
    from fantail.broker.log.position import Position

WIRE_FORMAT = Encoding("face", lambda _, records: [b"data: %s\n\n" % record.data for record in records])
on_both = pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])


class World(SimulatedWorld):
    def check(self, *job_ids: str) -> None:
        """These are in the registry after housekeeping, and no others are followed."""
        self.broker.free_what_is_over()
        assert sorted(job.id for job in self.broker._jobs.values()) == sorted(job_ids)
        if self.broker.source is not None:
            assert set(self.source.followed) <= set(job_ids)


# -- who is there, and for how long ---------------------------------------------------------------------------------


async def test_watchers_are_counted_and_the_job_is_one() -> None:
    world = World()
    world.truth.put("1", status="running")
    async with world.broker.watch("1") as first:
        async with world.broker.watch("1") as second:
            assert first is second
            assert first.watchers == 2
        assert first.watchers == 1
        assert first.unwatched_since_s is None
        world.wait_s(10_000)
        world.check("1")
    assert first.watchers == 0
    assert first.unwatched_since_s == 10_000


async def test_a_job_and_a_work_session_of_one_id_are_two() -> None:
    broker = World(library=True).broker
    assert broker.job("1", JOB) is not broker.job("1", WORK_SESSION)
    assert broker.find("1", WORK_SESSION) is broker.job("1", WORK_SESSION)
    assert broker.find("2") is None


async def test_a_running_job_that_nobody_watches_is_let_go_after_a_while() -> None:
    world = World()
    world.truth.put("1", status="running")
    for _ in range(2):  # coming back starts the time anew
        async with world.broker.watch("1"):
            pass
        world.wait_s(59)
        world.check("1")
    world.wait_s(1)
    world.check()
    assert world.source.followed == {}


async def test_a_finished_job_lingers_from_its_end_or_its_last_watcher_whichever_is_later() -> None:
    world = World()
    world.truth.put("1", status="running")
    async with world.broker.watch("1") as job:
        world.wait_s(5)
        world.truth.put("1", status="success")
        await world.source.refresh(job)
        assert job.ended_since_s == 5
        world.wait_s(100)
        world.check("1")
    world.wait_s(29)
    world.check("1")
    world.wait_s(1)
    world.check()


async def test_a_job_that_runs_again_is_not_freed_as_finished() -> None:
    world = World()
    world.truth.put("1", status="success")
    async with world.broker.watch("1") as job:
        world.truth.put("1", status="running")
        await world.source.refresh(job)
    world.wait_s(31)
    world.check("1")


@pytest.mark.parametrize("library", [True, False])
async def test_a_job_that_does_not_exist_leaves_with_its_last_visitor(library: bool) -> None:
    world = World(library=library)
    async with world.broker.watch("1") as job:
        assert job.presence is Presence.ABSENT
        async with world.broker.watch("1"):
            pass
        world.check("1")
    world.check()


async def test_a_job_that_could_not_be_read_leaves_with_its_last_visitor() -> None:
    world = World()
    world.away = True
    for number in range(3):
        with pytest.raises(SourceUnavailableError):
            async with world.broker.watch(str(number)):
                pass
    world.check()
    assert world.source.followed == {}


async def test_a_job_in_memory_is_shown_as_it_was_while_the_source_is_away() -> None:
    world = World()
    world.truth.put("1", status="running")
    async with world.broker.watch("1"):
        pass
    world.away = True
    async with world.broker.watch("1") as job:
        assert (job.presence, job.status) == (Presence.PRESENT, "running")


async def test_a_job_is_asked_for_afresh_before_it_is_said_to_be_absent() -> None:
    world = World()
    seen: list[Presence] = []
    async with world.broker.watch("1") as job:
        seen.append(job.presence)
        world.truth.put("1", status="running")
        async with world.broker.watch("1"):
            seen.append(job.presence)
    assert seen == [Presence.ABSENT, Presence.PRESENT]


async def test_whoever_still_reads_a_freed_job_finds_its_end() -> None:
    world = World()
    world.truth.put("1", status="running")
    async with world.broker.watch("1") as job:
        subscription = world.broker.subscribe(job)
    world.wait_s(60)
    world.check()
    assert await subscription.next() == Closed()


async def test_in_a_library_a_running_job_is_kept_however_idle_and_a_finished_one_is_not() -> None:
    world = World(library=True)
    await world.broker.create_job("1")
    world.wait_s(1_000_000)
    world.check("1")
    await world.broker.update_job("1", status="success")
    world.wait_s(29)
    world.check("1")
    world.wait_s(1)
    world.check()


async def test_a_full_registry_refuses_new_ids_and_still_serves_those_it_has() -> None:
    world = World(limits=replace(LIMITS, jobs_max=2))
    for job_id in "12":
        world.truth.put(job_id, status="running")
    async with world.broker.watch("1"), AsyncExitStack() as stack:
        await stack.enter_async_context(world.broker.watch("2"))
        with pytest.raises(TooManyJobsError):
            await stack.enter_async_context(world.broker.watch("3"))
        async with world.broker.watch("1") as job:
            assert job.watchers == 2
        await stack.aclose()
        world.wait_s(60)
        world.check("1")
        async with world.broker.watch("3"):
            pass


async def test_in_a_full_registry_the_job_that_nobody_watches_makes_room() -> None:
    world = World(limits=replace(LIMITS, jobs_max=2))
    for job_id in "123":
        world.truth.put(job_id, status="running")
    async with world.broker.watch("2"):
        async with world.broker.watch("1"):
            pass
        world.check("1", "2")
        async with world.broker.watch("3"):
            world.check("2", "3")


async def test_inventing_ids_fills_no_registry() -> None:
    world = World(limits=replace(LIMITS, jobs_max=2))
    for number in range(100):
        async with world.broker.watch(f"invented-{number}") as job:
            assert job.presence is Presence.ABSENT
    world.check()


@pytest.mark.parametrize("job_id", ["42:diff", "", "../1", "a\n"])
async def test_an_id_outside_the_grammar_is_refused_at_every_door(job_id: str) -> None:  # trap 39
    broker = World().broker
    with pytest.raises(InvalidIdError):
        broker.job(job_id)
    with pytest.raises(InvalidIdError):
        await broker.create_job(job_id)
    with pytest.raises(InvalidIdError):
        async with broker.watch(job_id):
            pass
    with pytest.raises(InvalidIdError):
        await anext(broker.records(job_id))
    assert broker.stats().jobs == ()


@on_both
async def test_a_thousand_readers_opened_and_cut_leave_nothing() -> None:  # trap 16, as far as the core goes
    world = World()
    world.truth.put("1", status="running")
    world.truth.push("1", entry(0))

    async def read(cut: anyio.CancelScope) -> None:
        with cut:
            async with aclosing(world.broker.records("1")) as records:
                async for _ in records:
                    pass

    async with world.broker.watch("1") as job:
        for _ in range(20):
            async with anyio.create_task_group() as tasks:
                cuts = [anyio.CancelScope() for _ in range(50)]
                for cut in cuts:
                    tasks.start_soon(read, cut)
                for _ in range(6):
                    await checkpoint()
                assert job.watchers == 51
                for cut in cuts:
                    cut.cancel()
        gc.collect()
        assert (job.watchers, len(job.notifier._sleepers), len(job.subscriptions)) == (1, 0, 0)
        assert world.source.asking == 0


# -- statistics -----------------------------------------------------------------------------------------------------


async def test_statistics_name_every_live_job_with_the_largest_lag() -> None:
    world = World()
    world.truth.put("1", status="running")
    world.truth.push("1", *[entry(number) for number in range(20)])
    assert world.broker.stats().jobs == ()
    async with world.broker.watch("1") as job, world.broker.watch("2"), world.broker.watch_tables():
        subscriptions = [world.broker.subscribe(job) for _ in range(2)]
        await subscriptions[0].next()
        stats = world.broker.stats()
        assert stats.jobs[0] == JobStats(
            kind="job",
            id="1",
            status="running",
            retained_bytes=job.retained_bytes,
            head=0,
            tail=20,
            watchers=1,
            lag_max=20,
        )
        assert [one.id for one in stats.jobs] == ["1", "2"]
        assert stats.total_bytes == sum(one.retained_bytes for one in stats.jobs) > 0
        assert (stats.tables_watchers, stats.source_available, stats.source_mode) == (1, True, "simulated")
        assert stats.tables_bytes == world.broker.tables.retained_bytes >= world.broker.tables.log.retained_bytes > 0
        await subscriptions[1].next()
        del subscriptions
        gc.collect()
        assert world.broker.stats().jobs[0].lag_max == 0
    assert world.broker.stats().tables_watchers == 0
    assert World(library=True).broker.stats().source_mode == "none"


# -- as a library ---------------------------------------------------------------------------------------------------


async def follow(broker: Broker, job_id: str, after: Position | None = None) -> list[tuple[int, str]]:
    async with aclosing(broker.records(job_id, after)) as records:
        return [(offset, line_of(record.data)) async for offset, record in records]


@on_both
async def test_a_library_publishes_and_follows_to_the_end() -> None:
    broker = Broker()
    found: list[tuple[int, str]] = []

    async def reader() -> None:
        found.extend(await follow(broker, "42"))

    with anyio.fail_after(5):
        async with broker.running():
            await broker.create_job("42")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(reader)
                for number in range(5):
                    assert await broker.publish("42", f"line {number}") == number
                    await checkpoint()
                await broker.update_job("42", status="success")
    assert found == [(number, f"line {number}") for number in range(5)]


@pytest.mark.parametrize("in_memory", [True, False])
async def test_lines_before_the_terminal_status_are_given_before_the_end(in_memory: bool) -> None:  # traps 1 and 20
    world = World()
    world.in_memory = in_memory
    world.truth.put("1", status="running")
    lines: list[int] = []
    async with aclosing(world.broker.records("1")) as records, anyio.create_task_group() as tasks:
        tasks.start_soon(world.source.run)
        world.truth.push("1", entry(0))
        lines.append((await anext(records))[0])
        world.truth.push("1", entry(1))
        world.truth.push("1", entry(2))
        world.truth.put("1", status="failed")
        lines += [offset async for offset, _ in records]
        tasks.cancel_scope.cancel()
    assert lines == [0, 1, 2]


async def test_a_follower_goes_on_after_a_position_and_starts_over_with_one_that_does_not_fit() -> None:
    world = World()
    world.truth.put("1", status="success")
    world.truth.push("1", *[entry(number) for number in range(5)])
    assert [offset for offset, _ in await follow(world.broker, "1", position(2))] == [3, 4]
    assert [offset for offset, _ in await follow(world.broker, "1", position(4))] == []
    assert [offset for offset, _ in await follow(world.broker, "1", log_position(2, 7))] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("library", [True, False])
async def test_following_a_job_that_does_not_exist_is_an_error(library: bool) -> None:
    with pytest.raises(NotFoundError):
        await follow(World(library=library).broker, "1")


async def test_a_library_tells_a_slow_follower_by_the_offsets_what_was_evicted() -> None:
    world = World(library=True, limits=replace(LIMITS, store_bytes_max=1))
    await world.broker.create_job("1")
    async with aclosing(world.broker.records("1")) as records:
        await world.broker.publish("1", "line 0")
        assert (await anext(records))[0] == 0
        for number in range(1, SEGMENT_RECORDS + 10):
            await world.broker.publish("1", f"line {number}")
        await world.broker.update_job("1", status="success")
        offsets = [offset async for offset, _ in records]
    assert offsets == list(range(SEGMENT_RECORDS, SEGMENT_RECORDS + 10))


# -- life -----------------------------------------------------------------------------------------------------------


def test_housekeeping_runs_by_itself() -> None:
    async def main() -> None:
        broker = Broker(limits=BrokerLimits(linger_s=5.0), now_s=anyio.current_time)
        async with broker.running():
            await broker.create_job("1", {"status": "success"})
            await anyio.sleep(5.0 - 1e-6)
            assert broker.find("1") is not None
            await anyio.sleep(HOUSEKEEPING_S + 1e-3)
            assert broker.find("1") is None

    virtual_time.run(main)


@on_both
async def test_whoever_still_reads_when_the_broker_ends_finds_the_end() -> None:
    broker = Broker()
    with anyio.fail_after(5):
        async with broker.running():
            await broker.create_job("1")
            async with broker.watch("1") as job:
                subscription = broker.subscribe(job)
                assert await subscription.next() == CaughtUp()
    assert await subscription.next() == Closed()
    with pytest.raises(StoreClosedError):
        await broker.publish("1", "too late")


@on_both
async def test_an_error_in_the_source_ends_the_broker_and_is_not_swallowed() -> None:
    class Broken(SimulatedSource):
        async def run(self) -> None:
            raise OSError("broken")

    broker = Broker(lambda broker: Broken(broker, SimulatedTruth()))
    with anyio.fail_after(5), pytest.raises(BaseExceptionGroup) as caught:
        async with broker.running():
            await anyio.sleep_forever()
    assert caught.value.subgroup(OSError) is not None
    assert broker.tables.log.closed
