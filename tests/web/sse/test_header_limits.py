"""Heads of requests over real sockets: too long, never complete, and ordinary ones in any pieces."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest

from fantail.web.limits import HEAD_BYTES_MAX
from fantail.web.sse import header_limits
from support.servers.served_app import ServedApp, served_app
from support.wait import eventually

if TYPE_CHECKING:
    from anyio.abc import SocketStream

GET = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
WAIT_S = 10.0


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header_limits, "HEAD_S_MAX", 0.2)


async def connected(app: ServedApp) -> SocketStream:
    return await anyio.connect_tcp("127.0.0.1", app.port)


def is_other_timer(watch: header_limits.HeadWatch, before: object) -> bool:
    return watch._timer is not before


async def rest(client: SocketStream) -> bytes:
    received = b""
    with anyio.fail_after(WAIT_S):
        try:
            while True:
                received += await client.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return received


@pytest.mark.parametrize("header", [b"X: %b\r\n" % (b"v" * 10_000), b"X: " + b"v" * 10_000, b"A: b\r\n" * 2000])
async def test_a_head_without_end_is_refused_before_it_fills_the_memory(header: bytes) -> None:
    async with served_app() as app, await connected(app) as client:
        await client.send(GET)
        sent = 0
        with suppress(anyio.BrokenResourceError):
            while sent < 50_000_000:
                await client.send(header)
                sent += len(header)
        assert sent < 10_000_000


async def test_the_refusal_says_why() -> None:
    async with served_app() as app, await connected(app) as client:
        await client.send(GET + b"X: " + b"v" * HEAD_BYTES_MAX)
        assert (await rest(client)).startswith(b"HTTP/1.1 431 ")


async def test_a_long_head_within_the_bound_is_taken_in_any_pieces() -> None:
    async with served_app() as app, await connected(app) as client:
        for end in (b"\r\n", b"Connection: close\r\n\r\n"):
            head = GET + b"X: " + b"v" * (HEAD_BYTES_MAX - 1000) + b"\r\n" + end
            for start in range(0, len(head), 7000):
                await client.send(head[start : start + 7000])
            if end == b"\r\n":
                assert (await client.receive()).startswith(b"HTTP/1.1 200 ")
        assert (await rest(client)).startswith(b"HTTP/1.1 200 ")


async def test_a_body_does_not_count_as_a_head() -> None:
    async with served_app(body_bytes=1_000_000) as app, await connected(app) as client:
        await app.broker.create_job("42")
        body = b"x" * 500_000
        head = b"POST /api/jobs/42/output HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: %d\r\n\r\n"
        await client.send(head % (app.port, len(body)) + body + GET + b"Connection: close\r\n\r\n")
        answers = await rest(client)
        assert answers.count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("begun", [b"", b"\r\n", b"GET /he", GET, GET + b"\r\n" + GET])
async def test_a_head_that_never_comes_to_its_end_does_not_hold_the_connection(begun: bytes) -> None:
    async with served_app() as app, await connected(app) as client:
        if begun:
            await client.send(begun)
        answered = await rest(client)
        assert answered.count(b"HTTP/1.1 200 OK") == begun.count(b"\r\n\r\n")
        assert not app.server.server_state.connections


@pytest.mark.usefixtures("hasty")
async def test_half_a_head_behind_a_stream_does_not_end_the_stream() -> None:
    async with served_app() as app, await connected(app) as client:
        await app.broker.create_job("42")
        await client.send(b"GET /api/jobs/42/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /he")
        received = b""
        with anyio.move_on_after(0.5):
            while True:
                received += await client.receive()
        await app.broker.publish("42", "a line")
        with anyio.fail_after(WAIT_S):
            while b"a line" not in received:
                received += await client.receive()


@pytest.mark.usefixtures("hasty")
async def test_a_head_behind_a_stream_is_bounded_however_slowly_it_comes() -> None:
    async with served_app() as app, await connected(app) as client:
        await app.broker.create_job("42")
        await client.send(b"GET /api/jobs/42/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + GET + b"X: ")
        with anyio.fail_after(WAIT_S):
            while b"retry:" not in await client.receive():
                pass
        (protocol,) = app.server.server_state.connections
        watch = protocol._head  # type: ignore[union-attr]  # uvicorn's union of protocols
        for _ in range(4):
            before = watch._timer
            await client.send(b"v" * (HEAD_BYTES_MAX // 3))
            await eventually(partial(is_other_timer, watch, before), WAIT_S, "the time of a head to pass")
        assert protocol._refused is not None  # type: ignore[union-attr]
        await app.broker.update_job("42", status="success")
        assert (await rest(client)).count(b"HTTP/1.1 431 ") == 1


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_a_body_that_comes_after_its_answer_does_not_count_as_a_head(framing: str) -> None:
    piece = b"x" * 1000
    piece = b"3e8\r\n" + piece + b"\r\n" if framing == "chunks" else piece
    head = b"Transfer-Encoding: chunked\r\n" if framing == "chunks" else b"Content-Length: 200000\r\n"
    async with served_app() as app, await connected(app) as client:
        await client.send(GET + head + b"\r\n")
        assert (await client.receive()).startswith(b"HTTP/1.1 200 ")
        for _ in range(200):
            await client.send(piece)
        if framing == "chunks":
            await client.send(b"0\r\nA: a trailer\r\n\r\n")
        await client.send(GET + b"X: " + b"v" * (HEAD_BYTES_MAX // 2) + b"\r\nConnection: close\r\n\r\n")
        answers = await rest(client)
        assert answers.startswith(b"HTTP/1.1 200 ")
        assert answers.count(b"HTTP/1.1 ") == 1
