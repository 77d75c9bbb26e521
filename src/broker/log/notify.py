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


class Notifier:
    """Rung after each change of what it belongs to; any number of wakers may wait for it."""

    __slots__ = ("_sleepers", "version")

    def __init__(self) -> None:
        self.version = 0
        self._sleepers: dict[Sleeper, None] = {}

    def notify(self) -> None:
        """Wakes all who wait; never blocks."""
        self.version += 1
        if self._sleepers:
            sleepers, self._sleepers = self._sleepers, {}
            for sleeper in sleepers:
                sleeper.wake()

    def add(self, sleeper: Sleeper) -> None:
        """Has it poked when the bell rings next, once."""
        self._sleepers[sleeper] = None

    def discard(self, sleeper: Sleeper) -> None:
        """Takes that back."""
        self._sleepers.pop(sleeper, None)


class Waiter:
    """One reader's sleep. Not shared between tasks.

    Attributes:
        offer: takes encoded records for the reader while it sleeps, or says that it cannot now
            (`fantail.broker.readers.fanout`); None:
            the reader must wake to read.
    """

    __slots__ = ("_asleep", "_woken", "offer", "retired")

    def __init__(self) -> None:
        self.offer: Callable[[bytes], bool] | None = None
        self._asleep: asyncio.Future[None] | _Asleep | None = None
        self._woken = False
        self.retired = False

    def wake(self) -> None:
        """Ends the sleep, or the next one if none is under way."""
        self._woken = True
        asleep = self._asleep
        if asleep is not None and not asleep.done():
            asleep.set_result(None)

    async def sleep(self, notifier: Notifier, version: int) -> None:
        """Sleeps until the bell has rung more often than `rung`, or somebody pokes.

        Cancellation leaves nothing behind at the bell, and a poke that came with it ends the next sleep.
        """
        if notifier.version != version:
            self._woken = False
            return
        notifier.add(self)
        try:
            await self.sleep_until_woken()
        finally:
            notifier.discard(self)

    async def sleep_until_woken(self) -> None:
        """Sleeps until somebody pokes; a poke that came with a cancellation ends the next sleep."""
        if not self._woken:
            assert self._asleep is None, "a waker is one reader's"
            self._asleep = asleep = _asleep()
            try:
                await asleep
            finally:
                self._asleep = None
        self._woken = False


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

    def wake(self) -> None:
        """Says that the time has come; must not block."""


class TimerQueue:
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
        self._changed = Waiter()
        self._earlier = Notifier()

    def wake_at(self, due_s: float, sleeper: Sleeper) -> None:
        """Asks for one poke at a time. Asking again adds a poke and takes none back: a spurious one does no harm."""
        if sleeper.retired:
            return
        first = not self._due or due_s < self._due[0][0]
        heapq.heappush(self._due, (due_s, next(self._order), sleeper))
        self._noted[sleeper] = self._noted.get(sleeper, 0) + 1
        if first:
            self._earlier.notify()

    def retire(self, sleeper: Sleeper) -> None:
        """Ends a sleeper: what it asked for is dropped, at the latest when half of all that is noted is such waste."""
        sleeper.retired = True
        self._wasted += self._noted.pop(sleeper, 0)
        self._drop_waste()

    async def run(self) -> None:
        """Pokes for ever."""
        while True:
            version = self._earlier.version
            wait_s = self.wake_due()
            with anyio.move_on_after(wait_s):
                await self._changed.sleep(self._earlier, version)

    def wake_due(self) -> float | None:
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
            sleeper.wake()
        self._drop_waste()
        return self._due[0][0] - now_s if self._due else None

    def _drop_waste(self) -> None:
        if 2 * self._wasted > len(self._due):
            self._due = [entry for entry in self._due if entry[2] in self._noted]
            heapq.heapify(self._due)
            self._wasted = 0
