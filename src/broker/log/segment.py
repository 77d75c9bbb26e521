"""Segments: the unit in which a log is kept, encoded, shared, sent and evicted.

A segment holds consecutive records. The last one of a log is open and grows; the others are sealed, and compact: their
records joined into one bytes object, a line each (no record holds a line feed), and an array of checksums, 5 bytes a
record where a list of bytes objects costs some 50. Those of a page from the archive are sealed from the start, and each
becomes compact when its first reader is given the list: to join records and cut them apart again at once took a tenth
of a replay.

Each face's encoding of a segment is made at the first demand and kept with it. A sealed segment that is replayed from
its beginning hands out the very same bytes object to every reader; live records are handed to a crowd as one object
too, because the last slice is remembered.
"""

from __future__ import annotations

import itertools
from array import array
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fantail.broker.limits import SEGMENT_BYTES, SEGMENT_RECORDS
from fantail.broker.log.records import Records

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

# What Python needs for a record of a list beside its bytes: an object's header, rounding, a pointer, a checksum.
LISTED_RECORD_BYTES: Final = 64
# The same once they are compact: a line feed and a checksum.
COMPACT_RECORD_BYTES: Final = 5
SEGMENT_FIXED_BYTES: Final = 600


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """How a face writes records; what it makes of a record is made once and shared by all subscribers.

    Attributes:
        key: names the cache; equal keys must encode equally.
        encode: takes the offset of the first record and consecutive records, gives bytes for each (`b""`: nothing).
    """

    key: Hashable
    encode: Callable[[int, Records], list[bytes]]


class _Encoded:
    """One face's bytes of one segment, growing with it."""

    __slots__ = ("_buffer", "_ends", "_recent", "_whole")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._ends = array("Q")
        self._whole: bytes | None = None
        self._recent: tuple[int, int, bytes] = (0, 0, b"")

    @property
    def size(self) -> int:
        held = len(self._buffer) if self._whole is None else len(self._whole)
        return held + len(self._recent[2]) + 8 * len(self._ends)

    def recent(self, start: int, stop: int) -> bytes | None:
        first, last, taken = self._recent
        return taken if first == start and last == stop else None

    def take(self, segment: Segment, encoding: Encoding, start: int, stop: int) -> bytes:
        """The bytes of the records `start <= i < stop`, counted from the segment's first."""
        if segment.sealed and start == 0 and stop == len(segment):
            return self._take_whole(segment, encoding)
        self._extend(segment, encoding, stop)
        first = self._ends[start - 1] if start else 0
        last = self._ends[stop - 1] if stop else 0
        taken = bytes(memoryview(self._whole or self._buffer)[first:last])
        self._recent = (start, stop, taken)
        return taken

    def _take_whole(self, segment: Segment, encoding: Encoding) -> bytes:
        """All of a sealed segment, as a replay asks for it: where each record ends is learnt when one resumes in it."""
        if self._whole is None:
            if self._ends:
                self._extend(segment, encoding, len(segment))
                self._whole = bytes(self._buffer)
            else:
                self._whole = b"".join(_parts(segment, encoding, 0, len(segment)))
            self._buffer = bytearray()
            self._recent = (0, 0, b"")
        return self._whole

    def _extend(self, segment: Segment, encoding: Encoding, stop: int) -> None:
        """Has the ends of all records up to `stop`, and their bytes."""
        start = len(self._ends)
        if start >= stop:
            return
        parts = _parts(segment, encoding, start, stop)
        ends = itertools.accumulate(map(len, parts), initial=self._ends[-1] if start else 0)
        next(ends)
        self._ends.extend(ends)
        if self._whole is None:
            self._buffer += b"".join(parts)


def _parts(segment: Segment, encoding: Encoding, start: int, stop: int) -> list[bytes]:
    parts = encoding.encode(segment.base + start, segment.records(start, stop))
    assert len(parts) == stop - start, "an encoding gives bytes for each record"
    return parts


class Segment:
    """Consecutive records from `base` on: open and growing, then sealed, and compact at last."""

    __slots__ = (
        "_crcs", "_encoded", "_lines", "_listed",
        "base", "counted_bytes", "raw_bytes", "sealed", "touched", "youngest_s",
    )  # fmt: skip

    def __init__(self, base: int, now_s: float, touched: int) -> None:
        self.base = base
        self.raw_bytes = 0
        self.counted_bytes = 0
        self.touched = touched
        self.youngest_s = now_s
        self.sealed = False
        self._listed: list[bytes] | None = []
        self._lines = b""
        self._crcs = array("I")
        self._encoded: dict[Hashable, _Encoded] = {}

    def __len__(self) -> int:
        return len(self._crcs)

    @property
    def end(self) -> int:
        return self.base + len(self)

    @property
    def full(self) -> bool:
        return self.raw_bytes >= SEGMENT_BYTES or len(self) >= SEGMENT_RECORDS

    @property
    def size(self) -> int:
        """Bytes held: records, their tables, and every face's encoding."""
        each = COMPACT_RECORD_BYTES if self._listed is None else LISTED_RECORD_BYTES
        encoded = sum(cache.size for cache in self._encoded.values())
        return SEGMENT_FIXED_BYTES + self.raw_bytes + each * len(self) + encoded

    def take(self, records: Records, start: int, now_s: float) -> int:
        """Takes records, from the one at `start` on, until it is full; returns how many."""
        assert not self.sealed, "a sealed segment does not grow"
        assert self._listed is not None
        data = records.data[start : start + SEGMENT_RECORDS - len(self)]
        raw_bytes = list(itertools.accumulate(map(len, data), initial=self.raw_bytes))
        count = min(len(data), bisect_left(raw_bytes, SEGMENT_BYTES, 1))
        self._listed += data[:count]
        self._crcs += records.crcs[start : start + count]
        self.raw_bytes = raw_bytes[count]
        self.youngest_s = now_s
        return count

    def seal(self) -> None:
        """Takes no more records from now on."""
        self.sealed = True

    def compact(self) -> None:
        """Joins the records of a sealed segment."""
        assert self.sealed, "an open segment grows"
        if self._listed is not None:
            self._lines = b"\n".join(self._listed)
            self._listed = None

    def records(self, start: int, stop: int) -> Records:
        """The records `start <= i < stop`, counted from `base`; whoever reads a sealed segment makes it compact."""
        data = self._lines.split(b"\n") if self._listed is None else self._listed
        assert len(data) == len(self), "no record holds a line feed"
        if self.sealed:
            self.compact()
        return Records(data[start:stop], self._crcs[start:stop])

    def crc(self, index: int) -> int:
        return self._crcs[index]

    def recently_encoded(self, encoding: Encoding, start: int, stop: int) -> bytes | None:
        """The very bytes that the last reader of the same records was given: the way of a live line to its crowd."""
        cache = self._encoded.get(encoding.key)
        return None if cache is None else cache.recent(start, stop)

    def encoded(self, encoding: Encoding, start: int, stop: int) -> bytes:
        cache = self._encoded.get(encoding.key)
        if cache is None:
            cache = self._encoded[encoding.key] = _Encoded()
        return cache.take(self, encoding, start, stop)
