"""Frames are what they should be, and nothing in a value can become an event of its own (trap 29)."""

from __future__ import annotations

import re

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fantail.broker.log.position import Position
from fantail.broker.log.records import records_of
from fantail.web.sse.response import comment, frame, position_only, retry
from fantail.web.streams.repobox import OUTPUT
from fantail.web.streams.vibe_kanban import LOG
from support.clients.sse_client import EventParser

PIECES = [
    "\r",
    "\n",
    "\0",
    "\u2028",
    "\u0085",
    ":",
    "a",
    " ",
    "id: 9",
    "data: x",
    "event: done",
    "\n\n",
    "\r\r",
    "\r\n",
]
HOSTILE = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


def check(encoded: bytes, *parsed: tuple[str, str, str]) -> None:
    """The bytes parse to exactly these events of name, data and id, whole and byte by byte, and leave nothing over."""
    for chunks in ([encoded], [encoded[i : i + 1] for i in range(len(encoded))]):
        parser = EventParser()
        events = [event for chunk in chunks for event in parser.feed(chunk)]
        assert [(event.name, event.data, event.id) for event in events] == list(parsed)
        assert parser._buffer == b""
        assert not parser._data


def test_a_frame_has_its_id_its_name_and_its_data() -> None:
    assert frame(b"{}", event="done", position="3-ab.end") == b"id: 3-ab.end\nevent: done\ndata: {}\n\n"
    check(frame(b'{"a":1}'), ("message", '{"a":1}', ""))
    check(frame(b"{}", event="ready", position=Position(7, "e")), ("ready", "{}", "7-e"))


def test_a_position_alone_is_no_event() -> None:
    parser = EventParser()
    assert parser.feed(position_only("9-x")) == []
    assert parser.last_id == "9-x"


@given(st.binary(max_size=60) | HOSTILE.map(str.encode))
def test_data_stays_in_its_frame_whatever_it_holds(data: bytes) -> None:
    made = frame(data, event="output", position="1-ab")
    assert made.startswith(b"id: 1-ab\nevent: output\ndata: ")
    assert made.endswith(b"\n\n")
    body = made[len(b"id: 1-ab\nevent: output\ndata: ") : -2]
    assert not re.search(rb"[\r\n\0]", body)
    assert len(body) == len(data)


@given(
    st.recursive(HOSTILE | st.booleans() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(HOSTILE, inner))
)
def test_json_is_the_same_json_after_its_way_through_a_frame(value: object) -> None:
    pretty = orjson.dumps(value, option=orjson.OPT_INDENT_2)
    parser = EventParser()
    (event,) = parser.feed(frame(pretty))
    assert event.json == value


@given(HOSTILE)
def test_an_id_or_a_name_that_could_break_out_is_refused(word: str) -> None:
    if re.fullmatch(r"[0-9A-Za-z._-]+", word):
        return
    with pytest.raises(ValueError, match="neither"):
        frame(b"{}", event=word)
    with pytest.raises(ValueError, match="neither"):
        frame(b"{}", position=word)


@given(HOSTILE)
def test_a_comment_is_one_line(text: str) -> None:
    made = comment(text)
    assert made.startswith(b": ")
    assert made.count(b"\n") == 2
    assert b"\r" not in made
    check(made)


ENTRY = (
    st.binary(max_size=40)
    | HOSTILE.map(str.encode)
    | st.builds(
        lambda line, stream, source: orjson.dumps({"timestamp": 1, "line": line, "stream": stream, "source": source}),
        HOSTILE,
        st.sampled_from(["stdout", "stderr", "system"]),
        HOSTILE,
    )
)


@given(st.lists(ENTRY, min_size=1, max_size=5))
def test_any_entry_of_a_list_becomes_exactly_one_event_of_each_face(entries: list[bytes]) -> None:
    records = records_of(entries, 0)
    for encoding, name in ((OUTPUT, "output"), (LOG, "message")):
        parser = EventParser()
        events = parser.feed(b"".join(encoding.encode(5, records)))
        assert [event.name for event in events] == [name] * len(entries)
        assert [event.id for event in events] == [f"{5 + i}-{record.crc:08x}" for i, record in enumerate(records)]
        assert all(isinstance(event.json, dict) for event in events)


def test_retry_differs_from_client_to_client() -> None:
    made = {retry((1000, 3000)) for _ in range(100)}
    assert len(made) > 10
    assert all(1000 <= int(line.split()[1]) <= 3000 for line in made)
