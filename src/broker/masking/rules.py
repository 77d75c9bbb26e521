"""What counts as a secret: the rules, compiled, and where they match in a text.

Three kinds of rules, all RE2: chosen values (of a command's environment), the shapes of access tokens
(`token_shapes.toml`, with the sources and licences of the data), and places (`fantail.broker.masking.places`).

Matching takes two steps. One scan with the union of all rules, without groups, finds the next line that has a match: an
automaton makes some 600 MB/s, however many rules there are and however close a text comes to a match. Only such a line
is then looked at rule by rule, with groups and tests.

What holds: the spans of a line do not depend on the lines around it. A rule matches at every place where it can, and
the longest match at that place counts, so overlapping secrets leave no remainder. A line with terminal escapes is
looked at twice, with and without them: a colour inside a token does not hide it.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from functools import cache
from importlib.resources import files
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import re2

from fantail.broker.limits import MIB
from fantail.broker.masking.places import COLOUR, PLACES, WORD_BORDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fantail.broker.masking.places import Test

ESCAPE: Final = b"\x1b"
# CSI, OSC and the two-character sequences of ECMA-48, within a line.
ESCAPES: Final = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[PX^_][^\x1b\n]*\x1b\\|[ -/]*[0-~])"
)
# An escape that may stand inside a secret or beside it: within a long word, or several within a word; other than a
# colour; or behind a word that shows the place of one. Ordinary coloured output (`34` in bold, `ms` dim) has none.
_HINT: Final = (
    rb"(?i:authorization|cookie|curl|wget|passw|passphrase|pwd|secret|token|key|login|_auth|_pass|_pw|credential"
    rb"|signature|sig=|://|slack\.com|discord)"
)
_WORD: Final = rb"[0-9A-Za-z_=:@/.+~-]"
ESCAPE_WITHIN: Final = b"|".join(
    [
        _WORD + rb"{6,}(?:" + COLOUR + b")+" + _WORD,
        _WORD + rb"(?:" + COLOUR + b")+" + _WORD + rb"{6,}",
        rb"(?:" + _WORD + rb"{1,5}(?:" + COLOUR + b")+){3,}" + _WORD,
        rb"(?:\x1b|\\u001[bB])(?:[^\[]|\[[0-9;:?]*[A-Za-ln-z])",
        _HINT + rb"[^\n]*" + COLOUR,
    ]
)
KEY_TRACE: Final = b"PRIVATE KEY"
# A private key written as one line, its line ends escaped.
_KEY_IN_ONE_LINE: Final = rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:\\+[nr]|[A-Za-z0-9+/= ]){16,}"
# RE2 unrolls a literal into its program; pieces keep it in the fast automaton.
_PIECE_BYTES: Final = 256
_EXPRESSION_BYTES_MAX: Final = 64 * MIB


class Span(NamedTuple):
    """Where a secret is in a text: `start <= place < end`."""

    start: int
    end: int


class Rules:
    """All rules, for texts of one producer.

    Attributes:
        piece_bytes_max: the length of the longest chosen value or piece of one.
    """

    def __init__(self, values: Iterable[bytes] = ()) -> None:
        """Compiles the rules for these values; empty ones are left out."""
        pieces = sorted({piece for value in values for piece in _pieces(value)})
        self.piece_bytes_max = max(map(len, pieces), default=0)
        self._scan = _compiled([*_escaped(pieces), *scanned()], captures=False) if pieces else _scan_without_values()
        self._values = _compiled(_escaped(pieces), captures=False) if pieces else None

    def spans(self, text: bytes, start: int = 0, limit: int | None = None) -> list[Span]:
        """The secrets in a text, by start; they may overlap.

        Args:
            text: complete lines, or a part of one line.
            start: matches before this place are left out.
            limit: matches that start here or later are left out, and a span of an earlier match begins before it.
        """
        limit = len(text) if limit is None else limit
        found: set[Span] = set()
        for first, last in self._lines(text, start, limit):
            line = text[first:last]
            matches = self._matches(line)
            if ESCAPE in line:
                matches = {*matches, *self._behind_escapes(line)}
            for at, begin, end in matches:
                if start <= at + first < limit:
                    found.add(Span(min(begin + first, limit), end + first))
        return sorted(found)

    def has_candidate(self, text: bytes) -> bool:
        """Whether a text may have a secret: quick, and right where it says no."""
        if self._scan.search(text):
            return True
        return ESCAPE in text and _escape_within().search(text) and self._scan.search(ESCAPES.sub(b"", text))

    def _lines(self, text: bytes, start: int, limit: int) -> Iterator[tuple[int, int]]:
        if ESCAPE in text and _escape_within().search(text):
            yield from self._lines_behind_escapes(text)
        place = start
        while place < limit and (match := self._scan.search(text, place)):
            first = text.rfind(b"\n", 0, match.end()) + 1  # a border may be the line feed before
            last = text.find(b"\n", match.end() - 1)
            last = len(text) if last < 0 else last
            if last < first:  # a match that ends with the line feed
                first = text.rfind(b"\n", 0, last) + 1
            yield first, last
            place = max(last, place + 1)

    def _lines_behind_escapes(self, text: bytes) -> Iterator[tuple[int, int]]:
        seen = ESCAPES.sub(b"", text)
        if not self._scan.search(seen):
            return
        lines, seen_lines = text.split(b"\n"), seen.split(b"\n")
        starts = accumulate((len(line) + 1 for line in lines), initial=0)
        for line, seen_line, first in zip(lines, seen_lines, starts, strict=False):
            if ESCAPE in line and self._scan.search(seen_line):
                yield first, first + len(line)

    def _matches(self, line: bytes) -> set[tuple[int, int, int]]:
        """Each match: where it starts, and where its secret starts and ends."""
        found: set[tuple[int, int, int]] = set()
        if self._values is not None:
            found.update((match.start(), *match.span()) for match in _every(self._values, line))
        known = _known()
        # Nothing found means that the automaton had no memory: then all are tried.
        for index in _which().Match(line) or range(len(known)):
            expression, group, test = known[index]
            for match in _every(expression, line):
                start, end = match.span(group)
                if test is None or test(line, start, end):
                    found.add((match.start(), start, end))
        return found

    def _behind_escapes(self, line: bytes) -> Iterator[tuple[int, int, int]]:
        """The matches in what is left of a line without its escapes, at their places in the line."""
        seen_starts, places, seen, at = [0], [0], [], 0
        for match in ESCAPES.finditer(line):
            seen.append(line[at : match.start()])
            at = match.end()
            seen_starts.append(seen_starts[-1] + len(seen[-1]))
            places.append(at)
        seen.append(line[at:])

        def place(seen_at: int) -> int:
            part = bisect_right(seen_starts, seen_at) - 1
            return places[part] + seen_at - seen_starts[part]

        for start, begin, end in self._matches(b"".join(seen)):
            yield place(start), place(begin), place(end - 1) + 1


def _every(expression: Any, line: bytes) -> Iterator[Any]:
    """The match at every place where there is one."""
    place = 0
    while place <= len(line) and (match := expression.search(line, place)):
        yield match
        place = match.start() + 1


def _pieces(value: bytes) -> list[bytes]:
    """A long value as pieces that together cover it: the expression stays small, and so does the foresight."""
    if len(value) <= _PIECE_BYTES:
        return [value] if value else []
    starts = range(0, len(value) - _PIECE_BYTES, _PIECE_BYTES)
    return [value[start : start + _PIECE_BYTES] for start in starts] + [value[-_PIECE_BYTES:]]


@cache
def shapes() -> dict[str, list[bytes]]:
    """The shapes of tokens by where they may begin: `anywhere`, or `at_word`."""
    tables = tomllib.loads(files("fantail.broker.masking").joinpath("token_shapes.toml").read_text(encoding="utf-8"))
    return {
        where: [shape.encode() for table in tables.values() for shape in table.get(where, {}).values()]
        for where in ("anywhere", "at_word")
    }


def scanned() -> list[bytes]:
    """The expressions of all rules but values, without tests: what has no match of them has no secret."""
    anywhere = b"|".join([*shapes()["anywhere"], _KEY_IN_ONE_LINE])
    at_word = WORD_BORDER + b"(" + b"|".join(shapes()["at_word"]) + b")"
    return [anywhere, at_word, *(place.expression for place in PLACES)]


@cache
def _known() -> tuple[tuple[Any, int, Test | None], ...]:
    """The rules one by one, each with its group for the secret and the test of what it found."""
    tests = (None, None, *(place.test for place in PLACES))
    rules = ((_compiled([rule]), test) for rule, test in zip(scanned(), tests, strict=True))
    return tuple((rule, rule.groups, test) for rule, test in rules)


@cache
def _which() -> Any:
    """Tells in one pass over a line which of the rules match."""
    which = re2.Set.SearchSet(compile_options(captures=False))
    for rule in scanned():
        which.Add(rule)
    which.Compile()
    return which


@cache
def _scan_without_values() -> Any:
    return _compiled(scanned(), captures=False)


@cache
def _escape_within() -> Any:
    """An escape that may stand inside a secret, or inside what shows its place."""
    return _compiled([ESCAPE_WITHIN], captures=False)


def _escaped(literals: Iterable[bytes]) -> list[bytes]:
    return [re2.escape(literal) for literal in literals]


def _compiled(expressions: Iterable[bytes], *, captures: bool = True) -> Any:
    return re2.compile(b"|".join(expressions), options=compile_options(captures=captures))


def compile_options(*, captures: bool) -> Any:
    """How all expressions are compiled."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # bytes, whatever they mean
    options.longest_match = True
    options.log_errors = False
    options.never_capture = not captures
    options.max_mem = _EXPRESSION_BYTES_MAX
    return options
