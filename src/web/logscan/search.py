"""Looking for a text or a pattern in lines: pure, linear in what is read, whatever the pattern (trap 45).

RE2 is an automaton and does not backtrack; a pattern that it cannot run in bounded memory does not compile. What is
looked through is what people see: terminal colours and the like are taken out of a line first.

A page of lines is joined and searched as one text, which costs one call where nothing is found, instead of one for each
line; RE2 is told never to match a line feed, so no match reaches over two lines. Patterns that look at the ends of the
whole text, or turn that off, are run line by line.

A hit is a line, however often it matches; a match is given in UTF-16 code units, as browsers count.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import re2

from fantail.broker.log.records import line_of
from fantail.web.limits import HIT_CHARS_BEFORE, HIT_CHARS_MAX, PATTERN_BYTES_MAX
from fantail.web.logscan.line_marks import Page, outputs_of, without_escapes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# What makes a pattern look beyond the line it is in: \A, \z, \C, and flags taken back, as in (?-m).
_BEYOND_LINES: Final = re.compile(r"\\[AzC]|\(\?[a-zA-Z]*-")
_MULTI_LINE: Final = "(?m)"
# Erase in line: all of it, or from the cursor on, which has come back to the beginning.
_ERASE_LINE: Final = "\x1b[2K"
_ERASES: Final = re.compile(r"\x1b\[0?K")


class BadPatternError(ValueError):
    """A pattern that RE2 does not take; the message says what is wrong, in words for its author."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A line that matches.

    Attributes:
        offset: of the line.
        line: its text, or, of a long one, the part around the first match.
        start: where the match begins in `line`, in UTF-16 code units.
        end: where it ends.
    """

    offset: int
    line: str
    start: int
    end: int


class Matcher:
    """One pattern, compiled.

    Args:
        pattern: a text, or with `regex` a pattern in the syntax of RE2.
        regex: which of the two.
        case: whether capitals count.

    Raises:
        BadPatternError: it is no pattern, or too much of one.
    """

    def __init__(self, pattern: str, *, regex: bool, case: bool) -> None:
        options = re2.Options()
        options.log_errors = False
        options.never_nl = True
        options.never_capture = True
        options.literal = not regex
        options.case_sensitive = case
        options.max_mem = PATTERN_BYTES_MAX
        self._by_line = regex and _BEYOND_LINES.search(pattern) is not None
        try:
            self._pattern: Any = re2.compile(_MULTI_LINE + pattern if regex else pattern, options)
        except re2.error as fault:
            raise BadPatternError(_words(fault)) from None
        finally:
            re2.purge()  # its cache would keep 128 patterns with their automata

    def matches(self, lines: Sequence[bytes]) -> Iterator[tuple[int, int, int]]:
        """The first match in each line that has one: the line's index, and where in it the match is, in bytes."""
        if self._by_line:
            for index, line in enumerate(lines):
                match = self._pattern.search(line)
                if match is not None:
                    yield index, match.start(), match.end()
            return
        text = b"\n".join(lines)
        starts = list(itertools.accumulate((len(line) + 1 for line in lines), initial=0))
        index = 0
        while index < len(lines):
            match = self._pattern.search(text, starts[index])
            if match is None:
                return
            while starts[index + 1] <= match.start():
                index += 1
            yield index, match.start() - starts[index], match.end() - starts[index]
            index += 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for, and what is wanted of it.

    Attributes:
        matcher: None: every line that the rest lets through.
        streams: only lines of these; None: of all.
        errors: only lines that are errors (`fantail.web.logscan.line_patterns`).
        start: the offset of the first line that is looked at.
        stop: the offset behind the last.
        hits_from: hits before this offset are counted and not kept.
        hits_max: at most so many are kept.
        offsets_only: whether only offsets are kept of them.
        ticks: in how many parts the lines are divided, to count each part's hits.
    """

    matcher: Matcher | None
    streams: frozenset[str] | None
    errors: bool
    start: int
    stop: int
    hits_from: int
    hits_max: int
    offsets_only: bool
    ticks: int


class Findings:
    """What was found so far.

    Attributes:
        total: how many lines match.
        lines: how many were looked at.
        hits: the first ones from `hits_from` on.
        offsets: the same, where only these are wanted.
        ticks: how many hits each part of the lines has.
        through: the offset behind the last line that was looked at.
        next: where a search for further hits goes on: behind the last one that is kept if no more could be, else
            behind the last line that was looked at.
    """

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self.total = self.lines = 0
        self.hits: list[Hit] = []
        self.offsets: list[int] = []
        self.ticks = [0] * wanted.ticks
        self.next = max(wanted.start, wanted.hits_from)
        self.through = wanted.start

    @property
    def full(self) -> bool:
        """Whether all hits that were asked for are there."""
        return 0 < self._wanted.hits_max <= len(self.hits) + len(self.offsets)

    def look(self, first: int, entries: Sequence[bytes]) -> None:
        """Looks through entries; bound to a page, as it runs in a thread that cannot be stopped.

        Args:
            first: the offset of the first entry.
            entries: as they are stored.
        """
        kept, lines = self._lines(entries)
        for index, start, end in self._matches(lines):
            self._found(first + (index if kept is None else kept[index]), lines[index], start, end)
        self.lines += len(entries)
        self.through = first + len(entries)
        if not self.full:
            self.next = max(self.next, first + len(entries))

    def _found(self, offset: int, line: bytes, start: int, end: int) -> None:
        wanted = self._wanted
        self.total += 1
        if self.ticks:
            self.ticks[
                min((offset - wanted.start) * wanted.ticks // (wanted.stop - wanted.start), wanted.ticks - 1)
            ] += 1
        if offset < wanted.hits_from or self.full or not wanted.hits_max:
            return
        if wanted.offsets_only:
            self.offsets.append(offset)
        else:
            self.hits.append(_hit(offset, line, start, end))
        self.next = offset + 1

    def _matches(self, lines: Sequence[bytes]) -> Iterator[tuple[int, int, int]]:
        if self._wanted.matcher is not None:
            return self._wanted.matcher.matches(lines)
        return ((index, 0, 0) for index in range(len(lines)))

    def _lines(self, entries: Sequence[bytes]) -> tuple[Sequence[int] | None, list[bytes]]:
        """What people see of the entries that are looked at, and which these are; None: all."""
        wanted = self._wanted
        if wanted.streams is None and not wanted.errors:
            return None, [_seen(entry).encode() for entry in entries]
        kept: Sequence[int] = Page(entries).errors() if wanted.errors else range(len(entries))
        if wanted.streams is not None:
            outputs = outputs_of(entries)
            kept = [index for index in kept if outputs[index][1] in wanted.streams]
        return kept, [_seen(entries[index]).encode() for index in kept]


def _seen(entry: bytes) -> str:
    """The text of an entry as people see it: no escapes, and of a line that was drawn over, what is left of it."""
    text = line_of(entry)
    if "\r" in text or _ERASE_LINE in text:
        text = "\n".join(_drawn(line) for line in text.split("\n"))
    return without_escapes(text)


def _drawn(line: str) -> str:
    """A line whose cursor went back to its beginning, as it stands in the end, without escapes."""
    drawn = ""
    for part in line.rstrip("\r").split("\r"):
        _, erased, rest = part.rpartition(_ERASE_LINE)
        seen = without_escapes(rest)
        drawn = seen if erased or _ERASES.search(rest) else seen + drawn[len(seen) :]
    return drawn


def _hit(offset: int, line: bytes, start: int, end: int) -> Hit:
    before = line[:start].decode("utf-8", "ignore")[-HIT_CHARS_BEFORE:]
    shown = before + line[start : start + 4 * HIT_CHARS_MAX].decode("utf-8", "ignore")
    shown = shown[:HIT_CHARS_MAX]
    match = line[start:end].decode("utf-8", "ignore")
    at = _utf16(before)
    return Hit(offset, shown, at, min(at + _utf16(match), _utf16(shown)))


def _utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _words(fault: Exception) -> str:
    """What RE2 says of a pattern, without what was put before it."""
    said = fault.args[0] if fault.args else ""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    return text.replace(_MULTI_LINE, "", 1)
