"""The one loop by which a log is followed, step by step, and cut at every await.

tests/properties/test_subscription_simulation.py runs many readers against random schedules.
"""

from __future__ import annotations

import gc
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
import pytest
from anyio.lowlevel import checkpoint

from broker.broker import Broker, BrokerLimits
from broker.crowd import Crowd
from broker.entries import entry_of, line_of, record_of
from broker.errors import NotFoundError, SourceUnavailableError
from broker.jobs import JOB, Job, Presence
from broker.limits import ARCHIVE_TRIES_MAX, SEGMENT_RECORDS
from broker.msg_store import Batch, Retention
from broker.outcomes import CaughtUp, Closed, Diverged, Lost, Reason
from broker.position import Position, checksum, log_position
from broker.segment import Encoding
from broker.subscription import Subscription
from broker.wakeup import Waker
from support.cancellation import cancelled_at
from support.simulated_source import SimulatedSource, SimulatedTruth

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Read: TypeAlias = Callable[["World"], Coroutine[Any, Any, None]]

on_both = pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])


def entry(number: int) -> bytes:
    return entry_of(number, f"line {number}", "stdout")


def position(number: int) -> Position:
    return log_position(number, checksum(entry(number)))


def job_of(count: int = 0, *, archived: bool = False, **bounds: Any) -> Job:
    job = Job(JOB, "42", epoch="e1", archived=archived, retention=Retention(**bounds))
    push(job, *range(count))
    return job


def push(job: Job, *numbers: int) -> None:
    job.output.append([record_of(entry(number), 0) for number in numbers], 0.0)


class World:
    """A broker that follows a simulated truth of one job of so many lines, none of them in memory."""

    def __init__(self, count: int, **kwargs: Any) -> None:
        self.truth = SimulatedTruth()
        self.truth.put("42", status="running")
        self.truth.push("42", *[entry(number) for number in range(count)])
        kwargs.setdefault("skips", lambda: True)

        def follow(broker: Broker) -> SimulatedSource:
            self.source = SimulatedSource(broker, self.truth, **kwargs)
            return self.source

        self.clock_s = 0.0
        self.broker = Broker(follow, limits=BrokerLimits(idle_s=1.0, linger_s=1.0), now_s=lambda: self.clock_s)

    def leaks(self) -> dict[str, object]:
        """What is still there that a reader could have left behind; nothing once nobody reads."""
        gc.collect()  # a cancellation's traceback holds its frames
        self.clock_s += 10.0
        job = self.broker.find("42")
        found: dict[str, object] = {"asking": self.source.asking}
        if job is not None:
            found |= {
                "sleepers": sum(not isinstance(one, Crowd) or len(one) > 0 for one in job.bell._sleepers),
                "watchers": job.watchers,
                "subscriptions": len(job.subscriptions),
            }
        self.broker.free_what_is_over()
        found |= {"jobs": len(self.broker._jobs), "followed": len(self.source.followed)}
        return {name: count for name, count in found.items() if count}


async def check(subscription: Subscription, expected: list[object]) -> None:
    """Takes steps until it is caught up or at the end; a batch is written as the range of its offsets."""
    found: list[object] = []
    while True:
        step = await subscription.next()
        if isinstance(step, Batch):
            lines = [line_of(record.data) for record in step.records()]
            assert lines == [f"line {number}" for number in range(step.first, step.next.offset)]
            found.append(range(step.first, step.next.offset))
            continue
        found.append(step)
        if isinstance(step, CaughtUp | Closed):
            break
    assert found == expected


# -- steps ----------------------------------------------------------------------------------------------------------


async def test_history_and_live_are_the_same_read() -> None:
    job = job_of(3)
    subscription = Subscription(job, None)
    await check(subscription, [range(3), CaughtUp()])
    push(job, 3, 4)
    await check(subscription, [range(3, 5), CaughtUp()])
    job.close()
    await check(subscription, [Closed()])


async def test_nothing_is_lost_between_the_history_and_what_follows() -> None:  # trap 18
    job = job_of(SEGMENT_RECORDS + 1)
    subscription, pushed = Subscription(job, None), SEGMENT_RECORDS + 1
    seen: list[int] = []
    while not isinstance(step := await subscription.next(), CaughtUp):
        assert isinstance(step, Batch)
        seen += range(step.first, step.next.offset)
        if pushed < SEGMENT_RECORDS + 20:  # a line comes between any two steps
            push(job, pushed)
            pushed += 1
    assert seen == list(range(pushed))


