"""A segment: the same records open and sealed, and each face's bytes made once and shared."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import pytest

from fantail.broker.limits import SEGMENT_BYTES, SEGMENT_RECORDS
from fantail.broker.log.position import checksum
from fantail.broker.log.records import Record, Records
from fantail.broker.log.segment import Encoding, Segment

if TYPE_CHECKING:
    from collections.abc import Sequence


class Counting:
    """An encoder that notes how many records it was given, and how often it was asked."""

    def __init__(self) -> None:
        self.records = self.calls = 0
        self.encoding = Encoding("counting", self.encode)

    def encode(self, first: int, records: Sequence[Record]) -> list[bytes]:
        self.records += len(records)
        self.calls += 1
        return [b"%d:%s;" % (offset, record.data) for offset, record in enumerate(records, first)]


def put(segment: Segment, record: Record) -> int:
    return segment.take(Records.of([record]), 0, 0.0)


def filled(count: int, base: int = 0, *, sealed: bool = False) -> Segment:
    segment = Segment(base, 0.0, 0)
    for offset in range(base, base + count):
        assert put(segment, Record(b"line %d" % offset, checksum(b"%d" % offset))) == 1
    if sealed:
        segment.seal()
        segment.compact()
    return segment


def holding(*sizes: int) -> Segment:
    segment = Segment(0, 0.0, 0)
    for size in sizes:
        assert put(segment, Record(b"x" * size, 0)) == 1
    return segment


def check(segment: Segment, base: int, count: int) -> None:
    expected = [Record(b"line %d" % offset, checksum(b"%d" % offset)) for offset in range(base, base + count)]
    assert (segment.base, segment.end, len(segment)) == (base, base + count, count)
    for start in range(count):
        assert list(segment.records(start, count)) == expected[start:]
        assert list(segment.records(0, start)) == expected[:start]
        assert segment.crc(start) == expected[start].crc


@pytest.mark.parametrize("base", [0, 7])
def test_records_are_the_same_open_and_sealed(base: int) -> None:
    segment = filled(20, base)
    check(segment, base, 20)
    for _ in range(2):  # sealing twice does nothing
        segment.seal()
        check(segment, base, 20)
        segment.compact()
        check(segment, base, 20)


def test_a_sealed_segment_does_not_grow() -> None:
    with pytest.raises(AssertionError):
        put(filled(1, sealed=True), Record(b"", 0))


def test_a_sealed_segment_holds_little_more_than_its_bytes() -> None:
    segment = filled(500)
    raw, before = segment.raw_bytes, segment.size
    segment.seal()
    assert segment.size == before
    list(segment.records(0, 1))  # its first reader makes it compact
    assert raw < segment.size < raw + 8 * 500 + 1000 < before
    segment.compact()
    check(segment, 0, 500)


def test_a_segment_is_compact_only_once_it_is_sealed() -> None:
    with pytest.raises(AssertionError):
        filled(1).compact()


def test_a_record_that_holds_a_line_feed_is_never_cut_in_two() -> None:
    segment = Segment(0, 0.0, 0)
    put(segment, Record(b"one\nline", 0))
    segment.seal()
    segment.compact()
    with pytest.raises(AssertionError):
        segment.records(0, 1)


def test_it_is_full_at_its_count_or_its_bytes() -> None:
    assert not filled(SEGMENT_RECORDS - 1).full
    assert filled(SEGMENT_RECORDS).full
    assert not holding(SEGMENT_BYTES - 1).full
    assert holding(SEGMENT_BYTES - 1, 1).full


@pytest.mark.parametrize(
    ("sizes", "taken"),
    [
        ([SEGMENT_BYTES], 1),
        ([10 * SEGMENT_BYTES, 1], 1),
        ([SEGMENT_BYTES - 1, 5, 5], 2),
        ([0, 1], 2),
        ([1] * (SEGMENT_RECORDS + 9), SEGMENT_RECORDS),
    ],
    ids=["one that fills", "one beyond", "the one that fills is taken whole", "all", "no more than its count"],
)
def test_it_takes_records_until_it_is_full(sizes: list[int], taken: int) -> None:
    records = Records([b"not this one", *(b"x" * size for size in sizes)], array("I", [0, *range(len(sizes))]))
    segment = Segment(0, 0.0, 0)
    assert segment.take(records, 1, 0.0) == taken
    assert list(segment.records(0, taken)) == list(records)[1 : taken + 1]
    assert segment.raw_bytes == sum(sizes[:taken])


def test_a_record_is_encoded_once_whoever_many_read_it_in_whatever_pieces() -> None:
    wire_format = Counting()
    segment = filled(10)
    for start, stop in ((0, 3), (0, 3), (2, 3), (0, 7), (5, 10), (0, 10)):
        taken = segment.encoded(wire_format.encoding, start, stop)
        assert taken == b"".join(b"%d:line %d;" % (i, i) for i in range(start, stop))
    segment.seal()
    for _ in range(3):
        segment.encoded(wire_format.encoding, 0, 10)
        segment.encoded(wire_format.encoding, 4, 10)
    assert wire_format.records == 10
    assert wire_format.calls == 3


def test_readers_of_a_whole_sealed_segment_share_one_object() -> None:
    wire_format = Counting()
    segment = filled(10, sealed=True)
    assert segment.encoded(wire_format.encoding, 0, 10) is segment.encoded(wire_format.encoding, 0, 10)


def test_a_reader_who_resumes_within_a_replayed_segment_gets_the_rest_of_the_same_bytes() -> None:
    wire_format = Counting()
    segment = filled(10, sealed=True)
    whole = segment.encoded(wire_format.encoding, 0, 10)
    for start, stop in ((7, 10), (0, 3), (2, 10), (9, 10)):
        assert segment.encoded(wire_format.encoding, start, stop) == b"".join(
            b"%d:line %d;" % (i, i) for i in range(start, stop)
        )
    assert segment.encoded(wire_format.encoding, 0, 10) is whole
    assert wire_format.records == 20  # once for the bytes, once more for where each record ends in them


def test_readers_of_the_same_live_lines_share_one_object() -> None:
    wire_format = Counting()
    segment = filled(10)
    taken = segment.encoded(wire_format.encoding, 8, 10)
    assert segment.recently_encoded(wire_format.encoding, 8, 10) is taken
    assert segment.recently_encoded(wire_format.encoding, 7, 10) is None
    assert segment.recently_encoded(Counting().encoding, 8, 10) is taken  # equal keys encode equally


def test_every_byte_that_is_kept_is_counted() -> None:
    wire_format = Counting()
    segment = filled(10)
    bare = segment.size
    tail = segment.encoded(wire_format.encoding, 8, 10)
    whole = b"".join(b"%d:line %d;" % (i, i) for i in range(10))
    assert segment.size == bare + len(whole) + 8 * 10 + len(tail)
    segment.seal()
    segment.compact()
    sealed = segment.size
    assert segment.encoded(wire_format.encoding, 0, 10) == whole
    assert segment.size == sealed - len(tail)  # whoever wants the last lines again cuts them from the whole


def test_an_encoding_that_leaves_records_out_is_allowed_one_that_forgets_them_is_not() -> None:
    segment = filled(4, sealed=True)
    odd = Encoding("odd", lambda first, records: [b"x" if (first + i) % 2 else b"" for i in range(len(records))])
    assert segment.encoded(odd, 0, 4) == b"xx"
    assert segment.encoded(odd, 0, 1) == b""
    assert segment.encoded(odd, 2, 4) == b"x"
    short = Encoding("short", lambda _, records: [record.data for record in records[1:]])
    with pytest.raises(AssertionError):
        segment.encoded(short, 0, 4)


def test_an_encoder_that_raises_leaves_the_cache_as_it_was() -> None:
    wire_format, segment = Counting(), filled(4)
    segment.encoded(wire_format.encoding, 0, 2)

    def fail(_first: int, _records: Sequence[Record]) -> list[bytes]:
        raise LookupError

    with pytest.raises(LookupError):
        segment.encoded(Encoding("counting", fail), 0, 4)
    assert segment.encoded(wire_format.encoding, 0, 4) == b"0:line 0;1:line 1;2:line 2;3:line 3;"
