"""The head of a request is bounded, in bytes and in time, before anybody is asked who they are.

httptools takes a head of any length, and uvicorn waits for one for ever: whoever can connect could fill the memory with
one request, or hold an open file with half of one. Here a head that grows past `HEAD_BYTES_MAX` is refused, and a
connection on which none is complete after `HEAD_S_MAX` is closed (Slowloris).

Bodies are not bounded in time: an upload may follow a job that is silent for an hour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fantail.web.limits import HEAD_BYTES_MAX, HEAD_S_MAX

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class HeadWatch:
    """Watches over the head that one connection is waiting for.

    It holds no reference to the connection while no head is awaited.

    Args:
        loop: whose clock it goes by.
    """

    __slots__ = ("_bytes", "_loop", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
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

    def begin(self, on_late: Callable[[], None]) -> None:
        """Starts to wait for a head, if it does not wait already.

        Args:
            on_late: called when the head is not complete in time; `begin` then waits for the rest of it.
        """
        if self._timer is None:
            self._timer = self._loop.call_later(HEAD_S_MAX, self._late, on_late)

    def took(self, count: int) -> None:
        """So many bytes of it came, or of what is between two heads."""
        if self.waiting:
            self._bytes += count

    def end(self) -> None:
        """It is complete, or the connection is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._bytes = 0

    def _late(self, on_late: Callable[[], None]) -> None:
        self._timer = None
        on_late()
