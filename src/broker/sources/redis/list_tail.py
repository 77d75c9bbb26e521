"""The end of one output list: which range to read next, and what it says about the log that mirrors it.

It decides and never waits: `plan` gives commands, `take` gets their replies and changes the log in one step.

Offset = index in the list + `log.floor`, the number of entries trimmed from its front as far as this node knows. Each
read takes the last known entries along (`tail_proof`) and is in one of three steps:

    FOLLOW   read from the last known entries on; append what is new
    LEAP     too much is new: learn the length and the last entries; readers page in what lies between
    SEARCH   the last known entries are not in their place: look for them further to the front. Found: the front was
             trimmed, and the floor rises. Not found: it is another list, and the log starts anew

A list that is gone is not a new one yet: what is in memory stays readable, and only what is written next starts the log
anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from fantail.broker.limits import (
    LEAP_RECORDS,
    LIVE_PAGE_BYTES,
    LIVE_PAGE_RECORDS_MAX,
    PROOF_RECORDS,
    SEARCH_PAGE_RECORDS,
    SEARCH_RECORDS_MAX,
    SLACK_RECORDS_MAX,
)
from fantail.broker.log.records import records_of
from fantail.broker.masking.foreign import EntryMasker
from fantail.broker.sources.redis.page_size import PageSize
from fantail.broker.sources.redis.tail_proof import TailProof, find_rest, find_run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fantail.broker.log.msg_store import MsgStore
    from fantail.broker.log.records import Records
    from fantail.broker.sources.redis.connection import Command


class _Step(Enum):
    FOLLOW = "follow"
    LEAP = "leap"
    SEARCH = "search"


@dataclass(frozen=True, slots=True)
class _Reading:
    """What was asked, and where the known end was thought to be then."""

    step: _Step
    floor: int
    end: int
    """The index after the last known entry."""
    run: tuple[int, ...]
    """Checksums of the last known entries."""
    start: int
    """The first index of the range that holds the run."""
    count_max: int
    """How many entries that range has."""
    measured: bool
    """Whether the length was asked for too."""

    @property
    def expected(self) -> int:
        """Where the run stands in the reply if nothing was trimmed."""
        return self.end - len(self.run) - self.start


class ListTail:
    """Follows the end of one list.

    Attributes:
        log: its mirror.
        key: the list.
        pages: what was learnt of the sizes of its entries.
        proof: its last known entries.
        masker: masks what is appended to the log; None: nothing is masked.
        dirty: whether there is something to read.
        missing: whether there is no such list now.
        slack: how far in front of their place the last known entries are looked for in every read.
    """

    def __init__(
        self, log: MsgStore, key: bytes, line_bytes_max: int, now_s: Callable[[], float], *, masks: bool = True
    ) -> None:
        self.log = log
        self.key = key
        self.pages = PageSize()
        self.proof = TailProof()
        self.dirty = True
        self.missing = False
        self.slack = 0
        self.masker = EntryMasker() if masks else None
        self._line_bytes_max = line_bytes_max
        self._now_s = now_s
        self._step = _Step.FOLLOW
        self._unread = True
        self._measure = True
        self._length = 0
        self._below = 0
        self._searched = 0
        self._reading: _Reading | None = None

    def start_over(self) -> None:
        """The replies to the last plan will not come."""
        self._step = _Step.FOLLOW
        self.dirty = True

    def restart(self) -> None:
        """Empties the log: the list is another one from now on."""
        self.log.restart()
        self._mask_anew()
        self.proof.clear()
        self.slack = 0
        self._step = _Step.FOLLOW
        self._measure = True

    def proves(self, replies: Sequence[Any]) -> bool:
        """Whether the replies to the last plan show the list that is in the log: its last known entries, if any."""
        reading = self._reading
        if reading is None or reading.step is _Step.SEARCH or not replies:
            return False
        if not reading.run:
            return self.log.tail == 0
        entries = _entries(replies[1 if reading.step is _Step.LEAP else 0])
        return find_run(reading.run, entries, reading.expected) is not None

    def trimmed(self, floor: int, count: int) -> None:
        """Learns that so many entries have gone from the front since the floor was at `floor`."""
        if count and floor + count > self.log.floor:
            self.log.forget_below(min(floor + count, self.log.tail))
            self.slack = min(SLACK_RECORDS_MAX, max(self.slack, 2 * count + PROOF_RECORDS))

    def records(self, entries: Sequence[bytes], created_ms: int, masker: EntryMasker | None = None) -> Records:
        """What viewers are shown of entries; a masker is given consecutive ones."""
        return records_of(entries, created_ms, self._line_bytes_max, masker)

    # -- asking -----------------------------------------------------------------------------------------------------

    def plan(self) -> list[Command]:
        """The commands to send next, all on one connection and in this order."""
        self.dirty = False
        self._reading = reading = self._next_reading()
        commands: list[Command] = []
        if reading.step is _Step.LEAP:
            # The end first and the proof after it: what proves true then was true before.
            first = max(0, self._length - PROOF_RECORDS)
            commands.append(("LRANGE", self.key, first, self._length + self._page_records - 1))
        commands.append(("LRANGE", self.key, reading.start, reading.start + reading.count_max - 1))
        if reading.measured:
            commands.append(("LLEN", self.key))
        return commands

    def _next_reading(self) -> _Reading:
        floor = self.log.floor
        end = self.log.tail - floor
        run = self.proof.run(end)
        if self._step is _Step.SEARCH:
            start = max(0, self._below - SEARCH_PAGE_RECORDS)
            return _Reading(self._step, floor, end, run, start, self._below - start, measured=True)
        start = max(0, end - len(run) - (self.slack if run else 0))
        if self._step is _Step.LEAP:
            return _Reading(self._step, floor, end, run, start, max(1, end - start), measured=False)
        return _Reading(self._step, floor, end, run, start, end - start + self._page_records, measured=self._measure)

    @property
    def _page_records(self) -> int:
        return self.pages.records(LIVE_PAGE_BYTES, LIVE_PAGE_RECORDS_MAX)

    # -- answers ----------------------------------------------------------------------------------------------------

    def take(self, replies: Sequence[Any], created_ms: int) -> bool:
        """Takes the replies to the last plan.

        Args:
            replies: one for each command.
            created_ms: the time given to entries that have none.

        Returns:
            Whether everything was seen that the list had when it was read.
        """
        reading = self._reading
        assert reading is not None, "take follows plan"
        if self.log.closed:
            return True
        match reading.step:
            case _Step.FOLLOW:
                length = _length(replies[1]) if reading.measured else None
                return self._take_page(reading, _entries(replies[0]), length, created_ms)
            case _Step.LEAP:
                self._take_leap(reading, _entries(replies[0]), _entries(replies[1]), created_ms)
                return False
            case _Step.SEARCH:
                return self._take_search(reading, _entries(replies[0]), _length(replies[1]))

    def _take_page(self, reading: _Reading, entries: Sequence[bytes], length: int | None, created_ms: int) -> bool:
        new = self._behind_the_run(reading, entries)
        if new is None:
            self._step, self._below, self._searched = _Step.SEARCH, reading.end, 0
            self.dirty = True
            return False
        self.missing = not entries and reading.start == 0
        if new and not reading.run and self.log.tail > 0:
            self.restart()  # the list was gone, and is written anew
        self._append(new, created_ms)
        full = len(entries) >= reading.count_max
        backlog = 0 if length is None else length - (self.log.tail - self.log.floor)
        if full and length is not None and backlog > (0 if self._unread else LEAP_RECORDS):
            self._step, self._length = _Step.LEAP, length
        self._unread = False
        self._measure = full
        self.dirty = self.dirty or full
        return not full

    def _behind_the_run(self, reading: _Reading, entries: Sequence[bytes]) -> Sequence[bytes] | None:
        """The entries after the last known ones; None where those are not where they could be."""
        if not reading.run:
            return entries
        found = find_run(reading.run, entries, reading.expected)
        if found is None:
            return None
        self.trimmed(reading.floor, reading.expected - found)
        return entries[found + len(reading.run) :]

    def _take_leap(self, reading: _Reading, entries: Sequence[bytes], proof: Sequence[bytes], created_ms: int) -> None:
        self._step = _Step.FOLLOW
        self.dirty = True
        known = min(PROOF_RECORDS, self._length)
        if len(entries) < known or (reading.run and find_run(reading.run, proof, reading.expected) != reading.expected):
            return  # it has changed under our hands: look again from where we are
        self._mask_anew()
        crcs = self.records(entries[:known], created_ms, self.masker).crcs
        self.pages.seen(entries[:known])
        self.proof.clear()
        self.proof.extend(entries[:known], crcs)
        self.log.advance(reading.floor + self._length, crcs[-1])
        self._append(entries[known:], created_ms)

    def _take_search(self, reading: _Reading, entries: Sequence[bytes], length: int) -> bool:
        self.dirty = True
        if length == 0:
            self._step, self.missing = _Step.FOLLOW, True
            self.proof.clear()
            self.log.forget_below(self.log.tail)
            return True
        if not entries and length < self._below:
            self._below = length  # far shorter than it was
            return False
        found = find_run(reading.run, entries, len(entries))
        self._searched += len(entries)
        if found is not None:
            self._step = _Step.FOLLOW
            self.trimmed(reading.floor, reading.expected - found)
        elif reading.start == 0 and (left := find_rest(reading.run, entries)):
            self._step = _Step.FOLLOW
            self.trimmed(reading.floor, reading.end - left)
        elif reading.start == 0 or self._searched >= SEARCH_RECORDS_MAX:
            self._step = _Step.FOLLOW
            self.restart()
        else:
            self._below = reading.start + len(reading.run) - 1
        return False

    def _mask_anew(self) -> None:
        if self.masker is not None:
            self.masker = EntryMasker()

    def _append(self, entries: Sequence[bytes], created_ms: int) -> None:
        if entries:
            records = self.records(entries, created_ms, self.masker)
            self.pages.seen(entries)
            self.proof.extend(entries, records.crcs)
            self.log.append(records, self._now_s())


def _entries(reply: Any) -> Sequence[bytes]:
    """A reply to LRANGE; none where the key is of another type."""
    return reply if isinstance(reply, list) else []


def _length(reply: Any) -> int:
    return reply if isinstance(reply, int) else 0
