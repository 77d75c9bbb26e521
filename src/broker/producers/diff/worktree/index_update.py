"""What a changed path is now, and so how git can take it into the private index.

A path may be a file, a symlink, a repository, gone, too large to read, unreadable, or nothing that git keeps (a socket,
a directory). `git update-index` ends at the first path that it cannot take, so they are told apart before.

A symlink is never followed, also not by a path that leads through it: what is outside the worktree is none of ours.
"""
# ruff: noqa: PTH118, PTH120 - paths are bytes here, which pathlib does not have

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Sorted:
    """Changed paths, by what is to be done with them. All are relative to the worktree.

    Attributes:
        files: regular files that git may read, with their state.
        others: symlinks and repositories, which git reads too.
        gone: git forgets them.
        large: too large to be read, with their state.
        unreadable: there, and not for us.
    """

    files: dict[bytes, os.stat_result] = field(default_factory=dict)
    others: list[bytes] = field(default_factory=list)
    gone: list[bytes] = field(default_factory=list)
    large: dict[bytes, os.stat_result] = field(default_factory=dict)
    unreadable: list[bytes] = field(default_factory=list)


def sort_paths(root: bytes, paths: Iterable[bytes], *, file_bytes_max: int) -> Sorted:
    """Looks at each path; blocks for some microseconds each.

    Args:
        root: of the worktree.
        paths: relative to it.
        file_bytes_max: a larger file is not read.
    """
    sorted_paths = Sorted()
    folders: dict[bytes, bool] = {b"": True}
    for path in sorted(path.rstrip(b"/") for path in paths):
        try:
            status = os.lstat(os.path.join(root, path)) if _within(root, os.path.dirname(path), folders) else None
        except (FileNotFoundError, NotADirectoryError):
            status = None
        except OSError:
            sorted_paths.unreadable.append(path)
            continue
        _sort(sorted_paths, root, path, status, file_bytes_max)
    return sorted_paths


def _sort(into: Sorted, root: bytes, path: bytes, status: os.stat_result | None, bytes_max: int) -> None:
    """Adds one path to where it belongs."""
    if status is None:
        into.gone.append(path)
    elif stat.S_ISLNK(status.st_mode):
        into.others.append(path)
    elif stat.S_ISDIR(status.st_mode):
        nested = os.path.lexists(os.path.join(root, path, b".git"))
        (into.others if nested else into.gone).append(path)
    elif not stat.S_ISREG(status.st_mode):
        into.gone.append(path)
    elif not _readable(os.path.join(root, path)):
        into.unreadable.append(path)
    elif status.st_size > bytes_max:
        into.large[path] = status
    else:
        into.files[path] = status


def _within(root: bytes, folder: bytes, known: dict[bytes, bool]) -> bool:
    """Whether a folder is one, and no part of its path is a symlink."""
    if folder not in known:
        known[folder] = _within(root, os.path.dirname(folder), known) and stat.S_ISDIR(
            os.lstat(os.path.join(root, folder)).st_mode
        )
    return known[folder]


def _readable(path: bytes) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError:
        return False
    return True
