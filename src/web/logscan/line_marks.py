"""What lines of output say of the log they are in: that something went wrong, that a group begins or ends. Pure.

The same is defined in frontend/src/log/line-marks.ts, for lines that a browser has before anybody else looks through
them; both are held by tests/conformance/line-marks.json. What an error looks like, and why, is said in
`fantail.web.logscan.line_patterns`. An entry of the stream `error` is one too.

Groups are GitHub's and Azure's commands, which nest, and Buildkite's headers, each of which closes the one before with
all that was opened within it. A header looks like the names above a diff's hunks and like the trace of a shell, so it
is judged when the line behind it is known; and the lines of a hunk, which says how many it has, are passed over.

A page is joined and searched as one text, twice; what is found, which is little, is looked at line by line.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import orjson
import re2

from fantail.broker.log.records import records_of
from fantail.web.limits import (
    GROUP_DEPTH_MAX,
    GROUP_TITLE_CHARS_MAX,
    MARK_CHARS_MAX,
    MARK_PATTERN_BYTES_MAX,
    MARKS_PER_ENTRY_MAX,
)
from fantail.web.logscan import line_patterns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# ECMA-48: control sequences (CSI … final byte); strings (OSC, DCS, SOS, PM, APC) up to their end, BEL or ST, which must
# be on the line, or its rest would vanish; other escapes; a lone ESC.
_ESCAPES: Final = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)|[ -/]+[0-~]|[0-OQ-WYZ\\`-~])?"
)


# To the first column, as npm and others say for a carriage return (ECMA-48, CHA).
_FIRST_COLUMN: Final = re.compile(r"\x1b\[[01]?G")


def without_escapes(text: str) -> str:
    """The text without what a terminal takes for commands."""
    return _ESCAPES.sub("", text) if "\x1b" in text else text


def final_text(line: str) -> str:
    """What is left of a line to be looked at: no escapes, and of a progress bar, its last state."""
    seen = line[: 4 * MARK_CHARS_MAX]
    if "\x1b" in seen:
        seen = _ESCAPES.sub("", _FIRST_COLUMN.sub("\r", seen))
    if "\r" in seen:
        seen = seen.rstrip("\r")
        seen = seen[seen.rfind("\r") + 1 :]
    return seen[:MARK_CHARS_MAX]


def _compiled(*patterns: str) -> Any:
    options = re2.Options()
    options.never_nl = True
    options.log_errors = False
    options.max_mem = MARK_PATTERN_BYTES_MAX
    text = "|".join(f"(?:{pattern})" for pattern in patterns)
    for name in ("LEAD", "BETWEEN", "TIME"):
        text = text.replace(f"<{name}>", getattr(line_patterns, name))
    return re2.compile(f"(?m)(?:{text})", options)


_ERROR: Final = _compiled(*line_patterns.CERTAIN, *line_patterns.LIKELY)
_CERTAIN: Final = _compiled(*line_patterns.CERTAIN)
_UNLESS: Final = _compiled(*line_patterns.UNLESS)
_GROUP: Final = _compiled(line_patterns.GROUP)
_COMMAND: Final = _compiled(line_patterns.COMMAND)
_COMMAND_END: Final = _compiled(line_patterns.COMMAND_END)
_HEADER: Final = _compiled(line_patterns.HEADER)
_NO_HEADER: Final = _compiled(line_patterns.NO_HEADER)
_TRACE: Final = _compiled(line_patterns.TRACE)
_HUNK: Final = _compiled(line_patterns.HUNK)


@dataclass(frozen=True, slots=True)
class Mark:
    """What one entry says.

    Attributes:
        offset: of the entry.
        kind: an error, or a group's beginning or end.
        title: of a group that begins.
        header: whether it comes of a header. The line of a header that closes a group is not in that group, while the
            line of a command is.
        timestamp_ms: of the entry.
    """

    offset: int
    kind: Literal["error", "open", "close"]
    title: str
    header: bool
    timestamp_ms: float


class Row(NamedTuple):
    """A line of an entry."""

    entry: int
    text: bytes


def outputs_of(entries: Sequence[bytes], fallback_timestamp_ms: int = 0) -> list[tuple[str, str, float]]:
    """The text, the stream and the time of entries, as viewers get them."""
    outputs = map(orjson.loads, records_of(entries, fallback_timestamp_ms).data)
    return [(output["line"], output["stream"], output["timestamp"]) for output in outputs]


class Page:
    """Entries as lines, joined to be searched as one text.

    Args:
        entries: as they are stored.
        fallback_timestamp_ms: of entries without a time.
    """

    def __init__(self, entries: Sequence[bytes], fallback_timestamp_ms: int = 0) -> None:
        self.outputs = outputs_of(entries, fallback_timestamp_ms)
        self.rows = list(self._rows())
        self.text = b"\n".join([row.text for row in self.rows])
        self._starts = list(accumulate((len(row.text) + 1 for row in self.rows), initial=0))

    def _rows(self) -> Iterator[Row]:
        for index, (text, _, _) in enumerate(self.outputs):
            if "\n" in text:
                for line in text.split("\n"):
                    yield Row(index, final_text(line).encode())
            else:
                yield Row(index, final_text(text).encode())

    def found(self, pattern: Any) -> Iterator[int]:
        """The rows that match a pattern which is anchored at the beginning of a line."""
        at = 0
        while at < len(self.rows) and (match := pattern.search(self.text, self._starts[at])) is not None:
            row = bisect_right(self._starts, match.start(), at) - 1
            yield row
            at = row + 1

    def errors(self) -> list[int]:
        """The indices of the entries that are errors, in order."""
        found = {index for index, (_, stream, _) in enumerate(self.outputs) if stream == "error"}
        for at in self.found(_ERROR):
            row = self.rows[at]
            if row.entry not in found and (_CERTAIN.search(row.text) or not _UNLESS.search(row.text)):
                found.add(row.entry)
        return sorted(found)


class _Waiting(NamedTuple):
    """A line that is a header unless the next one says otherwise."""

    offset: int
    title: str
    timestamp_ms: float
    text: bytes


class MarkReader:
    """Reads a log from its beginning, page by page, and says what its lines mark."""

    def __init__(self) -> None:
        self.waiting: _Waiting | None = None
        self._before = b""
        self._hunk = (0, 0)
        self._groups: list[bool] = []  # whether each open group is a header's
        self._deeper = 0

    def read(self, first: int, entries: Sequence[bytes], fallback_timestamp_ms: int = 0) -> list[Mark]:
        """What the next entries mark; and the line before them, if it waited for its next one.

        Args:
            first: the offset of the first entry.
            entries: as they are stored, about a page of them.
            fallback_timestamp_ms: of entries without a time.

        Returns:
            Marks in the order of their offsets, of one entry its error first.
        """
        page = Page(entries, fallback_timestamp_ms)
        marks = list(self._groups_of(first, page))
        errors = [Mark(first + at, "error", "", header=False, timestamp_ms=page.outputs[at][2]) for at in page.errors()]
        if not errors:
            return _bounded(marks)
        marks.extend(errors)
        marks.sort(
            key=lambda mark: (mark.offset, mark.kind != "error")
        )  # stable: groups stay in the order of their lines
        return _bounded(marks)

    def flush(self) -> list[Mark]:
        """What the last line marks where no more will come."""
        waiting, self.waiting = self.waiting, None
        return list(self._header(waiting)) if waiting else []

    def _groups_of(self, first: int, page: Page) -> Iterator[Mark]:
        rows = page.rows
        if not rows:
            return
        waiting, self.waiting = self.waiting, None
        if waiting and not _denied_by_next(waiting.text, rows[0].text):
            yield from self._header(waiting)
        passed = self._pass_hunk(rows, 0)
        for at in page.found(_GROUP):
            text = rows[at].text
            _, stream, timestamp_ms = page.outputs[rows[at].entry]
            if at < passed or stream == "error":
                continue
            offset = first + rows[at].entry
            if (hunk := _HUNK.search(text)) is not None:
                self._hunk = (_count(hunk.group(1)), _count(hunk.group(2)))
                passed = self._pass_hunk(rows, at + 1)
            elif (marks := self._command(offset, text, timestamp_ms)) is not None:
                yield from marks
            elif (title := _header_title(rows[at - 1].text if at else self._before, text)) is not None:
                header = _Waiting(offset, title, timestamp_ms, text)
                if at + 1 == len(rows):
                    self.waiting = header
                elif not _denied_by_next(text, rows[at + 1].text):
                    yield from self._header(header)
        self._before = rows[-1].text

    def _header(self, header: _Waiting) -> Iterator[Mark]:
        while True in self._groups:
            closed = self._groups.pop()
            yield Mark(header.offset, "close", "", header=True, timestamp_ms=header.timestamp_ms)
            if closed:
                break
        self._deeper = 0
        yield from self._open(header.offset, header.title, header.timestamp_ms, header=True)

    def _open(self, offset: int, title: str, timestamp_ms: float, *, header: bool) -> Iterator[Mark]:
        if len(self._groups) == GROUP_DEPTH_MAX:
            self._deeper += 1
            return
        self._groups.append(header)
        yield Mark(offset, "open", title[:GROUP_TITLE_CHARS_MAX], header=header, timestamp_ms=timestamp_ms)

    def _command(self, offset: int, text: bytes, timestamp_ms: float) -> Iterator[Mark] | None:
        if (command := _COMMAND.search(text)) is not None:
            return self._open(offset, _title(command), timestamp_ms, header=False)
        if _COMMAND_END.search(text) is not None:
            return self._close_command(offset, timestamp_ms)
        return None

    def _close_command(self, offset: int, timestamp_ms: float) -> Iterator[Mark]:
        if self._deeper:
            self._deeper -= 1
            return
        while False in self._groups:
            was_header = self._groups.pop()
            yield Mark(offset, "close", "", header=False, timestamp_ms=timestamp_ms)
            if not was_header:
                break

    def _pass_hunk(self, rows: Sequence[Row], at: int) -> int:
        """Passes over the lines of a diff's hunk; it says how many are left of the old file and of the new one."""
        old, new = self._hunk
        while (old > 0 or new > 0) and at < len(rows):
            sign = rows[at].text[:1]
            if sign not in _HUNK_SIGNS:
                old = new = 0
                break
            old -= sign in b" -"  # an empty line is one of both files whose space an editor took away
            new -= sign in b" +"
            at += 1
        self._hunk = (old, new)
        return at


