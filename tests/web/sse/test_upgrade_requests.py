"""Requests that offer another protocol (`Upgrade`, RFC 9110, section 7.8): they are answered as HTTP/1.1, whole.

`curl --http2` and Java's HttpClient offer h2c with every request over plain HTTP, those with a body included.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import pytest

from support.servers.served_app import served_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.servers.served_app import ServedApp

WAIT_S = 10.0
HOST = b"Host: 127.0.0.1\r\n"
CLOSE = b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
WEBSOCKET = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
UPLOAD = b"POST /api/jobs/42/output HTTP/1.1\r\n" + HOST + b"Content-Type: text/plain\r\n"
FRAMED = [
    b"Content-Length: 8\r\n\r\none\ntwo\n",
    b"Transfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n4\r\ntwo\n\r\n0\r\n\r\n",
]


@pytest.fixture(params=["httptools", "h11"])
async def app(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ServedApp]:
    if request.param == "h11":
        monkeypatch.setattr("fantail.web.sse.http_protocol.BoundedHttpProtocol", None)
    async with served_app() as app:
        await app.broker.create_job("42")
        yield app


async def exchange(app: ServedApp, *pieces: bytes) -> bytes:
    """Sends pieces, each by itself, and gives all that comes until the server closes the connection."""
    received = b""
    with anyio.fail_after(WAIT_S):
        async with await anyio.connect_tcp("127.0.0.1", app.port) as client:
            for piece in pieces:
                await client.send(piece)
            try:
                while True:
                    received += await client.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return received


@pytest.mark.parametrize("offered", [H2C, WEBSOCKET], ids=["h2c", "websocket"])
@pytest.mark.parametrize("framed", FRAMED, ids=["length", "chunked"])
@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_the_body_of_a_request_with_an_upgrade_is_taken(
    app: ServedApp, offered: bytes, framed: bytes, size: int
) -> None:
    sent = UPLOAD + offered + framed + CLOSE
    answers = await exchange(app, *(sent[at : at + size] for at in range(0, len(sent), size)))
    assert b'"count":2' in answers
    assert answers.endswith(b'{"status":"ok"}')


async def test_requests_behind_those_with_an_upgrade_are_answered(app: ServedApp) -> None:
    offers = [b"GET /healthz HTTP/1.1\r\n" + HOST + offered + b"\r\n" for offered in (H2C, WEBSOCKET, H2C)]
    answers = await exchange(app, b"".join(offers) + CLOSE)
    assert answers.count(b"HTTP/1.1 200 OK") == 4
    assert b"101" not in answers


async def test_a_tunnel_is_refused(app: ServedApp) -> None:
    connect = b"CONNECT evil.example:80 HTTP/1.1\r\n" + HOST + b"\r\n"
    assert (await exchange(app, connect + CLOSE)).startswith(b"HTTP/1.1 4")


async def test_a_body_in_a_read_of_its_own_is_not_parsed_as_a_request(app: ServedApp) -> None:
    hidden = UPLOAD + b"Content-Length: 7\r\n\r\nhidden\n"
    head = UPLOAD + H2C + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(hidden)
    received = b""
    with anyio.fail_after(WAIT_S):
        async with await anyio.connect_tcp("127.0.0.1", app.port) as client:
            await client.send(head)
            assert (await client.receive()).startswith(b"HTTP/1.1 100 Continue")
            await client.send(hidden + CLOSE)
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                while True:
                    received += await client.receive()
    assert received.count(b"HTTP/1.1 ") == 2
    assert b'"count":6' in received, "its head and its line are lines of the upload"
