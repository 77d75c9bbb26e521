"""Bodies of lines to entries: whatever the lines, and however the body is cut into chunks."""

from __future__ import annotations

import json
import tracemalloc
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fantail.broker.log.records import record_of
from fantail.web.logscan.batches import batches
from fantail.web.rest.ingest_parser import NdjsonParser, TextParser, entry_of_record, parser_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fantail.web.rest.ingest_parser import Parser

NOW_MS = 1_700_000_000_000
RECORD_BYTES_MAX = 64


def parsed(parser: Parser, chunks: Sequence[bytes]) -> list[bytes]:
    entries = [entry for chunk in chunks for entry in parser.feed(chunk, NOW_MS)]
    return entries + parser.flush(NOW_MS)


def cut(body: bytes, places: Sequence[int]) -> list[bytes]:
    borders = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    return [body[first:last] for first, last in pairwise(borders)]


# -- properties -------------------------------------------------------------------------------------------------------

SYNTAX = [b"\n", b"\r\n", b"\r", b"\x00", b"{", b"}", b'"', b"\\", b" "]
UTF8 = ["ä€🐦".encode(), b"\xc3", b"\xa4", b"\xf0\x9f\x90\xa6", b"\xff"]
RECORDS = [b'{"line":"a"}', b'{"line":7}', b'{"line":"\\ud83d"}', b'{"line":"","source":null}', b"null", b"[1,2]"]
parts = st.sampled_from([*SYNTAX, *UTF8, *RECORDS, b"abcdefgh" * 4])
bodies = st.one_of(st.binary(max_size=300), st.lists(parts, max_size=40).map(b"".join))
parsers: list[Callable[[], Parser]] = [TextParser, lambda: NdjsonParser(RECORD_BYTES_MAX), NdjsonParser]


@pytest.mark.parametrize("make", parsers)
@given(body=bodies, places=st.lists(st.integers(0, 1000), max_size=12))
@example(body="ä\n€".encode(), places=list(range(8)))
@example(body=b"x" * 65 + b"\n{}", places=[64, 65, 66])
@example(body=b"x" * 64 + b"\r\n\r\n" + b"y" * 70, places=[65])
def test_the_entries_do_not_depend_on_how_the_body_was_cut(
    make: Callable[[], Parser], body: bytes, places: list[int]
) -> None:
    whole, pieces, bytewise = make(), make(), make()
    entries = parsed(whole, [body])
    assert parsed(pieces, cut(body, places)) == entries
    assert parsed(bytewise, [body[at : at + 1] for at in range(len(body))]) == entries
    assert whole.refused == pieces.refused == bytewise.refused


@pytest.mark.parametrize("make", parsers)
@given(body=bodies)
def test_every_entry_is_one_that_viewers_get_as_it_is(make: Callable[[], Parser], body: bytes) -> None:
    for entry in parsed(make(), [body]):
        record = record_of(entry, 0)
        value, kept = orjson.loads(record.data), orjson.loads(entry)
        assert {name: value[name] for name in ("timestamp", "stream")} == {
            name: kept[name] for name in ("timestamp", "stream")
        }
        assert value["line"] == kept["line"]


@given(body=st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1).map(str.encode))
def test_text_comes_back_as_it_was(body: bytes) -> None:
    (entry,) = parsed(TextParser(), [body])
    line = body.decode().removesuffix("\r")
    assert orjson.loads(entry) == {"timestamp": NOW_MS, "line": line, "stream": "stdout"}


@pytest.mark.parametrize("place", range(22))
def test_a_line_of_text_may_end_with_crlf_wherever_the_body_is_cut(place: int) -> None:
    body = b"one\r\n\r\n10%\r20%\r\nlast\r"
    entries = parsed(TextParser(), [body[:place], body[place:]])
    assert [orjson.loads(entry)["line"] for entry in entries] == ["one", "", "10%\r20%", "last"]


@pytest.mark.parametrize("make", parsers)
@given(body=bodies)
def test_before_the_end_only_whole_lines_are_entries(make: Callable[[], Parser], body: bytes) -> None:
    parser, cut_off = make(), make()
    entries = parsed(parser, [body[: body.rfind(b"\n") + 1]])
    assert cut_off.feed(body, NOW_MS)[: len(entries)] == entries
    if len(body) < RECORD_BYTES_MAX:
        assert cut_off.feed(b"", NOW_MS) == []


@given(sizes=st.lists(st.integers(0, 20), max_size=30), records=st.integers(1, 5), size=st.integers(1, 40))
def test_batches_are_bounded_and_lose_nothing(sizes: list[int], records: int, size: int) -> None:
    entries = [bytes([at]) * length for at, length in enumerate(sizes)]
    made = [list(batch) for batch in batches(entries, records, size)]
    assert [entry for batch in made for entry in batch] == entries
    for batch in made:
        assert 1 <= len(batch) <= records
        assert len(batch) == 1 or sum(map(len, batch)) <= size


