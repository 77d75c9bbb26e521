r"""What `git diff-index --raw -z` says, and how the names of files become text.

Paths are bytes here, as they are on Linux. In JSON and in a patch a name is text:

- A name in UTF-8 stands for itself: spaces, quotes, newlines and all.
- Any other, and one that begins with a double quote, is written as git writes it: in double quotes, with C escapes and
  octal for what is no UTF-8 (`"caf\351.txt"`). So a name that begins with a double quote is always the quoted form,
  and `path_of` gives the bytes back.

Source of the formats: git-diff-index(1), "RAW OUTPUT FORMAT"; quote.c of git for the escapes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind = Literal["added", "modified", "deleted", "renamed", "copied"]

_KINDS: Final[dict[str, Kind]] = {
    "A": "added",
    "M": "modified",
    "T": "modified",
    "D": "deleted",
    "R": "renamed",
    "C": "copied",
}
NO_MODE: Final = "000000"
GITLINK_MODE: Final = "160000"
_TYPE_DIGITS: Final = 2  # of a mode: 10 a file, 12 a symlink, 16 a submodule


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs from the base. Equal changes have equal patches, whenever they were found.

    Attributes:
        kind: what happened to it.
        similarity: of a rename or a copy, in percent; else None.
        old_mode: six octal digits; 000000 where there was nothing.
        new_mode: the same, of what is there now.
        old_oid: git's name for the old content, in full; zeros where there was nothing.
        new_oid: the same, of the new content.
        old_path: where it was, for a rename or a copy; else the path.
        path: where it is, or was.
    """

    kind: Kind
    similarity: int | None
    old_mode: str
    new_mode: str
    old_oid: str
    new_oid: str
    old_path: bytes
    path: bytes

    @property
    def same_content(self) -> bool:
        """Whether only its name or its permissions differ."""
        return self.old_oid == self.new_oid and not self.type_changed

    @property
    def type_changed(self) -> bool:
        """Whether it was a file and is a symlink, or the like. Git writes that as two patches of one path."""
        modes = (self.old_mode, self.new_mode)
        return NO_MODE not in modes and modes[0][:_TYPE_DIGITS] != modes[1][:_TYPE_DIGITS]


def parse_raw(output: bytes) -> list[Change]:
    """The changes in the output of `git diff-index --raw -z --no-abbrev`, in its order; unmerged paths are left out.

    Raises:
        ValueError: that is no such output.
    """
    return list(_changes(iter(output.split(b"\0"))))


def _changes(fields: Iterator[bytes]) -> Iterator[Change]:
    for head in fields:
        if not head:
            continue
        if not head.startswith(b":"):
            raise ValueError(f"not a raw diff: {head[:80]!r}")
        old_mode, new_mode, old_oid, new_oid, status = head[1:].decode("ascii").split(" ")
        old_path = next(fields)
        path = next(fields) if status[0] in "RC" else old_path
        kind = _KINDS.get(status[0])
        if kind is not None:
            similarity = int(status[1:]) if status[0] in "RC" else None
            yield Change(kind, similarity, old_mode, new_mode, old_oid, new_oid, old_path, path)


_ESCAPES: Final = {
    7: b"\\a",
    8: b"\\b",
    9: b"\\t",
    10: b"\\n",
    11: b"\\v",
    12: b"\\f",
    13: b"\\r",
    34: b'\\"',
    92: b"\\\\",
}
_UNESCAPED: Final = {escape[1:]: bytes([code]) for code, escape in _ESCAPES.items()}
_ESCAPE: Final = re.compile(rb"\\([abtnvfr\"\\]|[0-3][0-7]{2})")
_ODD: Final = re.compile(rb'[\x00-\x1f\x7f"\\]')
_ODD_OR_HIGH: Final = re.compile(rb'[\x00-\x1f\x7f-\xff"\\]')


def quoted(name: bytes) -> str:
    """A name as it stands in a patch: as it is, or in double quotes with C escapes where it must be."""
    try:
        name.decode()
        odd = _ODD
    except UnicodeDecodeError:
        odd = _ODD_OR_HIGH
    if odd.search(name) is None:
        return name.decode()
    return f'"{odd.sub(_escape, name).decode()}"'


def _escape(found: re.Match[bytes]) -> bytes:
    code = found.group()[0]
    return _ESCAPES.get(code, b"\\%03o" % code)


def file_name(path: bytes) -> str:
    """A path as JSON carries it: itself where it is UTF-8, else as git quotes it."""
    try:
        name = path.decode()
    except UnicodeDecodeError:
        return quoted(path)
    return quoted(path) if name.startswith('"') else name


def path_of(name: str) -> bytes:
    """The path that `file_name` made a name of."""
    if not name.startswith('"'):
        return name.encode()
    return _ESCAPE.sub(_unescape, name[1:-1].encode())


def _unescape(found: re.Match[bytes]) -> bytes:
    escape = found.group(1)
    return _UNESCAPED.get(escape) or bytes([int(escape, 8)])
