"""A log against a naive list: no gap, none twice, order kept, bounds held, whatever happens in between.

The oracle is the list of all records of a generation. It does not know which of them are in memory; that is looked
up, counted anew, and must follow from the rules: below the tail everything is there, to be had, or lost for good.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fantail.broker.errors import StoreClosedError
from fantail.broker.log import segment as segments
from fantail.broker.log.msg_store import EVICTED, Batch, MsgStore, Retention
from fantail.broker.log.outcomes import Behind, CaughtUp, Closed, Diverged, Located, Lost, Reason
from fantail.broker.log.position import Cursor, Position, checksum, log_position
from fantail.broker.log.records import Record, Records
from fantail.broker.log.segment import Encoding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fantail.broker.log.msg_store import ReadOutcome

# Small, so that a few steps cross the borders of several segments.
SEGMENT_BYTES = 200
SEGMENT_RECORDS = 6


def framed(first: int, records: Sequence[Record]) -> list[bytes]:
    return [b"<%d:%s>" % (offset, record.data) for offset, record in enumerate(records, first)]


def sparse(first: int, records: Sequence[Record]) -> list[bytes]:
    return [b"" if offset % 3 else record.data for offset, record in enumerate(records, first)]


ENCODINGS = (Encoding("framed", framed), Encoding("sparse", sparse))

fractions = st.floats(0, 1, exclude_max=True)
sizes = st.lists(st.sampled_from([0, 1, 10, 10, 40, 150, 500]), max_size=12)


@dataclass
class Reader:
    """A cursor, and what its reader was told: each offset once, as a record or as lost."""

    cursor: Cursor
    told: int = 0


class LogMachine(RuleBasedStateMachine):
    archived = True

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(segments, "SEGMENT_BYTES", SEGMENT_BYTES)
        self.patch.setattr(segments, "SEGMENT_RECORDS", SEGMENT_RECORDS)
        self.serial = itertools.count()
        self.now_s = 0.0
        self.generations: list[list[Record]] = [[]]
        self.floor = 0
        self.closed = False
        self.readers: list[Reader] = []
        self.kept: list[tuple[Batch, int]] = []
        self.changes = 0

    def teardown(self) -> None:
        if hasattr(self, "log"):
            for reader in self.readers:
                self.read_to_the_end(reader)
        self.patch.undo()

    @initialize(
        bytes_max=st.sampled_from([1, 2000, 4000, 10**9]),
        records_max=st.sampled_from([1, 10, 30, 10**9]),
        age_s_max=st.sampled_from([5.0, 1e9]),
    )
    def start(self, bytes_max: int, records_max: int, age_s_max: float) -> None:
        bounds = Retention(bytes_max=bytes_max, records_max=records_max, age_s_max=age_s_max)
        self.log = MsgStore(bounds, archived=self.archived, on_change=self.changed)
        self.readers = [Reader(self.log.start()) for _ in range(3)]

    # -- the oracle -------------------------------------------------------------------------------------------------

    @property
    def truth(self) -> list[Record]:
        return self.generations[-1]

    def changed(self) -> None:
        self.changes += 1

    def made(self, lengths: Sequence[int]) -> list[Record]:
        datas = [(b"%d." % next(self.serial)).ljust(length, b"x")[:length] for length in lengths]
        return [Record(data, checksum(b"%d" % next(self.serial))) for data in datas]

    def in_memory(self) -> set[int]:
        return {offset for segment in self.log._segments for offset in range(segment.base, segment.end)}

    def over_bounds(self) -> bool:
        bounds = self.log.retention
        return self.log.retained_bytes > bounds.bytes_max or self.log.retained_records > bounds.records_max

    def offset_at(self, fraction: float) -> int:
        return int(fraction * (len(self.truth) + 1))

    def check_batch(self, batch: Batch, generation: int) -> None:
        expected = self.generations[generation][batch.first : batch.first + len(batch)]
        assert list(batch.records()) == expected
        assert batch.next == Cursor(generation, batch.first + len(batch))
        assert batch.last_position() == log_position(batch.next.offset - 1, expected[-1].crc)
        for encoding in ENCODINGS:
            taken = batch.encoded(encoding)
            assert taken == b"".join(encoding.encode(batch.first, Records.of(expected)))
            assert batch.encoded(encoding) is taken  # shared by whoever reads the same

    def check(self, cursor: Cursor, outcome: ReadOutcome, memory: set[int]) -> None:
        """What a read gives is what follows from the list and from what is in memory."""
        tail, offset = len(self.truth), cursor.offset
        match outcome:
            case Diverged(reason):
                assert cursor.generation != self.log.generation
                assert reason is Reason.TAG
            case Closed():
                assert (offset, self.closed) == (tail, True)
            case CaughtUp():
                assert (offset, self.closed) == (tail, False)
            case Batch():
                assert offset == outcome.first
                assert len(outcome) > 0
                assert set(range(outcome.first, outcome.next.offset)) <= memory
            case Behind(start, stop):
                assert self.archived
                assert self.floor <= start <= offset < stop <= tail
                assert not memory & set(range(start, stop))
            case Lost(start, stop):
                assert start == offset < stop <= (self.floor if self.archived else tail)
                assert not memory & set(range(start, stop))

    def read_on(self, reader: Reader, records_max: int) -> ReadOutcome:
        """One step of a reader, as a subscription would take it."""
        outcome = self.log.read(reader.cursor, records_max)
        self.check(reader.cursor, outcome, self.in_memory())
        match outcome:
            case Diverged():
                reader.cursor = self.log.start()
                reader.told = 0
            case Batch():
                assert outcome.first == reader.told
                assert len(outcome) <= records_max
                reader.cursor = outcome.next
                reader.told += len(outcome)
            case Lost(start, stop):
                assert start == reader.told
                reader.cursor = Cursor(self.log.generation, stop)
                reader.told = stop
        return outcome

    def read_to_the_end(self, reader: Reader) -> None:
        for _ in range(3 * len(self.truth) + 3):
            match self.read_on(reader, 1000):
                case Behind(start, stop):
                    self.log.fill(start, self.truth[start:stop], self.now_s)
                case CaughtUp() | Closed():
                    break
        assert reader.told == len(self.truth)

    # -- what a source does -----------------------------------------------------------------------------------------

    @rule(lengths=sizes)
    def append(self, lengths: list[int]) -> None:
        records, before = self.made(lengths), self.changes
        if self.closed:
            with pytest.raises(StoreClosedError):
                self.log.append(records, self.now_s)
            return
        assert self.log.append(records, self.now_s) == len(self.truth)
        self.truth.extend(records)
        assert (self.changes > before) == bool(records)
        assert not records or not self.over_bounds() or len(self.log._segments) == 1

    @precondition(lambda self: self.archived)
    @rule(lengths=sizes)
    def advance(self, lengths: list[int]) -> None:
        records = self.made(lengths)
        self.truth.extend(records)
        memory = self.in_memory()
        self.log.advance(len(self.truth), self.truth[-1].crc if self.truth else 0)
        assert self.in_memory() == memory

    @precondition(lambda self: self.archived and self.truth)
    @rule(at=fractions, count=st.integers(0, 40), seconds=st.sampled_from([0.0, 4.0]))
    def fill(self, at: float, count: int, seconds: float) -> None:
        self.now_s += seconds
        start = self.offset_at(at)
        stop = min(start + count, len(self.truth))
        missing = set(range(start, stop)) - self.in_memory()
        self.log.fill(start, self.truth[start:stop], self.now_s)
        assert missing <= self.in_memory()
        if self.over_bounds():
            assert all(segment.base in missing for segment in self.log._segments if segment.sealed)

    @precondition(lambda self: self.archived)
    @rule(at=fractions)
    def forget_below(self, at: float) -> None:
        self.floor = max(self.floor, self.offset_at(at))
        self.log.forget_below(self.floor)
        assert self.log.floor == self.floor

    @rule()
    def restart(self) -> None:
        self.log.restart()
        self.generations.append([])
        self.floor = 0
        self.closed = False

    @rule()
    def close(self) -> None:
        before = self.changes
        self.log.close()
        assert (self.changes > before) == (not self.closed)
        self.closed = True

    # -- what readers do --------------------------------------------------------------------------------------------

    @rule(who=st.integers(0, 2), records_max=st.integers(1, 8), keep=st.booleans())
    def read(self, who: int, records_max: int, keep: bool) -> None:
        outcome = self.read_on(self.readers[who], records_max)
        if isinstance(outcome, Batch):
            if keep:  # a slow reader: it encodes later, when the segment may have grown or been evicted
                self.kept.append((outcome, self.log.generation))
            else:
                self.check_batch(outcome, self.log.generation)

    @precondition(lambda self: self.kept)
    @rule(which=fractions)
    def look_again_at_a_batch(self, which: float) -> None:
        self.check_batch(*self.kept[int(which * len(self.kept))])

    @rule(who=st.integers(0, 2), at=fractions)
    def start_elsewhere(self, who: int, at: float) -> None:
        offset = self.offset_at(at)
        self.readers[who] = Reader(self.log.start(offset), offset)
        assert self.readers[who].cursor == Cursor(self.log.generation, offset)

    @rule(at=fractions, beyond=st.integers(-1, 3), truthful=st.booleans())
    def locate(self, at: float, beyond: int, truthful: bool) -> None:
        offset = max(0, self.offset_at(at) + beyond)
        there = offset < len(self.truth)
        crc = self.truth[offset].crc if there else 0
        position = log_position(offset, crc if truthful else crc ^ 1)
        match self.log.locate(position):
            case Located(cursor):
                assert there
                assert truthful
                assert cursor == Cursor(self.log.generation, offset + 1)
            case Behind(start, stop):
                assert self.archived
                assert self.floor <= start <= offset < stop <= len(self.truth)
                assert offset not in self.in_memory()
            case Diverged(reason):
                known = offset in self.in_memory() or offset == len(self.truth) - 1
                assert reason is (Reason.TAG if known else Reason.OFFSET)
                assert not (known and truthful)
                assert known or not there or not self.archived or offset < self.floor

    @rule()
    def locate_the_start_of_an_empty_log(self) -> None:
        assert self.log.locate(Position(0, "0")) == Located(Cursor(self.log.generation, 0))

    # -- memory -----------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.0, 1.0, 3.0]))
    def evict(self, seconds: float) -> None:
        self.now_s += seconds
        self.log.evict(self.now_s)
        assert not self.over_bounds() or not any(segment.sealed for segment in self.log._segments)
        youngest = [segment.youngest_s for segment in self.log._segments]
        assert all(self.now_s - at_s <= self.log.retention.age_s_max for at_s in youngest)

    @rule()
    def evict_one(self) -> None:
        before, oldest = self.in_memory(), self.log.oldest_use()
        assert self.log.evict_one() == (oldest is not None)
        gone = before - self.in_memory()
        assert bool(gone) == (oldest is not None)
        if gone and not self.archived:
            assert min(before) in gone

    # -- what always holds ------------------------------------------------------------------------------------------

    @invariant()
    def what_is_counted_is_what_is_held(self) -> None:
        held = self.log._segments
        assert self.log.retained_records == sum(len(segment) for segment in held)
        assert self.log.retained_bytes == sum(counted_anew(segment) for segment in held)
        for batch, _ in self.kept:
            assert (batch._segment.counted_bytes == EVICTED) == (batch._segment not in held)

    @invariant()
    def segments_stand_in_order_and_do_not_overlap(self) -> None:
        held = self.log._segments
        assert self.log._bases == [segment.base for segment in held]
        assert all(len(segment) > 0 for segment in held)
        assert all(above.base >= below.end for below, above in itertools.pairwise(held))
        assert all(segment.sealed for segment in held[:-1])
        assert self.log.head == (held[0].base if held else len(self.truth))

    @invariant()
    def every_offset_reads_as_the_list_says(self) -> None:
        log, memory = self.log, self.in_memory()
        assert log.tail == len(self.truth)
        assert log.last_crc == (self.truth[-1].crc if self.truth else None)
        used = [segment.touched for segment in log._segments]
        for offset in range(len(self.truth) + 1):
            cursor = Cursor(log.generation, offset)
            outcome = log.read(cursor)
            self.check(cursor, outcome, memory)
            assert isinstance(outcome, Batch) == (offset in memory)
            if isinstance(outcome, Batch):
                assert list(outcome.records()) == self.truth[offset : outcome.next.offset]
        for segment, touched in zip(log._segments, used, strict=True):
            segment.touched = touched


class LogWithoutArchiveMachine(LogMachine):
    archived = False


def counted_anew(segment: segments.Segment) -> int:
    """What a segment holds, from its parts."""
    records = segment._lines.split(b"\n") if segment._listed is None else segment._listed
    table = segments.COMPACT_RECORD_BYTES if segment._listed is None else segments.LISTED_RECORD_BYTES
    total = segments.SEGMENT_FIXED_BYTES + sum(len(data) + table for data in records)
    for cache in segment._encoded.values():
        total += len(cache._whole or b"") + len(cache._buffer) + len(cache._recent[2]) + 8 * len(cache._ends)
    return total


TestLog = LogMachine.TestCase
TestLog.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestLogWithoutArchive = LogWithoutArchiveMachine.TestCase
TestLogWithoutArchive.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
