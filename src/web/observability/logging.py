"""How the server logs: one line per event on standard error, for people (`text`) or for programs (`json`).

What is logged: subscribers that come and go, publishes counted, troubles of sources. Never a line's content, a token
or a request's query. Libraries are heard from `warning` on.

A message may hold text of others: a user's name, an answer of Redis, an exception. In both forms it is escaped, so that
it cannot control the terminal that shows the log, change the direction of its text, or look like an event of its own.
"""

from __future__ import annotations

import logging
import re
import sys
from datetime import UTC, datetime
from typing import Final, Literal

import orjson

OURS = ("fantail",)
# C0 and C1 controls, the line and paragraph separators, what changes the direction of text, and surrogates.
_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_SHORT: Final = {"\r": "\\r", "\n": "\\n", "\t": "\\t"}


def escaped(text: str) -> str:
    """Replaces every character that could control a terminal, or break or reorder a line, by its escape in Python."""
    return _UNSAFE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    number = ord(match[0])
    return _SHORT.get(match[0]) or (f"\\x{number:02x}" if number <= 0xFF else f"\\u{number:04x}")  # noqa: PLR2004


def _escaped_lines(text: str) -> str:
    """A traceback, escaped and indented, so that no line of it looks like an event."""
    return "\n".join("    " + escaped(line) for line in text.split("\n"))


class JsonFormatter(logging.Formatter):
    """One JSON object per event: `time` (RFC 3339, UTC), `level`, `logger`, `message`, `error`."""

    def format(self, record: logging.LogRecord) -> str:
        """Formats one event."""
        event = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": escaped(record.name),
            "message": escaped(record.getMessage()),
        }
        if record.exc_info:
            event["error"] = "\n".join(map(escaped, self.formatException(record.exc_info).split("\n")))
        return orjson.dumps(event).decode()


class TextFormatter(logging.Formatter):
    """`2026-01-31 12:00:00.123 INFO  message`; the lines of a traceback follow, indented."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03d %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class's name
        """Formats the line of one event, without a traceback."""
        record.message = escaped(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: logging._SysExcInfoType) -> str:  # noqa: N802 - the base class's name
        """Formats the traceback of an event."""
        return _escaped_lines(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - the base class's name
        """Formats the stack of an event that was logged with one."""
        return _escaped_lines(super().formatStack(stack_info))


def configure_logging(level: str, form: Literal["text", "json"]) -> None:
    """Sets up logging for the whole process; earlier handlers are replaced."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in OURS:
        logging.getLogger(name).setLevel(level.upper())
