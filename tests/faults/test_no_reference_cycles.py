"""Connections of every kind, ended in every way: reference counts free them, and the collector finds nothing.

The collector looks at old objects seldom, so a reference cycle per connection would be memory that grows with every
connection. Here it is off, and what it would find is counted. The clients are plain sockets in a thread, which have no
cycles; the server runs in the test's own process, over a real Redis.
"""

from __future__ import annotations

import socket
import struct
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import orjson
import pytest

from fantail.web.auth.identity import mint_token
from support.garbage import counted_garbage
from support.servers.pipeline_backend import pipeline_backend
from support.servers.served_status import ServedStatus, served_status
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from redis.asyncio import Redis


CONNECTIONS = 1000  # of each kind, over all ways of ending
WARM = 10
WAIT_S = 60.0  # a busy machine opens a thousand streams of several topics in half a minute
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
TOPICS = ("/api/jobs/running/stream", "/api/jobs/none/stream", "/api/jobs/ended/stream", "/api/events/")


@dataclass(frozen=True)
class StartRequest:
    """One kind of request."""

    path: str
    method: str = "GET"
    body: bytes = b""
    fields: str = field(default="Accept: text/event-stream\r\n")

    def head(self, port: int, version: str = "1.1") -> bytes:
        own = f"Host: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\nContent-Length: {len(self.body)}\r\n"
        return f"{self.method} {self.path} HTTP/{version}\r\n{own}{self.fields}\r\n".encode() + self.body


STREAMS = {
    "job": StartRequest("/api/jobs/running/stream"),
    "a job that ended": StartRequest("/api/jobs/ended/stream"),
    "work session": StartRequest("/api/work-sessions/session/stream"),
    "process logs": StartRequest("/api/events/processes/running/logs"),
    "diff": StartRequest("/api/events/task-attempts/running/diff"),
    "tables": StartRequest("/api/events/"),
    "pipelines": StartRequest("/ui-api/pipeline/status/stream?pipelineIds=orders,clicks"),
    "test": StartRequest("/api/test-status/events/t"),
    "run": StartRequest("/api/job-status/events/r"),
    "queue": StartRequest("/api/queue-stats/sse"),
    "multiplex": StartRequest("/api/streams", "POST", orjson.dumps({"topics": dict.fromkeys(TOPICS, "")})),
}
REQUESTS = {
    "search": StartRequest("/api/jobs/running/output/search?q=9"),
    "outline": StartRequest("/api/jobs/ended/outline"),
    "download": StartRequest("/api/jobs/ended/output?download=1"),
    "output": StartRequest("/api/jobs/ended/output"),
    "jobs": StartRequest("/api/jobs"),
    "diff at once": StartRequest("/api/jobs/running/diff"),
    "page": StartRequest("/jobs/running", fields="Accept: text/html\r\n"),
    "system": StartRequest("/api/system"),
    "metrics": StartRequest("/metrics"),
    "upload": StartRequest("/api/jobs/uploaded/output", "POST", b"a line\n"),
    "no such job": StartRequest("/api/jobs/none/stream"),
    "no such page": StartRequest("/x"),
    "head of a stream": StartRequest("/api/jobs/running/stream", "HEAD"),
    "head of a download": StartRequest("/api/jobs/ended/output?download=1", "HEAD"),
    "no JSON": StartRequest("/api/jobs", "POST", b"{"),
}


