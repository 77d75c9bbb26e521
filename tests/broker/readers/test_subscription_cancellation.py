"""Readers cut at every await they make, on both event loops: nothing is left behind, and the others go on."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
import pytest
from anyio.lowlevel import checkpoint

from fantail.broker.jobs import Presence
from fantail.broker.log.msg_store import Batch
from fantail.broker.log.notify import Waiter
from fantail.broker.log.outcomes import CaughtUp
from fantail.broker.log.records import line_of
from fantail.broker.log.segment import Encoding
from support.cancellation import cancelled_at
from support.simulation.simulated_world import SimulatedWorld, entry, position

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Read: TypeAlias = Callable[[SimulatedWorld], Coroutine[Any, Any, None]]

pytestmark = pytest.mark.slow

on_both = pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])


def in_memory() -> SimulatedWorld:
    return SimulatedWorld(12)


def archived() -> SimulatedWorld:
    return SimulatedWorld(12, in_memory=False, page=lambda: 3)


async def check(world_of: Callable[[], SimulatedWorld], read: Read, beside: Read | None = None) -> int:
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


async def cut_at(nth: int, world: SimulatedWorld, read: Read, beside: Read | None) -> bool:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.source.run)
        tasks.start_soon(produce, world)
        async with anyio.create_task_group() as others:
            if beside is not None:
                others.start_soon(beside, world)
            cut = await cancelled_at(nth, lambda: read(world))
        tasks.cancel_scope.cancel()
    return cut


async def produce(world: SimulatedWorld) -> None:
    """Adds lines to what is there, slowly, and then the end."""
    job = world.truth.job("42")
    for number in range(len(job.entries), 16):
        for _ in range(4):
            await checkpoint()
        world.truth.push("42", entry(number))
    world.truth.put("42", status="success")


async def read_all(world: SimulatedWorld) -> None:
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
    async def read(world: SimulatedWorld) -> None:
        async with world.broker.watch("42") as job:
            subscription = world.broker.subscribe(job, Waiter())
            await subscription.seek(position(2))
            while True:
                if isinstance(await subscription.next(), CaughtUp):
                    if job.ended:
                        return
                    await subscription.wait()
                else:
                    await checkpoint()  # the socket

    assert await check(in_memory, read) > 5
    assert await check(archived, read) > 10


@on_both
async def test_a_reader_in_a_crowd_cut_at_any_await_leaves_nothing_behind_and_the_others_go_on() -> None:
    wire_format = Encoding("face", lambda _, records: [b"%s\n" % record.data for record in records])

    async def read(world: SimulatedWorld) -> None:
        taken: list[bytes] = []

        def offer(encoded: bytes) -> bool:
            taken.append(encoded)
            return True

        waiter = Waiter()
        waiter.offer = offer
        async with world.broker.watch("42") as job:
            subscription = world.broker.subscribe(job, waiter)
            while True:
                step = await subscription.next()
                if isinstance(step, Batch):
                    taken.append(step.encoded(wire_format))
                elif job.ended:
                    break
                else:
                    await subscription.wait(wire_format)
        assert [line_of(line) for line in b"".join(taken).splitlines()] == [f"line {number}" for number in range(16)]

    assert await check(in_memory, read, beside=read) > 2
    assert await check(archived, read, beside=read) > 4


@on_both
async def test_an_iteration_over_records_cut_at_any_await_leaves_nothing_behind() -> None:
    async def read(world: SimulatedWorld) -> None:
        async with aclosing(world.broker.records("42", after=position(2))) as records:
            offsets = [offset async for offset, _ in records]
        assert offsets == list(range(3, 16))

    assert await check(archived, read) > 10


@on_both
async def test_a_visitor_of_a_job_that_does_not_exist_cut_at_any_await_leaves_nothing_behind() -> None:
    for nth in range(50):
        world = SimulatedWorld()

        async def visit(world: SimulatedWorld = world) -> None:
            async with world.broker.watch("43") as job:
                assert job.presence is Presence.ABSENT
                await checkpoint()

        if not await cancelled_at(nth, visit):
            break
        assert world.broker.find("43") is None
        assert world.leaks() == {}
    assert nth > 1
