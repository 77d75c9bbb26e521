"""The event stream of the HTML standard, section 9.2.6; its examples and what browsers are known to accept."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fantail.web.cli.event_parser import EventParser, EventTooLongError, ServerEvent


def parsed(chunks: list[bytes], last_id: str = "") -> list[ServerEvent]:
    parser = EventParser(last_id)
    return [event for chunk in chunks for event in parser.feed(chunk)]


def check(text: bytes, *expected: ServerEvent) -> None:
    assert parsed([text]) == list(expected)
    assert parsed([text[place : place + 1] for place in range(len(text))]) == list(expected)


def message(data: bytes | None, last_id: str = "", name: str = "message") -> ServerEvent:
    return ServerEvent(name, data, last_id)


def test_the_examples_of_the_standard() -> None:
    check(b"data: YHOO\ndata: +2\ndata: 10\n\n", message(b"YHOO\n+2\n10"))
    check(
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
        message(b"first event", "1"),
        message(b"second event"),
        message(b" third event"),
    )
    check(b"data\n\ndata\ndata\n\ndata:", message(b""), message(b"\n"))
    check(b"data:test\n\ndata: test\n\n", message(b"test"), message(b"test"))


def test_names_ids_and_retry() -> None:
    check(b"event: output\nid: 4-ab\ndata: {}\n\ndata: x\n\n", message(b"{}", "4-ab", "output"), message(b"x", "4-ab"))
    check(b"id: 9-cd\n\n", message(None, "9-cd"))
    check(b"id: a\0b\ndata: x\n\n", message(b"x"))
    parser = EventParser()
    parser.feed(b"retry: 1500\nretry: soon\nretry:\n\n")
    assert parser.retry_ms == 1500


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_every_kind_of_line_end_ends_a_line(end: bytes) -> None:
    check(end.join([b"data: a", b"data: b", b"", b"data: c", b"", b"x"]), message(b"a\nb"), message(b"c"))


def test_a_byte_order_mark_at_the_very_start_is_skipped() -> None:
    check(b"\xef\xbb\xbfdata: a\n\n", message(b"a"))


def test_the_last_id_goes_on_from_one_connection_to_the_next() -> None:
    assert parsed([b"data: x\n\n"], last_id="7-ef") == [message(b"x", "7-ef")]


def test_an_event_without_end_is_refused_before_it_fills_the_memory() -> None:
    parser = EventParser(event_bytes_max=1000)
    parser.feed(b"data: " + b"x" * 600 + b"\n")
    with pytest.raises(EventTooLongError):
        parser.feed(b"data: " + b"x" * 600)


FIELDS = st.sampled_from(
    [b"data: x", b"data", b"id: 1-a", b"event: output", b": keep-alive", b"retry: 10", b"\xc3\xa9: y", b""]
)
ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])
TEXTS = st.lists(st.tuples(FIELDS, ENDS).map(b"".join)).map(b"".join)


@given(text=TEXTS, places=st.lists(st.integers(0, 200), max_size=10))
@settings(max_examples=300, deadline=None)
def test_the_events_do_not_depend_on_the_cuts(text: bytes, places: list[int]) -> None:
    ends = sorted({place % (len(text) + 1) for place in places} | {len(text)})
    chunks = [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    assert parsed(chunks) == parsed([text])
