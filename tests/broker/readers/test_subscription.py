"""The one loop by which a log is followed, step by step.

tests/broker/readers/test_subscription_cancellation.py cuts readers at every await, and
tests/properties/test_subscription_simulation.py runs many of them against random schedules.
"""

from __future__ import annotations

import gc
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from fantail.broker.errors import NotFoundError, SourceUnavailableError
from fantail.broker.jobs import JOB, Job
from fantail.broker.limits import ARCHIVE_TRIES_MAX, SEGMENT_RECORDS
from fantail.broker.log.msg_store import Batch, Retention
from fantail.broker.log.outcomes import CaughtUp, Closed, Diverged, Lost, Reason
from fantail.broker.log.position import Position, checksum, log_position
from fantail.broker.log.records import line_of, record_of
from fantail.broker.readers.subscription import Subscription
from support.simulation.simulated_world import SimulatedWorld, entry, position

if TYPE_CHECKING:
    from collections.abc import Callable

on_both = pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])


def job_of(count: int = 0, *, archived: bool = False, **bounds: Any) -> Job:
    job = Job(JOB, "42", epoch="e1", archived=archived, retention=Retention(**bounds))
    push(job, *range(count))
    return job


def push(job: Job, *numbers: int) -> None:
    job.output.append([record_of(entry(number), 0) for number in numbers], 0.0)


def archived(count: int, page: int = 10) -> SimulatedWorld:
    """The job has so many lines, none of them in memory."""
    return SimulatedWorld(count, in_memory=False, page=lambda: page)


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
                assert job.notifier._sleepers
                change()
        assert not job.notifier._sleepers


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
    world = archived(25)
    async with world.broker.watch("42") as job:
        assert job.output.head == 25
        expected = [range(10), range(10, 20), range(20, 25), CaughtUp()]
        await check(world.broker.subscribe(job), expected)
        assert [offset for _, offset in world.source.fills] == [0, 10, 20]
        await check(world.broker.subscribe(job), expected)
        assert len(world.source.fills) == 3  # a second reader finds them in memory


async def test_what_the_archive_lost_is_told() -> None:  # trap 19
    world = archived(25)
    async with world.broker.watch("42") as job:
        subscription = world.broker.subscribe(job)
        world.truth.trim("42", 12)
        await check(subscription, [Lost(0, 12), range(12, 22), range(22, 25), CaughtUp()])


async def test_a_log_written_anew_while_a_page_is_on_its_way_is_told() -> None:
    world = archived(25)
    async with world.broker.watch("42") as job:
        subscription = world.broker.subscribe(job)
        world.truth.write_anew("42")
        world.truth.push("42", entry(0))
        await check(subscription, [Diverged(Reason.TAG), range(1), CaughtUp()])


async def test_an_archive_that_does_not_answer_is_an_error_and_the_same_call_goes_on_later() -> None:
    world = archived(5)
    async with world.broker.watch("42") as job:
        subscription = world.broker.subscribe(job)
        world.away = True
        for _ in range(3):
            with pytest.raises(SourceUnavailableError):
                await subscription.next()
        world.away = False
        await check(subscription, [range(5), CaughtUp()])


async def test_an_archive_that_never_gives_what_it_said_it_has_does_not_spin_for_ever() -> None:
    world = archived(5, page=0)
    async with world.broker.watch("42") as job:
        with pytest.raises(SourceUnavailableError):
            await world.broker.subscribe(job).next()
        assert len(world.source.fills) == ARCHIVE_TRIES_MAX


async def test_next_in_memory_never_asks_the_archive() -> None:
    world = archived(5)
    async with world.broker.watch("42") as job:
        subscription = world.broker.subscribe(job)
        assert subscription.next_in_memory() is None
        assert world.source.fills == []
        assert isinstance(await subscription.next(), Batch)
        assert subscription.next_in_memory() == CaughtUp()


# -- coming back ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 7, 24])
async def test_a_reader_that_comes_back_goes_on_after_what_it_has(number: int) -> None:  # trap 2
    world = archived(25)
    async with world.broker.watch("42") as job:
        subscription = world.broker.subscribe(job)
        assert await subscription.seek(position(number)) is None
        assert subscription.cursor.offset == number + 1


@pytest.mark.parametrize(
    ("came_with", "reason"),
    [(log_position(3, 1), Reason.TAG), (log_position(24, 1), Reason.TAG), (position(25), Reason.OFFSET)],
)
async def test_a_position_of_another_log_starts_over(came_with: Position, reason: Reason) -> None:  # traps 34, 47
    world = archived(25)
    async with world.broker.watch("42") as job:
        subscription = world.broker.subscribe(job)
        assert await subscription.seek(came_with) == Diverged(reason)
        assert subscription.cursor.offset == 0


async def test_a_cache_that_is_behind_the_truth_is_refreshed_before_a_position_is_refused() -> None:
    world = archived(5)
    async with world.broker.watch("42") as job:
        world.truth.push("42", entry(5), entry(6))  # another node has shown these already
        subscription = world.broker.subscribe(job)
        assert await subscription.seek(position(6)) is None
        await check(subscription, [CaughtUp()])


async def test_a_position_in_a_list_that_was_written_anew_with_the_same_entries_is_true() -> None:
    world = archived(5)
    async with world.broker.watch("42") as job:
        world.truth.write_anew("42")
        world.truth.push("42", entry(0), entry(1), b"another")
        subscription = world.broker.subscribe(job)
        assert await subscription.seek(position(1)) is None
        subscription = world.broker.subscribe(job)
        assert await subscription.seek(position(2)) == Diverged(Reason.TAG)


async def test_a_position_that_was_trimmed_away_starts_over() -> None:
    world = archived(25)
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


@on_both
async def test_a_job_that_disappears_while_iterated_over_is_an_error() -> None:  # trap 5
    world = archived(3)
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
