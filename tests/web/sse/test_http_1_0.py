"""Clients of HTTP/1.0: they know neither chunks nor interim responses (RFC 9112, section 6.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from support.servers.served_app import ServedApp, served_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WAIT_S = 10.0
LINES = 5000


@pytest.fixture(params=["httptools", "h11"])
async def app(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ServedApp]:
    if request.param == "h11":
        monkeypatch.setattr("fantail.web.sse.http_protocol.BoundedHttpProtocol", None)
    async with served_app() as app:
        await app.broker.create_job("42")
        for number in range(LINES):
            await app.broker.publish("42", f"line {number}")
        await app.broker.update_job("42", status="success")
        yield app


async def answer(
    app: ServedApp, path: str, version: str = "1.0", *fields: str, method: str = "GET"
) -> tuple[str, bytes]:
    """The head and what follows it, to the end of the connection."""
    head = "\r\n".join([f"{method} {path} HTTP/{version}", f"Host: 127.0.0.1:{app.port}", *fields, "", ""])
    received = b""
    with anyio.fail_after(WAIT_S):
        async with await anyio.connect_tcp("127.0.0.1", app.port) as client:
            await client.send(head.encode())
            try:
                while True:
                    received += await client.receive()
            except anyio.EndOfStream:
                pass
    found, _, body = received.partition(b"\r\n\r\n")
    return found.decode().lower(), body


def check_framing(head: str, body: bytes) -> None:
    """The body is as long as the head says, or ends with the connection; it is not cut into chunks."""
    assert "transfer-encoding" not in head
    assert "connection: close" in head
    lengths = [int(line.partition(":")[2]) for line in head.split("\r\n") if line.startswith("content-length:")]
    assert lengths in ([], [len(body)])


async def test_a_download_is_its_text_and_nothing_else(app: ServedApp) -> None:
    head, body = await answer(app, "/api/jobs/42/output?download=1")
    check_framing(head, body)
    assert body == "".join(f"line {number}\n" for number in range(LINES)).encode()


@pytest.mark.parametrize("fields", [(), ("Connection: keep-alive",), ("Accept: text/event-stream",)])
@pytest.mark.parametrize(
    "path",
    ["/api/jobs/42/stream", "/api/events/processes/42/logs", "/api/jobs/42/stream?tail=1", "/api/jobs/none/stream"],
)
async def test_a_stream_is_its_events_and_ends_with_the_connection(
    app: ServedApp, path: str, fields: tuple[str, ...]
) -> None:
    head, body = await answer(app, path, "1.0", *fields)
    check_framing(head, body)
    if "none" not in path:
        assert body.startswith(b": fantail\n")
        assert body.count(b"line 4999") == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
@pytest.mark.parametrize("path", ["/healthz", "/api/jobs", "/api/jobs/42", "/x", "/jobs/42", "/metrics", "/api/system"])
async def test_everything_else_says_its_length_or_ends_with_the_connection(
    app: ServedApp, path: str, method: str
) -> None:
    head, body = await answer(app, path, method=method)
    if method == "HEAD":
        assert body == b""
        assert "transfer-encoding" not in head
    else:
        check_framing(head, body)


async def test_an_upload_that_expects_to_be_told_to_go_on_is_not_told(app: ServedApp) -> None:
    await app.broker.create_job("43")
    fields = ("Content-Length: 0", "Expect: 100-continue")
    head, body = await answer(app, "/api/jobs/43/output", "1.0", *fields, method="POST")
    assert head.startswith("http/1.1 200 ")
    check_framing(head, body)


async def test_http_1_1_has_chunks_as_before(app: ServedApp) -> None:
    head, body = await answer(app, "/api/jobs/42/output?download=1", "1.1", "Connection: close")
    assert "transfer-encoding: chunked" in head
    assert body.endswith(b"\r\n0\r\n\r\n")
