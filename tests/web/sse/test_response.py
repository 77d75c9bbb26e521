"""What holds for every stream, whatever it shows: keep-alive, deadlines, slow and dead clients, limits."""

from __future__ import annotations

import socket
import statistics
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import httpx
import orjson
import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol

from fantail.broker.log.notify import Waiter
from fantail.web.auth.identity import mint_token
from fantail.web.auth.viewer import Viewer
from fantail.web.limits import SEND_BYTES_MAX
from fantail.web.settings import Settings
from fantail.web.sse.response import EventStreamResponse
from support.clients.sse_client import open_stream
from support.servers.served_app import ServedApp, served_app
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from starlette.types import Message

SECRET = "a secret of more than thirty-two bytes"


def stream_url(served: ServedApp, query: str = "") -> str:
    return f"{served.url}/api/jobs/42/stream{query}"


async def publish_megabytes(served: ServedApp, count: int) -> None:
    line = "x" * 10_000
    for number in range(100 * count):
        await served.broker.ledger.append_output(
            "42", [orjson.dumps({"timestamp": 1, "line": f"{number} {line}", "stream": "stdout"})]
        )


@contextmanager
def raw_client(served: ServedApp, receive_bytes: int = 4096) -> Iterator[socket.socket]:
    """A client with a small receive buffer that has asked for the stream and reads only when told to."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        client.connect(("127.0.0.1", served.port))
        client.setblocking(False)
        client.send(b"GET /api/jobs/42/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n")
        yield client


# -- keep-alive and deadlines ---------------------------------------------------------------------------------------


async def test_a_comment_is_sent_whenever_nothing_was_for_the_keep_alive_time() -> None:
    async with served_app(keepalive_s=0.2) as served:
        await served.broker.create_job("42")
        async with open_stream(stream_url(served)) as stream:
            await stream.next()
            began_s = time.monotonic()
            while stream.parser.comments.count("keep-alive") < 3:
                await stream._read()
            assert 0.5 <= time.monotonic() - began_s < 2.0


async def test_no_keep_alive_goes_where_lines_go() -> None:
    async with served_app(keepalive_s=0.3) as served:
        await served.broker.create_job("42")
        async with open_stream(stream_url(served)) as stream:
            await stream.next()
            for number in range(12):
                await served.broker.publish("42", str(number))
                await stream.next()
                await anyio.sleep(0.06)  # the pace of the lines is what is tested
            assert "keep-alive" not in stream.parser.comments


async def test_a_stream_ends_at_the_maximum_time_and_says_so() -> None:
    async with served_app(max_stream_s=0.5) as served:
        await served.broker.create_job("42")
        began_s = time.monotonic()
        async with open_stream(stream_url(served)) as stream:
            events = await stream.rest()
        assert events[-1].name == "error"
        assert events[-1].json == {"message": "Stream timeout"}
        assert 0.45 <= time.monotonic() - began_s < 2.0
        assert served.context.streams.ended == {"maximum time": 1}


async def test_streams_that_began_together_end_apart() -> None:
    """Trap 32, for the maximum time."""
    async with served_app(max_stream_s=1.0) as served:
        await served.broker.create_job("42")
        ends_s = []

        async def watch() -> None:
            async with open_stream(stream_url(served)) as stream:
                await stream.rest()
            ends_s.append(time.monotonic())

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(watch)
    assert statistics.pstdev(ends_s) > 0.005


async def test_a_stream_ends_when_the_right_to_see_it_does() -> None:
    async with served_app(auth="jwt", jwt_secret=SECRET) as served:
        await served.broker.create_job("42", {"user_id": "ann"})
        token = mint_token(served.context.settings, "ann", admin=False, ttl_s=2)
        headers = {"Authorization": f"Bearer {token}"}
        async with open_stream(stream_url(served), headers=headers) as stream:
            await stream.rest(timeout_s=4)
        assert served.context.streams.ended == {"right expired": 1}
        async with open_stream(stream_url(served), headers=headers) as stream:
            assert stream.response.status_code == 401


# -- clients that are gone, dead or slow ----------------------------------------------------------------------------


async def test_a_client_that_leaves_is_noticed_while_nothing_is_sent() -> None:
    async with served_app() as served:
        await served.broker.create_job("42")
        async with open_stream(stream_url(served)) as stream:
            await stream.next()
            assert len(served.context.streams) == 1
        await eventually(lambda: len(served.context.streams) == 0, what="the stream gone")
        assert served.context.streams.ended == {"client left": 1}


async def test_a_client_that_acknowledges_nothing_is_cut_and_costs_little_meanwhile() -> None:
    """Traps 28 and 44: it holds at most its socket's buffer and one send, and is cut at the write time-out."""
    async with served_app(write_timeout_s=1.0) as served:
        await served.broker.create_job("42")
        with raw_client(served):
            await eventually(lambda: len(served.context.streams) == 1, what="the stream open")
            (stream,) = served.context.streams
            await publish_megabytes(served, 8)
            began_s = time.monotonic()
            await eventually(lambda: len(served.context.streams) == 0, what="the stream cut")
            assert 0.5 <= time.monotonic() - began_s < 3.0
            assert stream.sent_bytes < 2 * 2**20
        assert served.context.streams.ended == {"client stalled": 1}
        assert served.broker.job("42").watchers == 0