@on_both
async def test_a_line_between_the_last_read_and_the_wait_is_not_slept_over() -> None:  # trap 18
    job = job_of(1)
    subscription = Subscription(job, None)
    await check(subscription, [range(1), CaughtUp()])
    push(job, 1)
    with anyio.fail_after(5):
        await subscription.wait()
    await check(subscription, [range(1, 2), CaughtUp()])


@on_both
async def test_a_waiting_reader_is_woken_by_any_change_of_its_job() -> None:
    job = job_of()
    changes: list[Callable[[], object]] = [
        lambda: push(job, 0),
        lambda: job.set_fields({"status": "running"}, 0.0),
        lambda: job.set_fields(None, 0.0),
        job.output.restart,
        job.close,
    ]
    subscription = Subscription(job, None)
    for change in changes:
        while isinstance(await subscription.next(), Batch | Diverged):
            pass
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(subscription.wait)
                for _ in range(3):
                    await checkpoint()
                assert job.bell._sleepers
                change()
        assert not job.bell._sleepers


async def test_a_reader_behind_the_window_is_told_what_it_lost() -> None:  # trap 19
    job = job_of(3 * SEGMENT_RECORDS, records_max=SEGMENT_RECORDS)
    head, tail = job.output.head, job.output.tail
    assert head > 0
    await check(Subscription(job, None), [Lost(0, head), range(head, tail), CaughtUp()])


async def test_a_reader_that_lags_while_lines_are_evicted_is_told_too() -> None:  # trap 19
    job = job_of(10, records_max=SEGMENT_RECORDS)
    slow = Subscription(job, None)
    step = await slow.next()
    assert isinstance(step, Batch)
    push(job, *range(10, 3 * SEGMENT_RECORDS))
    head, tail = job.output.head, job.output.tail
    await check(slow, [Lost(10, head), range(head, tail), CaughtUp()])


async def test_a_log_written_anew_is_told_once_and_read_from_its_start() -> None:
    job = job_of(5)
    subscription = Subscription(job, None)
    await check(subscription, [range(5), CaughtUp()])
    job.output.restart()
    push(job, 0, 1)
    await check(subscription, [Diverged(Reason.TAG), range(2), CaughtUp()])


async def test_the_lag_is_what_is_between_cursor_and_tail() -> None:
    job = job_of(5)
    subscription = Subscription(job, None)
    assert subscription.lag == 5
    await check(subscription, [range(5), CaughtUp()])
    assert subscription.lag == 0
    push(job, 5)
    assert subscription.lag == 1
    job.output.restart()
    assert subscription.lag == 0
    push(job, 0, 1)
    assert subscription.lag == 2


async def test_a_subscription_that_nobody_holds_is_forgotten() -> None:
    job = job_of(1)
    subscription = Subscription(job, None)
    assert set(job.subscriptions) == {subscription}
    del subscription
    gc.collect()
    assert not job.subscriptions


# -- with an archive ------------------------------------------------------------------------------------------------


async def test_what_is_not_in_memory_is_paged_in_from_where_the_reader_stands() -> None:
    world = World(25)
    async with world.broker.watch("42") as job:
        assert job.output.head == 25
        expected = [range(10), range(10, 20), range(20, 25), CaughtUp()]
        await check(world.broker.subscribe(job), expected)
        assert [offset for _, offset in world.source.fills] == [0, 10, 20]
        await check(world.broker.subscribe(job), expected)
        assert len(world.source.fills) == 3  # a second reader finds them in memory


async def test_what_the_archive_lost_is_told() -> None:  # trap 19
    world = World(25)
    async with world.broker.watch("42") as job:
        subscription = world.broker.subscribe(job)
        world.truth.trim("42", 12)
        await check(subscription, [Lost(0, 12), range(12, 22), range(22, 25), CaughtUp()])


async def test_a_log_written_anew_while_a_page_is_on_its_way_is_told() -> None:
    world = World(25)
    async with world.broker.watch("42") as job:
        subscription = world.broker.subscribe(job)
        world.truth.write_anew("42")
        world.truth.push("42", entry(0))
        await check(subscription, [Diverged(Reason.TAG), range(1), CaughtUp()])


