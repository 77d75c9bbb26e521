"""A small TCP proxy that misbehaves on demand, for tests of faults between two real programs.

It stands between a client and a server on loopback, and can forward, delay, fall silent, refuse all
or some commands (by a cut, as twemproxy does, or by silence), or cut: now, or after a given number of
bytes in one direction (a reply cut in its middle, or lost whole while the command was carried out:
`cut_after_reply_bytes(0)`).

Invariants: bytes of one direction keep their order; while silent nothing is read or forwarded, and
what was in flight goes on when `forward()` is called; leaving the context closes every connection.

Decided against: iptables or a network namespace (needs root, and is not per test).
"""

from __future__ import annotations

import socket
import struct
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
from anyio.abc import SocketAttribute

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import SocketStream, TaskGroup

CHUNK_BYTES_MAX = 65_536
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class Direction:
    """What has flowed one way, over all connections, and after how many more bytes to cut."""

    total_bytes: int = 0
    cut_after_bytes: int | None = None

    def admit(self, chunk: bytes) -> tuple[bytes, bool]:
        """The part of the chunk that may pass, and whether the connection is cut behind it."""
        cut = self.cut_after_bytes is not None and len(chunk) >= max(self.cut_after_bytes, 1)
        if cut:
            chunk = chunk[: self.cut_after_bytes]
            self.cut_after_bytes = None
        elif self.cut_after_bytes is not None:
            self.cut_after_bytes -= len(chunk)
        self.total_bytes += len(chunk)
        return chunk, cut


@dataclass(eq=False, slots=True, frozen=True)
class _Link:
    client: SocketStream
    server: SocketStream

    def reset(self) -> None:
        for stream in (self.client, self.server):
            raw = stream.extra(SocketAttribute.raw_socket)
            if raw.fileno() >= 0:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


class TcpProxy:
    """A listening proxy; made by `tcp_proxy()`, controlled by its methods at any time."""

    def __init__(self, upstream_host: str, upstream_port: int) -> None:
        self.upstream = (upstream_host, upstream_port)
        self.port = 0
        self.delay_s = 0.0
        """Seconds each chunk waits before it is passed on, in both directions."""
        self.connections_total = 0
        """Connections accepted so far, refused ones included."""
        self.cuts_total = 0
        """Connections that the proxy has cut so far."""
        self.unknown_commands: tuple[bytes, ...] = ()
        """Beginnings of Redis commands, such as `CLIENT SETNAME`, that this proxy does not pass on."""
        self.refuses_by_silence = False
        """Whether such a command is met with silence for ever, rather than with a cut."""
        self.refused: Counter[bytes] = Counter()
        """How often each of them was refused."""
        self.requests = Direction()
        self.replies = Direction()
        self._links: dict[_Link, anyio.CancelScope] = {}
        self._open = anyio.Event()
        self._open.set()
        self._refusing = False

    @property
    def url(self) -> str:
        """This proxy as a Redis address."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def connections_open(self) -> int:
        """Connections that are being forwarded now."""
        return len(self._links)

    def forward(self) -> None:
        """Behave: accept, forward, forget any cut that was asked for."""
        self._refusing = False
        self.requests.cut_after_bytes = self.replies.cut_after_bytes = None
        self._open.set()

    def black_hole(self) -> None:
        """Fall silent: connections stay open and new ones are accepted, and nothing passes."""
        if self._open.is_set():
            self._open = anyio.Event()

    def refuse(self) -> None:
        """Cut everything, and every new connection as soon as it is made, until forward()."""
        self._refusing = True
        self.cut()

    def cut(self) -> None:
        """Reset every open connection, at both ends, now."""
        for link, scope in list(self._links.items()):
            self._cut(link, scope)

    def cut_after_reply_bytes(self, count: int) -> None:
        """Pass that many more bytes to clients, then reset the connection that reaches it; once."""
        self.replies.cut_after_bytes = count

    def cut_after_request_bytes(self, count: int) -> None:
        """Pass that many more bytes to the server, then reset the connection that reaches it; once."""
        self.requests.cut_after_bytes = count

    async def _serve(self, client: SocketStream) -> None:
        self.connections_total += 1
        async with client:
            if self._refusing:
                return
            try:
                server = await anyio.connect_tcp(*self.upstream)
            except OSError:
                return
            async with server:
                await self._forward(_Link(client, server))

    async def _forward(self, link: _Link) -> None:
        async with anyio.create_task_group() as tasks:
            self._links[link] = tasks.cancel_scope
            try:
                tasks.start_soon(self._pump, link, link.client, link.server, self.requests, tasks)
                await self._pump(link, link.server, link.client, self.replies, tasks)
            finally:
                del self._links[link]

    async def _pump(
        self, link: _Link, source: SocketStream, sink: SocketStream, direction: Direction, tasks: TaskGroup
    ) -> None:
        try:
            while True:
                chunk = await source.receive(CHUNK_BYTES_MAX)
                await self._open.wait()
                if direction is self.requests and self._is_refused(chunk):
                    if self.refuses_by_silence:
                        await anyio.sleep_forever()
                    self._cut(link, tasks.cancel_scope)
                if self.delay_s:
                    await anyio.sleep(self.delay_s)
                passed, cut = direction.admit(chunk)
                if passed:
                    await sink.send(passed)
                if cut:
                    self._cut(link, tasks.cancel_scope)
        except anyio.EndOfStream:
            await self._open.wait()
            await _end(sink)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            tasks.cancel_scope.cancel()

    def _is_refused(self, chunk: bytes) -> bool:
        words = chunk.upper()
        for command in self.unknown_commands:
            if b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in command.split()) in words:
                self.refused[command] += 1
                return True
        return False

    def _cut(self, link: _Link, scope: anyio.CancelScope) -> None:
        self.cuts_total += 1
        link.reset()
        scope.cancel()


async def _end(sink: SocketStream) -> None:
    try:
        await sink.send_eof()
    except (OSError, RuntimeError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        return  # uvloop's closed transport raises a bare RuntimeError


@asynccontextmanager
async def tcp_proxy(upstream_port: int, upstream_host: str = "127.0.0.1") -> AsyncIterator[TcpProxy]:
    """Run a proxy to that server on a port of its own on loopback while the context lasts."""
    proxy = TcpProxy(upstream_host, upstream_port)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    proxy.port = listener.extra(SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, proxy._serve, tasks)
        try:
            yield proxy
        finally:
            tasks.cancel_scope.cancel()