async def test_a_client_that_reads_slowly_but_steadily_stays() -> None:
    """Trap 44: one send of 64 KiB takes it several times the write time-out."""
    async with served_app(write_timeout_s=0.6) as served:
        await served.broker.create_job("42")
        with raw_client(served) as client:
            await eventually(lambda: len(served.context.streams) == 1, what="the stream open")
            await publish_megabytes(served, 2)
            began_s = time.monotonic()
            read = 0
            while time.monotonic() - began_s < 3.0:
                with suppress(BlockingIOError):
                    read += len(client.recv(4096))
                await anyio.sleep(0.1)  # its slowness is what is tested
            assert len(served.context.streams) == 1
            assert read < 256 * 1024


async def test_a_slow_client_delays_nobody_else() -> None:
    async with served_app() as served:
        await served.broker.create_job("42")
        with raw_client(served):
            async with open_stream(stream_url(served)) as quick:
                await quick.next()
                await publish_megabytes(served, 4)
                with anyio.fail_after(5):
                    for _ in range(400):
                        await quick.next()


async def test_a_client_that_takes_whatever_it_is_sent_keeps_nobody_waiting() -> None:
    others_turns: list[int] = []

    async def history() -> AsyncGenerator[bytes, None]:
        for _ in range(50):
            others_turns.append(0)
            yield b"data: %b\n\n" % (b"x" * SEND_BYTES_MAX)

    async def others() -> None:
        while True:
            await anyio.lowlevel.checkpoint()
            if others_turns:
                others_turns[-1] += 1

    async def join() -> Message:
        await anyio.sleep_forever()
        raise AssertionError("for ever is over")

    async def offer(_: Message) -> None:
        """Never waits, as a socket never does whose other end reads as fast as it can."""

    async with served_app() as served, anyio.create_task_group() as tasks:
        tasks.start_soon(others)
        response = EventStreamResponse(
            served.context, history(), Waiter(), viewer=Viewer(None, admin=True), label="a long history"
        )
        scope = {"type": "http", "method": "GET", "http_version": "1.1", "headers": [], "client": ("127.0.0.1", 1)}
        await response(scope, join, offer)
        tasks.cancel_scope.cancel()
    assert len(others_turns) == 50
    assert all(others_turns)


async def test_sockets_have_bounded_buffers_and_a_user_timeout() -> None:
    """Traps 28 and 44: the kernel gives up a peer that vanished, and holds little for one that stops reading."""
    async with served_app(write_timeout_s=7) as served:
        await served.broker.create_job("42")
        async with open_stream(stream_url(served)) as stream:
            await stream.next()
            (protocol,) = served.server.server_state.connections
            raw = protocol.transport.get_extra_info("socket")
            assert raw.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 2 * 128 * 1024
            assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
            assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 7000
            assert raw.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60