async def test_an_archive_that_does_not_answer_is_an_error_and_the_same_call_goes_on_later() -> None:
    failing = [False]
    world = World(5, fails=lambda: failing[0])
    async with world.broker.watch("42") as job:
        subscription = world.broker.subscribe(job)
        failing[0] = True
        for _ in range(3):
            with pytest.raises(SourceUnavailableError):
                await subscription.next()
        failing[0] = False
        await check(subscription, [range(5), CaughtUp()])


async def test_an_archive_that_never_gives_what_it_said_it_has_does_not_spin_for_ever() -> None:
    world = World(5, page=lambda: 0)
    async with world.broker.watch("42") as job:
        with pytest.raises(AssertionError):
            await world.broker.subscribe(job).next()
        assert len(world.source.fills) == ARCHIVE_TRIES_MAX


async def test_next_in_memory_never_asks_the_archive() -> None:
    world = World(5)
    async with world.broker.watch("42") as job:
        subscription = world.broker.subscribe(job)
        assert subscription.next_in_memory() is None
        assert world.source.fills == []
        assert isinstance(await subscription.next(), Batch)
        assert subscription.next_in_memory() == CaughtUp()


# -- coming back ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 7, 24])
async def test_a_reader_that_comes_back_goes_on_after_what_it_has(number: int) -> None:  # trap 2
    world = World(25)
    async with world.broker.watch("42") as job:
        subscription = world.broker.subscribe(job)
        assert await subscription.seek(position(number)) is None
        assert subscription.cursor.offset == number + 1


@pytest.mark.parametrize(
    ("came_with", "reason"),
    [(log_position(3, 1), Reason.TAG), (log_position(24, 1), Reason.TAG), (position(25), Reason.OFFSET)],
)
async def test_a_position_of_another_log_starts_over(came_with: Position, reason: Reason) -> None:  # traps 34, 47
    world = World(25)
    async with world.broker.watch("42") as job:
        subscription = world.broker.subscribe(job)
        assert await subscription.seek(came_with) == Diverged(reason)
        assert subscription.cursor.offset == 0


async def test_a_cache_that_is_behind_the_truth_is_refreshed_before_a_position_is_refused() -> None:
    world = World(5)
    async with world.broker.watch("42") as job:
        world.truth.push("42", entry(5), entry(6))  # another node has shown these already
        subscription = world.broker.subscribe(job)
        assert await subscription.seek(position(6)) is None
        await check(subscription, [CaughtUp()])


async def test_a_position_in_a_list_that_was_written_anew_with_the_same_entries_is_true() -> None:
    world = World(5)
    async with world.broker.watch("42") as job:
        world.truth.write_anew("42")
        world.truth.push("42", entry(0), entry(1), b"another")
        subscription = world.broker.subscribe(job)
        assert await subscription.seek(position(1)) is None
        subscription = world.broker.subscribe(job)
        assert await subscription.seek(position(2)) == Diverged(Reason.TAG)


async def test_a_position_that_was_trimmed_away_starts_over() -> None:
    world = World(25)
    async with world.broker.watch("42") as job:
        world.truth.trim("42", 12)
        subscription = world.broker.subscribe(job)
        assert await subscription.seek(position(3)) == Diverged(Reason.OFFSET)
        await check(subscription, [Lost(0, 12), range(12, 22), range(22, 25), CaughtUp()])


async def test_without_an_archive_what_only_an_archive_has_is_lost_and_its_positions_are_refused() -> None:
    job = job_of(archived=True)
    job.output.advance(5, checksum(entry(4)))
    subscription = Subscription(job, None)
    assert await subscription.seek(position(2)) == Diverged(Reason.OFFSET)
    await check(subscription, [Lost(0, 5), CaughtUp()])


async def test_the_position_of_an_empty_log_is_its_start() -> None:
    subscription = Subscription(job_of(2), None)
    assert await subscription.seek(Position(0, "0")) is None
    await check(subscription, [range(2), CaughtUp()])


# -- cut at every await ---------------------------------------------------------------------------------------------


async def sweep(world_of: Callable[[], World], read: Read, beside: Read | None = None) -> int:
    """Cuts a reader at every await it makes, while another, if given, must come to its end.

    Returns:
        How many awaits there are.
    """
    for nth in range(500):
        world = world_of()
        with anyio.fail_after(10):
            cut = await cut_at(nth, world, read, beside)
        assert world.leaks() == {}, f"left behind when cut at await {nth}"
        with anyio.fail_after(10):
            await read_all(world)  # whoever comes next finds everything
        assert world.leaks() == {}
        if not cut:
            return nth
    raise AssertionError("it never ends")


