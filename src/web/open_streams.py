"""The streams that are open now, uploads and downloads too: counted, and ended together when the server stops.

A drain is decided here and carried out by each stream itself: every one gets its own moment within `over_s`, at random,
so that the clients do not all come back in the same instant (trap 32). Whoever has not ended in time is cut, so that
no client can keep the server from exiting (trap 37).
"""

from __future__ import annotations

import random
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class OpenStream(Protocol):
    """One event stream that is being sent."""

    @property
    def label(self) -> str:
        """Whose wire format it speaks, for people."""

    @property
    def sent_bytes(self) -> int:
        """What has been handed to its connection so far."""

    def end_at(self, due_s: float) -> None:
        """Says when it shall end because the server stops; it may end earlier."""

    def cut(self) -> None:
        """Breaks its connection off, whatever is still unsent."""


class Streams:
    """The registry of one application.

    Attributes:
        draining: whether the server is stopping: no new stream begins.
        opened_total: streams opened so far.
        sent_bytes_total: what streams that have ended were sent.
        ended: how often streams ended, by reason.

    Args:
        now_s: a monotonic clock, in seconds.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self.draining = False
        self.opened_total = 0
        self.sent_bytes_total = 0
        self.ended: Counter[str] = Counter()
        self._now_s = now_s
        self._open: set[OpenStream] = set()
        self._none_open = anyio.Event()

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[OpenStream]:
        return iter(tuple(self._open))

    def add(self, stream: OpenStream) -> None:
        """Counts a stream that begins."""
        self.opened_total += 1
        self._open.add(stream)

    def discard(self, stream: OpenStream, reason: str) -> None:
        """Counts a stream that has ended."""
        self._open.discard(stream)
        self.ended[str(reason)] += 1  # of a StrEnum, which is no key for JSON
        self.sent_bytes_total += stream.sent_bytes
        if not self._open:
            self._none_open.set()

    @contextmanager
    def counted(self, stream: OpenStream) -> Iterator[None]:
        """Counts a stream while the block lasts; for those that have no reason of their own to end for."""
        self.add(stream)
        reason = "broken off"
        try:
            yield
            reason = "complete"
        finally:
            self.discard(stream, reason)

    def drain(self, over_s: float) -> None:
        """Has every stream end by itself, each at a moment of its own within `over_s`; begins no new one."""
        self.draining = True
        now_s = self._now_s()
        for stream in self:
            stream.end_at(now_s + random.uniform(0.0, over_s))  # noqa: S311 - jitter, no secret

    def cut(self) -> int:
        """Breaks off whatever has not ended; returns how many."""
        left = tuple(self._open)
        for stream in left:
            stream.cut()
        return len(left)

    async def wait_until_none(self) -> None:
        """Waits until no stream is open."""
        while self._open:
            self._none_open = anyio.Event()
            await self._none_open.wait()
