"""The head of a request is bounded, in bytes and in time, before anybody is asked who they are.

httptools takes a head of any length, and uvicorn waits for one for ever: whoever can connect could fill the memory with
one request, or hold an open file with half of one. Here a head that grows past `HEAD_BYTES_MAX` is refused, and a
connection on which none is complete after `HEAD_S_MAX` is closed (Slowloris).

Bodies are not bounded in time: an upload may follow a job that is silent for an hour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from web.limits import HEAD_BYTES_MAX, HEAD_S_MAX

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

_WORDS: Final = b"The head of the request is too long"
TOO_LONG: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(_WORDS), _WORDS)
)


class HeadWatch:
    """Watches over the head that one connection is waiting for.

    Args:
        loop: whose clock it goes by.
        on_late: called when a head is not complete in time.
    """

    __slots__ = ("_bytes", "_loop", "_on_late", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, on_late: Callable[[], None]) -> None:
        self._loop = loop
        self._on_late = on_late
        self._timer: asyncio.TimerHandle | None = None
        self._bytes = 0

    @property
    def waiting(self) -> bool:
        """Whether a head is under way, or is to come."""
        return self._timer is not None

    @property
    def too_long(self) -> bool:
        """Whether the head under way is longer than any may be."""
        return self.waiting and self._bytes > HEAD_BYTES_MAX

    def begin(self) -> None:
        """A head is to come, or has begun."""
        if self._timer is None:
            self._bytes = 0
            self._timer = self._loop.call_later(HEAD_S_MAX, self._late)

    def took(self, count: int) -> None:
        """So many bytes came."""
        self._bytes += count

    def end(self) -> None:
        """It is complete, or the connection is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        self._on_late()