async def test_lines_of_any_length_arrive_whole_through_sends_of_bounded_size() -> None:
    async with served_app() as served:
        await served.broker.create_job("42")
        sizes = [0, 1, 65_400, 65_536, 65_600, 131_072, 1_000_000]
        for size in sizes:
            await served.broker.publish("42", "é" * (size // 2))
        await served.broker.update_job("42", status="success")
        async with open_stream(stream_url(served)) as stream:
            events = await stream.rest()
        assert [len(event.json["line"]) for event in events if event.name == "output"] == [s // 2 for s in sizes]


async def test_without_httptools_h11_serves_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fantail.web.sse.http_protocol.BoundedHttpProtocol", None)
    async with served_app() as served:
        await served.broker.create_job("42")
        async with open_stream(stream_url(served)) as stream:
            await stream.next()
            (protocol,) = served.server.server_state.connections
            assert isinstance(protocol, H11Protocol)
            await served.broker.publish("42", "x" * 100_000)
            assert len((await stream.next()).json["line"]) == 100_000
            await served.broker.update_job("42", status="success")
            assert (await stream.rest())[-1].name == "done"


async def test_a_client_of_http_1_0_gets_the_stream_too() -> None:
    async with served_app() as served:
        await served.broker.create_job("42", {"status": "success"})
        with socket.create_connection(("127.0.0.1", served.port)) as client:
            client.setblocking(False)
            client.send(b"GET /api/jobs/42/stream HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
            received = b""

            async def read() -> bool:
                nonlocal received
                with suppress(BlockingIOError):
                    received += client.recv(65_536)
                return b"event: done" in received

            await eventually(read, what="the stream")
        head = received.split(b"\r\n\r\n")[0].lower()
        assert b"connection: close" in head
        assert b"connection: keep-alive" not in head


# -- limits ---------------------------------------------------------------------------------------------------------


async def refused(url: str, accept: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(url, headers={"Accept": accept})


@pytest.mark.parametrize(
    "limit", [{"streams_per_address": 1}, {"streams": 1}, {"streams_burst": 1, "streams_per_s": 0.001}]
)
async def test_over_a_limit_an_event_source_is_told_to_come_back_and_others_get_429(limit: dict[str, Any]) -> None:
    """Trap 42: any status but 200 ends an EventSource for good."""
    async with served_app(**limit) as served:
        await served.broker.create_job("42")
        async with open_stream(stream_url(served)) as first:
            await first.next()
            async with open_stream(stream_url(served)) as second:
                assert second.response.status_code == 200
                assert await second.rest() == []
                assert second.parser.retry_ms is not None
                assert 10_000 <= second.parser.retry_ms <= 30_000
                assert len(second.parser.comments) == 1
            answer = await refused(stream_url(served), "application/json")
            assert answer.status_code == 429
            assert 10 <= int(answer.headers["retry-after"]) <= 30


async def test_a_place_is_free_again_when_a_stream_ends() -> None:
    async with served_app(streams_per_address=1) as served:
        await served.broker.create_job("42")
        for _ in range(3):
            async with open_stream(stream_url(served)) as stream:
                assert (await stream.next()).name == "status"
            await eventually(lambda: served.context.limiter.streams == 0, what="the place free")


async def test_limits_are_counted_per_user_whatever_the_address() -> None:
    async with served_app(auth="jwt", jwt_secret=SECRET, streams_per_user=1) as served:
        await served.broker.create_job("42")

        def headers(user: str) -> dict[str, str]:
            return {"Authorization": f"Bearer {mint_token(served.context.settings, user, admin=False, ttl_s=60)}"}

        async with open_stream(stream_url(served), headers=headers("ann")) as first:
            await first.next()
            async with open_stream(stream_url(served), headers=headers("ann")) as second:
                assert await second.rest() == []
            async with open_stream(stream_url(served), headers=headers("bob")) as third:
                assert (await third.next()).name == "status"


def test_the_defaults_are_those_that_others_rely_on() -> None:
    settings = Settings()
    assert (settings.keepalive_s, settings.max_stream_s, settings.write_timeout_s) == (30, 3600, 30)
    assert (settings.linger_s, settings.drain_s) == (60, 5)
