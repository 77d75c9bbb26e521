"""What an event stream must know of its TCP connection and ASGI does not say: uvicorn's protocol with some additions.

    SO_SNDBUF           bounded, so that a client that stops reading holds little of the kernel's memory (trap 28)
    TCP_USER_TIMEOUT    a peer that vanished is given up after 30 s, not after the quarter of an hour of retransmission
    SO_KEEPALIVE        so is one that vanished in the middle of an upload, to whom there is nothing to send
    TCP_NODELAY         a line goes out when it is written
    fantail.web.sse.http1           limits on what is received, HTTP/1.0, and no reference cycles
    fantail.connection  an ASGI extension: how many bytes the peer has not acknowledged, how to cut the connection, and
                        how to write bytes that are framed already

The last is for the crowd. `send()` joins the chunk's header, body and trailer anew for each client; a live line that
goes to a thousand of them is framed once and handed to each transport as the same bytes (measured: bench/RESULTS.md).

Nothing of uvicorn is changed, only extended, and where an option is missing on a platform it is left out. Under
another ASGI server the extension is absent, and streams do without it.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
import termios
from typing import TYPE_CHECKING, Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from fantail.web.limits import KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, PIPELINED_BYTES_MAX, SOCKET_SEND_BYTES

try:
    from fantail.web.sse.http1 import BoundedHttpProtocol
except ImportError:  # httptools has no wheel for every platform
    BoundedHttpProtocol = None  # type: ignore[assignment, misc]  # asked for below

if TYPE_CHECKING:
    import asyncio

    from uvicorn.protocols.http.flow_control import FlowControl

EXTENSION: Final = "fantail.connection"
# SIOCOUTQ of tcp(7) has the number of the terminals' TIOCOUTQ: bytes sent and not acknowledged, and bytes not yet sent.
_UNACKNOWLEDGED: Final = termios.TIOCOUTQ if sys.platform == "linux" else None


class Connection:
    """One client's connection, as a stream sees it."""

    __slots__ = ("_flow", "_socket", "_transport")

    def __init__(self, transport: asyncio.Transport, flow: FlowControl) -> None:
        self._transport = transport
        self._flow = flow
        self._socket = transport.get_extra_info("socket")

    @property
    def closing(self) -> bool:
        """Whether it is closed, or being closed."""
        return self._transport.is_closing()

    def unacknowledged(self) -> int | None:
        """Bytes handed to it that the peer has not acknowledged; None where the platform does not tell."""
        if _UNACKNOWLEDGED is None or self._socket is None or self._transport.is_closing():
            return None
        try:
            queued = fcntl.ioctl(self._socket.fileno(), _UNACKNOWLEDGED, b"\0\0\0\0")
        except (OSError, ValueError):
            return None
        in_kernel: int = struct.unpack("i", queued)[0]
        return in_kernel + self._transport.get_write_buffer_size()

    def write(self, framed: bytes) -> None:
        """Writes one or more whole HTTP chunks, after the head of the response; never blocks.

        On a connection that is gone nothing happens: its end is told to the application in another way.
        """
        try:
            self._transport.write(framed)
        except RuntimeError:  # uvloop's, for a transport that was closed an instant ago
            self._transport.abort()

    @property
    def paused(self) -> bool:
        """Whether the transport holds so much that nothing should be written now."""
        return self._flow.write_paused

    async def drain(self) -> None:
        """Waits until the transport holds little again, or the connection is gone."""
        await self._flow.drain()

    def cut(self) -> None:
        """Breaks it off at once, whatever is unsent."""
        self._transport.abort()


def _prepare(transport: asyncio.Transport, user_timeout_s: float) -> None:
    raw = transport.get_extra_info("socket")
    if raw is None:
        return
    options = [(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_SEND_BYTES)]
    if raw.family in (socket.AF_INET, socket.AF_INET6):
        options += [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
        if hasattr(socket, "TCP_KEEPIDLE"):
            options.append((socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S))
            options.append((socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S))
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            options.append((socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(1000 * user_timeout_s)))
    for level, name, value in options:
        try:
            raw.setsockopt(level, name, value)
        except OSError:
            continue


class BoundedH11Protocol(H11Protocol):
    """uvicorn's h11 protocol, which goes on reading behind a request that is being answered.

    By itself it pauses, and the end of a client would go unnoticed while a stream is being sent. What arrives is kept
    unparsed, up to a limit.
    """

    def data_received(self, data: bytes) -> None:
        """Parses what came, or keeps it until the request before it is answered."""
        super().data_received(data)
        waiting_bytes = len(self.conn.trailing_data[0])
        if waiting_bytes > PIPELINED_BYTES_MAX:
            self.transport.close()
        elif waiting_bytes and self.conn.their_state is h11.DONE:
            self.flow.resume_reading()


def protocol_class(user_timeout_s: float) -> type[asyncio.Protocol]:
    """Makes uvicorn's HTTP protocol with the additions: over httptools where that is installed, else over h11.

    Args:
        user_timeout_s: after so long without an acknowledgement the kernel gives the peer up.
    """
    # h11 bounds heads and trailers by itself, and knows HTTP/1.0.
    base: Any = BoundedHttpProtocol if BoundedHttpProtocol is not None else BoundedH11Protocol

    class StreamingProtocol(base):  # type: ignore[misc]  # the same
        app: Any

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            _prepare(transport, user_timeout_s)
            extensions = {EXTENSION: Connection(transport, self.flow)}
            app = self.app

            async def app_with_connection(scope: Any, receive: Any, send: Any) -> None:
                scope["extensions"] = {**scope.get("extensions", {}), **extensions}
                await app(scope, receive, send)

            self.app = app_with_connection

    return StreamingProtocol
