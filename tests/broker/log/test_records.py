"""What becomes of an entry, whatever a producer pushed: one record that every viewer can be sent."""

from __future__ import annotations

import json
import time
import zlib
from typing import Any

import pytest

from fantail.broker.lenient_json import without_surrogates
from fantail.broker.limits import LINE_BYTES_MAX, NESTING_MAX
from fantail.broker.log.records import entry_of, line_of, record_of, records_of

NOON_MS = 1_700_000_000_000


def check(entry: bytes, expected: dict[str, Any], line_bytes_max: int = LINE_BYTES_MAX) -> None:
    record = record_of(entry, NOON_MS, line_bytes_max)
    assert json.loads(record.data) == expected
    assert not {b"\r", b"\n", b"\0"} & {record.data[i : i + 1] for i in range(len(record.data))}
    assert record.crc == zlib.crc32(entry)
    assert record_of(entry, NOON_MS, line_bytes_max) == record


def text(line: str) -> dict[str, Any]:
    """What is shown of an entry that is not of the shape: its own text."""
    return {"timestamp": NOON_MS, "line": line, "stream": "stdout"}


def output(line: str, **more: Any) -> dict[str, Any]:
    return {"timestamp": 1, "line": line, "stream": "stdout", **more}


def stored(line: str, **more: Any) -> bytes:
    return json.dumps(output(line, **more)).encode()


def test_a_well_formed_entry_is_passed_on_byte_by_byte() -> None:
    entry = b'{"timestamp": 1, "line": "hi\\n", "stream": "stderr", "source": "npm", "more": [1]}'
    assert record_of(entry, 0).data is entry


@pytest.mark.parametrize("stream", ["stdout", "stderr", "system", "error"])
def test_the_four_streams_are_known(stream: str) -> None:
    check(stored("hi", stream=stream), output("hi", stream=stream))


