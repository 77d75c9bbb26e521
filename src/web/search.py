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

from broker.entries import line_of
from broker.limits import HIT_CHARS_BEFORE, HIT_CHARS_MAX, PATTERN_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# ECMA-48: control sequences (CSI … final byte), operating system commands (OSC … BEL or ST), and two-byte escapes.
_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-Z\\^-~])")
# What makes a pattern look beyond the line it is in: \A, \z, \C, and flags taken back, as in (?-m).
_BEYOND_LINES: Final = re.compile(r"\\[AzC]|\(\?[a-zA-Z]*-")
_MULTI_LINE: Final = "(?m)"


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

    def count(self, first: int, entries: Sequence[bytes], hits: list[Hit], wanted_from: int, hits_max: int) -> int:
        """Looks through entries; bound to a page, as it runs in a thread that cannot be stopped.

        Args:
            first: the offset of the first entry.
            entries: as they are stored.
            hits: where hits are put, up to `hits_max` of them.
            wanted_from: hits before this offset are counted and not kept.
            hits_max: see `hits`.

        Returns:
            How many of them match.
        """
        lines = [_seen(entry).encode() for entry in entries]
        found = 0
        for index, start, end in self._matches(lines):
            found += 1
            if first + index >= wanted_from and len(hits) < hits_max:
                hits.append(_hit(first + index, lines[index], start, end))
        return found

    def _matches(self, lines: list[bytes]) -> Iterator[tuple[int, int, int]]:
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


def _seen(entry: bytes) -> str:
    """The text of an entry as people see it."""
    line = line_of(entry)
    return _ESCAPES.sub("", line) if "\x1b" in line else line


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
