"""How a reader waits: bells that ring, wakers that sleep, and one alarm clock for all of them.

A wake-up carries no data. A reader notes how often a bell has rung, reads its logs, and sleeps only if the bell has
not rung since; noting and falling asleep have no await between them, so no ring is lost.

Deadlines (keep-alive, maximum time, drain) would cost a timer per message if every wait had its own. Instead a waker
can be poked from outside, and one `AlarmClock` pokes those whose time has come: nothing is paid per message.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from typing import TYPE_CHECKING, Protocol

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


class Bell:
    """Rung after each change of what it belongs to; any number of wakers may wait for it."""

    __slots__ = ("_sleepers", "rung")

    def __init__(self) -> None:
        self.rung = 0
        self._sleepers: dict[Sleeper, None] = {}

    def ring(self) -> None:
        """Wakes all who wait; never blocks."""
        self.rung += 1
        if self._sleepers:
            sleepers, self._sleepers = self._sleepers, {}
            for sleeper in sleepers:
                sleeper.poke()

    def add(self, sleeper: Sleeper) -> None:
        """Has it poked when the bell rings next, once."""
        self._sleepers[sleeper] = None

    def discard(self, sleeper: Sleeper) -> None:
        """Takes that back."""
        self._sleepers.pop(sleeper, None)


class Waker:
    """One reader's sleep. Not shared between tasks.

    Attributes:
        take: takes encoded records for the reader while it sleeps, or says that it cannot now
            (`fantail.broker.readers.fanout`); None:
            the reader must wake to read.
    """

    __slots__ = ("_asleep", "_poked", "retired", "take")

    def __init__(self) -> None:
        self.take: Callable[[bytes], bool] | None = None
        self._asleep: asyncio.Future[None] | _Asleep | None = None
        self._poked = False
        self.retired = False

    def poke(self) -> None:
        """Ends the sleep, or the next one if none is under way."""
        self._poked = True
        asleep = self._asleep
        if asleep is not None and not asleep.done():
            asleep.set_result(None)

    async def sleep(self, bell: Bell, rung: int) -> None:
        """Sleeps until the bell has rung more often than `rung`, or somebody pokes.

        Cancellation leaves nothing behind at the bell, and a poke that came with it ends the next sleep.
        """
        if bell.rung != rung:
            self._poked = False
            return
        bell.add(self)
        try:
            await self.sleep_until_poked()
        finally:
            bell.discard(self)

    async def sleep_until_poked(self) -> None:
        """Sleeps until somebody pokes; a poke that came with a cancellation ends the next sleep."""
        if not self._poked:
            assert self._asleep is None, "a waker is one reader's"
            self._asleep = asleep = _asleep()
            try:
                await asleep
            finally:
                self._asleep = None
        self._poked = False


class _Asleep:
    """What a future of asyncio is, where another event loop runs."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = anyio.Event()

    def done(self) -> bool:
        return self._event.is_set()

    def set_result(self, _: None) -> None:
        self._event.set()

    def __await__(self) -> Generator[object, None, None]:
        return self._event.wait().__await__()


def _asleep() -> asyncio.Future[None] | _Asleep:
    """On asyncio a bare future: an event made for each message costs several times as much."""
    try:
        return asyncio.get_running_loop().create_future()
    except RuntimeError:
        return _Asleep()


class Sleeper(Protocol):
    """Who can be poked: a `Waker`, or something that decides by itself whether its waker must be."""

    retired: bool

    def poke(self) -> None:
        """Says that the time has come; must not block."""


class AlarmClock:
    """Pokes sleepers at the times they asked for. `run` must be running; it sleeps while nothing is due.

    Args:
        now_s: a monotonic clock, in seconds.
    """

    def __init__(self, now_s: Callable[[], float] = anyio.current_time) -> None:
        self._now_s = now_s
        self._due: list[tuple[float, int, Sleeper]] = []
        self._order = itertools.count()
        self._noted: dict[Sleeper, int] = {}
        self._wasted = 0
        self._changed = Waker()
        self._earlier = Bell()

    def poke_at(self, due_s: float, sleeper: Sleeper) -> None:
        """Asks for one poke at a time. Asking again adds a poke and takes none back: a spurious one does no harm."""
        if sleeper.retired:
            return
        first = not self._due or due_s < self._due[0][0]
        heapq.heappush(self._due, (due_s, next(self._order), sleeper))
        self._noted[sleeper] = self._noted.get(sleeper, 0) + 1
        if first:
            self._earlier.ring()

    def retire(self, sleeper: Sleeper) -> None:
        """Ends a sleeper: what it asked for is dropped, at the latest when half of all that is noted is such waste."""
        sleeper.retired = True
        self._wasted += self._noted.pop(sleeper, 0)
        self._drop_waste()

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
            sleeper = heapq.heappop(self._due)[2]
            left = self._noted.pop(sleeper, 0) - 1
            if left < 0:
                self._wasted -= 1
                continue
            if left:
                self._noted[sleeper] = left
            sleeper.poke()
        self._drop_waste()
        return self._due[0][0] - now_s if self._due else None

    def _drop_waste(self) -> None:
        if 2 * self._wasted > len(self._due):
            self._due = [entry for entry in self._due if entry[2] in self._noted]
            heapq.heapify(self._due)
            self._wasted = 0
