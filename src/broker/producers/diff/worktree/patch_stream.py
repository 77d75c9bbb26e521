"""Many files' patches out of one `git diff-index --numstat -z -p`, cut apart as they come.

What git prints: for each file `added TAB removed TAB path NUL`, then one more NUL, then for each file one section that
begins with `diff --git` (two, where its type changed). Within a section no line begins like that: lines of change begin
with a blank, a sign or a backslash.

What holds: what is kept in memory is at most one file's bound and the total's; what is over is counted and dropped.
A file's statistics and the size of its patch are right whether its text was kept or not (trap 23).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from fantail.broker.producers.diff.worktree.unified_diff import hunks_of, patch_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fantail.broker.producers.diff.worktree.raw_diff import Change

Unreadable = Literal["binary", "encoding", "filter", "missing", "unreadable"]

_MARK: Final = b"\ndiff --git "
# What the header of a section may have, names of 4,096 bytes in octal included.
_HEADER_BYTES_MAX: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Patch:
    """One file's patch.

    Attributes:
        additions: lines added; 0 for what is binary.
        deletions: lines removed.
        size_bytes: of the text, in UTF-8.
        text: the patch; None where it was not kept.
        unreadable: why it can never be text; None where it can.
    """

    additions: int
    deletions: int
    size_bytes: int
    text: str | None
    unreadable: Unreadable | None = None

    def without_text(self) -> Patch:
        """The same, its text not kept."""
        return replace(self, text=None)


def without_lines(change: Change) -> Patch:
    """The patch of a change of name or permissions alone."""
    text = patch_of(change, [])
    return Patch(0, 0, len(text), text.decode())


@dataclass(frozen=True, slots=True)
class _Statistics:
    change: Change
    additions: int
    deletions: int
    binary: bool


class PatchStream:
    """Takes git's output chunk by chunk; `finish` gives the patches."""

    def __init__(self, changes: Iterable[Change], *, file_bytes_max: int, total_bytes_max: int) -> None:
        """Takes the changes that git was asked about, no two with one path, and how much text to keep."""
        self._changes = {change.path: change for change in changes}
        self._file_bytes_max = file_bytes_max
        self._left_bytes = total_bytes_max
        self._statistics: list[_Statistics] = []
        self._expected: Iterator[tuple[_Statistics, bool]] = iter(())
        self._in_patches = False
        self._rest = bytearray()
        self._section = bytearray()
        self._section_bytes = 0
        self._over_bytes = 0
        self._sections: list[bytes] = []
        self._patches: dict[Change, Patch] = {}

    def take(self, chunk: bytes) -> None:
        """Takes the next bytes."""
        self._rest += chunk
        if not self._in_patches and not self._take_statistics():
            return
        while (at := self._rest.find(_MARK)) >= 0:
            self._add(at + 1)
            self._end_section()
        self._add(len(self._rest) - len(_MARK) + 1)

    def finish(self) -> dict[Change, Patch]:
        """The patches, after the last byte.

        Raises:
            ValueError: the output was not what was asked for.
        """
        if not self._in_patches:
            self._rest += b"\0"
            self._take_statistics()
        self._add(len(self._rest))
        if self._section_bytes:
            self._end_section()
        if len(self._patches) != len(self._statistics):
            raise ValueError(f"git printed {len(self._patches)} patches for {len(self._statistics)} files")
        return self._patches

    def _take_statistics(self) -> bool:
        """Reads what stands before the patches, once all of it is there."""
        end = 0 if self._rest.startswith(b"\0") else self._rest.find(b"\0\0") + 1
        if end == 0 and not self._rest.startswith(b"\0"):
            return False
        for record in bytes(self._rest[:end]).split(b"\0"):
            if record:
                self._statistics.append(self._statistics_of(record))
        del self._rest[: end + 1]
        self._in_patches = True
        self._expected = ((one, last) for one in self._statistics for last in _sections(one.change))
        return True

    def _statistics_of(self, record: bytes) -> _Statistics:
        additions, deletions, path = record.split(b"\t", 2)
        if additions == b"-":
            return _Statistics(self._changes[path], 0, 0, binary=True)
        return _Statistics(self._changes[path], int(additions), int(deletions), binary=False)

    def _add(self, count: int) -> None:
        """Moves bytes to the section, as far as they may be kept."""
        if count <= 0:
            return
        self._section_bytes += count
        room = min(self._file_bytes_max, self._left_bytes) + _HEADER_BYTES_MAX - len(self._section)
        self._section += self._rest[: min(count, max(room, 0))]
        del self._rest[:count]

    def _end_section(self) -> None:
        try:
            statistics, last = next(self._expected)
        except StopIteration:
            raise ValueError("git printed more patches than files") from None
        self._sections.append(hunks_of(bytes(self._section)))
        self._over_bytes += self._section_bytes - len(self._section)
        self._section.clear()
        self._section_bytes = 0
        if last:
            self._patches[statistics.change] = self._patch(statistics)
            self._sections, self._over_bytes = [], 0

    def _patch(self, statistics: _Statistics) -> Patch:
        change = statistics.change
        if statistics.binary:
            return Patch(0, 0, 0, None, "binary")
        whole = patch_of(change, self._sections)
        size_bytes = len(whole) + self._over_bytes
        text = None
        if not self._over_bytes and size_bytes <= min(self._file_bytes_max, self._left_bytes):
            try:
                text = whole.decode()
            except UnicodeDecodeError:
                return Patch(statistics.additions, statistics.deletions, 0, None, "encoding")
            self._left_bytes -= size_bytes
        return Patch(statistics.additions, statistics.deletions, size_bytes, text)


def _sections(change: Change) -> tuple[bool, ...]:
    """One value for each section of a change: whether it is the last."""
    return (False, True) if change.type_changed else (True,)
