"""How a reader waits: bells that ring, wakers that sleep, and one alarm clock for all of them.

A wake-up carries no data. A reader notes how often a bell has rung, reads its logs, and sleeps only if the bell has
not rung since; noting and falling asleep have no await between them, so no ring is lost.

Deadlines (keep-alive, maximum time, drain) would cost a timer per message if every wait had its own. Instead a waker
can be poked from outside, and one `AlarmClock` pokes those whose time has come: nothing is paid per message.
"""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable


class Bell:
    """Rung after each change of what it belongs to; any number of wakers may wait for it."""

    __slots__ = ("_sleepers", "rung")

    def __init__(self) -> None:
        self.rung = 0
        self._sleepers: dict[Waker, None] = {}

    def ring(self) -> None:
        """Wakes all who wait; never blocks."""
        self.rung += 1
        if self._sleepers:
            sleepers, self._sleepers = self._sleepers, {}
            for waker in sleepers:
                waker.poke()

    def _add(self, waker: Waker) -> None:
        self._sleepers[waker] = None

    def _discard(self, waker: Waker) -> None:
        self._sleepers.pop(waker, None)


class Waker:
    """One reader's sleep. Not shared between tasks."""

    __slots__ = ("_event", "_poked", "retired")

    def __init__(self) -> None:
        self._event: anyio.Event | None = None
        self._poked = False
        self.retired = False

    def poke(self) -> None:
        """Ends the sleep, or the next one if none is under way."""
        self._poked = True
        if self._event is not None:
            self._event.set()

    async def sleep(self, bell: Bell, rung: int) -> None:
        """Sleeps until the bell has rung more often than `rung`, or somebody pokes.

        Cancellation leaves nothing behind at the bell.
        """
        if self._poked or bell.rung != rung:
            self._poked = False
            return
        self._event = anyio.Event()
        bell._add(self)  # noqa: SLF001 - one module
        try:
            await self._event.wait()
        except BaseException:
            bell._discard(self)  # noqa: SLF001
            raise
        finally:
            self._event = None
            self._poked = False


class AlarmClock:
    """Pokes wakers at the times they asked for. `run` must be running; it sleeps while nothing is due.

    Args:
        now_s: a monotonic clock, in seconds.
    """

    def __init__(self, now_s: Callable[[], float] = anyio.current_time) -> None:
        self._now_s = now_s
        self._due: list[tuple[float, int, Waker]] = []
        self._order = itertools.count()
        self._retirements = 0
        self._changed = Waker()
        self._earlier = Bell()

    def poke_at(self, due_s: float, waker: Waker) -> None:
        """Asks for one poke at a time. Asking again adds a poke and takes none back: a spurious one does no harm."""
        first = not self._due or due_s < self._due[0][0]
        heapq.heappush(self._due, (due_s, next(self._order), waker))
        if first:
            self._earlier.ring()

    def retire(self, waker: Waker) -> None:
        """Ends a waker: what it asked for is dropped, at the latest when half of all that is noted is such waste."""
        waker.retired = True
        self._retirements += 1
        if 2 * self._retirements > len(self._due):
            self._due = [entry for entry in self._due if not entry[2].retired]
            heapq.heapify(self._due)
            self._retirements = 0

    async def run(self) -> None:
        """Pokes for ever."""
        while True:
            rung = self._earlier.rung
            wait_s = self.poke_due()
            with anyio.move_on_after(wait_s):
                await self._changed.sleep(self._earlier, rung)

    def poke_due(self) -> float | None:
        """Pokes whoever is due; returns the seconds to the next, None if nobody waits."""
        now_s = self._now_s()
        while self._due and self._due[0][0] <= now_s:
            heapq.heappop(self._due)[2].poke()
        return self._due[0][0] - now_s if self._due else None
