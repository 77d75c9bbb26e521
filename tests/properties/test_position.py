"""Any text is a position or means "from the start", and a position is read back as it was written."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from fantail.broker.limits import POSITION_BYTES_MAX
from fantail.broker.log.position import Position, checksum, log_position, parse_position

TAG_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-"
tags = st.text(st.sampled_from(TAG_LETTERS), min_size=1, max_size=96)
positions = st.builds(Position, st.integers(0, 10**15 - 1), tags, st.booleans())


def check(position: Position) -> None:
    text = str(position)
    assert parse_position(text) == position
    assert re.fullmatch(r"[0-9A-Za-z._-]+", text, re.ASCII)
    assert len(text) <= POSITION_BYTES_MAX


@given(positions)
@settings(deadline=None)
def test_every_position_is_read_back_and_is_a_valid_event_id(position: Position) -> None:
    check(position)


@given(st.integers(0, 10**15 - 1), st.binary(max_size=50), st.booleans())
@settings(deadline=None)
def test_the_position_of_any_entry_is_read_back(offset: int, entry: bytes, end: bool) -> None:
    check(log_position(offset, checksum(entry), end=end))


@given(st.text(max_size=200) | st.from_regex(r"[0-9]{1,20}-[0-9a-f.end-]{0,120}(\.end)?\s?", fullmatch=True))
@settings(deadline=None, max_examples=300)
def test_any_other_text_means_from_the_start(text: str) -> None:
    position = parse_position(text)
    if position is not None:
        assert str(position) == text
        check(position)
