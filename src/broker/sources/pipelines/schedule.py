"""Which thing is polled next, and how long after. Pure: no clock, no randomness, no wait.

Three lanes share the polls that may be under way. Of what is due, the visible goes first; the hidden waits behind it,
but not for ever; what gave no answer last time has a lane of its own, which its user may close while too many such
polls are under way, so that a hundred dead pipelines do not make the living ones late.

A key is in the schedule once or not at all. Whoever takes a key out polls it and puts it back when the poll has ended:
that alone makes two polls of one thing at the same time impossible (trap 9).
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from fantail.broker.limits import POLL_FAST_S, POLL_GROWTH, POLL_HIDDEN_S, POLL_STEADY_S

if TYPE_CHECKING:
    from collections.abc import Collection

# A hidden thing overdue by so long goes before a visible one that has just become due.
PATIENCE_S: Final = POLL_HIDDEN_S
_WASTE_MIN: Final = 64


class Lane(IntEnum):
    """Who goes first."""

    VISIBLE = 0
    HIDDEN = 1
    SUSPECT = 2


ALL_LANES: Final = frozenset(Lane)


@dataclass(frozen=True, slots=True)
class Pace:
    """The intervals, in seconds: at first and after a change; for what stays; where no visible page watches."""

    fast_s: float = POLL_FAST_S
    steady_s: float = POLL_STEADY_S
    hidden_s: float = POLL_HIDDEN_S

    def next_s(self, previous_s: float, *, visible: bool, settled: bool) -> float:
        """The interval after one of `previous_s`.

        Args:
            previous_s: the last one; 0 where there was none.
            visible: whether a visible page watches.
            settled: whether the status stays: it did not change, and is not one that leads to another.
        """
        bound_s = self.steady_s if visible else self.hidden_s
        if not settled:
            return min(self.fast_s, bound_s)
        return max(min(self.fast_s, bound_s), min(bound_s, previous_s * POLL_GROWTH))


@dataclass(slots=True, eq=False)
class _Entry:
    key: str
    due_s: float
    lane: Lane


class PollSchedule:
    """Keys with the times at which they are due."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._heaps: dict[Lane, list[tuple[float, int, _Entry]]] = {lane: [] for lane in Lane}
        self._order = itertools.count()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def due_s(self, key: str) -> float | None:
        """When a key is due; None where it is not in the schedule."""
        entry = self._entries.get(key)
        return None if entry is None else entry.due_s

    def put(self, key: str, due_s: float, lane: Lane) -> None:
        """Puts a key in, or moves it."""
        entry = self._entries[key] = _Entry(key, due_s, lane)
        heap = self._heaps[lane]
        heapq.heappush(heap, (due_s, next(self._order), entry))
        if len(heap) > _WASTE_MIN + 2 * len(self._entries):
            self._heaps[lane] = [noted for noted in heap if self._stands(noted[2])]
            heapq.heapify(self._heaps[lane])

    def drop(self, key: str) -> None:
        """Takes a key out, if it is in."""
        self._entries.pop(key, None)

    def take(self, now_s: float, lanes: Collection[Lane] = ALL_LANES) -> str | None:
        """Takes out the key that goes next of those that are due; None where none is."""
        firsts = [entry for lane in sorted(lanes) if (entry := self._first(lane)) and entry.due_s <= now_s]
        if not firsts:
            return None
        chosen = firsts[0]
        for entry in firsts[1:]:
            if entry.due_s + PATIENCE_S < chosen.due_s:
                chosen = entry
        del self._entries[chosen.key]
        return chosen.key

    def next_due_s(self, lanes: Collection[Lane] = ALL_LANES) -> float | None:
        """When the next key of these lanes is due; None where there is none."""
        return min((entry.due_s for lane in lanes if (entry := self._first(lane))), default=None)

    def _first(self, lane: Lane) -> _Entry | None:
        heap = self._heaps[lane]
        while heap and not self._stands(heap[0][2]):
            heapq.heappop(heap)
        return heap[0][2] if heap else None

    def _stands(self, entry: _Entry) -> bool:
        return self._entries.get(entry.key) is entry
