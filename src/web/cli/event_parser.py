"""Reads an event stream as the HTML standard says (section 9.2.6, "Interpreting an event stream"): bytes in, events
out.

Pure: no clock, no socket. However the bytes are cut into chunks, the same events come out. An unfinished event at
the end of the stream is dropped, as the standard says: its position was not reached.

Unlike a browser it gives an event for a block that has only an id: such a block moves a reader's position on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from fantail.web.limits import TAIL_EVENT_BYTES_MAX

_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class EventTooLongError(ValueError):
    """A stream sent more without an end of an event than any event of ours has."""


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event.

    Attributes:
        name: `message` where the stream gives none.
        data: None for a block that has none.
        last_id: the last id seen, up to this event; empty if there was none.
    """

    name: str
    data: bytes | None
    last_id: str


class EventParser:
    """Parses one connection's stream; the id goes on over connections, so give the last one to the next parser."""

    def __init__(self, last_id: str = "", *, event_bytes_max: int = TAIL_EVENT_BYTES_MAX) -> None:
        self.retry_ms: int | None = None
        """What the stream said last about waiting before a new connection."""
        self._last_id = last_id
        self._event_bytes_max = event_bytes_max
        self._begun = False
        self._rest = b""
        self._clear()

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """Takes the next bytes, and returns the events that they complete.

        Raises:
            EventTooLongError: an event is longer than the bound.
        """
        events = []
        *lines, self._rest = self._split(self._rest + chunk)
        for line in lines:
            if line:
                self._field(line)
            elif event := self._block():
                events.append(event)
        if len(self._rest) + self._data_bytes > self._event_bytes_max:
            raise EventTooLongError(f"an event of more than {self._event_bytes_max:,} bytes")
        return events

    def _split(self, text: bytes) -> list[bytes]:
        if not self._begun and len(text) >= len(_BYTE_ORDER_MARK):
            self._begun = True
            text = text.removeprefix(_BYTE_ORDER_MARK)
        if b"\r" not in text:
            return text.split(b"\n")
        # A CR at the very end may be the first half of a CR LF.
        held = text.endswith(b"\r")
        lines = _LINE_END.split(text[:-1] if held else text)
        if held:
            lines[-1] += b"\r"
        return lines

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match name:
            case b"data":
                self._data.append(value)
                self._data_bytes += len(value)
            case b"event":
                self._name = value.decode("utf-8", "replace")
            case b"id" if b"\0" not in value:
                self._last_id = value.decode("utf-8", "replace")
                self._moved = True
            case b"retry" if value.isdigit():
                self.retry_ms = int(value)
            case _:
                pass  # a comment, or a field of a later standard

    def _block(self) -> ServerEvent | None:
        data = b"\n".join(self._data) if self._data else None
        event = ServerEvent(self._name or "message", data, self._last_id)
        wanted = self._moved or data is not None
        self._clear()
        return event if wanted else None

    def _clear(self) -> None:
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._name = ""
        self._moved = False
