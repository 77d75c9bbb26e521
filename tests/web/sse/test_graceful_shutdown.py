"""The end of the server: streams are ended apart and told when to come back, and all is over in time."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack

import anyio
import httpx

from fantail.web.limits import RETRY_DRAIN_MS
from support.clients.sse_client import open_stream
from support.servers.served_app import ServedApp, served_app
from support.wait import eventually


def stream_url(served: ServedApp) -> str:
    return f"{served.url}/api/jobs/42/stream"


async def watch_to_the_end(served: ServedApp, ended: list[tuple[float, int | None]]) -> None:
    async with open_stream(stream_url(served)) as stream:
        await stream.next()
        await stream.rest()
        ended.append((time.monotonic(), stream.parser.retry_ms))


async def drained(served: ServedApp, ended: list[tuple[float, int | None]], count: int) -> float:
    """Ends the server with so many streams open; returns the seconds that took."""
    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(watch_to_the_end, served, ended)
        await eventually(lambda: len(served.context.streams) == count, what="all streams open")
        began_s = time.monotonic()
        served.server.stop()
    return time.monotonic() - began_s


async def test_a_drain_ends_streams_apart_and_tells_each_to_come_back_later() -> None:
    """Trap 32: not all clients come back in the same instant."""
    ended: list[tuple[float, int | None]] = []
    async with served_app(drain_s=1.0) as served:
        await served.broker.create_job("42")
        took_s = await drained(served, ended, 30)
    times_s = sorted(at_s for at_s, _ in ended)
    retries = {retry_ms for _, retry_ms in ended}
    assert times_s[-1] - times_s[0] > 0.4
    assert took_s < 2.5
    assert len(retries) > 15
    assert all(retry_ms is not None and RETRY_DRAIN_MS[0] <= retry_ms <= RETRY_DRAIN_MS[1] for retry_ms in retries)
    assert served.context.streams.ended == {"drain": 30}


async def test_who_comes_during_a_drain_is_told_to_come_back_and_not_refused() -> None:
    """Trap 42: a refused connection ends an EventSource in Firefox."""
    async with served_app(drain_s=3.0) as served:
        await served.broker.create_job("42")
        async with AsyncExitStack() as others:
            # Each ends at a moment of its own; some of so many are open for nearly all of the drain.
            streams = [await others.enter_async_context(open_stream(stream_url(served))) for _ in range(12)]
            for stream in streams:
                await stream.next()
            served.server.stop()
            await eventually(lambda: served.context.streams.draining, what="the drain")
            async with open_stream(stream_url(served)) as late:
                assert late.response.status_code == 200
                assert await late.rest() == []
                assert late.parser.retry_ms is not None
                assert RETRY_DRAIN_MS[0] <= late.parser.retry_ms <= RETRY_DRAIN_MS[1]
            async with httpx.AsyncClient() as client:
                answer = await client.get(stream_url(served), headers={"Accept": "*/*"})
            assert answer.status_code == 503
            assert "retry-after" in answer.headers


async def test_a_client_that_reads_nothing_cannot_keep_the_server_from_ending() -> None:
    """Trap 37: what has not ended by itself is cut."""
    async with served_app(drain_s=0.1) as served:
        await served.broker.create_job("42")
        async with open_stream(stream_url(served)):
            for number in range(400):
                await served.broker.publish("42", f"{number} {'x' * 50_000}")
                await anyio.lowlevel.checkpoint()
            (stream,) = served.context.streams
            await eventually(lambda: stream.sent_bytes > 100_000, what="the socket full")
            began_s = time.monotonic()
            served.server.stop()
            await eventually(lambda: len(served.context.streams) == 0, timeout_s=4, what="all streams over")
            assert time.monotonic() - began_s < 3


async def test_a_second_signal_ends_everything_at_once() -> None:
    async with served_app(drain_s=30.0) as served:
        await served.broker.create_job("42")
        async with open_stream(stream_url(served)) as stream:
            await stream.next()
            served.server.stop()
            await eventually(lambda: served.context.streams.draining, what="the drain")
            served.server.stop()
            await eventually(lambda: len(served.context.streams) == 0, timeout_s=1, what="all streams over")


async def test_connections_kept_open_for_later_requests_delay_nothing() -> None:
    async with served_app(drain_s=0.0) as served, httpx.AsyncClient() as client:
        assert (await client.get(f"{served.url}/healthz")).status_code == 200
        assert len(served.server.server_state.connections) == 1
        began_s = time.monotonic()
        served.server.stop()
        await eventually(lambda: not served.server.server_state.connections, what="no connection left")
        assert time.monotonic() - began_s < 1
