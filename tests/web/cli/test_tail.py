"""The terminal follower over real sockets: our server behind a proxy that cuts, and one that says what it is told."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

import anyio
import orjson
import pytest

from fantail.broker.log.position import log_position
from fantail.broker.producers.writer.job_writer import NewJob, open_job
from fantail.web.cli import follower
from fantail.web.cli.follower import FAILED, REFUSED, SUCCEEDED, UNREACHABLE, Followed
from fantail.web.cli.tail import follow
from support.servers.redis_broker import redis_broker
from support.servers.served_app import served_app
from support.servers.tcp_proxy import tcp_proxy
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import SocketStream

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nConnection: close\r\n\r\n"
STATUS = b'event: status\ndata: {"status":"running"}\n\n'


@dataclass
class Screen:
    """What would be on stdout and stderr, and what was told beside it."""

    written: list[tuple[int, bytes]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def write(self, fd: int, data: bytes) -> None:
        self.written.append((fd, data))

    @property
    def out(self) -> list[str]:
        return b"".join(data for fd, data in self.written if fd == 1).decode().splitlines()

    @property
    def err(self) -> list[str]:
        return b"".join(data for fd, data in self.written if fd == 2).decode().splitlines()

    async def follow(self, url: str, **how: object) -> int:
        with anyio.fail_after(30):
            return await follow(Followed(url, "42", **how), self.write, self.told.append)  # type: ignore[arg-type]


@dataclass
class ScriptedServer:
    """Answers each connection with the next of its answers, the last one for ever, and keeps the requests."""

    answers: list[bytes]
    requests: list[str] = field(default_factory=list)
    url: str = ""

    async def serve(self, client: SocketStream) -> None:
        async with client:
            request = b""
            while b"\r\n\r\n" not in request:
                request += await client.receive()
            self.requests.append(request.decode().lower())
            place = min(len(self.requests), len(self.answers)) - 1
            await client.send(self.answers[place])


@asynccontextmanager
async def scripted(*answers: bytes) -> AsyncIterator[ScriptedServer]:
    server = ScriptedServer(list(answers))
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    server.url = f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, server.serve, tasks)
        yield server
        tasks.cancel_scope.cancel()


def output(offset: int, line: str, stream: str = "stdout") -> bytes:
    entry = orjson.dumps({"timestamp": 1, "line": line, "stream": stream})
    return b"id: %b\nevent: output\ndata: %b\n\n" % (str(log_position(offset, 1)).encode(), entry)


def done(status: str = "success") -> bytes:
    return b'id: 9-1.end\nevent: done\ndata: {"status":"%b"}\n\n' % status.encode()


def refusal(code: int, words: bytes) -> bytes:
    status = b"%d %b" % (code, HTTPStatus(code).phrase.encode())
    return b"HTTP/1.1 %b\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n%b" % (status, words)


async def test_lines_go_where_their_stream_says() -> None:
    screen = Screen()
    answer = output(0, "out") + output(1, "err", "stderr") + output(2, "note", "system") + output(3, "two\nlines")
    async with scripted(STREAM + STATUS + answer + done()) as server:
        assert await screen.follow(server.url) == SUCCEEDED
    assert screen.out == ["out", "two", "lines"]
    assert screen.err == ["err", "note"]
    assert screen.told == []


@pytest.mark.parametrize(("status", "code"), [("success", SUCCEEDED), ("failed", FAILED), ("cancelled", FAILED)])
async def test_the_exit_code_says_how_the_job_ended(status: str, code: int) -> None:
    async with scripted(STREAM + STATUS + done(status)) as server:
        assert await Screen().follow(server.url) == code


async def test_it_resumes_where_it_was_and_prints_no_line_twice() -> None:
    screen = Screen()
    first = STREAM + STATUS + output(0, "a") + output(1, "b") + b"id: 7-x\nevent: output\ndata: {"
    async with scripted(first, STREAM + STATUS + output(1, "b") + output(2, "c") + done()) as server:
        assert await screen.follow(server.url) == SUCCEEDED
    assert screen.out == ["a", "b", "c"]
    assert "last-event-id" not in server.requests[0]
    assert "last-event-id: 1-00000001" in server.requests[1]


async def test_a_reset_and_a_gap_are_told_between_the_lines() -> None:
    screen = Screen()
    reset = b'event: reset\ndata: {"reason":"tag"}\n\n'
    gap = b'event: gap\ndata: {"from":2,"to":4}\n\n'
    answer = STREAM + STATUS + output(0, "a") + output(1, "b") + reset + output(0, "A") + gap + output(5, "F") + done()
    async with scripted(answer) as server:
        assert await screen.follow(server.url) == SUCCEEDED
    assert screen.out == ["a", "b", "A", "F"]
    assert screen.told == ["the output was written anew; here it is from its start", "lines 2 to 4 are lost"]


@pytest.mark.parametrize(
    ("code", "words", "told"),
    [
        (404, "Job not found", "404 Not Found: Job not found"),
        (401, "Unauthorized", "401 Unauthorized; FANTAIL_TOKEN must hold a token that the server takes"),
        (403, "Forbidden", "403 Forbidden"),
    ],
)
async def test_a_refusal_is_told_and_final(code: int, words: str, told: str) -> None:
    screen = Screen()
    async with scripted(refusal(code, words.encode())) as server:
        assert await screen.follow(server.url) == REFUSED
    assert screen.told == [told]


async def test_a_job_deleted_while_followed_is_told() -> None:
    screen = Screen()
    gone = b'event: error\ndata: {"message":"Job no longer exists"}\n\n'
    async with scripted(STREAM + STATUS + gone, refusal(404, b"Job not found")) as server:
        assert await screen.follow(server.url) == FAILED
    assert screen.told == ["Job no longer exists", "the job is gone"]


async def test_the_end_of_a_streams_time_is_nobodys_concern() -> None:
    screen = Screen()
    late = b'retry: 10\n\nevent: error\ndata: {"message":"Stream timeout"}\n\n'
    async with scripted(STREAM + STATUS + output(0, "a") + late, STREAM + output(1, "b") + done()) as server:
        assert await screen.follow(server.url) == SUCCEEDED
    assert screen.out == ["a", "b"]
    assert screen.told == []


async def test_a_busy_server_is_asked_again_when_it_says_so() -> None:
    screen = Screen()
    busy = b"HTTP/1.1 503 X\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    async with scripted(busy, STREAM + b"retry: 5\n\n: busy\n\n", STREAM + STATUS + done()) as server:
        assert await screen.follow(server.url) == SUCCEEDED
    assert len(server.requests) == 3


async def test_what_is_no_fantail_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "TAIL_FIRST_S_MAX", 0.3)
    screen = Screen()
    async with scripted(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi") as server:
        assert await screen.follow(server.url) == UNREACHABLE
    assert await screen.follow("http://127.0.0.1:1") == UNREACHABLE


async def test_it_asks_for_what_it_was_told_to_and_shows_the_token() -> None:
    screen = Screen()
    async with scripted(STREAM + STATUS + output(3, "d") + done()) as server:
        assert await screen.follow(server.url, token="secret", tail=5, as_json=True) == SUCCEEDED
    assert server.requests[0].startswith("get /api/jobs/42/stream?tail=5 ")
    assert "authorization: bearer secret" in server.requests[0]
    assert screen.out == ['{"timestamp":1,"line":"d","stream":"stdout"}']


async def test_a_job_written_at_full_speed_is_followed_exactly_over_many_cuts(redis_url: str) -> None:
    lines = [str(number) for number in range(20_000)]
    chance = random.Random(2)
    screen = Screen()
    async with (
        served_app(redis_broker(redis_url)) as app,
        tcp_proxy(app.port) as proxy,
        open_job(redis_url, NewJob(id="42")) as job,
    ):

        async def write() -> None:
            for start in range(0, len(lines), 1000):
                cuts = proxy.cuts_total
                proxy.cut_after_reply_bytes(chance.randrange(50_000))
                await job.append(lines[start : start + 1000])
                await eventually(lambda cuts=cuts: proxy.cuts_total > cuts)  # type: ignore[misc]
            await job.finish()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write)
            assert await screen.follow(f"http://127.0.0.1:{proxy.port}") == SUCCEEDED
        assert proxy.cuts_total == 20
    assert screen.out == lines
    assert "written anew" not in "".join(screen.told)