_HUNK_SIGNS: Final = frozenset({b"", b" ", b"-", b"+", b"\\"})


def _count(given: bytes | None) -> int:
    """A hunk's number of lines, which is left out where it is one."""
    return 1 if given is None else int(given[:9])


def _title(match: Any) -> str:
    title: str = match.group(1).decode()
    return title.strip(" ")


def _header_title(before: bytes, text: bytes) -> str | None:
    """The title of a header, if the line is one as far as the line before tells."""
    header = _HEADER.search(text)
    if header is None or _NO_HEADER.search(text) is not None:
        return None
    if text.startswith(b"+++") and (before.startswith(b"--- ") or _TRACE.search(before) is not None):
        return None
    return _title(header)


def _denied_by_next(text: bytes, after: bytes) -> bool:
    """Whether the line behind says that what looks like a header is none."""
    if text.startswith(b"---"):
        return after.startswith(b"+++ ")
    return text.startswith(b"+++") and _TRACE.search(after) is not None


def _bounded(marks: list[Mark]) -> list[Mark]:
    """At most so many marks of one entry."""
    if len(marks) <= MARKS_PER_ENTRY_MAX:
        return marks
    return [
        mark
        for at, mark in enumerate(marks)
        if at < MARKS_PER_ENTRY_MAX or marks[at - MARKS_PER_ENTRY_MAX].offset != mark.offset
    ]