class Client:
    """One connection at a time, in every way in which a client can end it."""

    def __init__(self, port: int, asked: StartRequest) -> None:
        self._port = port
        self._asked = asked
        self.ways: tuple[Callable[[socket.socket], None], ...] = (
            self.leaves,
            self.resets,
            self.leaves_at_once,
            self.leaves_in_the_head,
            self.asks_twice,
            self.asks_ahead,
            self.asks_something_odd,
            self.speaks_http_1_0,
            self.offers_another_protocol,
            self.asks_for_a_tunnel,
            self.sends_an_odd_chunk,
            self.shuts_down_its_side,
        )

    def run(self, connections: int) -> None:
        for number in range(connections):
            with suppress(ConnectionError), socket.create_connection(("127.0.0.1", self._port), WAIT_S) as client:
                self.ways[number % len(self.ways)](client)

    def leaves(self, client: socket.socket) -> None:
        client.sendall(self._asked.head(self._port))
        client.recv(65_536)

    def resets(self, client: socket.socket) -> None:
        self.leaves(client)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    def leaves_at_once(self, client: socket.socket) -> None:
        client.sendall(self._asked.head(self._port))

    def leaves_in_the_head(self, client: socket.socket) -> None:
        client.sendall(self._asked.head(self._port)[:20])

    def asks_twice(self, client: socket.socket) -> None:
        self.leaves(client)
        self.leaves_at_once(client)

    def asks_ahead(self, client: socket.socket) -> None:
        client.sendall(self._asked.head(self._port) * 3)
        client.recv(65_536)

    def asks_something_odd(self, client: socket.socket) -> None:
        client.sendall(self._asked.head(self._port) + b"\0\r\n\r\n")
        client.recv(65_536)

    def speaks_http_1_0(self, client: socket.socket) -> None:
        client.sendall(self._asked.head(self._port, "1.0"))
        client.recv(65_536)

    def offers_another_protocol(self, client: socket.socket) -> None:
        offer = b"Connection: upgrade\r\nUpgrade: h2c\r\n"
        line, rest = self._asked.head(self._port).split(b"\r\n", 1)
        client.sendall((line + b"\r\n" + offer + rest) * 2)
        client.recv(65_536)

    def asks_for_a_tunnel(self, client: socket.socket) -> None:
        client.sendall(b"CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + self._asked.head(self._port))
        client.recv(65_536)

    def sends_an_odd_chunk(self, client: socket.socket) -> None:
        head = self._asked.head(self._port).removesuffix(self._asked.body)
        length = b"Content-Length: %d" % len(self._asked.body)
        client.sendall(head.replace(length, b"Transfer-Encoding: chunked") + b"1\r\n\n\r\n")
        client.sendall(b"no size\r\n")
        client.recv(65_536)

    def shuts_down_its_side(self, client: socket.socket) -> None:
        self.leaves_at_once(client)
        client.shutdown(socket.SHUT_WR)
        client.recv(65_536)


def read_to_the_end(port: int, asked: StartRequest, connections: int, at_a_time: int = 500) -> None:
    """Clients that stay until the server ends their connection."""
    for first in range(0, connections, at_a_time):
        count = min(at_a_time, connections - first)
        clients = [socket.create_connection(("127.0.0.1", port), WAIT_S) for _ in range(count)]
        for client in clients:
            client.sendall(asked.head(port).replace(b"\r\nAccept", b"\r\nConnection: close\r\nAccept"))
        for client in clients:
            with client, suppress(ConnectionError):
                while client.recv(65_536):
                    pass


@asynccontextmanager
async def serving(redis_url: str, redis: Redis, *, jwt: bool = False, **settings: Any) -> AsyncIterator[ServedStatus]:
    """A server that has something to send for each kind of request."""
    for job_id, count, status in (("running", 10, "running"), ("ended", 3000, "success"), ("uploaded", 1, "running")):
        await redis.hset(f"job:{job_id}", mapping={"id": job_id, "status": status})
        await redis.rpush(f"job:{job_id}:output", *[f"line {number}" for number in range(count)])
    await redis.hset("work_session:session", mapping={"id": "session", "status": "running"})
    async with pipeline_backend() as (backend, _):
        backend.statuses = {"orders": "Running", "clicks": "paused"}
        settings = {"pipeline_url": backend.url, "streams_burst": 10**6, "pipeline_poll_s": 60.0, **settings}
        async with served_status(redis_url, tailed=True, jwt=jwt, **settings) as served:
            yield served


def port_of(served: ServedStatus) -> int:
    return int(served.url.rpartition(":")[2])


async def nothing_open(served: ServedStatus) -> None:
    state = served.server.server_state
    await eventually(
        lambda: not state.connections and not state.tasks and not len(served.context.streams), WAIT_S, "the end of all"
    )


async def check(served: ServedStatus, clients: Callable[[int], None]) -> None:
    """Nothing that only the collector could free is left by a thousand of these clients."""
    await anyio.to_thread.run_sync(clients, WARM)
    await nothing_open(served)
    with counted_garbage() as found:
        await anyio.to_thread.run_sync(clients, CONNECTIONS)
        await nothing_open(served)
    # What belongs to no connection (one reply of Redis cut off, one poll of a backend) may come in between.
    assert found.total() < CONNECTIONS / 10, found.most_common(20)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", [*STREAMS, *REQUESTS])
async def test_a_client_that_leaves_in_any_way_leaves_no_cycle(redis_url: str, redis_client: Redis, kind: str) -> None:
    asked = {**STREAMS, **REQUESTS}[kind]
    async with serving(redis_url, redis_client) as served:
        await check(served, Client(port_of(served), asked).run)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", STREAMS)
async def test_a_stream_that_the_server_ends_for_its_time_leaves_no_cycle(
    redis_url: str, redis_client: Redis, kind: str
) -> None:
    async with serving(redis_url, redis_client, max_stream_s=0.2) as served:
        await check(served, partial(read_to_the_end, port_of(served), STREAMS[kind]))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ["job", "diff", "tables", "multiplex"])
async def test_a_stream_that_ends_with_its_token_leaves_no_cycle(
    redis_url: str, redis_client: Redis, kind: str
) -> None:
    async with serving(redis_url, redis_client, jwt=True, streams_per_user=1000) as served:

        def clients(connections: int) -> None:
            token = mint_token(served.context.settings, "root", admin=True, ttl_s=1.0)
            bearer = replace(STREAMS[kind], fields=f"Accept: */*\r\nAuthorization: Bearer {token}\r\n")
            read_to_the_end(port_of(served), bearer, connections, at_a_time=connections)

        await check(served, clients)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", STREAMS)
async def test_a_stream_that_is_refused_leaves_no_cycle(redis_url: str, redis_client: Redis, kind: str) -> None:
    async with serving(redis_url, redis_client, streams_burst=1, streams_per_s=0.001) as served:
        await check(served, Client(port_of(served), STREAMS[kind]).run)
        assert served.context.streams.opened_total <= 1


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", STREAMS)
async def test_streams_that_are_drained_leave_no_cycle(redis_url: str, redis_client: Redis, kind: str) -> None:
    async with serving(redis_url, redis_client, drain_s=0.5) as served:
        clients = partial(read_to_the_end, port_of(served), STREAMS[kind], at_a_time=CONNECTIONS)
        opened = served.context.streams.opened_total
        with counted_garbage() as found:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(anyio.to_thread.run_sync, clients, CONNECTIONS)
                await eventually(lambda: served.context.streams.opened_total >= opened + CONNECTIONS, WAIT_S, "all")
                served.server.stop()
            await nothing_open(served)
        assert found.total() < CONNECTIONS / 2, found.most_common(20)  # the server's own end is among them
