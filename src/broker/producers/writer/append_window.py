"""What a writer knows of the list it appends to, and what it sends next after a doubt.

A writer appends under a condition: "these entries, if the list has just this length and ends with this entry". So an
append is carried out once or not at all, however often it is asked for, and a request that was thought lost and
arrives late is refused. Where the condition does not hold, the writer looks at the length and at the last entries, and
`resume` decides (trap 41):

- The list ends with what was sent (a reply was lost): go on behind it.
- The list ends earlier within what is remembered (a crash took its tail): write that part anew, in its old places.
- The list is shorter than what is remembered reaches back: say how many lines are gone, then write what is
  remembered.
- The list was cut at its head by somebody: find what was sent at its end, and go on behind it.
- Somebody else writes too: that is not provided for; nothing is written twice, and what was not yet sent follows
  theirs.

What holds, with one writer: with what is remembered reaching back to the loss, the list is what was pushed, each
entry once, in order. Otherwise one gap line stands where entries are missing, and it says how many.

Decided against: a unique number in each entry (every viewer would pay its bytes, and foreign lists have none); asking
for the length before each append (a round trip more, and still a race); the length alone as the condition (a gap line
shifts what follows, and a late request can then meet its length again: Hypothesis found it).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from fantail.broker.limits import APPEND_BYTES_MAX, APPEND_RECORDS_MAX, REWRITE_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Seen:
    """The end of a list: its length, and its last entries, at least one where it has any."""

    length: int
    tail: Sequence[bytes]

    @property
    def last(self) -> bytes:
        """The last entry; empty where there is none."""
        return self.tail[-1] if self.tail else b""


@dataclass(frozen=True, slots=True)
class Resume:
    """Where to go on: after `skip` of the known entries, which the list's end holds already.

    Attributes:
        skip: of the known entries, oldest first, how many are not to be sent.
        lost: entries that the list once had and that nobody knows any more; a gap line goes in their place.
    """

    skip: int
    lost: int = 0


def resume(first: int, known: Sequence[bytes], confirmed: int, seen: Seen) -> Resume:
    """Decides what a writer sends next, from what it sent and what it sees.

    Args:
        first: the index in the list at which the first known entry was to stand.
        known: the entries remembered, confirmed ones first, then those not known to have arrived.
        confirmed: how many of them were confirmed.
        seen: the list as it is now.
    """
    if _agrees(first, known, seen):
        return Resume(seen.length - first)
    if (found := _found(known, seen.tail)) is not None:
        return Resume(found)
    if seen.length <= first:
        return Resume(0, lost=first - seen.length)
    return Resume(confirmed)


def _agrees(first: int, known: Sequence[bytes], seen: Seen) -> bool:
    """Whether the list ends among the known entries, and what of them can be seen stands in its place."""
    skip, tail = seen.length - first, seen.tail
    if not 0 <= skip <= len(known):
        return False
    compared = min(skip, len(tail))
    return compared > 0 and list(known[skip - compared : skip]) == list(tail[len(tail) - compared :])


def _found(known: Sequence[bytes], tail: Sequence[bytes]) -> int | None:
    """How many known entries the list holds, if its end shows them in other places, or before entries of others."""
    for end in range(len(tail), 0, -1):
        for skip in range(len(known), 0, -1):
            compared = min(skip, end)
            if known[skip - 1] == tail[end - 1] and list(known[skip - compared : skip]) == list(
                tail[end - compared : end]
            ):
                return skip
    return None


class AppendWindow:
    """The entries at the end of one list: those lately confirmed, and those still to be sent."""

    def __init__(self, seen: Seen, *, rewrite_bytes_max: int = REWRITE_BYTES_MAX) -> None:
        """Starts behind a list's present end.

        Args:
            seen: the list as it is now; what it holds is not ours.
            rewrite_bytes_max: how many bytes of confirmed entries are remembered.
        """
        self._recent: deque[bytes] = deque()
        self._unsent: deque[bytes] = deque()
        self._recent_bytes = 0
        self._first = seen.length
        self._before = seen.last  # the entry before the first one remembered
        self._rewrite_bytes_max = rewrite_bytes_max
        self.unsent_bytes = 0
        """Bytes that wait to be confirmed."""

    @property
    def length(self) -> int:
        """The length that the list has if nothing went wrong: one condition of the next append."""
        return self._first + len(self._recent)

    @property
    def last(self) -> bytes:
        """The list's last entry if nothing went wrong: the other condition; empty for an empty list."""
        return self._recent[-1] if self._recent else self._before

    @property
    def unsent(self) -> int:
        """How many entries wait to be confirmed."""
        return len(self._unsent)

    def push(self, entries: Iterable[bytes]) -> None:
        """Adds entries to be sent, behind all others."""
        for entry in entries:
            self._unsent.append(entry)
            self.unsent_bytes += len(entry)

    def batch(self, records_max: int = APPEND_RECORDS_MAX, bytes_max: int = APPEND_BYTES_MAX) -> list[bytes]:
        """The next entries to send, at least one if there are any; they stay until they are confirmed."""
        batch: list[bytes] = []
        total = 0
        for entry in islice(self._unsent, records_max):
            total += len(entry)
            if batch and total > bytes_max:
                break
            batch.append(entry)
        return batch

    def confirm(self, count: int) -> None:
        """Notes that the first so many of the unsent entries are in the list."""
        for _ in range(count):
            entry = self._unsent.popleft()
            self.unsent_bytes -= len(entry)
            self._remember(entry)

    def plan(self, seen: Seen) -> Resume:
        """What to do about a list that is not as expected; changes nothing."""
        return resume(self._first, [*self._recent, *self._unsent], len(self._recent), seen)

    def follow(self, plan: Resume, seen: Seen, gap: bytes | None = None) -> int:
        """Carries a plan out: the next batch goes behind the list as it was seen.

        Args:
            plan: what `plan` returned for it.
            seen: the list.
            gap: the entry that tells of the loss; sent first.

        Returns:
            How many entries that were confirmed are sent again.
        """
        known = [*self._recent, *self._unsent]
        again = max(0, len(self._recent) - plan.skip)
        self._recent.clear()
        self._unsent.clear()
        self._recent_bytes = self.unsent_bytes = 0
        present = known[: plan.skip][-seen.length :] if seen.length else []
        self._first = seen.length - len(present)
        self._before = seen.last
        for entry in present:
            self._remember(entry)
        self.push([] if gap is None else [gap])
        self.push(known[plan.skip :])
        return again

    def clear(self) -> int:
        """Forgets what is unsent, and returns how many entries that were."""
        count = len(self._unsent)
        self._unsent.clear()
        self.unsent_bytes = 0
        return count

    def _remember(self, entry: bytes) -> None:
        self._recent.append(entry)
        self._recent_bytes += len(entry)
        while self._recent_bytes > self._rewrite_bytes_max:
            self._before = self._recent.popleft()
            self._recent_bytes -= len(self._before)
            self._first += 1
