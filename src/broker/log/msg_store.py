"""The log of one stream: append-only, with gap-free offsets, a bounded window in memory, and bytes that are shared.

A subscriber is a cursor into this log and nothing else (docs/adr/0001). Reading copies no record per subscriber, and
replay and live are the same read.

Invariants, held by the stateful test in tests/properties/test_msg_store.py:
  - Offsets of one generation are 0, 1, 2, … with none missing and none twice; `tail` is the next to be given.
  - A record never changes. A log that was written anew starts the next generation, and old cursors read `Diverged`.
  - Every offset below `tail` reads as one of: Batch (in memory), Behind (the archive has it), Lost (nobody has it).
  - `retained_bytes` counts the records, their tables and every face's cached bytes; after `evict` it is within bounds,
    except that the open segment stays until it is too old.

The window is a list of segments (`fantail.broker.log.segment`). A log over an archive may have holes: a finished job
of a million lines starts with none of them in memory, and readers load what they ask for.

Synchronous, without clock or randomness: time is an argument, and a wake-up is a callback that carries no data.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from fantail.broker.errors import StoreClosedError
from fantail.broker.limits import SEGMENT_RECORDS, STORE_AGE_S_MAX, STORE_BYTES_MAX, STORE_RECORDS_MAX
from fantail.broker.log.outcomes import Behind, CaughtUp, Closed, Diverged, Located, Lost, Reason
from fantail.broker.log.position import EMPTY_TAG, Cursor, Position, empty_log_position, log_position, log_tag
from fantail.broker.log.records import Records
from fantail.broker.log.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fantail.broker.log.records import Record
    from fantail.broker.log.segment import Encoding

EVICTED: Final = -1


@dataclass(frozen=True, slots=True)
class Retention:
    """How much of a log stays in memory.

    Attributes:
        bytes_max: records and cached encodings together.
        records_max: how many records.
        age_s_max: seconds since the youngest record of a segment was appended.
    """

    bytes_max: int = STORE_BYTES_MAX
    records_max: int = STORE_RECORDS_MAX
    age_s_max: float = STORE_AGE_S_MAX


class Batch:
    """Records that were read: those from `first` up to and without `next.offset`, all of one segment.

    It stays valid after its segment was evicted.
    """

    __slots__ = ("_segment", "_start", "_stop", "_store", "next")

    def __init__(self, store: MsgStore, segment: Segment, start: int, stop: int) -> None:
        self._store = store
        self._segment = segment
        self._start = start
        self._stop = stop
        self.next = Cursor(store.generation, segment.base + stop)

    def __len__(self) -> int:
        return self._stop - self._start

    @property
    def first(self) -> int:
        """The offset of the first record."""
        return self._segment.base + self._start

    def records(self) -> Records:
        """The records themselves."""
        return self._store._records(self._segment, self._start, self._stop)  # noqa: SLF001 - one module

    def encoded(self, encoding: Encoding) -> bytes:
        """The records as a face writes them: made at the first demand, then shared."""
        return self._store._encoded(self._segment, encoding, self._start, self._stop)  # noqa: SLF001 - one module

    def last_position(self) -> Position:
        """The position of the last record of the batch."""
        return log_position(self.next.offset - 1, self._segment.crc(self._stop - 1))


ReadOutcome: TypeAlias = "Batch | CaughtUp | Behind | Lost | Diverged | Closed"
LocateOutcome: TypeAlias = "Located | Behind | Diverged"


class MsgStore:
    """An append-only log of records with a bounded window in memory.

    Args:
        retention: bounds of the window.
        archived: whether records below the window can be had again (from Redis). An archived log evicts what was
            read longest ago and reads `Behind` there; one without evicts its oldest and reads `Lost`.
        on_change: called after every change that a reader may wait for; it must not block.
        uses: counts reads, for "longest ago"; stores under one budget share one counter.

    Attributes:
        appended_total: records that were ever appended, of all generations; not those filled in from the archive.
    """

    def __init__(
        self,
        retention: Retention | None = None,
        *,
        archived: bool = False,
        on_change: Callable[[], None] = lambda: None,
        uses: Iterator[int] | None = None,
    ) -> None:
        self.retention = retention or Retention()
        self.archived = archived
        self.generation = 0
        self.appended_total = 0
        self.tail = 0
        self.retained_bytes = 0
        self.retained_records = 0
        self._floor = 0
        self._last_crc: int | None = None
        self._closed = False
        self._segments: list[Segment] = []
        self._bases: list[int] = []
        self._on_change = on_change
        self._uses = uses or itertools.count()

    # -- what is there ----------------------------------------------------------------------------------------------

    @property
    def head(self) -> int:
        """The lowest offset in memory; `tail` where nothing is."""
        return self._bases[0] if self._bases else self.tail

    @property
    def floor(self) -> int:
        """The lowest offset that the archive has (0 unless the list's front was trimmed)."""
        return self._floor

    @property
    def closed(self) -> bool:
        """Whether the log has ended."""
        return self._closed

    @property
    def last_crc(self) -> int | None:
        """The checksum of the last record, also when it is no longer in memory; None for an empty log."""
        return self._last_crc

    def crc_at(self, offset: int) -> int | None:
        """The checksum of a record, None where it is not in memory."""
        if offset == self.tail - 1:
            return self._last_crc
        segment = self._find(offset)
        return None if segment is None else segment.crc(offset - segment.base)

    def last_position(self, *, end: bool = False) -> Position:
        """The position of the last record, or that of a log without any; `end`: and nothing comes after it."""
        if self._last_crc is None:
            return empty_log_position(end=end)
        return log_position(self.tail - 1, self._last_crc, end=end)

    def start(self, offset: int = 0) -> Cursor:
        """A cursor at an offset, moved into `0 <= offset <= tail`."""
        return Cursor(self.generation, max(0, min(offset, self.tail)))

    def oldest_use(self) -> int | None:
        """When the segment that `evict_one` would take was last used; None where there is nothing to take."""
        victim = self._victim()
        return None if victim is None else self._segments[victim].touched

    # -- reading ----------------------------------------------------------------------------------------------------

    def read(self, cursor: Cursor, records_max: int = SEGMENT_RECORDS) -> ReadOutcome:
        """Reads on from a cursor.

        Returns:
            At most `records_max` records, never from more than one segment, or why there are none.
        """
        if cursor.generation != self.generation or cursor.offset > self.tail:
            return Diverged(Reason.TAG)
        if cursor.offset == self.tail:
            return Closed() if self._closed else CaughtUp()
        segment = self._find(cursor.offset)
        if segment is None:
            return self._missing(cursor.offset)
        segment.touched = next(self._uses)
        start = cursor.offset - segment.base
        return Batch(self, segment, start, min(len(segment), start + records_max))

    def locate(self, position: Position) -> LocateOutcome:
        """Proves a position and finds where its reader goes on.

        Returns:
            Located; or Behind, where the archive must be asked for that one record first; or Diverged.
        """
        if position.tag == EMPTY_TAG and position.offset == 0:
            return Located(self.start())
        if position.offset >= self.tail:
            return Diverged(Reason.OFFSET)
        crc = self.crc_at(position.offset)
        if crc is None:
            missing = self._missing(position.offset)
            return missing if isinstance(missing, Behind) else Diverged(Reason.OFFSET)
        if log_tag(crc) != position.tag:
            return Diverged(Reason.TAG)
        return Located(Cursor(self.generation, position.offset + 1))

    def _missing(self, offset: int) -> Behind | Lost:
        index = bisect_right(self._bases, offset)
        below = self._segments[index - 1].end if index else 0
        above = self._bases[index] if index < len(self._bases) else self.tail
        if not self.archived:
            return Lost(offset, above)
        if offset < self._floor:
            return Lost(offset, min(above, self._floor))
        return Behind(max(below, self._floor), above)

    def _find(self, offset: int) -> Segment | None:
        segments = self._segments
        if segments and offset >= segments[-1].base:  # nearly every read is at the tail
            return segments[-1] if offset < segments[-1].end else None
        index = bisect_right(self._bases, offset) - 1
        if index < 0 or offset >= segments[index].end:
            return None
        return segments[index]

    # -- writing ----------------------------------------------------------------------------------------------------

    def append(self, records: Sequence[Record], now_s: float) -> int:
        """Appends records at the tail, wakes readers, and evicts what is over the bounds of bytes and count.

        Returns:
            The offset of the first.

        Raises:
            StoreClosedError: the log has ended.
        """
        if self._closed:
            raise StoreClosedError("append to a closed log")
        first = self.tail
        if not records:
            return first
        columns = Records.of(records)
        segment = self._open_segment(now_s)
        while (taken := self.tail - first) < len(columns):
            if segment.full:
                segment = self._sealed_and_next(now_s)
            self.tail += segment.take(columns, taken, now_s)
        self._last_crc = columns.crcs[-1]
        self._recount(segment)
        self.appended_total += len(records)
        self.retained_records += len(records)
        self._shrink()
        self._on_change()
        return first

    def advance(self, tail: int, last_crc: int) -> None:
        """Learns that the archive holds records up to `tail`, without taking them into memory."""
        assert self.archived, "without an archive a skipped record would be lost"
        assert tail >= self.tail, "a tail never moves back within a generation"
        if tail == self.tail:
            return
        self._seal_last()
        self.tail = tail
        self._last_crc = last_crc
        self._on_change()

    def fill(self, start: int, records: Sequence[Record], now_s: float) -> None:
        """Takes a page of the archive into the window; what is there already is left alone.

        What is over the bounds then is evicted, but nothing of the page, however small the window is: its reader has
        yet to look, and a page that pushes itself out would be read again for ever.
        """
        assert 0 <= start <= start + len(records) <= self.tail, "the archive has nothing past the tail"
        filled_since = next(self._uses)
        columns = Records.of(records)
        position = start
        stop = start + len(records)
        while position < stop:
            present = self._find(position)
            if present is not None:
                position = present.end
                continue
            index = bisect_right(self._bases, position)
            above = self._bases[index] if index < len(self._bases) else stop
            position = self._insert(position, columns[position - start : min(above, stop) - start], now_s)
        self._shrink(used_before=filled_since)

    def forget_below(self, floor: int) -> None:
        """Learns that the archive no longer has what is below `floor` (the list's front was trimmed)."""
        assert self._floor <= floor <= self.tail
        self._floor = floor
        self._on_change()

    def restart(self) -> None:
        """Starts the next generation, empty: the log was deleted or written anew."""
        self.generation += 1
        self.tail = self._floor = 0
        self._last_crc = None
        self._closed = False
        self._drop_all()
        self._on_change()

    def close(self) -> None:
        """Ends the log; readers at the tail find `Closed`. Closing twice does nothing."""
        if not self._closed:
            self._closed = True
            self._on_change()

    # -- memory -----------------------------------------------------------------------------------------------------

    def evict(self, now_s: float) -> None:
        """Frees segments until the window is within its bounds: those that are too old, then the least needed."""
        for index in reversed(range(len(self._segments))):
            if now_s - self._segments[index].youngest_s > self.retention.age_s_max:
                self._drop(index)
        self._shrink()

    def evict_one(self) -> bool:
        """Frees the one segment that is needed least; says whether there was one."""
        victim = self._victim()
        if victim is None:
            return False
        self._drop(victim)
        return True

    def _shrink(self, used_before: float = math.inf) -> None:
        """Frees segments until the bytes and the count are within bounds, but none that was used later than given."""
        bounds = self.retention
        while self.retained_bytes > bounds.bytes_max or self.retained_records > bounds.records_max:
            victim = self._victim()
            if victim is None or self._segments[victim].touched > used_before:
                return
            self._drop(victim)

    def _victim(self) -> int | None:
        evictable = len(self._segments)
        if evictable and not self._segments[-1].sealed:
            evictable -= 1
        if evictable == 0:
            return None
        if not self.archived:
            return 0
        return min(range(evictable), key=lambda index: self._segments[index].touched)

    def _drop(self, index: int) -> None:
        segment = self._segments.pop(index)
        self._bases.pop(index)
        self.retained_records -= len(segment)
        self.retained_bytes -= segment.counted_bytes
        segment.counted_bytes = EVICTED

    def _drop_all(self) -> None:
        while self._segments:
            self._drop(len(self._segments) - 1)

    def _recount(self, segment: Segment) -> None:
        """Counts what the segment holds now; one that a reader kept past its eviction is not ours."""
        if segment.counted_bytes == EVICTED:
            return
        size = segment.size
        self.retained_bytes += size - segment.counted_bytes
        segment.counted_bytes = size

    def _records(self, segment: Segment, start: int, stop: int) -> Records:
        records = segment.records(start, stop)
        self._recount(segment)
        return records

    def _encoded(self, segment: Segment, encoding: Encoding, start: int, stop: int) -> bytes:
        taken = segment.recently_encoded(encoding, start, stop)
        if taken is None:
            taken = segment.encoded(encoding, start, stop)
            self._recount(segment)
        return taken

    # -- segments ---------------------------------------------------------------------------------------------------

    def _open_segment(self, now_s: float) -> Segment:
        if self._segments and not self._segments[-1].sealed:
            return self._segments[-1]
        return self._add(len(self._segments), self.tail, now_s)

    def _sealed_and_next(self, now_s: float) -> Segment:
        self._seal_last()
        return self._add(len(self._segments), self.tail, now_s)

    def _seal_last(self) -> None:
        if self._segments:
            last = self._segments[-1]
            last.seal()
            last.compact()
            self._recount(last)

    def _add(self, index: int, base: int, now_s: float) -> Segment:
        segment = Segment(base, now_s, next(self._uses))
        self._segments.insert(index, segment)
        self._bases.insert(index, base)
        return segment

    def _insert(self, base: int, records: Records, now_s: float) -> int:
        """Fills one hole, or its beginning, with sealed segments; returns the offset after them."""
        taken = 0
        while taken < len(records):
            segment = self._add(bisect_right(self._bases, base + taken), base + taken, now_s)
            taken += segment.take(records, taken, now_s)
            segment.seal()
            self.retained_records += len(segment)
            self._recount(segment)
        return base + taken
