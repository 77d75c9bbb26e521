"""Requests that arrive before the previous one is answered, and what else a client may send without end.

Over real sockets. The counts are of requests, bytes and connections; nothing is timed.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import pytest

from fantail.web.limits import HEAD_BYTES_MAX, HEAD_FIELDS_MAX, PIPELINED_BYTES_MAX, PIPELINED_REQUESTS_MAX
from support.servers.served_app import ServedApp, served_app
from support.wait import eventually

if TYPE_CHECKING:
    from anyio.abc import SocketStream

    from fantail.web.sse.http1 import BoundedHttpProtocol

WAIT_S = 10.0
HOST = b"Host: 127.0.0.1\r\n"
GET_NOTHING = b"GET /x HTTP/1.1\r\n" + HOST + b"\r\n"
STREAM = b"GET /api/jobs/42/stream HTTP/1.1\r\n" + HOST + b"\r\n"
CLOSE = b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"


def upload(body: bytes, framing: bytes, port: int) -> bytes:
    host = b"Host: 127.0.0.1:%d\r\n" % port
    return b"POST /api/jobs/42/output HTTP/1.1\r\n" + host + framing + b"\r\n\r\n" + body


async def connected(app: ServedApp) -> SocketStream:
    return await anyio.connect_tcp("127.0.0.1", app.port)


async def rest(client: SocketStream) -> bytes:
    """All that comes until the connection is closed."""
    received = b""
    with anyio.fail_after(WAIT_S):
        try:
            while True:
                received += await client.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return received


async def until(client: SocketStream, wanted: bytes) -> bytes:
    received = b""
    with anyio.fail_after(WAIT_S):
        while wanted not in received:
            received += await client.receive()
    return received


async def open_stream(app: ServedApp, behind: bytes = b"") -> SocketStream:
    """A client of the stream of job 42, with something sent right behind the request."""
    await app.broker.create_job("42")
    client = await connected(app)
    await client.send(STREAM + behind)
    await until(client, b"retry:")
    return client


def only_connection(app: ServedApp) -> BoundedHttpProtocol:
    (protocol,) = app.server.server_state.connections
    return protocol  # type: ignore[return-value]  # uvicorn's union of protocols


def nothing_open(app: ServedApp) -> bool:
    state = app.server.server_state
    return not state.connections and not state.tasks and not len(app.context.streams)


# -- requests in a row ----------------------------------------------------------------------------------------------


async def test_a_few_requests_in_a_row_are_all_answered_in_order() -> None:
    async with served_app() as app, await connected(app) as client:
        await client.send(GET_NOTHING * PIPELINED_REQUESTS_MAX + CLOSE)
        answers = await rest(client)
        assert answers.count(b"HTTP/1.1 404 ") == PIPELINED_REQUESTS_MAX
        assert answers.rpartition(b"HTTP/1.1 ")[2].startswith(b"200 OK")


async def test_requests_without_end_whose_answers_nobody_reads_fill_no_memory() -> None:
    async with served_app() as app, await connected(app) as client:
        sent = 0
        most = 0
        with suppress(anyio.BrokenResourceError), anyio.move_on_after(WAIT_S):
            while sent < 300_000:
                await client.send(GET_NOTHING * 1000)
                sent += 1000
                most = max([most, *(len(each.pipeline) for each in app.server.server_state.connections)])  # type: ignore[union-attr]
        assert most <= PIPELINED_REQUESTS_MAX
        assert sent < 300_000, "the connection was closed"
    await eventually(lambda: nothing_open(app), WAIT_S)


async def test_an_answer_that_nobody_reads_is_not_kept_for_longer_than_the_write_timeout() -> None:
    async with served_app(write_timeout_s=1.0) as app, await connected(app) as client:
        await app.broker.create_job("42")
        for _ in range(60):
            await app.broker.publish("42", "x" * 60_000)
        await client.send(b"GET /api/jobs/42/output?limit=5000 HTTP/1.1\r\n" + HOST + b"\r\n")
        await eventually(lambda: app.server.server_state.total_requests > 0, WAIT_S, "the answer")
        await eventually(lambda: nothing_open(app), WAIT_S, "the end of the connection")


async def test_more_requests_than_are_queued_are_refused_after_those_that_are() -> None:
    async with served_app() as app, await connected(app) as client:
        await client.send(GET_NOTHING * (PIPELINED_REQUESTS_MAX + 100))
        answers = await rest(client)
        assert answers.count(b"HTTP/1.1 404 ") == PIPELINED_REQUESTS_MAX + 1
        last = answers.rpartition(b"HTTP/1.1 ")[2]
        assert last.startswith(b"429 ")
        assert last.endswith(b"Too many requests were sent before the previous was answered")


# -- behind a stream ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3, PIPELINED_REQUESTS_MAX, 1000])
async def test_a_client_that_leaves_with_requests_behind_its_stream_is_noticed(
    count: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with served_app() as app:
        client = await open_stream(app, GET_NOTHING * count)
        assert len(only_connection(app).pipeline) == min(count, PIPELINED_REQUESTS_MAX)
        await client.aclose()
        await eventually(lambda: nothing_open(app), WAIT_S, "the end of the stream")
        assert app.context.limiter.streams == 0
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("behind", [GET_NOTHING, GET_NOTHING * 1000, STREAM * 3, b"\0\0\r\n\r\n", b"x" * 1_000_000])
async def test_without_httptools_a_client_that_leaves_is_noticed_too(
    behind: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fantail.web.sse.http_protocol.BoundedHttpProtocol", None)
    async with served_app() as app:
        client = await open_stream(app)
        with suppress(anyio.BrokenResourceError):
            await client.send(behind)
        await client.aclose()
        await eventually(lambda: nothing_open(app), WAIT_S, "the end of the stream")


async def test_streams_behind_a_stream_of_a_client_that_left_are_not_begun(caplog: pytest.LogCaptureFixture) -> None:
    async with served_app() as app:
        client = await open_stream(app, STREAM * 5)
        await client.aclose()
        await eventually(lambda: nothing_open(app), WAIT_S, "the end of the stream")
        assert app.context.streams.opened_total == 1
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_more_requests_than_are_queued_do_not_end_the_stream_before_them() -> None:
    async with served_app() as app:
        client = await open_stream(app, GET_NOTHING * 1000)
        for _ in range(100):
            await client.send(GET_NOTHING * 1000)
        await app.broker.publish("42", "a line")
        await until(client, b"a line")
        assert len(only_connection(app).pipeline) == PIPELINED_REQUESTS_MAX
        await app.broker.update_job("42", status="success")
        answers = await rest(client)
        await client.aclose()
        assert answers.count(b"HTTP/1.1 404 ") == PIPELINED_REQUESTS_MAX
        assert answers.count(b"HTTP/1.1 429 ") == 1


@pytest.mark.parametrize("odd", [b"\0\0\r\n\r\n", b"GET / HTTP/1.1\r\nX : 1\r\n\r\n", b"GET / HTTP/7.7\r\n\r\n"])
async def test_what_is_no_request_is_not_answered_in_the_midst_of_a_stream(odd: bytes) -> None:
    async with served_app() as app:
        client = await open_stream(app, odd)
        await app.broker.publish("42", "a line")
        assert b"HTTP/1.1 400" not in await until(client, b"a line")
        await app.broker.update_job("42", status="success")
        answers = await rest(client)
        await client.aclose()
        assert answers.count(b"HTTP/1.1 400 ") == 1
        assert b"\r\n0\r\n\r\nHTTP/1.1 400 " in answers


@pytest.mark.parametrize("size", [1, PIPELINED_BYTES_MAX - 1000, PIPELINED_BYTES_MAX + 1, 5_000_000])
async def test_a_body_behind_a_stream_is_bounded_and_hides_no_leaving(size: int) -> None:
    async with served_app() as app:
        client = await open_stream(app)
        await client.send(upload(b"x" * size, b"Content-Length: %d" % size, app.port))
        await app.broker.publish("42", "a line")
        await until(client, b"a line")
        assert len(only_connection(app).cycle.body) <= PIPELINED_BYTES_MAX
        await client.aclose()
        await eventually(lambda: nothing_open(app), WAIT_S, "the end of the stream")


async def test_long_heads_behind_a_stream_are_bounded_together() -> None:
    head = b"GET /x HTTP/1.1\r\n" + HOST + b"X: " + b"v" * 30_000 + b"\r\n\r\n"
    async with served_app() as app:
        client = await open_stream(app)
        await client.send(head * 10)
        await app.broker.publish("42", "a line")
        await until(client, b"a line")
        assert len(only_connection(app).pipeline) <= 3
        await client.aclose()


# -- one request ----------------------------------------------------------------------------------------------------


async def test_a_head_of_many_short_fields_is_refused() -> None:
    async with served_app() as app, await connected(app) as client:
        await client.send(b"GET /healthz HTTP/1.1\r\n" + HOST + b"a:\r\n" * (HEAD_FIELDS_MAX - 1) + b"\r\n")
        assert (await client.receive()).startswith(b"HTTP/1.1 200 ")
        await client.send(b"GET /healthz HTTP/1.1\r\n" + HOST + b"a:\r\n" * HEAD_FIELDS_MAX + b"\r\n")
        assert (await rest(client)).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("line", [b"A: b\r\n" * 2000, b"X: " + b"v" * 10_000, b"v" * 10_000])
async def test_a_trailer_without_end_is_refused(line: bytes) -> None:
    async with served_app() as app, await connected(app) as client:
        await app.broker.create_job("42")
        await client.send(upload(b"1\r\nx\r\n0\r\nA: ", b"Transfer-Encoding: chunked", app.port))
        sent = 0
        with suppress(anyio.BrokenResourceError):
            while sent < 50_000_000:
                await client.send(line)
                sent += len(line)
        assert sent < 10_000_000


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("odd", [b"no size\r\n", b"1\r\nxx\r\n", b"1\r\nx\r\n0\r\n : x\r\n\r\n"])
async def test_a_body_that_is_no_body_ends_its_request(odd: bytes, *, behind: bool) -> None:
    async with served_app() as app:
        await app.broker.create_job("43")
        if behind:
            client = await open_stream(app)
        else:
            await app.broker.create_job("42")
            client = await connected(app)
        async with client:
            await client.send(upload(odd, b"Transfer-Encoding: chunked", app.port))
            if behind:
                await app.broker.update_job("42", status="success")
            answers = await rest(client)
            assert answers.count(b"HTTP/1.1 400 ") == 1
        await eventually(lambda: nothing_open(app), WAIT_S, "the end of the upload")


async def test_a_trailer_is_dropped_and_an_upload_in_small_pieces_is_taken_whole() -> None:
    async with served_app() as app, await connected(app) as client:
        await app.broker.create_job("42")
        await client.send(upload(b"", b"Transfer-Encoding: chunked", app.port))
        for _ in range(2 * HEAD_BYTES_MAX // 1000):
            await client.send(b"3e8\r\n")
            await client.send(b"x" * 999)
            await client.send(b"\n\r\n")
        await client.send(b"0\r\nAuthorization: Bearer x\r\n\r\n" + CLOSE)
        answers = await rest(client)
        assert answers.count(b"HTTP/1.1 200 OK") == 2
        job = app.broker.find("42")
        assert job is not None
        assert job.output.tail == 2 * HEAD_BYTES_MAX // 1000


async def test_a_body_that_nobody_reads_is_not_kept() -> None:
    async with served_app() as app, await connected(app) as client:
        await app.broker.create_job("42")
        await client.send(STREAM.replace(b"\r\n\r\n", b"\r\nContent-Length: 100000000\r\n\r\n"))
        await until(client, b"retry:")
        for _ in range(100):
            await client.send(b"x" * 100_000)
        await app.broker.publish("42", "a line")
        await until(client, b"a line")
        assert len(only_connection(app).cycle.body) < 1_000_000
