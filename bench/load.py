"""The load client: many event-stream connections in one process, the same for every server that is measured.

A connection counts one marker byte, `~`, which stands once in every message and nowhere else in a frame, so a message
counts as received when its bytes are there, however they were cut. Parsing frames would measure the client.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

MARKER = b"~"


class Listener(asyncio.Protocol):
    """One connection; tells its crowd how many markers came."""

    def __init__(self, crowd: Crowd, request: bytes) -> None:
        self._crowd = crowd
        self._request = request
        self.transport: asyncio.Transport | None = None
        self.markers = 0
        self.received_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # it is one
        self.transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self.received_bytes:
            self._crowd.opened()
        self.received_bytes += len(data)
        came = data.count(MARKER)
        if came:
            self.markers += came
            self._crowd.came(came)


@dataclass
class Crowd:
    """Many listeners on one URL.

    Attributes:
        url: what they all ask for.
        size: how many there are.
    """

    url: str
    size: int

    def __post_init__(self) -> None:
        self.listeners: list[Listener] = []
        self.arrivals_s: list[float] | None = None
        self._open = 0
        self._seen = 0
        self._awaited: tuple[int, asyncio.Future[float]] | None = None
        self._all_open: asyncio.Future[None] | None = None

    async def connect(self) -> None:
        """Opens all connections and waits until each has had its first bytes."""
        parts = urlsplit(self.url)
        query = f"?{parts.query}" if parts.query else ""
        request = (
            f"GET {parts.path}{query} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: text/event-stream\r\n\r\n"
        ).encode()
        loop = asyncio.get_running_loop()
        self._all_open = loop.create_future()
        assert parts.hostname is not None
        assert parts.port is not None
        for start in range(0, self.size, 50):
            made = await asyncio.gather(
                *(
                    loop.create_connection(lambda: Listener(self, request), parts.hostname, parts.port)
                    for _ in range(min(50, self.size - start))
                )
            )
            self.listeners.extend(listener for _, listener in made)
        async with asyncio.timeout(60):
            await self._all_open

    async def received(self, markers_each: int) -> float:
        """Waits until every listener has had so many markers since it connected; returns when the last came."""
        total = markers_each * self.size
        if self._seen >= total:
            return time.perf_counter()
        self._awaited = (total, asyncio.get_running_loop().create_future())
        async with asyncio.timeout(120):
            return await self._awaited[1]

    def close(self) -> None:
        """Closes all connections."""
        for listener in self.listeners:
            if listener.transport is not None:
                listener.transport.close()

    def opened(self) -> None:
        """A listener had its first bytes."""
        self._open += 1
        if self._open == self.size and self._all_open is not None:
            self._all_open.set_result(None)

    def came(self, markers: int) -> None:
        """Markers came, on whichever connection."""
        self._seen += markers
        if self.arrivals_s is not None:
            self.arrivals_s.append(time.perf_counter())
        if self._awaited is not None and self._seen >= self._awaited[0]:
            awaited, self._awaited = self._awaited[1], None
            if not awaited.done():
                awaited.set_result(time.perf_counter())
