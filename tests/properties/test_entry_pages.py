"""A page of entries is recognised as a whole; what comes of it is what each entry by itself would have become."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fantail.broker.log.records import Records, entry_of, record_of, records_of

ONE = entry_of(1, "a", "stdout")

plain = st.builds(
    entry_of,
    st.integers(0, 10**15 - 1),
    st.text(max_size=20),
    st.sampled_from(["stdout", "stderr", "system", "error"]),
    st.none() | st.text(max_size=5),
)
pieces = st.sampled_from(
    [b'{"timestamp":', b"1", b"01", b"-1", b"1.5", b',"line":"', b"a", b'"', b"\\", b"\\u00e9", b"\\u001b", b"\\ud800",
     b"\n", b"\r", b"\x00", b"\xff", b"\xc3\xa9", b'","stream":"stdout"', b'","stream":"other"', b',"source":"x"', b"}",
     b" "],
)  # fmt: skip
broken = st.lists(pieces, max_size=12).map(b"".join)
nearly = st.tuples(plain, st.integers(0, 200), pieces).map(lambda it: it[0][: it[1]] + it[2] + it[0][it[1] :])


@given(st.lists(plain | broken | nearly | st.binary(max_size=10), max_size=6), st.sampled_from([10, 60, 1000]))
@example([ONE, ONE + b"\n" + ONE], 1000)
@example([b"", b"", ONE[:-1], b"}"], 1000)
@example([ONE + b"\n"], 1000)
def test_a_page_becomes_what_its_entries_become(entries: list[bytes], line_bytes_max: int) -> None:
    assert list(records_of(entries, 7, line_bytes_max)) == [record_of(entry, 7, line_bytes_max) for entry in entries]


def test_plain_entries_are_shown_as_they_are_stored() -> None:
    entries = [entry_of(number, 'a "line" \t \x1b[0m é 🙂 \\', "stderr", "tool") for number in range(100)]
    page = records_of(entries, 0)
    assert all(shown is stored for shown, stored in zip(page.data, entries, strict=True))


def test_records_by_columns_are_a_sequence_of_records() -> None:
    listed = [record_of(entry_of(number, "x", "stdout"), 0) for number in range(5)]
    columns = Records.of(iter(listed))
    assert Records.of(columns) is columns
    assert list(columns) == listed
    assert columns[-1] == listed[-1]
    assert list(columns[1:3]) == listed[1:3]
    assert len(columns) == 5
    with pytest.raises(IndexError):
        columns[5]
    assert orjson.loads(columns[0].data)["line"] == "x"
