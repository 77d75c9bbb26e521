"""Event ids: what is written is read back, and whatever else a client sends means "from the start"."""

from __future__ import annotations

from array import array

import pytest

from fantail.broker.limits import POSITION_BYTES_MAX
from fantail.broker.log.msg_store import MsgStore
from fantail.broker.log.position import (
    Position,
    checksum,
    empty_log_position,
    log_position,
    log_tag,
    log_tags,
    parse_position,
)
from fantail.broker.log.records import record_of


def check(text: str | None, expected: Position | None) -> None:
    assert parse_position(text) == expected
    if expected is not None:
        assert str(expected) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0-0", Position(0, "0")),
        ("0-0.end", Position(0, "0", end=True)),
        ("41-1b2c3d4e", Position(41, "1b2c3d4e")),
        ("41-1b2c3d4e.end", Position(41, "1b2c3d4e", end=True)),
        ("17-9f3c_A-Z", Position(17, "9f3c_A-Z")),
        ("999999999999999-a", Position(999_999_999_999_999, "a")),
        ("1-" + "a" * 96, Position(1, "a" * 96)),
    ],
)
def test_a_position_is_read_back_as_it_was_written(text: str, expected: Position) -> None:
    check(text, expected)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "-",
        "1",
        "1-",
        "-a",
        "-1-a",
        "+1-a",
        "01-a",
        "1 -a",
        "1-a ",
        " 1-a",
        "1-a\n",
        "1-a\r\nid: 2-b",
        "1-a.END",
        "1-a.end.end",
        "1-.end",
        "1-a.b",
        "1-é",
        "١-a",
        "1-a\0",
        "1_0-a",
        "1e3-a",
        "1000000000000000-a",
        "1-" + "a" * 97,
        "9" * 5000 + "-a",
        "1-" + "a" * 1_000_000,
        "undefined",
        "null",
    ],
    ids=lambda text: repr(text)[:40],
)
def test_a_malformed_position_is_treated_as_absent(text: str | None) -> None:
    check(text, None)


def test_the_longest_position_is_within_the_bound() -> None:
    longest = Position(999_999_999_999_999, "a" * 96, end=True)
    check(str(longest), longest)
    assert len(str(longest)) <= POSITION_BYTES_MAX


def test_the_tag_of_a_log_is_the_crc_32_of_the_entry_in_eight_hex_digits() -> None:
    assert log_tag(checksum(b"123456789")) == "cbf43926"  # the check value of CRC-32/ISO-HDLC
    assert log_tag(checksum(b"")) == "00000000"


@pytest.mark.parametrize("crcs", [[0], [1, 0xFFFFFFFF], [0x0A0B0C0D, 0x20202020, 7]])
def test_the_tags_of_many_are_those_of_each(crcs: list[int]) -> None:
    assert log_tags(array("I", crcs)) == [log_tag(crc).encode() for crc in crcs]
    assert str(log_position(3, 0xAB)) == "3-000000ab"


def test_a_log_without_records_ends_only_where_it_is_said_to_end() -> None:
    log = MsgStore()
    assert str(log.last_position()) == "0-0"
    assert str(log.last_position(end=True)) == "0-0.end"
    assert empty_log_position() == Position(0, "0")


def test_the_last_position_is_that_of_the_last_record_in_memory_or_not() -> None:
    log = MsgStore(archived=True)
    log.append([record_of(b"a", 0), record_of(b"b", 0)], 0.0)
    assert log.last_position() == log_position(1, checksum(b"b"))
    log.advance(9, checksum(b"c"))
    assert log.last_position(end=True) == log_position(8, checksum(b"c"), end=True)
