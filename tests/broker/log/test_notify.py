"""No ring is lost, nothing stays at a bell, and one clock pokes everybody in time."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st

from fantail.broker.log.notify import Notifier, TimerQueue, Waiter
from support.simulation import virtual_time

if TYPE_CHECKING:
    from collections.abc import Callable

on_both = pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])


async def check(notifier: Notifier, waiter: Waiter, wake: Callable[[], object]) -> None:
    """A sleeper goes on after `wake`, not before, and the bell knows nobody then."""
    awake = False

    async def sleeper() -> None:
        nonlocal awake
        await waiter.sleep(notifier, notifier.version)
        awake = True

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sleeper)
            for _ in range(5):
                await checkpoint()
            assert not awake
            wake()
    assert awake
    assert not notifier._sleepers


async def goes_on_at_once(notifier: Notifier, waiter: Waiter, version: int) -> bool:
    with anyio.move_on_after(0):
        await waiter.sleep(notifier, version)
        return True
    return False


@on_both
async def test_a_ring_wakes_whoever_waits() -> None:
    notifier = Notifier()
    await check(notifier, Waiter(), notifier.notify)


@on_both
async def test_a_poke_wakes_one_and_leaves_nothing_at_the_bell() -> None:
    notifier, waiter = Notifier(), Waiter()
    for _ in range(3):
        await check(notifier, waiter, waiter.wake)


@on_both
async def test_a_ring_between_the_look_and_the_sleep_is_not_lost() -> None:
    notifier = Notifier()
    version = notifier.version
    notifier.notify()
    assert await goes_on_at_once(notifier, Waiter(), version)
    assert not notifier._sleepers


@on_both
async def test_a_poke_before_the_sleep_ends_that_sleep_and_no_other() -> None:
    notifier, waiter = Notifier(), Waiter()
    waiter.wake()
    waiter.wake()
    assert await goes_on_at_once(notifier, waiter, notifier.version)
    assert not await goes_on_at_once(notifier, waiter, notifier.version)


@on_both
async def test_one_ring_ends_one_sleep() -> None:
    notifier, waiter = Notifier(), Waiter()
    await check(notifier, waiter, notifier.notify)
    assert not await goes_on_at_once(notifier, waiter, notifier.version)


@on_both
async def test_a_cancelled_sleep_leaves_nothing_at_the_bell_and_the_waker_can_sleep_again() -> None:
    notifier, waiter = Notifier(), Waiter()
    assert not await goes_on_at_once(notifier, waiter, notifier.version)
    assert not notifier._sleepers
    await check(notifier, waiter, notifier.notify)


@on_both
async def test_a_poke_in_the_moment_of_cancellation_ends_the_next_sleep() -> None:
    notifier, waiter = Notifier(), Waiter()

    async def sleeper(scope: anyio.CancelScope) -> None:
        with scope:
            await waiter.sleep(notifier, notifier.version)

    async with anyio.create_task_group() as tasks:
        scope = anyio.CancelScope()
        tasks.start_soon(sleeper, scope)
        for _ in range(5):
            await checkpoint()
        scope.cancel()
        waiter.wake()
    if scope.cancelled_caught:
        assert await goes_on_at_once(notifier, waiter, notifier.version)
    assert not notifier._sleepers


@on_both
async def test_a_ring_among_many_wakes_each_of_them_once() -> None:
    notifier, woken = Notifier(), 0

    async def sleeper() -> None:
        nonlocal woken
        await Waiter().sleep(notifier, notifier.version)
        woken += 1

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            for _ in range(100):
                tasks.start_soon(sleeper)
            for _ in range(5):
                await checkpoint()
            notifier.notify()
    assert woken == 100
    assert not notifier._sleepers


@given(seed=st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_no_ring_is_lost_whatever_the_order_of_steps(seed: int) -> None:
    chance = random.Random(seed)
    notifier, tail = Notifier(), 0

    async def reader() -> None:
        waiter, read = Waiter(), 0
        while read < 20:
            version = notifier.version
            behind = read < tail
            for _ in range(chance.randrange(3)):
                await checkpoint()
            if behind:
                read += 1
            elif chance.random() < 0.3:
                with anyio.move_on_after(chance.random()):
                    await waiter.sleep(notifier, version)
            else:
                await waiter.sleep(notifier, version)

    async def writer() -> None:
        nonlocal tail
        while tail < 20:
            await anyio.sleep(chance.choice([0, 0, 0.1, 0.5]))
            tail += chance.randrange(1, 4)
            notifier.notify()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(chance.randrange(1, 4)):
                tasks.start_soon(reader)
            tasks.start_soon(writer)

    virtual_time.run(main)  # a lost ring is a deadlock
    assert not notifier._sleepers


# -- the alarm clock ----------------------------------------------------------------------------------------------


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


class Pokes:
    """A sleeper that notes when it was poked."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self.retired = False
        self.at_s: list[float] = []
        self._now_s = now_s

    def wake(self) -> None:
        self.at_s.append(self._now_s())


