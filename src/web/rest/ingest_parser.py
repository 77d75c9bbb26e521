"""A body of lines in, entries of an output list out: what producers without Redis send over HTTP.

Two forms. Text: every line becomes an entry of its own, on one stream, at the time it arrived; a line ends with LF or
CRLF. NDJSON: every line is a JSON object `{"line":str,"timestamp"?:ms,"stream"?:str,"source"?:str}`, further members
are kept; what is absent or wrong is filled in (now, `stdout`), an empty line is skipped, and a line that is not such an
object is a line of text.

What holds: the entries do not depend on how the body was cut into chunks (tests/web/rest/test_ingest_parser.py). Only
whole lines become entries before `flush`, so a body that is cut off leaves no half of one. Every entry is valid for
`fantail.broker.log.records` as it is. At most one record is held in memory; an NDJSON record longer than that is
refused, with everything before it accepted; an overlong line of text is cut into pieces, as `fantail run` cuts it.

No I/O and no clock here: bytes and the time are arguments.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Protocol

import orjson

from fantail.broker.log.records import STREAMS, entry_of
from fantail.broker.producers.runner.line_decoder import LineDecoder
from fantail.web.limits import INGEST_RECORD_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

JSON_TYPES: Final = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines", "application/json"}
)
# The year 5138; a larger number is in microseconds, or in jest.
TIME_MS_END: Final = 10**14


class Parser(Protocol):
    """Turns one body into entries.

    Attributes:
        refused: why the body is not read any further; None while it is.
    """

    refused: str | None

    def feed(self, chunk: bytes, now_ms: int) -> list[bytes]:
        """Takes the next bytes; returns the entries of the lines that they complete."""

    def flush(self, now_ms: int) -> list[bytes]:
        """Takes the end of the body; returns the entry of a last line without a line feed."""


class TextParser:
    """Lines of text on one stream."""

    def __init__(self, stream: str = "stdout") -> None:
        self.refused: str | None = None
        self._stream = stream
        self._lines = LineDecoder()

    def feed(self, chunk: bytes, now_ms: int) -> list[bytes]:
        """See `Parser`."""
        return self._entries(self._lines.feed(chunk), now_ms)

    def flush(self, now_ms: int) -> list[bytes]:
        """See `Parser`."""
        return self._entries(self._lines.flush(), now_ms)

    def _entries(self, lines: Sequence[str], now_ms: int) -> list[bytes]:
        return [entry_of(now_ms, line.removesuffix("\r"), self._stream) for line in lines]


class NdjsonParser:
    """Newline-delimited JSON."""

    def __init__(self, record_bytes_max: int = INGEST_RECORD_BYTES_MAX) -> None:
        self.refused: str | None = None
        self._record_bytes_max = record_bytes_max
        self._held = bytearray()  # a list of pieces takes 20 times as much if they have two bytes each

    def feed(self, chunk: bytes, now_ms: int) -> list[bytes]:
        """See `Parser`."""
        *ends, rest = chunk.split(b"\n")
        entries = []
        for end in ends:
            self._hold(end)
            entries += self.flush(now_ms)
        self._hold(rest)
        return entries

    def flush(self, now_ms: int) -> list[bytes]:
        """See `Parser`."""
        if self.refused is not None:
            return []
        record = bytes(self._held)
        self._held.clear()
        return [entry_of_record(record, now_ms)] if record.strip() else []

    def _hold(self, part: bytes) -> None:
        if self.refused is not None or not part:
            return
        self._held += part
        if len(self._held) > self._record_bytes_max:
            self.refused = f"A record is longer than {self._record_bytes_max:,} bytes"
            self._held.clear()


def parser_for(content_type: str, stream: str = "stdout") -> Parser:
    """The parser for a body of that `Content-Type`; what is not said to be JSON is text.

    Args:
        content_type: the header as it came, or empty.
        stream: where lines of text go.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    return NdjsonParser() if media_type in JSON_TYPES else TextParser(stream)


def entry_of_record(record: bytes, now_ms: int) -> bytes:
    """The entry for one line of NDJSON."""
    try:
        value = orjson.loads(record)
    except orjson.JSONDecodeError:
        value = _odd(record)
    if not isinstance(value, dict) or not isinstance(value.get("line"), str):
        return entry_of(now_ms, record.decode("utf-8", "replace"), "stdout")
    timestamp, stream, source = value.get("timestamp"), value.get("stream"), value.pop("source", None)
    if source is not None:
        value["source"] = source if isinstance(source, str) else str(source)
    value["timestamp"] = timestamp if _is_time(timestamp) else now_ms
    value["stream"] = stream if isinstance(stream, str) and stream in STREAMS else "stdout"
    try:
        return orjson.dumps(value)
    except TypeError:
        # Lone surrogates, or a number too large for others: the members that are ours are enough.
        return entry_of(value["timestamp"], value["line"], value["stream"], value.get("source"))


def _odd(record: bytes) -> Any:
    """What the line says, where orjson refuses it for broken UTF-8 or lone surrogates; None: it is no JSON at all."""
    try:
        return json.loads(record.decode("utf-8", "replace"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _is_time(value: Any) -> bool:
    """Whether it is a number of milliseconds that every reader can hold exactly."""
    return (type(value) is int or type(value) is float) and 0 <= value < TIME_MS_END


def _refuse(constant: str) -> None:
    raise ValueError(constant)