@pytest.mark.parametrize(
    "entry",
    [
        b"",
        b"plain text",
        b"null",
        b"42",
        b'"a string"',
        b"[1,2]",
        b"{}",
        b'{"line":"no more"}',
        b'{"timestamp":1,"line":"x"}',
        b'{"timestamp":1,"line":"x","stream":"stdlog"}',
        b'{"timestamp":1,"line":"x","stream":null}',
        b'{"timestamp":1,"line":"x","stream":[]}',
        b'{"timestamp":1,"line":"x","stream":{}}',
        b'{"timestamp":1,"line":5,"stream":"stdout"}',
        b'{"timestamp":1,"line":null,"stream":"stdout"}',
        b'{"timestamp":"1","line":"x","stream":"stdout"}',
        b'{"timestamp":true,"line":"x","stream":"stdout"}',
        b'{"timestamp":null,"line":"x","stream":"stdout"}',
        b'{"timestamp":NaN,"line":"x","stream":"stdout"}',
        b'{"timestamp":-Infinity,"line":"x","stream":"stdout"}',
        b'{"timestamp":1e999,"line":"x","stream":"stdout"}',
        b'{"timestamp":1,"line":"x","stream":"stdout","source":7}',
        b'{"timestamp":1,"line":"x","stream":"stdout"',
        b'{"timestamp":1,"line":"x","stream":"stdout"}}',
        b'\xef\xbb\xbf{"timestamp":1,"line":"x","stream":"stdout"}',
        b'{"timestamp":' + b"1" * 400 + b',"line":"x","stream":"stdout"}',
        b'{"timestamp":' + b"1" * 5000 + b',"line":"x","stream":"stdout"}',
        b"[" * 100_000,
        b"{" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=lambda entry: repr(entry[:60]),
)
def test_an_entry_not_of_the_shape_is_shown_as_a_line_of_its_own_text(entry: bytes) -> None:
    check(entry, text(entry.decode()))
    assert line_of(entry) == entry.decode()


@pytest.mark.parametrize("entry", [b"\xff\xfe\0\r\n", b"a\0b\rc\nd", b"\xed\xa0\x80", bytes(range(256))])
def test_bytes_that_are_no_text_are_shown_with_replacement_characters(entry: bytes) -> None:
    check(entry, text(entry.decode("utf-8", "replace")))
    assert line_of(entry) == entry.decode("utf-8", "replace")


@pytest.mark.parametrize("blank", [b"\r", b"\n", b"\r\n", b" \n\t"])
def test_an_entry_written_over_several_lines_is_joined(blank: bytes) -> None:
    check(b'{"timestamp":1,' + blank + b'"line":"hi","stream":"stdout"}' + blank, output("hi"))


def test_the_last_of_two_members_of_one_name_counts() -> None:
    entry = b'{"timestamp":1,"line":"a","line":"b","stream":"stdout"}'
    check(entry, output("b"))
    assert line_of(entry) == "b"


def test_broken_utf8_inside_a_line_is_replaced_and_the_rest_kept() -> None:
    entry = b'{"timestamp":1,"line":"a\xffb","stream":"stderr","source":"x\xc3"}'
    check(entry, output("a\ufffdb", stream="stderr", source="x\ufffd"))
    assert line_of(entry) == "a\ufffdb"


@pytest.mark.parametrize(
    ("escaped", "shown"),
    [
        (r"cut \ud83d", "cut \ufffd"),
        (r"\ude00 cut", "\ufffd cut"),
        (r"\ude00\ud83d", "\ufffd\ufffd"),
        (r"\ud83d\ude00", "\U0001f600"),
        (r"\ud83da", "\ufffda"),
    ],
)
def test_a_lone_surrogate_is_replaced_and_a_pair_is_its_character(escaped: str, shown: str) -> None:
    entry = b'{"timestamp":1,"line":"%s","stream":"stdout","tags":{"%s":["%s"]}}' % ((escaped.encode(),) * 3)
    check(entry, output(shown, tags={shown: [shown]}))
    assert line_of(entry) == shown


def test_numbers_past_64_bits_do_not_stop_a_line_that_must_be_repaired() -> None:
    entry = b'{"timestamp":%s,"line":"\xff","stream":"stdout","more":-%s}' % (b"1" * 30, b"2" * 30)
    check(entry, output("\ufffd", timestamp=float("1" * 30), more=float("-" + "2" * 30)))


def test_a_valid_entry_too_deep_to_be_rewritten_keeps_its_line_and_loses_what_is_deep() -> None:
    for depth in (300, 900, 1023):
        check(
            b'{"timestamp":1,\n"line":"hi","stream":"stdout","deep":' + b"[" * depth + b"]" * depth + b"}", output("hi")
        )


def test_how_deep_a_broken_entry_may_be_does_not_depend_on_its_reader() -> None:
    def from_a_depth_of(frames: int, entry: bytes) -> bytes:
        return from_a_depth_of(frames - 1, entry) if frames else record_of(entry, NOON_MS).data

    for depth in (NESTING_MAX - 1, NESTING_MAX, 300, 700, 900, 5000):
        entry = b'{"timestamp":1,"line":"\xff","stream":"stdout","deep":' + b"[" * depth + b"]" * depth + b"}"
        near, far = from_a_depth_of(0, entry), from_a_depth_of(400, entry)
        assert near == far
        assert (json.loads(near)["line"] == "\ufffd") == (depth < NESTING_MAX)


def test_brackets_inside_a_string_are_no_nesting() -> None:
    line = '["\\' * 5000
    entry = stored(line).replace(b'"stdout"', b'"stdout","more":"\xff"')
    check(entry, output(line, more="\ufffd"))


@pytest.mark.parametrize("entry", [b'"' * 300_000, b'"\\"' * 100_000, b"\\" * 300_000, b'["\\' * 100_000, b'"\\'])
def test_a_hostile_entry_takes_time_in_proportion_to_its_length(entry: bytes) -> None:
    started_s = time.process_time()
    record_of(entry + b"\xff", NOON_MS)
    assert time.process_time() - started_s < 2  # quadratic would be minutes


def test_a_line_of_just_the_bound_is_whole_and_one_more_is_cut_with_a_mark() -> None:
    check(stored("x" * 100), output("x" * 100), line_bytes_max=100)
    mark = " … [1 of 101 bytes left out here; the download has the whole line]"
    check(stored("x" * 101), output("x" * 100 + mark), line_bytes_max=100)
    check(b"x" * 101, text("x" * 100 + mark), line_bytes_max=100)
    assert line_of(stored("x" * 101)) == "x" * 101


def test_a_line_is_cut_between_characters() -> None:
    mark = " … [4 of 12 bytes left out here; the download has the whole line]"
    check(stored("\U0001f600" * 3), output("\U0001f600" * 2 + mark), line_bytes_max=10)


def test_members_nobody_asked_for_are_left_out_where_they_are_the_bulk() -> None:
    check(stored("hi", more="x" * 5000, source="npm"), output("hi"), line_bytes_max=100)
    check(stored("hi", more="x" * 500, source="npm"), output("hi", more="x" * 500, source="npm"), line_bytes_max=100)


def test_a_line_of_control_characters_stays_within_the_bound() -> None:
    record = record_of(b"\x01" * 100_000, NOON_MS, 10_000)
    assert len(record.data) <= 6 * 10_000 + 1024


def test_what_a_producer_writes_is_read_back() -> None:
    for line in ("", "hi", "é\n\r\0\t", '"\\', "\U0001f600"):
        for source in (None, "npm"):
            entry = entry_of(5, line, "stderr", source)
            assert line_of(entry) == line
            assert record_of(entry, 0).data == entry
            assert json.loads(entry).get("source") == source
    assert line_of(entry_of(5, "cut \ud83d", "stdout", "\ud83d")) == "cut \ufffd"


def test_a_page_gives_one_record_for_each_entry() -> None:
    plain = entry_of(1, "a", "stdout")
    for entries in ([], [plain, plain], [stored("a"), b"", b"b"], [plain, plain + b"\n" + plain], [plain + b"\n"]):
        assert list(records_of(entries, 7)) == [record_of(entry, 7) for entry in entries]


def test_two_entries_in_one_with_a_line_feed_between_are_one_line_and_no_event() -> None:  # trap 29
    plain = entry_of(1, "a", "stdout")
    both = plain + b"\n" + plain
    check(both, text(both.decode()))
    assert b"\n" not in records_of([both], NOON_MS)[0].data


def test_a_string_without_lone_surrogates_is_returned_as_it_is() -> None:
    whole = "é\U0001f600"
    assert without_surrogates(whole) is whole