async def cut_at(nth: int, world: World, read: Read, beside: Read | None) -> bool:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.source.run)
        tasks.start_soon(produce, world)
        async with anyio.create_task_group() as others:
            if beside is not None:
                others.start_soon(beside, world)
            cut = await cancelled_at(nth, lambda: read(world))
        tasks.cancel_scope.cancel()
    return cut


async def produce(world: World) -> None:
    """Adds lines to what is there, slowly, and then the end."""
    job = world.truth.job("42")
    for number in range(len(job.entries), 16):
        for _ in range(4):
            await checkpoint()
        world.truth.push("42", entry(number))
    world.truth.put("42", status="success")


async def read_all(world: World) -> None:
    for number in range(len(world.truth.job("42").entries), 16):
        world.truth.push("42", entry(number))
    world.truth.put("42", status="success")
    seen: list[int] = []
    async with world.broker.watch("42") as job:
        subscription = world.broker.subscribe(job)
        while not isinstance(step := await subscription.next(), CaughtUp):
            assert isinstance(step, Batch)
            seen += range(step.first, step.next.offset)
        assert job.ended
    assert seen == list(range(16))


@on_both
async def test_a_reader_cut_at_any_await_leaves_nothing_behind() -> None:
    async def read(world: World) -> None:
        async with world.broker.watch("42") as job:
            subscription = world.broker.subscribe(job, Waker())
            await subscription.seek(position(2))
            while True:
                if isinstance(await subscription.next(), CaughtUp):
                    if job.ended:
                        return
                    await subscription.wait()
                else:
                    await checkpoint()  # the socket

    assert await sweep(lambda: World(12, page=lambda: 3, skips=lambda: False), read) > 5
    assert await sweep(lambda: World(12, page=lambda: 3), read) > 10


@on_both
async def test_a_reader_in_a_crowd_cut_at_any_await_leaves_nothing_behind_and_the_others_go_on() -> None:
    face = Encoding("face", lambda _, records: [b"%s\n" % record.data for record in records])

    async def read(world: World) -> None:
        taken: list[bytes] = []

        def take(encoded: bytes) -> bool:
            taken.append(encoded)
            return True

        waker = Waker()
        waker.take = take
        async with world.broker.watch("42") as job:
            subscription = world.broker.subscribe(job, waker)
            while True:
                step = await subscription.next()
                if isinstance(step, Batch):
                    taken.append(step.encoded(face))
                elif job.ended:
                    break
                else:
                    await subscription.wait(face)
        assert [line_of(line) for line in b"".join(taken).splitlines()] == [f"line {number}" for number in range(16)]

    assert await sweep(lambda: World(12, page=lambda: 3, skips=lambda: False), read, beside=read) > 2
    assert await sweep(lambda: World(12, page=lambda: 3), read, beside=read) > 4


@on_both
async def test_an_iteration_over_records_cut_at_any_await_leaves_nothing_behind() -> None:
    async def read(world: World) -> None:
        async with aclosing(world.broker.records("42", after=position(2))) as records:
            offsets = [offset async for offset, _ in records]
        assert offsets == list(range(3, 16))

    assert await sweep(lambda: World(12, page=lambda: 3), read) > 10


@on_both
async def test_a_visitor_of_a_job_that_does_not_exist_cut_at_any_await_leaves_nothing_behind() -> None:
    for nth in range(50):
        world = World(0)

        async def visit(world: World = world) -> None:
            async with world.broker.watch("43") as job:
                assert job.presence is Presence.ABSENT
                await checkpoint()

        if not await cancelled_at(nth, visit):
            break
        assert world.broker.find("43") is None
        assert world.leaks() == {}
    assert nth > 1


@on_both
async def test_a_job_that_disappears_while_iterated_over_is_an_error() -> None:  # trap 5
    world = World(3)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.source.run)
        async with aclosing(world.broker.records("42")) as records:
            for expected in range(3):
                assert (await anext(records))[0] == expected
            world.truth.delete("42")
            with pytest.raises(NotFoundError):
                await anext(records)
        tasks.cancel_scope.cancel()
    assert world.leaks() == {}
