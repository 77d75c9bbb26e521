"""Masks the secrets in texts: of a stream as it comes, or of a text that is there as a whole.

A job's output reaches every viewer and stays in Redis for a day, so whatever a producer publishes goes through here
first: lines, patches, names, commands, messages. What a secret is, `fantail.broker.masking.rules` says.

What holds:
- However the output is cut into chunks, what comes out is the same: a secret split over two writes is masked
  (trap 35). Complete lines are decided at once; what is held back is the unfinished line.
- What is masked is the union of all matches, so overlapping secrets leave no remainder.
- All else passes byte for byte, a change of colour within a secret included.

A secret of several lines (a key in a variable) is masked line by line, as each line is printed by itself. A line
longer than the window is decided in windows counted from its start; a token that reaches over a window's end is
masked as far as it looks like a token. Not masked: a secret in another encoding (base64, gzip), or one that is printed
a few characters a line.

Decided against: masking whole lines (it hides the reason of a failure together with the secret); Python's `re`
(45 MB/s where RE2 makes some 500 MB/s on the same expressions).
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

from fantail.broker.lenient_json import without_surrogates
from fantail.broker.limits import MASK_TOKEN_BYTES_MAX, MASK_WINDOW_BYTES
from fantail.broker.masking.key_blocks import KEY_TRACE, MASK, KeyBlock, key_begins, without_bodies
from fantail.broker.masking.rules import Rules

_TOKEN_BYTES: Final = re.compile(rb"[A-Za-z0-9_.+/=\\-]*")
if TYPE_CHECKING:
    from collections.abc import Iterator

_COLOURS: Final = re.compile(rb"\x1b\[[0-9;:]*m")
_SIGNS: Final = frozenset({"+", "-", " "})
_LINE: Final = re.compile(rb"[^\n]*\n")


@cache
def known_rules() -> Rules:
    """The rules without values of an environment."""
    return Rules()


def masked_bytes(data: bytes, rules: Rules | None = None) -> bytes:
    """A whole text, with its secrets masked."""
    masker = SecretMasker(rules)
    masked = masker.feed(data) + masker.flush()
    return without_bodies(masked) if KEY_TRACE in masked else masked


def masked_text(text: str, rules: Rules | None = None) -> str:
    """A whole text, such as a command line, with its secrets masked; what is no UTF-8 is replaced."""
    try:
        data = text.encode("utf-8", "surrogateescape")  # as the system gave it
    except UnicodeEncodeError:
        data = without_surrogates(text).encode()
    return masked_bytes(data, rules).decode("utf-8", "replace")


def masked_patch(patch: str, rules: Rules | None = None) -> str:
    """A unified diff with its secrets masked; each line keeps its sign, also where all of it was masked."""
    shown = masked_text(patch, rules)
    if shown == patch:
        return patch
    lines, masked = patch.split("\n"), shown.split("\n")
    if len(lines) != len(masked):
        return shown
    return "\n".join(
        line[0] + new if new.startswith("***") and line[:1] in _SIGNS else new
        for line, new in zip(lines, masked, strict=True)
    )


class SecretMasker:
    """Masks one stream of bytes; each of a command's streams needs its own.

    Feed chunks as they come; what is returned may be shown. It ends with a complete line, except where a line is
    longer than the window. `flush()` gives the rest, at the end.
    """

    def __init__(self, rules: Rules | None = None, *, window_bytes: int = MASK_WINDOW_BYTES) -> None:
        """Takes the rules.

        Args:
            rules: with the values of an environment, or None: without.
            window_bytes: an unfinished line of this length is decided before its end is known.
        """
        self._rules = known_rules() if rules is None else rules
        # Matches that start further than this from a window's end are seen whole (longer tokens: see `_decide`).
        self._foresight = max(min(MASK_TOKEN_BYTES_MAX, window_bytes // 2), self._rules.piece_bytes_max) + 1
        self._window = max(window_bytes, 2 * self._foresight)
        self._key = KeyBlock()
        # The unfinished line from one byte before what is undecided: a border is seen by the byte before it.
        self._held = b""
        self._decided = 0  # starts before this place of `_held` are decided
        self._written = 0  # bytes before this place are written, or masked
        self._in_token = False

    def feed(self, chunk: bytes) -> bytes:
        """Takes the next bytes, and returns those that are decided now, perhaps none."""
        end = chunk.rfind(b"\n") + 1
        if end == 0:
            self._held += chunk
            return self._long_line()
        block, self._held = self._held + chunk[:end], chunk[end:]
        return self._lines(block) + self._long_line()

    def flush(self) -> bytes:
        """Returns what is held back: the stream is over."""
        line, self._held = self._held, b""
        return self._line(line)

    def _lines(self, block: bytes) -> bytes:
        return b"".join(self._part(block[start:end]) for start, end in _parts(block, self._window))

    def _part(self, part: bytes) -> bytes:
        """Complete lines that are shorter than the window, or one that is not."""
        if len(part) >= self._window or self._decided:
            return b"".join([self._line(line) for line in _LINE.findall(part)])
        shown: list[bytes] = []
        at = 0
        while at < len(part):
            key = at if self._key.open else key_begins(part, at)
            if at < key:
                shown.append(self._rest_of(part[at:key]))
            if key < len(part):
                at = part.index(b"\n", key) + 1
                shown.append(self._line(part[key:at]))
            else:
                at = key
        return b"".join(shown)

    def _line(self, line: bytes) -> bytes:
        """One complete line, or the rest of a long one."""
        text = line.removesuffix(b"\n")
        long = self._decided > 0 or len(text) >= self._window
        if long:
            self._key.close()
        elif (shown := self._key.take(text)) is not None:
            return shown + line[len(text) :]
        self._held, held = line, self._held
        shown = self._long_line(complete=True)
        line, self._held = self._held, held
        return shown + self._rest_of(line)

    def _long_line(self, *, complete: bool = False) -> bytes:
        """Decides the line held as far as it can be, window by window, the same however it arrived."""
        shown = []
        length = len(self._held) - (complete and self._held.endswith(b"\n"))
        while length - self._decided >= self._window:
            self._key.close()
            end = self._decided + self._window
            shown.append(self._decide(self._held[:end], end - self._foresight))
            dropped = self._decided - 1
            self._held = self._held[dropped:]
            self._decided, self._written, length = 1, self._written - dropped, length - dropped
        return b"".join(shown)

    def _rest_of(self, text: bytes) -> bytes:
        shown = self._decide(text, len(text))
        self._decided = self._written = 0
        self._in_token = False
        return shown

    def _decide(self, text: bytes, limit: int) -> bytes:
        """Masks every match that starts before the limit, and returns the bytes before it that are not masked."""
        shown: list[bytes] = []
        written = self._written
        if self._in_token and (token := _TOKEN_BYTES.match(text, written)):
            written = token.end()
        for start, end in self._rules.spans(text, self._decided, limit):
            if start >= written:
                shown += (text[written:start], MASK)
            shown += _COLOURS.findall(text, max(start, written), end)
            written = max(written, end)
        if written < limit:
            shown.append(text[written:limit])
            written = limit
        # A match that reaches the window's end may go on behind it.
        self._in_token = written == len(text)
        self._decided, self._written = limit, written
        return b"".join(shown)


def _parts(block: bytes, bytes_end: int) -> Iterator[tuple[int, int]]:
    """Cuts complete lines into parts that are shorter than a bound, or one line that is not."""
    start = 0
    while start < len(block):
        end = block.rfind(b"\n", start, start + bytes_end - 1) + 1 or block.index(b"\n", start) + 1
        yield start, end
        start = end
