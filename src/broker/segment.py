"""Segments: the unit in which a log is kept, encoded, shared, sent and evicted.

A segment holds consecutive records. The last one of a log is open and grows; the others are sealed: their records
joined into one bytes object, with arrays of ends and checksums, 8 bytes a record (a list of bytes objects costs over
100).

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

from broker.entries import Records
from broker.limits import SEGMENT_BYTES, SEGMENT_RECORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

# What Python needs for a record beside its bytes while its segment is open: two object headers, two pointers.
OPEN_RECORD_BYTES: Final = 160
# A sealed record's entries in the arrays of ends and checksums.
SEALED_RECORD_BYTES: Final = 8
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
        if len(self._ends) < stop:
            self._extend(segment, encoding, stop)
        if self._whole is None and segment.sealed and len(self._ends) == len(segment):
            self._whole = bytes(self._buffer)
            self._buffer = bytearray()
            self._recent = (0, 0, b"")
        first = self._ends[start - 1] if start else 0
        last = self._ends[stop - 1] if stop else 0
        held = self._buffer if self._whole is None else self._whole
        if held is self._whole and first == 0 and last == len(held):
            return self._whole
        taken = bytes(memoryview(held)[first:last])
        self._recent = (start, stop, taken)
        return taken

    def _extend(self, segment: Segment, encoding: Encoding, stop: int) -> None:
        start = len(self._ends)
        end = self._ends[-1] if start else 0
        parts = encoding.encode(segment.base + start, segment.records(start, stop))
        assert len(parts) == stop - start, "an encoding gives bytes for each record"
        ends = itertools.accumulate(map(len, parts), initial=end)
        next(ends)
        self._ends.extend(ends)
        joined = b"".join(parts)
        if start == 0 and segment.sealed and stop == len(segment):
            self._whole = joined  # all at once, as a replay does: nothing is copied twice
        else:
            self._buffer += joined


class Segment:
    """Consecutive records from `base` on: open and growing, or sealed and compact."""

    __slots__ = (
        "_crcs", "_encoded", "_ends", "_joined", "_open", "base", "counted_bytes", "raw_bytes", "touched", "youngest_s",
    )  # fmt: skip

    def __init__(self, base: int, now_s: float, touched: int) -> None:
        self.base = base
        self.raw_bytes = 0
        self.counted_bytes = 0
        self.touched = touched
        self.youngest_s = now_s
        self._open: Records | None = Records([], [])
        self._joined = b""
        self._ends = array("I")
        self._crcs = array("I")
        self._encoded: dict[Hashable, _Encoded] = {}

    def __len__(self) -> int:
        return len(self._crcs) if self._open is None else len(self._open)

    @property
    def end(self) -> int:
        return self.base + len(self)

    @property
    def sealed(self) -> bool:
        return self._open is None

    @property
    def full(self) -> bool:
        return self.raw_bytes >= SEGMENT_BYTES or len(self) >= SEGMENT_RECORDS

    @property
    def size(self) -> int:
        """Bytes held: records, their tables, and every face's encoding."""
        each = SEALED_RECORD_BYTES if self._open is None else OPEN_RECORD_BYTES
        encoded = sum(cache.size for cache in self._encoded.values())
        return SEGMENT_FIXED_BYTES + self.raw_bytes + each * len(self) + encoded

    def take(self, records: Records, start: int, now_s: float) -> int:
        """Takes records, from the one at `start` on, until it is full; returns how many."""
        assert self._open is not None, "a sealed segment does not grow"
        data = records.data[start : start + SEGMENT_RECORDS - len(self)]
        raw_bytes = list(itertools.accumulate(map(len, data), initial=self.raw_bytes))
        count = min(len(data), bisect_left(raw_bytes, SEGMENT_BYTES, 1))
        self._open.data += data[:count]
        self._open.crcs += records.crcs[start : start + count]
        self.raw_bytes = raw_bytes[count]
        self.youngest_s = now_s
        return count

    def seal(self) -> None:
        if self._open is None:
            return
        self._joined = b"".join(self._open.data)
        self._ends = array("I", itertools.accumulate(map(len, self._open.data)))
        self._crcs = array("I", self._open.crcs)
        self._open = None

    def records(self, start: int, stop: int) -> Records:
        """The records `start <= i < stop`, counted from `base`."""
        if self._open is not None:
            return self._open[start:stop]
        ends = self._ends[start:stop].tolist()
        starts = [self._ends[start - 1] if start else 0, *ends[:-1]]
        data = [self._joined[first:last] for first, last in zip(starts, ends, strict=stop > start)]
        return Records(data, self._crcs[start:stop].tolist())

    def crc(self, index: int) -> int:
        return self._crcs[index] if self._open is None else self._open.crcs[index]

    def recently_encoded(self, encoding: Encoding, start: int, stop: int) -> bytes | None:
        """The very bytes that the last reader of the same records was given: the way of a live line to its crowd."""
        cache = self._encoded.get(encoding.key)
        return None if cache is None else cache.recent(start, stop)

    def encoded(self, encoding: Encoding, start: int, stop: int) -> bytes:
        cache = self._encoded.get(encoding.key)
        if cache is None:
            cache = self._encoded[encoding.key] = _Encoded()
        return cache.take(self, encoding, start, stop)
