"""How the server logs: one line per event on standard error, for people (`text`) or for programs (`json`).

What is logged: subscribers that come and go, publishes counted, troubles of sources. Never a line's content, a token
or a request's query. Libraries are heard from `warning` on.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Literal

import orjson

OURS = ("fantail", "broker", "web")


class JsonFormatter(logging.Formatter):
    """One JSON object per event: `time` (RFC 3339, UTC), `level`, `logger`, `message`, `error`."""

    def format(self, record: logging.LogRecord) -> str:
        """Formats one event."""
        event = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            event["error"] = self.formatException(record.exc_info)
        return orjson.dumps(event, default=str).decode("utf-8", "replace")


class TextFormatter(logging.Formatter):
    """`2026-01-31 12:00:00.123 INFO  message`; what a message carries cannot begin a line of its own."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03d %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class's name
        """Formats the line of one event, without a traceback."""
        record.message = record.message.replace("\r", "\\r").replace("\n", "\\n")
        return super().formatMessage(record)


def configure_logging(level: str, form: Literal["text", "json"]) -> None:
    """Sets up logging for the whole process; earlier handlers are replaced."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in OURS:
        logging.getLogger(name).setLevel(level.upper())
