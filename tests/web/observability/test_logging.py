"""What a log line may hold: text of others is escaped, in both forms of the log."""

from __future__ import annotations

import io
import json
import logging
import sys
import unicodedata
from typing import TYPE_CHECKING

import pytest

from fantail.web.auth.identity import mint_token
from fantail.web.observability.logging import JsonFormatter, TextFormatter
from support.clients.sse_client import open_stream
from support.servers.served_app import served_app
from support.servers.web_client import SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator

FORGED = "2026-01-31 12:00:00.123 ERROR   the disk is full"
HOSTILE = {
    "escape": "\x1b[2J\x1b]0;title\x07",
    "C1 escape": "\x9b2J",
    "carriage return": "\r" + FORGED,
    "line feed": "\n" + FORGED,
    "other line ends": "\x0b\x0c\x1c\x1d\x1e\x85",
    "line separator": "\u2028" + FORGED,
    "paragraph separator": "\u2029" + FORGED,
    "right to left": "\u202egnp.exe\u202c",
    "isolates": "\u2066\u2067\u2068\u2069",
    "direction marks": "\u061c\u200e\u200f",
    "surrogate": "\ud800",
    "NUL": "\0",
}


class Log(logging.Handler):
    """Keeps what was logged, formatted."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps one event."""
        self.lines.append(self.format(record))


@pytest.fixture(params=[TextFormatter, JsonFormatter])
def log(request: pytest.FixtureRequest) -> Iterator[Log]:
    handler = Log(request.param())
    logger = logging.getLogger("fantail")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


def tell(log: Log, message: str, *said: str, fault: Exception | None = None) -> None:
    """Logs an event past pytest, which cannot send what it captures between its processes if that has surrogates."""
    trace = None if fault is None else (type(fault), fault, fault.__traceback__)
    log.handle(logging.LogRecord("fantail.test", logging.WARNING, __file__, 1, message, said, trace))


def is_harmless(text: str) -> bool:
    """Whether no character of a text is a control, a surrogate, a separator of lines, or changes directions."""
    kinds = {unicodedata.category(character) for character in text}
    return not kinds & {"Cc", "Cs", "Cf", "Zl", "Zp"} and text.isprintable()


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_others_say_is_escaped(log: Log, kind: str) -> None:
    hostile = HOSTILE[kind]
    tell(log, "%s said: %s", hostile, "ü")
    (line,) = log.lines
    assert is_harmless(line)
    said = json.loads(line)["message"] if line.startswith("{") else line
    assert is_harmless(said)
    assert said.endswith("said: ü")


@pytest.mark.parametrize("kind", HOSTILE)
def test_an_exceptions_words_begin_no_line_and_control_nothing(log: Log, kind: str) -> None:
    hostile = HOSTILE[kind]
    try:
        int("x" + hostile)
    except ValueError as fault:
        fault.args = (hostile,)
        tell(log, "it broke", fault=fault)
    (event,) = log.lines
    event.encode()
    first, *trace = event.split("\n")
    if first.startswith("{"):
        assert trace == []
        assert all(map(is_harmless, json.loads(first)["error"].split("\n")))
    else:
        assert all(line.startswith("    ") and is_harmless(line) for line in trace)
        assert "ValueError" in trace[-1] or FORGED in trace[-1]


def test_the_stack_of_an_event_is_indented_as_well(log: Log) -> None:
    logging.getLogger("fantail.test").warning("here", stack_info=True)
    assert all(line.startswith("    ") for line in log.lines[0].split("\n")[1:])


def test_what_is_harmless_stays_as_it_is(log: Log) -> None:
    text = "stream of job 42 opened by Zoë Groß (管理) at 127.0.0.1: 100 % 🙂"
    logging.getLogger("fantail.test").warning(text)
    assert text in log.lines[0]


async def test_a_users_name_is_escaped_where_a_stream_is_logged(log: Log) -> None:
    name = "ada\u2028" + FORGED + "\u202e"
    async with served_app(auth="jwt", jwt_secret=SECRET) as app:
        headers = {"Authorization": f"Bearer {mint_token(app.context.settings, name, admin=True, ttl_s=60)}"}
        async with open_stream(f"{app.url}/api/events/", headers=headers) as stream:
            await stream.until("ready")
    opened = [line for line in log.lines if "opened by" in line]
    assert len(opened) == 1
    assert is_harmless(opened[0])
    assert "ada\\u2028" in opened[0].replace("\\\\", "\\")


def test_a_log_that_cannot_write_every_character_goes_on(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """With LANG=C a log may be ASCII; surrogates of a file's name could be written nowhere."""
    written = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict")
    handler = logging.StreamHandler(written)
    handler.setFormatter(log.formatter)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    handler.handle(logging.LogRecord("fantail", logging.INFO, "", 0, "file %s", ("\udcff",), None))
    written.flush()
    assert "udcff" in written.buffer.getvalue().decode()