# -- cases ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "entry"),
    [
        ('{"line":"a"}', {"timestamp": NOW_MS, "line": "a", "stream": "stdout"}),
        (
            '{"line":"a","timestamp":5,"stream":"stderr","source":"b"}',
            {"timestamp": 5, "line": "a", "stream": "stderr", "source": "b"},
        ),
        ('{"line":"a","level":3}', {"timestamp": NOW_MS, "line": "a", "stream": "stdout", "level": 3}),
        ('{"line":"a","stream":"info"}', {"timestamp": NOW_MS, "line": "a", "stream": "stdout"}),
        ('{"line":"a","stream":["stderr"]}', {"timestamp": NOW_MS, "line": "a", "stream": "stdout"}),
        ('{"line":"a","timestamp":"now"}', {"timestamp": NOW_MS, "line": "a", "stream": "stdout"}),
        ('{"line":"a","timestamp":true}', {"timestamp": NOW_MS, "line": "a", "stream": "stdout"}),
        ('{"line":"a","timestamp":-1}', {"timestamp": NOW_MS, "line": "a", "stream": "stdout"}),
        ('{"line":"a","timestamp":1e999}', {"timestamp": NOW_MS, "line": "a", "stream": "stdout"}),
        (
            '{"line":"a","timestamp":99999999999999999999999}',
            {"timestamp": NOW_MS, "line": "a", "stream": "stdout"},
        ),
        ('{"line":"a","source":7}', {"timestamp": NOW_MS, "line": "a", "stream": "stdout", "source": "7"}),
        ('{"line":"a","source":null}', {"timestamp": NOW_MS, "line": "a", "stream": "stdout"}),
        ('{"line":"a\\nb"}', {"timestamp": NOW_MS, "line": "a\nb", "stream": "stdout"}),
        ('{"line":"\\ud83d\\ude00"}', {"timestamp": NOW_MS, "line": "😀", "stream": "stdout"}),
        ('{"line":"\\ud83d"}', {"timestamp": NOW_MS, "line": "\ufffd", "stream": "stdout"}),
        ('  {"line":"a"}\r', {"timestamp": NOW_MS, "line": "a", "stream": "stdout"}),
        ("just text", {"timestamp": NOW_MS, "line": "just text", "stream": "stdout"}),
        ("  indented", {"timestamp": NOW_MS, "line": "  indented", "stream": "stdout"}),
        ('{"line":7}', {"timestamp": NOW_MS, "line": '{"line":7}', "stream": "stdout"}),
        ('{"message":"a"}', {"timestamp": NOW_MS, "line": '{"message":"a"}', "stream": "stdout"}),
        ("null", {"timestamp": NOW_MS, "line": "null", "stream": "stdout"}),
        ('"a"', {"timestamp": NOW_MS, "line": '"a"', "stream": "stdout"}),
        ('{"line":"a"', {"timestamp": NOW_MS, "line": '{"line":"a"', "stream": "stdout"}),
        ("NaN", {"timestamp": NOW_MS, "line": "NaN", "stream": "stdout"}),
    ],
)
def test_a_record_becomes_an_entry_with_what_is_absent_filled_in(record: str, entry: dict[str, Any]) -> None:
    assert json.loads(entry_of_record(record.encode(), NOW_MS)) == entry


def test_a_record_of_any_depth_is_a_line() -> None:
    for record in (b"[" * 100_000, b'{"line":' * 50_000, b'{"line":"a","x":' + b"[" * 2000 + b"]" * 2000 + b"}"):
        assert orjson.loads(entry_of_record(record, NOW_MS))["stream"] == "stdout"


def test_bytes_that_are_no_utf8_are_replaced() -> None:
    (text,) = parsed(TextParser(), [b"a\xffb"])
    (record,) = parsed(NdjsonParser(), [b'{"line":"a\xffb","stream":"stderr"}'])
    assert orjson.loads(text)["line"] == orjson.loads(record)["line"] == "a\ufffdb"
    assert orjson.loads(record)["stream"] == "stderr"


def test_empty_lines_are_lines_of_text_and_nothing_in_ndjson() -> None:
    assert [orjson.loads(entry)["line"] for entry in parsed(TextParser(), [b"\n\na\n"])] == ["", "", "a"]
    assert [orjson.loads(entry)["line"] for entry in parsed(NdjsonParser(), [b"\n \r\na\n"])] == ["a"]


def test_an_overlong_line_of_text_is_cut_and_nothing_of_it_lost() -> None:
    entries = parsed(TextParser("stderr"), [b"z" * 3_000_000 + b"\nend"])
    lines = [orjson.loads(entry)["line"] for entry in entries]
    assert sum(line.count("z") for line in lines) == 3_000_000
    assert lines[-1] == "end"
    assert all(orjson.loads(entry)["stream"] == "stderr" for entry in entries)


def test_an_overlong_record_ends_the_body_and_leaves_what_came_before() -> None:
    parser = NdjsonParser(10)
    assert len(parser.feed(b"a\nb\n12345678901\nc\n", NOW_MS)) == 2
    assert parser.refused == "A record is longer than 10 bytes"
    assert parser.feed(b"d\n", NOW_MS) == parser.flush(NOW_MS) == []


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("", TextParser),
        ("text/plain; charset=utf-8", TextParser),
        ("application/x-www-form-urlencoded", TextParser),
        ("application/octet-stream", TextParser),
        ("application/x-ndjson", NdjsonParser),
        ("Application/NDJSON; charset=utf-8", NdjsonParser),
        ("application/json", NdjsonParser),
        ("application/jsonl", NdjsonParser),
    ],
)
def test_the_content_type_says_which_form_it_is(content_type: str, kind: type[Parser]) -> None:
    assert isinstance(parser_for(content_type), kind)


@pytest.mark.parametrize("make", [TextParser, NdjsonParser])
def test_a_record_in_tiny_pieces_takes_no_more_memory_than_its_bytes(make: Callable[[], Parser]) -> None:
    parser = make()
    size = 200_000
    tracemalloc.start()
    try:
        for number in range(size // 2):
            parser.feed(b"%02d" % (number % 100), NOW_MS)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2 * size
