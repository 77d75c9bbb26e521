"""A small real HTTP server in the place of a pipeline backend, which misbehaves on demand.

It answers `GET /pipeline/{id}/health` as such backends do, counts who was asked how often and whether two questions
about one pipeline ever overlapped, and can be slow, silent, wrong, huge or away, for one pipeline or for all.

Invariants: the port stays the same over `stop` and `start`; leaving the context closes every connection.

Decided against: an ASGI server, which cannot cut a connection, fall silent in mid-answer or go away and come back
within one event loop.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections import Counter, deque
from contextlib import asynccontextmanager
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

import anyio
from anyio.abc import SocketAttribute

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import SocketStream, TaskGroup, TaskStatus

RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
CHUNK: Final = b"x" * 65_536
HUGE_BYTES: Final = 100 * 1024 * 1024
EVERY: Final = "*"


class Fault(Enum):
    """What the backend does instead of answering well."""

    SERVER_ERROR = auto()
    HTML = auto()
    HUGE = auto()
    PACKED = auto()
    REDIRECT = auto()
    SILENT = auto()
    CUT = auto()
    NO_STATUS = auto()
    HALF = auto()
    ODD_PROTOCOL = auto()
    ODD_REDIRECT = auto()


JSON: Final = "Content-Type: application/json"
WRONG_ANSWERS: Final = {
    Fault.SERVER_ERROR: ("500 Internal Server Error", JSON, b'{"error":"secret of the backend"}'),
    Fault.HTML: ("200 OK", "Content-Type: text/html", b"<html>Please log in</html>"),
    Fault.NO_STATUS: ("200 OK", JSON, b'{"ok":true}'),
    Fault.ODD_REDIRECT: ("302 Found", "Location: http://[::1:99999999/", b""),
    Fault.PACKED: ("200 OK", f"{JSON}\r\nContent-Encoding: gzip", b"\x1f\x8b\x08"),
}


class PipelineBackendServer:
    """Made by `pipeline_backend()`; everything may be changed at any time.

    Attributes:
        statuses: what is answered as `overall_status`; any other pipeline is 404.
        bodies: what is answered instead.
        headers: of good answers, more than usual ones; `{count}` stands for the number of the question.
        heads: of the last questions.
        faults: by pipeline id, or `EVERY`.
        delay_s: before each answer.
        polls: questions so far, by pipeline.
        polled_at: when the last questions came, with the pipeline.
        overlaps: questions that came while another about the same pipeline was being answered.
        sent_bytes: of bodies.
    """

    def __init__(self) -> None:
        self.statuses: dict[str, str] = {}
        self.bodies: dict[str, bytes] = {}
        self.headers = ""
        self.heads: deque[bytes] = deque(maxlen=100)
        self.faults: dict[str, Fault] = {}
        self.redirect_to = ""
        self.delay_s = 0.0
        self.polls: Counter[str] = Counter()
        self.polled_at: deque[tuple[float, str]] = deque(maxlen=100_000)
        self.overlaps = 0
        self.connections_total = 0
        self.sent_bytes = 0
        self.port = 0
        self._asked: Counter[str] = Counter()
        self._links: dict[SocketStream, None] = {}
        self._listening: anyio.CancelScope | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def connections_open(self) -> int:
        """Connections that are open now."""
        return len(self._links)

    @property
    def polls_total(self) -> int:
        """Questions so far."""
        return self.polls.total()

    # -- life -------------------------------------------------------------------------------------------------------

    async def start(self, tasks: TaskGroup) -> None:
        """Listens, in a task of that group, until `stop`; on the same port each time."""
        self.port = await tasks.start(self._serve)

    def stop(self) -> None:
        """Goes away as a killed process does: connections are reset, new ones refused."""
        assert self._listening is not None, "not started"
        for link in self._links:
            link.extra(SocketAttribute.raw_socket).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._listening.cancel()
        self._listening = None

    async def _serve(self, *, task_status: TaskStatus[int]) -> None:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=self.port)
        async with listener, anyio.create_task_group() as tasks:
            self._listening = tasks.cancel_scope
            task_status.started(listener.extra(SocketAttribute.local_port))
            await listener.serve(self._connection, tasks)

    async def _connection(self, link: SocketStream) -> None:
        self.connections_total += 1
        self._links[link] = None
        try:
            async with link:
                buffered: bytes | None = b""
                while buffered is not None:
                    buffered = await self._one(link, buffered)
        except (anyio.BrokenResourceError, anyio.EndOfStream, anyio.ClosedResourceError):
            return
        finally:
            del self._links[link]

    # -- one question -----------------------------------------------------------------------------------------------

    async def _one(self, link: SocketStream, buffered: bytes) -> bytes | None:
        while b"\r\n\r\n" not in buffered:
            buffered += await link.receive()
        head, _, rest = buffered.partition(b"\r\n\r\n")
        path = head.split(b" ", 2)[1].decode()
        self.heads.append(head)
        pipeline_id = path.removeprefix("/pipeline/").removesuffix("/health")
        self.polls[pipeline_id] += 1
        self.polled_at.append((time.monotonic(), pipeline_id))
        self.overlaps += self._asked[pipeline_id] > 0
        self._asked[pipeline_id] += 1
        try:
            return rest if await self._answer(link, pipeline_id) else None
        finally:
            self._asked[pipeline_id] -= 1

    async def _answer(self, link: SocketStream, pipeline_id: str) -> bool:
        """Answers, or not; returns whether the connection goes on."""
        if self.delay_s:
            await anyio.sleep(self.delay_s)
        fault = self.faults.get(pipeline_id, self.faults.get(EVERY))
        match fault:
            case None:
                await self._answer_well(link, pipeline_id)
            case Fault.REDIRECT:
                await self._send(link, "302 Found", f"Location: {self.redirect_to}", b"")
            case Fault.HUGE:
                await self._send_huge(link)
            case Fault.HALF:
                await link.send(f'HTTP/1.1 200 OK\r\n{JSON}\r\nContent-Length: 100\r\n\r\n{{"overall'.encode())
            case Fault.ODD_PROTOCOL:
                await link.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n")
            case Fault.SILENT:
                await anyio.sleep_forever()
            case Fault.CUT:
                pass
            case _:
                await self._send(link, *WRONG_ANSWERS[fault])
        return fault not in {Fault.HALF, Fault.CUT, Fault.ODD_PROTOCOL}

    async def _send_huge(self, link: SocketStream) -> None:
        await link.send(f"HTTP/1.1 200 OK\r\n{JSON}\r\nContent-Length: {HUGE_BYTES}\r\n\r\n".encode())
        for _ in range(HUGE_BYTES // len(CHUNK)):
            await link.send(CHUNK)
            self.sent_bytes += len(CHUNK)

    async def _answer_well(self, link: SocketStream, pipeline_id: str) -> None:
        status = self.statuses.get(pipeline_id)
        body = self.bodies.get(pipeline_id)
        if status is None and body is None:
            await self._send(link, "404 Not Found", JSON, b'{"error":"not found"}')
            return
        if body is None:
            about = {"pipeline_id": pipeline_id, "pipeline_name": pipeline_id, "overall_status": status}
            body = json.dumps(about).encode()
        await self._send(link, "200 OK", JSON + self.headers.replace("{count}", str(self.polls_total)), body)

    async def _send(self, link: SocketStream, status: str, headers: str, body: bytes) -> None:
        self.sent_bytes += len(body)
        await link.send(f"HTTP/1.1 {status}\r\n{headers}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


@asynccontextmanager
async def pipeline_backend() -> AsyncIterator[tuple[PipelineBackendServer, TaskGroup]]:
    """Runs one on a port of its own on loopback; gives it, and the group in which to `start` it again."""
    server = PipelineBackendServer()
    async with anyio.create_task_group() as tasks:
        await server.start(tasks)
        try:
            yield server, tasks
        finally:
            tasks.cancel_scope.cancel()