def test_each_is_poked_at_its_time_whatever_was_asked_first() -> None:
    async def main() -> None:
        clock = TimerQueue()
        early, late = Pokes(anyio.current_time), Pokes(anyio.current_time)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(clock.run)
            await anyio.sleep(1)
            clock.wake_at(3600, late)
            await anyio.sleep(1)
            clock.wake_at(30, early)
            clock.wake_at(10, early)
            clock.wake_at(0, early)  # past already: at once
            await anyio.sleep(10_000)
            tasks.cancel_scope.cancel()
        assert early.at_s == [2, 10, 30]
        assert late.at_s == [3600]

    virtual_time.run(main)


def test_a_clock_that_nobody_asked_sets_no_timer() -> None:
    async def main() -> None:
        await TimerQueue().run()

    with pytest.raises(virtual_time.DeadlockError):
        virtual_time.run(main)


def test_a_waker_is_woken_by_the_clock_alone() -> None:
    async def main() -> None:
        clock, notifier, waiter = TimerQueue(), Notifier(), Waiter()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(clock.run)
            clock.wake_at(30, waiter)
            await waiter.sleep(notifier, notifier.version)
            assert anyio.current_time() == 30
            assert not notifier._sleepers
            tasks.cancel_scope.cancel()

    virtual_time.run(main)


def test_whoever_asks_again_while_poked_is_poked_again() -> None:
    now = Clock()
    clock = TimerQueue(now)

    class Periodic(Pokes):
        def wake(self) -> None:
            super().wake()
            clock.wake_at(now.s + 10, self)

    periodic = Periodic(now)
    clock.wake_at(10, periodic)
    for now.s in (5.0, 10.0, 15.0, 20.0, 35.0):
        wait_s = clock.wake_due()
        assert wait_s is not None
        assert wait_s > 0
    assert periodic.at_s == [10, 20, 35]


def test_a_retired_sleeper_is_never_poked_and_not_kept() -> None:
    clock = TimerQueue(lambda: 100.0)
    gone, stays = Pokes(lambda: 100.0), Pokes(lambda: 100.0)
    clock.wake_at(50, stays)
    for due_s in range(60):
        clock.wake_at(due_s, gone)
    clock.retire(gone)
    clock.wake_at(70, gone)
    assert len(clock._due) == 1
    assert clock.wake_due() is None
    assert (gone.at_s, stays.at_s) == ([], [100.0])
    clock.retire(gone)
    clock.retire(stays)


def test_one_that_retires_while_poked_is_not_poked_again() -> None:
    clock = TimerQueue(lambda: 1.0)

    class Last(Pokes):
        def wake(self) -> None:
            super().wake()
            clock.retire(self)

    last = Last(lambda: 1.0)
    clock.wake_at(0, last)
    clock.wake_at(1, last)
    clock.wake_at(2, last)
    assert clock.wake_due() is None
    assert last.at_s == [1.0]


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["ask", "ask", "ask", "retire", "pass"]), st.integers(0, 7), st.integers(1, 50)),
        max_size=200,
    )
)
@settings(max_examples=300, deadline=None)
def test_everybody_who_is_there_is_poked_once_for_each_time_asked_and_waste_is_at_most_half(
    steps: list[tuple[str, int, int]],
) -> None:
    now = Clock()
    clock = TimerQueue(now)
    sleepers = [Pokes(now) for _ in range(8)]
    asked: list[tuple[float, Pokes]] = []
    for what, who, seconds in steps:
        if what == "ask":
            clock.wake_at(now.s + seconds, sleepers[who])
            asked.append((now.s + seconds, sleepers[who]))
        elif what == "retire":
            clock.retire(sleepers[who])
            asked = [one for one in asked if one[1] is not sleepers[who]]
            sleepers[who] = Pokes(now)
        else:
            now.s += seconds
            before = {id(sleeper): len(sleeper.at_s) for sleeper in sleepers}
            clock.wake_due()
            for sleeper in sleepers:
                due = sum(one is sleeper for due_s, one in asked if due_s <= now.s)
                assert len(sleeper.at_s) - before[id(sleeper)] == due
            asked = [one for one in asked if one[0] > now.s]
        assert len(clock._due) <= 2 * len(asked)
