"""What following pipelines costs: from a change at the backend to every viewer, and how often the backend is asked.

The backend is an HTTP server in this process, so that a change and its arrival are read off one clock. A poller cannot
be faster than its interval: what is ours is the time from the backend's answer to the viewers.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import orjson

from bench.fantail import fantail
from bench.report import Row
from fantail.broker.limits import POLL_STEADY_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PORT = 18800
PIPELINES = 100
CHANGES = 200
STATUSES = ("active", "paused", "stopped", "failed")


class Backend:
    """Answers `GET /pipeline/{id}/health`, and notes when it first told of each change."""

    def __init__(self) -> None:
        self.statuses = {f"pipeline-{number}": "active" for number in range(PIPELINES)}
        self.questions = 0
        self.untold: set[str] = set()
        self.told_s: dict[str, float] = {}
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Listens while the block is active."""
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                pipeline_id = head.split(b" ", 2)[1].decode().split("/")[2]
                self.questions += 1
                if pipeline_id in self.untold:
                    self.untold.discard(pipeline_id)
                    self.told_s[pipeline_id] = time.perf_counter()
                body = orjson.dumps({"overall_status": self.statuses[pipeline_id]})
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


class Viewers:
    """Event streams of all pipelines; `came` has when a change reached each."""

    def __init__(self, server_url: str, ids: list[str], count: int) -> None:
        self._url = urlsplit(f"{server_url}/ui-api/pipeline/status/stream?pipelineIds={','.join(ids)}")
        self._count = count
        self._tasks: list[asyncio.Task[None]] = []
        self.ready = 0
        self.came: dict[str, list[float]] = {each: [] for each in ids}

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._follow()) for _ in range(self._count)]
        await until(lambda: self.ready == self._count)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(self) -> None:
        reader, writer = await asyncio.open_connection(self._url.hostname, self._url.port, limit=2**20)
        request = f"GET {self._url.path}?{self._url.query} HTTP/1.1\r\nHost: {self._url.netloc}\r\n\r\n"
        writer.write(request.encode())
        try:
            async for line in reader:
                if line.startswith(b'data: {"type":"status_update"'):
                    self.came[orjson.loads(line[6:])["pipelineId"]].append(time.perf_counter())
                self.ready += line.startswith(b"event: batch_update")
        finally:
            writer.close()


async def pipelines(viewers: int = 100) -> list[Row]:
    """All of it; takes about a minute and a half."""
    async with Backend().running() as backend:
        with fantail(PORT, FANTAIL_PIPELINE_URL=backend.url) as server:
            rows = await _changes(server.url, backend, viewers)
            many = await _questions(server.url, backend, 200)
            one = await _questions(server.url, backend, 1)
    same = abs(many - one) <= 0.1 * one
    what = f"questions about {PIPELINES} pipelines, 200 viewers"
    return [*rows, Row(what, many, "questions/s", "1 viewer", one, "the same", same)]


async def _changes(server_url: str, backend: Backend, viewers: int) -> list[Row]:
    """Changes at random times, each of a pipeline whose last change has been seen by all."""
    made_s: dict[str, float] = {}
    whole_s: list[float] = []
    ours_s: list[float] = []

    def take() -> None:
        for each in [each for each in made_s if len(seen.came[each]) == viewers]:
            began_s, told_s, arrivals_s = made_s.pop(each), backend.told_s.pop(each), seen.came[each]
            whole_s.extend(at_s - began_s for at_s in arrivals_s)
            ours_s.extend(at_s - told_s for at_s in arrivals_s)
            arrivals_s.clear()

    async with Viewers(server_url, list(backend.statuses), viewers) as seen:
        await asyncio.sleep(2 * POLL_STEADY_S)  # until all are asked as seldom as what stays is
        for _ in range(CHANGES):
            await asyncio.sleep(random.uniform(0.1, 0.4))
            take()
            chosen = random.choice([each for each in backend.statuses if each not in made_s])
            made_s[chosen] = time.perf_counter()
            backend.untold.add(chosen)
            backend.statuses[chosen] = random.choice([word for word in STATUSES if word != backend.statuses[chosen]])
        while made_s:
            await asyncio.sleep(0.05)
            take()
    assert len(whole_s) == CHANGES * viewers
    interval_ms, beside = POLL_STEADY_S * 1000, "the interval of a pipeline that stays"
    rows = []
    for name, taken_s in (("change at the backend", whole_s), ("answer of the backend", ours_s)):
        cuts_ms = [cut_s * 1000 for cut_s in statistics.quantiles(taken_s, n=100, method="inclusive")]
        for percent in (50, 99):
            what = f"{name} to {viewers} viewers, p{percent}"
            rows.append(Row(what, cuts_ms[percent - 1], "ms", beside, interval_ms))
    return rows


async def _questions(server_url: str, backend: Backend, viewers: int, seconds: float = 15.0) -> float:
    """Questions a second while nothing changes."""
    async with Viewers(server_url, list(backend.statuses), viewers):
        await asyncio.sleep(2 * POLL_STEADY_S)
        before, began_s = backend.questions, time.perf_counter()
        await asyncio.sleep(seconds)
        return (backend.questions - before) / (time.perf_counter() - began_s)


async def until(done: Callable[[], bool]) -> None:
    """Waits for a condition."""
    async with asyncio.timeout(60):
        while not done():  # noqa: ASYNC110 - as little machinery as can be
            await asyncio.sleep(0.005)
