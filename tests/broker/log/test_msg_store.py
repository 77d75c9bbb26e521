"""A log, case by case; tests/properties/test_msg_store.py has the laws."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from fantail.broker.limits import SEGMENT_RECORDS
from fantail.broker.log.msg_store import Batch, MsgStore, Retention
from fantail.broker.log.outcomes import Behind, CaughtUp, Closed, Diverged, Located, Lost, Reason
from fantail.broker.log.position import Cursor, checksum, log_position
from fantail.broker.log.records import Record, entry_of, records_of
from fantail.broker.log.segment import Encoding

if TYPE_CHECKING:
    from collections.abc import Iterable

FRAMES = Encoding("frames", lambda _, records: [b"data: %s\n\n" % record.data for record in records])


def record(offset: int) -> Record:
    data = b"line %d" % offset
    return Record(data, checksum(data))


def log_of(count: int, *, in_memory: Iterable[range] | None = None, **bounds: Any) -> MsgStore:
    """A log of so many records: without an archive, or, where ranges are given, with those in memory."""
    log = MsgStore(Retention(**bounds), archived=in_memory is not None)
    if in_memory is None:
        log.append([record(offset) for offset in range(count)], 0.0)
        return log
    log.advance(count, record(count - 1).crc)
    for offsets in in_memory:
        log.fill(offsets.start, [record(offset) for offset in offsets], 0.0)
    return log


def check(log: MsgStore, offset: int, expected: object) -> None:
    """What a read at an offset finds; of a batch: its offsets."""
    outcome = log.read(log.start(offset))
    if isinstance(outcome, Batch):
        assert [one.data for one in outcome.records()] == [
            record(at).data for at in range(outcome.first, outcome.next.offset)
        ]
        assert range(outcome.first, outcome.next.offset) == expected
    else:
        assert outcome == expected


def offsets_in_memory(log: MsgStore) -> list[int]:
    return [offset for segment in log._segments for offset in range(segment.base, segment.end)]


# -- reading --------------------------------------------------------------------------------------------------------


def test_an_empty_log_reads_caught_up_and_closed_once_it_is() -> None:
    log = MsgStore()
    check(log, 0, CaughtUp())
    log.close()
    check(log, 0, Closed())


def test_offsets_go_on_without_a_gap_over_segments() -> None:
    log = log_of(3 * SEGMENT_RECORDS)
    cursor = log.start()
    seen: list[int] = []
    while isinstance(batch := log.read(cursor), Batch):
        seen += range(batch.first, batch.next.offset)
        cursor = batch.next
    assert seen == list(range(3 * SEGMENT_RECORDS))


def test_a_batch_ends_at_the_border_of_a_segment_and_at_the_limit() -> None:
    log = log_of(SEGMENT_RECORDS + 10)
    check(log, 5, range(5, SEGMENT_RECORDS))
    check(log, SEGMENT_RECORDS, range(SEGMENT_RECORDS, SEGMENT_RECORDS + 10))
    limited = log.read(log.start(), 7)
    assert isinstance(limited, Batch)
    assert len(limited) == 7


def test_a_batch_does_not_grow_with_its_segment() -> None:
    log = log_of(2)
    batch = log.read(log.start())
    assert isinstance(batch, Batch)
    log.append([record(2)], 0.0)
    assert len(batch.records()) == len(batch) == 2
    assert batch.next == Cursor(0, 2)
    assert batch.encoded(FRAMES) == b"data: line 0\n\ndata: line 1\n\n"


def test_a_cursor_is_moved_into_the_log() -> None:
    log = log_of(3)
    assert [log.start(offset).offset for offset in (-5, 0, 2, 3, 99)] == [0, 0, 2, 3, 3]


def test_closed_is_read_only_after_the_last_record() -> None:
    log = log_of(2)
    log.close()
    check(log, 1, range(1, 2))
    check(log, 2, Closed())


def test_a_log_written_anew_diverges_from_every_cursor_of_the_old_one_also_where_it_is_longer() -> None:
    log = log_of(3)
    cursors = [log.start(offset) for offset in range(4)]
    log.restart()
    assert [log.read(cursor) for cursor in cursors] == [Diverged(Reason.TAG)] * 4
    log.append([record(offset) for offset in range(9)], 0.0)
    assert [log.read(cursor) for cursor in cursors] == [Diverged(Reason.TAG)] * 4
    check(log, 0, range(9))


def test_a_batch_read_before_a_restart_still_gives_what_it_gave() -> None:
    log = log_of(2)
    batch = log.read(log.start())
    assert isinstance(batch, Batch)
    log.restart()
    log.append([Record(b"other", 1)], 0.0)
    assert batch.encoded(FRAMES) == b"data: line 0\n\ndata: line 1\n\n"
    assert batch.next.generation == 0
    assert log.read(batch.next) == Diverged(Reason.TAG)


# -- holes ----------------------------------------------------------------------------------------------------------


def test_what_only_the_archive_has_reads_behind_up_to_what_is_in_memory() -> None:
    log = log_of(30, in_memory=[range(10, 15), range(20, 30)])
    check(log, 0, Behind(0, 10))
    check(log, 9, Behind(0, 10))
    check(log, 10, range(10, 15))
    check(log, 17, Behind(15, 20))
    check(log, 29, range(29, 30))


def test_what_the_archive_lost_reads_lost_unless_it_is_still_in_memory() -> None:
    log = log_of(30, in_memory=[range(5, 10), range(20, 30)])
    log.forget_below(15)
    check(log, 0, Lost(0, 5))
    check(log, 5, range(5, 10))
    check(log, 12, Lost(12, 15))
    check(log, 15, Behind(15, 20))


def test_without_an_archive_what_was_evicted_reads_lost_up_to_the_window() -> None:
    log = log_of(3 * SEGMENT_RECORDS)
    assert log.evict_one()
    check(log, 0, Lost(0, SEGMENT_RECORDS))
    check(log, 9, Lost(9, SEGMENT_RECORDS))
    check(log, SEGMENT_RECORDS, range(SEGMENT_RECORDS, 2 * SEGMENT_RECORDS))
    assert log.head == SEGMENT_RECORDS


def test_a_page_that_overlaps_fills_the_holes_alone() -> None:
    log = log_of(30, in_memory=[range(10, 15), range(20, 25)])
    before = {id(segment) for segment in log._segments}
    log.fill(8, [record(offset) for offset in range(8, 30)], 0.0)
    assert offsets_in_memory(log) == list(range(8, 30))
    assert before <= {id(segment) for segment in log._segments}
    check(log, 8, range(8, 10))
    check(log, 15, range(15, 20))
    check(log, 25, range(25, 30))


def test_an_append_after_a_hole_starts_a_segment_of_its_own() -> None:
    log = log_of(4)
    archived = MsgStore(archived=True)
    archived.append([record(offset) for offset in range(4)], 0.0)
    archived.advance(10, record(9).crc)
    archived.append([record(10)], 0.0)
    assert offsets_in_memory(archived) == [0, 1, 2, 3, 10]
    check(archived, 4, Behind(4, 10))
    with pytest.raises(AssertionError):
        log.advance(10, 0)  # without an archive that would lose records silently


# -- positions ------------------------------------------------------------------------------------------------------


def test_a_position_is_proved_by_the_record_it_names() -> None:
    log = log_of(30, in_memory=[range(10, 15)])
    assert log.locate(log_position(12, record(12).crc)) == Located(Cursor(0, 13))
    assert log.locate(log_position(12, record(13).crc)) == Diverged(Reason.TAG)
    assert log.locate(log_position(29, record(29).crc)) == Located(Cursor(0, 30))  # known without having it
    assert log.locate(log_position(29, 1)) == Diverged(Reason.TAG)
    assert log.locate(log_position(30, 1)) == Diverged(Reason.OFFSET)
    assert log.locate(log_position(3, record(3).crc)) == Behind(0, 10)
    log.forget_below(5)
    assert log.locate(log_position(3, record(3).crc)) == Diverged(Reason.OFFSET)


def test_a_position_of_an_old_log_does_not_fit_the_new_one() -> None:  # trap 34
    log = log_of(3)
    log.restart()
    assert log.locate(log_position(2, record(2).crc)) == Diverged(Reason.OFFSET)
    log.append([Record(b"other", 7)] * 5, 0.0)
    assert log.locate(log_position(2, record(2).crc)) == Diverged(Reason.TAG)


def test_a_rewritten_tail_is_noticed_by_the_position_of_the_lost_one() -> None:  # trap 47
    log = log_of(3)
    lost = log.last_position()
    log.restart()
    log.append([record(0), record(1), Record(b"another third", 7), record(3)], 0.0)
    assert log.locate(lost) == Diverged(Reason.TAG)
    assert log.locate(log_position(1, record(1).crc)) == Located(Cursor(1, 2))


# -- shared bytes and bounded memory --------------------------------------------------------------------------------


def test_all_readers_of_a_batch_get_the_very_same_bytes() -> None:  # trap 26
    log = log_of(SEGMENT_RECORDS + 10)
    for offset in (0, SEGMENT_RECORDS, SEGMENT_RECORDS + 4):
        taken = []
        for _ in range(5):
            batch = log.read(log.start(offset))
            assert isinstance(batch, Batch)
            taken.append(batch.encoded(FRAMES))
        assert all(one is taken[0] for one in taken)


def test_a_live_line_is_encoded_once_for_its_crowd() -> None:  # trap 26
    log, encoded = MsgStore(), 0

    def encode(_first: int, records: Any) -> list[bytes]:
        nonlocal encoded
        encoded += len(records)
        return [one.data for one in records]

    wire_format = Encoding("counted", encode)
    cursors = [log.start()] * 50
    for offset in range(20):
        log.append([record(offset)], 0.0)
        batches = [batch for cursor in cursors if isinstance(batch := log.read(cursor), Batch)]
        taken = [batch.encoded(wire_format) for batch in batches]
        assert len(taken) == 50
        assert all(one is taken[0] for one in taken)
        cursors = [batch.next for batch in batches]
    assert encoded == 20


@pytest.mark.parametrize("archived", [False, True])
def test_a_log_is_bounded_by_bytes_and_not_by_its_count_alone(archived: bool) -> None:  # trap 26
    log = MsgStore(Retention(bytes_max=500_000), archived=archived)
    cursor = log.start()
    for offset in range(3000):
        log.append([Record(b"x" * 1000, offset)], 0.0)
        batch = log.read(cursor)
        assert isinstance(batch, Batch)
        batch.encoded(FRAMES)
        cursor = batch.next
        assert log.retained_bytes <= 500_000 + 2000  # what the read after the append encoded
    log.evict(0.0)
    assert log.retained_bytes <= 500_000
    assert log.tail == 3000
    assert log.head > 2000


def test_pages_read_from_the_archive_stay_within_the_bounds_too() -> None:  # trap 26
    log = MsgStore(Retention(bytes_max=300_000), archived=True)
    log.advance(20_000, 1)
    for start in range(0, 20_000, 500):
        page = [Record(b"x" * 200, 1)] * 500
        log.fill(start, page, 0.0)
        assert set(range(start, start + 500)) <= set(offsets_in_memory(log))
        assert log.retained_bytes <= 300_000


def test_what_is_counted_is_what_python_allocates() -> None:  # trap 26
    entries = [entry_of(1_700_000_000_000 + n, f"line {n} " + "x" * (n % 150), "stdout") for n in range(20_000)]
    log = MsgStore(Retention(bytes_max=10**9))
    tracemalloc.start()
    try:
        for start in range(0, len(entries), 100):
            log.append(records_of([bytes(bytearray(entry)) for entry in entries[start : start + 100]], 0), 0.0)
        check_counted(log, tracemalloc.get_traced_memory()[0])
        assert log.retained_bytes < 1.5 * sum(len(entry) for entry in entries)
        cursor = log.start()
        while isinstance(batch := log.read(cursor, 300), Batch):  # off the borders: slices are remembered too
            batch.encoded(FRAMES)
            cursor = batch.next
        check_counted(log, tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()


def test_a_page_of_the_archive_is_counted_as_what_it_takes_before_and_after_it_is_read() -> None:  # trap 26
    entries = [entry_of(1_700_000_000_000 + n, f"line {n} " + "x" * (n % 150), "stdout") for n in range(20_000)]
    log = MsgStore(Retention(bytes_max=10**9), archived=True)
    log.advance(len(entries), 1)
    tracemalloc.start()
    try:
        for start in range(0, len(entries), 4000):
            log.fill(start, records_of([bytes(bytearray(entry)) for entry in entries[start : start + 4000]], 0), 0.0)
        unread = log.retained_bytes
        check_counted(log, tracemalloc.get_traced_memory()[0])
        cursor = log.start()
        while isinstance(batch := log.read(cursor), Batch):
            assert batch.records().data == entries[batch.first : batch.next.offset]
            cursor = batch.next
        assert log.retained_bytes < unread
        del batch
        check_counted(log, tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()


def check_counted(log: MsgStore, allocated: int) -> None:
    assert 0.85 * allocated < log.retained_bytes < 1.15 * allocated


def test_with_an_archive_what_was_read_longest_ago_goes_first() -> None:
    pages = [range(start, start + 10) for start in (0, 10, 20, 30)]
    log = log_of(40, in_memory=pages)
    log.read(log.start(0))
    log.read(log.start(30))
    log.read(log.start(10))
    gone: list[int] = []
    while log.evict_one():
        gone.append(next(page.start for page in pages if page.start not in [*offsets_in_memory(log), *gone]))
    assert gone == [20, 0, 30, 10]


def test_without_an_archive_the_oldest_goes_first_whoever_read_it() -> None:
    log = log_of(4 * SEGMENT_RECORDS)
    log.read(log.start(0))
    log.evict_one()
    assert log.head == SEGMENT_RECORDS


def test_the_open_segment_is_the_last_to_stay() -> None:
    log = log_of(SEGMENT_RECORDS + 1, bytes_max=1, records_max=1)
    assert offsets_in_memory(log) == [SEGMENT_RECORDS]
    assert not log.evict_one()
    assert log.oldest_use() is None


def test_what_is_too_old_goes_wherever_it_stands() -> None:
    log = log_of(40, in_memory=[range(20, 30)], age_s_max=10.0)
    log.fill(0, [record(offset) for offset in range(10)], 8.0)
    log.append([record(40)], 8.0)
    log.evict(10.0)
    assert offsets_in_memory(log) == [*range(10), *range(20, 30), 40]
    log.evict(11.0)
    assert offsets_in_memory(log) == [*range(10), 40]
    log.evict(19.0)
    assert offsets_in_memory(log) == []
    log.append([record(41)], 19.0)
    assert offsets_in_memory(log) == [41]


def test_a_million_lines_can_be_followed_with_none_in_memory() -> None:
    log = MsgStore(archived=True)
    log.advance(1_000_000, 5)
    check(log, 123, Behind(0, 1_000_000))
    assert log.retained_bytes == 0
    assert log.last_position() == log_position(999_999, 5)
