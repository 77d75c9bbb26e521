"""The bodies of private keys, which have several lines and no shape of their own: RFC 7468, OpenSSH, PGP.

Between `-----BEGIN … PRIVATE KEY-----` and its end, whatever is base64 is masked, with an indent, quotes, colours, the
sign of a diff or the prefix of a log before it. The frame stays: it says what was there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from fantail.broker.limits import KEY_BLOCK_LINES_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

MASK: Final = b"***"
KEY_TRACE: Final = b"PRIVATE KEY"

_BEGIN: Final = re.compile(rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_END: Final = re.compile(rb"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_HEADER: Final = re.compile(
    rb"[+ -]?\s*+(?:(?:Proc-Type|DEK-Info|Version|Comment|Hash|Charset):.*)?(?:\x1b\[[0-9;]*m|\s)*+", re.DOTALL
)
# Possessive: a pattern that tried each shorter match as well would take time in the square of the line's length.
_JUNK: Final = rb"(?:\x1b\[[0-9;]*[A-Za-z]|\\u001b\[[0-9;]*m|\\[nr]|[^A-Za-z0-9+/=])*+"
_BODY: Final = re.compile(rb"[+-]?" + _JUNK + rb"[A-Za-z0-9+/]{2,}={0,2}" + _JUNK)
# The same behind the prefix of a log, which has letters too; lines of a key have 64 characters, or 70, or 76.
_LONG_BODY: Final = re.compile(rb"(.*[^A-Za-z0-9+/])([A-Za-z0-9+/]{40,}={0,2})(" + _JUNK + rb")", re.DOTALL)
# Padding, which only the last line of a body has.
_LAST: Final = re.compile(rb"[A-Za-z0-9+/]={1,2}" + _JUNK + rb"\Z")
_BLOCK_BYTES_MAX: Final = 100 * KEY_BLOCK_LINES_MAX
_WHOLE_LINE: Final = re.compile(rb"[+-]?" + _JUNK + rb"[A-Za-z0-9+/]{40,}={0,2}" + _JUNK)


class KeyBlock:
    """Follows the lines of one text; says of each what is shown of it if it is part of a key's body.

    Attributes:
        open: whether a key has begun and not ended.
    """

    __slots__ = ("_lines_left", "_prefix_bytes")

    def __init__(self) -> None:
        self._lines_left = 0
        self._prefix_bytes = 0

    @property
    def open(self) -> bool:
        """Whether a key has begun and not ended."""
        return self._lines_left > 0

    def close(self) -> None:
        """What comes next is no line of a key."""
        self._lines_left = 0

    def take(self, line: bytes) -> bytes | None:
        """Takes the next line, without its line feed; None: it is not of a key's body."""
        if self._lines_left:
            self._lines_left -= 1
            if _HEADER.fullmatch(line):
                return None
            if (shown := self._masked(line)) is not None:
                if _LAST.search(line):
                    self._lines_left = 0
                return shown
            self._lines_left = 0
        if _BEGIN.search(line):
            self._lines_left, self._prefix_bytes = KEY_BLOCK_LINES_MAX, 0
        return None

    def _masked(self, line: bytes) -> bytes | None:
        if _BODY.fullmatch(line):
            return MASK
        if match := _LONG_BODY.fullmatch(line):
            self._prefix_bytes = match.start(2)
            return match[1] + MASK + match[3]
        if 0 < self._prefix_bytes < len(line) and _BODY.fullmatch(line, self._prefix_bytes):
            self._lines_left = 0  # a short line is the last one
            return line[: self._prefix_bytes] + MASK
        return None


def key_begins(text: bytes, start: int) -> int:
    """The start of the next line in which a key begins; the end of the text where none does."""
    if text.find(KEY_TRACE, start) < 0 or (match := _BEGIN.search(text, start)) is None:
        return len(text)
    return text.rfind(b"\n", start, match.start()) + 1 or start


def without_bodies(text: bytes) -> bytes:
    """A text in which the bodies of keys that end in it are masked: also where a key's beginning is not in the text."""
    parts: list[bytes] = []
    at = 0
    for match in _END.finditer(text):
        last = text.rfind(b"\n", 0, match.start()) + 1
        first = text.find(b"\n", max(at, last - _BLOCK_BYTES_MAX)) + 1
        if at < first < last:
            lines = text[first:last].split(b"\n")[:-1]
            parts += (text[at:first], *(line + b"\n" for line in without_body(lines)))
            at = last
    return b"".join([*parts, text[at:]])


def without_body(lines: Sequence[bytes]) -> list[bytes]:
    """Lines before the end of a key, those of its body masked."""
    first = len(lines)
    if lines and _BODY.fullmatch(lines[-1]):  # the last one is short
        first -= 1
    while first > 0 and len(lines) - first < KEY_BLOCK_LINES_MAX and _WHOLE_LINE.fullmatch(lines[first - 1]):
        first -= 1
    return [*lines[:first], *(MASK for _ in lines[first:])]


def ends_key(line: bytes) -> bool:
    """Whether a line is the end of a key."""
    return KEY_TRACE in line and _END.search(line) is not None


def may_be_body(line: bytes) -> bool:
    """Whether a line looks like one of a key's body, wherever it stands."""
    return _WHOLE_LINE.fullmatch(line) is not None
