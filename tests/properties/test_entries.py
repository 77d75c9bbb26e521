"""Whatever bytes are in a list, each entry is one record that any client can be sent (traps 7 and 29)."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fantail.broker.lenient_json import without_surrogates
from fantail.broker.log.records import STREAMS, entry_of, line_of, record_of

LINE_BYTES_MAX = 64

numbers = st.integers() | st.floats() | st.integers(2**60, 2**70) | st.sampled_from([10**400, -(10**400)])
leaves = st.none() | st.booleans() | numbers | st.text(st.characters(), max_size=30)
values: st.SearchStrategy[Any] = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)
streams: st.SearchStrategy[Any] = st.sampled_from(sorted(STREAMS)) | st.sampled_from(["stdlog", None, [], {}])
lines = st.text(st.characters(), max_size=200)
shaped = st.fixed_dictionaries(
    {"timestamp": numbers | values, "line": lines | values, "stream": streams},
    optional={"source": st.text() | values, "more": values},
)


@st.composite
def nearly_entries(draw: st.DrawFn) -> bytes:
    """JSON of the shape or nearly so, in every way of writing it, sometimes with a byte gone wrong."""
    value = draw(shaped | values)
    indent, ascii_only = draw(st.sampled_from([None, 1])), draw(st.booleans())
    entry = bytearray(json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass"))
    if draw(st.booleans()):
        where = draw(st.integers(0, len(entry) - 1))
        entry[where] = draw(st.integers(0, 255))
    return draw(st.sampled_from([b"", b"\xef\xbb\xbf", b"\n"])) + bytes(entry)


def check(entry: bytes, fallback_ms: int) -> None:
    record = record_of(entry, fallback_ms, LINE_BYTES_MAX)
    assert not any(forbidden in record.data for forbidden in (b"\r", b"\n", b"\0"))
    value = json.loads(record.data.decode("utf-8"), parse_constant=pytest.fail)
    assert type(value) is dict
    assert type(value["line"]) is str
    value["line"].encode()  # no lone surrogate
    assert value["stream"] in STREAMS
    assert type(value["timestamp"]) in (int, float)
    assert type(value.get("source", "")) is str
    assert len(record.data) <= 6 * LINE_BYTES_MAX + 1024
    assert record.crc == zlib.crc32(entry)
    assert record_of(bytes(bytearray(entry)), fallback_ms, LINE_BYTES_MAX) == record
    whole = line_of(entry)
    if len(whole.encode()) <= LINE_BYTES_MAX:
        assert whole == value["line"]
    else:
        assert whole.encode()[: LINE_BYTES_MAX - 4] == value["line"].encode()[: LINE_BYTES_MAX - 4]


@given(entry=st.binary(max_size=300), fallback_ms=st.integers(-(2**53), 2**53))
@settings(max_examples=300, deadline=None)
def test_any_bytes_give_one_valid_record(entry: bytes, fallback_ms: int) -> None:
    check(entry, fallback_ms)


@given(entry=nearly_entries())
@example(entry=b'{"timestamp":1,"line":"x","stream":[]}')
@example(entry=b'{"timestamp":' + b"1" * 400 + b',"line":"\xff","stream":"stdout"}')
@example(entry=b'{"timestamp":1e999,"line":"\xff","stream":"stdout"}')
@settings(max_examples=600, deadline=None)
def test_whatever_is_nearly_an_entry_gives_one_valid_record(entry: bytes) -> None:
    check(entry, 0)


@given(
    timestamp_ms=st.integers(0, 2**53), line=lines, stream=st.sampled_from(sorted(STREAMS)), source=st.none() | lines
)
@settings(deadline=None)
def test_what_a_producer_writes_is_read_back(timestamp_ms: int, line: str, stream: str, source: str | None) -> None:
    entry = entry_of(timestamp_ms, line, stream, source)
    assert line_of(entry) == without_surrogates(line)
    assert record_of(entry, 0).data == entry
