"""Where a stream's frames go: straight to our own protocol's connection, or by ASGI's `send`.

    sink.write(frames)          takes whole frames, and never waits
    if sink.full:               more is waiting than should
        await sink.flush()      waits until there is room

`send()` frames a chunk anew for each client and costs a coroutine or two; that is most of what a line to a thousand
clients costs. Where `fantail.web.sse.http_protocol` serves the connection, a body that goes to a crowd is made a chunk
once and handed to each transport as the same bytes (bench: one message to 1,000). Only the body goes this way; the
head and the end of the response go by ASGI, so middleware that changes bodies must not stand in front of a stream;
ours does not.

A send has at most `SEND_BYTES_MAX`, so that flow control comes in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from fantail.web.limits import SEND_BYTES_MAX
from fantail.web.sse.http_protocol import EXTENSION

if TYPE_CHECKING:
    from starlette.types import Scope, Send

    from fantail.web.sse.http_protocol import Connection


class Sink(Protocol):
    """Takes the frames of one stream.

    Attributes:
        sent_bytes: what was handed on so far, with its framing where that is known.
    """

    sent_bytes: int

    def write(self, frames: bytes) -> None:
        """Takes frames; must not be called while `full`."""

    @property
    def full(self) -> bool:
        """Whether `flush` must be awaited before the next write."""

    async def flush(self) -> None:
        """Waits until there is room; returns also when the client is gone."""

    def offer(self, frames: bytes) -> bool:
        """Takes frames like `write` if that leaves nothing to wait for; says whether it did."""


def sink_for(scope: Scope, send: Send) -> Sink:
    """The fastest way there is for a request."""
    connection = connection_of(scope)
    if connection is None or scope["http_version"] != "1.1":
        return AsgiSink(send)
    return ConnectionSink(connection)


def connection_of(scope: Scope) -> Connection | None:
    """The connection of a request, where our own protocol serves it."""
    found: Connection | None = scope.get("extensions", {}).get(EXTENSION)
    return found


class ConnectionSink:
    """HTTP/1.1 chunks, straight to the transport."""

    __slots__ = ("_connection", "_rest", "sent_bytes")

    def __init__(self, connection: Connection) -> None:
        self.sent_bytes = 0
        self._connection = connection
        self._rest = b""

    def write(self, frames: bytes) -> None:
        """See `Sink`."""
        if len(frames) > SEND_BYTES_MAX:
            self._rest = frames[SEND_BYTES_MAX:]
            frames = frames[:SEND_BYTES_MAX]
        chunk = _chunk(frames)
        self._connection.write(chunk)
        self.sent_bytes += len(chunk)

    @property
    def full(self) -> bool:
        """See `Sink`."""
        return self._connection.paused or self._rest != b""

    async def flush(self) -> None:
        """See `Sink`."""
        while self.full:
            if self._connection.paused:
                await self._connection.drain()
            rest, self._rest = self._rest, b""
            if rest:
                self.write(rest)

    def offer(self, frames: bytes) -> bool:
        """See `Sink`. A batch of the ordinary size is one send; longer ones go by `write` and `flush`."""
        connection = self._connection
        if self._rest or connection.paused or len(frames) > SEND_BYTES_MAX:
            return False
        chunk = _chunk(frames)
        connection.write(chunk)
        self.sent_bytes += len(chunk)
        return True


class AsgiSink:
    """`http.response.body` messages, under any server."""

    __slots__ = ("_send", "_waiting", "sent_bytes")

    def __init__(self, send: Send) -> None:
        self.sent_bytes = 0
        self._send = send
        self._waiting = b""

    def write(self, frames: bytes) -> None:
        """See `Sink`."""
        self._waiting = frames
        self.sent_bytes += len(frames)

    @property
    def full(self) -> bool:
        """See `Sink`."""
        return self._waiting != b""

    async def flush(self) -> None:
        """See `Sink`."""
        waiting, self._waiting = self._waiting, b""
        for start in range(0, len(waiting), SEND_BYTES_MAX):
            part = waiting[start : start + SEND_BYTES_MAX]
            await self._send({"type": "http.response.body", "body": part, "more_body": True})

    def offer(self, _: bytes) -> bool:
        """See `Sink`: `send` must be awaited."""
        return False


_last_chunk: tuple[bytes, bytes] = (b"", b"")


def _chunk(body: bytes) -> bytes:
    """A chunk (RFC 9112, section 7.1); the last one made is kept, for the rest of the crowd."""
    global _last_chunk  # noqa: PLW0603 - a cache of one, replaced whole
    if _last_chunk[0] is not body:
        _last_chunk = (body, b"%x\r\n%b\r\n" % (len(body), body))
    return _last_chunk[1]
