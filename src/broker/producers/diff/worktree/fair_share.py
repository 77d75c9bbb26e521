"""Which files are taken where not all can be: those that git tracks first, then new ones by folder.

A forgotten ignore rule means a package tree of 20,000 files beside the one that was edited. So what is new is counted
by folder: the topmost one in which nothing is tracked. Folders are taken whole, the smallest first, so that a large one
is named in a notice and takes no room from the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from fantail.broker.limits import MIB
from fantail.broker.producers.diff.worktree.raw_diff import file_name

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_FOLDERS_SHOWN: Final = 3
_WHOLE_MIB_MIN: Final = 10  # less has a decimal


@dataclass(slots=True)
class Folder:
    """Files that are taken together, or not at all.

    Attributes:
        sizes: of each file, in bytes.
        size_bytes: of all.
    """

    sizes: dict[bytes, int] = field(default_factory=dict)
    size_bytes: int = 0

    def add(self, path: bytes, size_bytes: int) -> None:
        """Takes one more file."""
        self.sizes[path] = size_bytes
        self.size_bytes += size_bytes


@dataclass(frozen=True, slots=True)
class Share:
    """What is taken.

    Attributes:
        taken: paths of files.
        left_out: by folder, which ends with a slash, what is left out of it and why, as words.
        single: paths that are left out and that are not in such a folder.
    """

    taken: set[bytes]
    left_out: dict[bytes, str]
    single: set[bytes]


def tracked_folders(tracked: Collection[bytes]) -> set[bytes]:
    """The folders in which something is tracked."""
    folders = {b""}
    for path in tracked:
        folder = path.rpartition(b"/")[0]
        while folder not in folders:
            folders.add(folder)
            folder = folder.rpartition(b"/")[0]
    return folders


def fair_share(sizes: Mapping[bytes, int], folders: Collection[bytes], *, files_max: int, bytes_max: int) -> Share:
    """Chooses among new files.

    Args:
        sizes: of the files, in bytes.
        folders: those in which something is tracked.
        files_max: how many are taken.
        bytes_max: of all that are taken.
    """
    groups: dict[bytes, Folder] = {}
    for path, size_bytes in sizes.items():
        groups.setdefault(_group_of(path, folders), Folder()).add(path, size_bytes)
    share = Share(set(), {}, set())
    for name, group in sorted(groups.items(), key=lambda item: _part(item[1], files_max, bytes_max)):
        single = not name.endswith(b"/")
        # A list of single files may be cut anywhere: that is left to the caller.
        if group.size_bytes <= bytes_max and (single or len(group.sizes) <= files_max):
            share.taken.update(group.sizes)
            files_max -= len(group.sizes)
            bytes_max -= group.size_bytes
        elif single:
            share.single.add(name)
        else:
            many = len(group.sizes) > files_max
            share.left_out[name] = f"{len(group.sizes):,} files" if many else _mebibytes(group.size_bytes)
    return share


def folder_words(left_out: Mapping[bytes, str]) -> str:
    """The folders for a notice, the first few of many."""
    shown = [f"{file_name(name)} ({words})" for name, words in sorted(left_out.items())[:_FOLDERS_SHOWN]]
    more = len(left_out) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more folders" if more else "")


def _mebibytes(size_bytes: int) -> str:
    size_mib = size_bytes / MIB
    return f"{size_mib:,.0f} MiB" if size_mib >= _WHOLE_MIB_MIN else f"{size_mib:.1f} MiB"


def _part(group: Folder, files_max: int, bytes_max: int) -> float:
    """How much of the room a folder takes."""
    return max(len(group.sizes) / max(files_max, 1), group.size_bytes / max(bytes_max, 1))


def _group_of(path: bytes, folders: Collection[bytes]) -> bytes:
    """The topmost folder of a path in which nothing is tracked, with a slash; the path, where something is in each."""
    at = path.find(b"/")
    while at >= 0:
        if path[:at] not in folders:
            return path[: at + 1]
        at = path.find(b"/", at + 1)
    return path
