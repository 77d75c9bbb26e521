"""Whether the files of a submodule differ from its commit, found without running anything that it configures.

A submodule is a repository within the worktree that the worktree's own index has an entry for. `git status` would
start another git in it, with its hooks, filters and monitors. Here each one is a snapshot of its own: with a private
index and a private git directory, as the worktree itself has. Submodules within submodules are found in the same way.

As for `git diff`, untracked files do not make a submodule differ.
"""
# ruff: noqa: PTH112, PTH113, PTH118, PTH123 - paths are bytes here, which pathlib does not have

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from fantail.broker.producers.diff.worktree.git_process import WorktreeError
from fantail.broker.producers.diff.worktree.location import Location
from fantail.broker.producers.diff.worktree.private_index import PrivateIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fantail.broker.producers.diff.worktree.git_process import Git


@dataclass(frozen=True, slots=True)
class Inside:
    """What is in a submodule.

    Attributes:
        commit: of its HEAD; None where there is none, or it cannot be read.
        modified: whether tracked files differ from that.
        ignored: what it ignores, relative to the worktree around it; directories end with a slash.
    """

    commit: str | None = None
    modified: bool = False
    ignored: set[bytes] = field(default_factory=set)


class InnerSnapshot(Protocol):
    """The snapshot of a submodule."""

    async def inside(self, commit: str) -> tuple[bool, Iterable[bytes]]:
        """See `Snapshot`."""

    def close(self) -> None:
        """See `Snapshot`."""


@dataclass(frozen=True, slots=True)
class _Opened:
    git: Git
    private_index: PrivateIndex
    snapshot: InnerSnapshot


class Submodules:
    """The submodules of one worktree that have been looked into."""

    def __init__(self, git: Git, root: Path, make: Callable[[Git, Location, PrivateIndex], InnerSnapshot]) -> None:
        """Takes git, the worktree around them, and how a snapshot is made."""
        self._git = git
        self._root = os.fsencode(root)
        self._make = make
        self._opened: dict[bytes, _Opened] = {}

    async def look(self, path: bytes) -> Inside:
        """Looks at all files of a submodule; where it cannot be read, nothing is known of it."""
        git_dir = git_dir_of(os.path.join(self._root, path))
        if git_dir is None:
            return Inside()
        try:
            return await self._look(path, Path(os.fsdecode(git_dir)))
        except (WorktreeError, OSError):
            self._close(path)
            return Inside()

    async def _look(self, path: bytes, git_dir: Path) -> Inside:
        root = Path(os.fsdecode(os.path.join(self._root, path)))
        git = self._git.inside(root, {"GIT_DIR": os.fspath(git_dir), "GIT_WORK_TREE": os.fspath(root)})
        said = (await git.run("rev-parse", "--show-object-format", "HEAD", accepted=(0, 128))).output.split()
        object_format, commit = (said[0], said[1].decode()) if len(said) > 1 else (b"", "HEAD")
        if commit == "HEAD":
            return Inside()
        known = self._opened.get(path)
        if known is None:
            common_dir = common_dir_of(git_dir)
            oid_chars = 64 if object_format == b"sha256" else 40
            location = Location(root, git_dir, common_dir, git_dir / "index", common_dir / "objects", oid_chars)
            private_index = PrivateIndex(location)
            known = self._opened[path] = _Opened(git, private_index, self._make(git, location, private_index))
        modified, ignored = await known.snapshot.inside(commit)
        return Inside(commit, modified, {path + b"/" + name for name in ignored})

    def keep(self, paths: set[bytes]) -> None:
        """Forgets all others."""
        for path in self._opened.keys() - paths:
            self._close(path)

    def close(self) -> None:
        """Removes what was written for them."""
        self.keep(set())

    def _close(self, path: bytes) -> None:
        opened = self._opened.pop(path, None)
        if opened is not None:
            opened.snapshot.close()
            opened.private_index.close()


def git_dir_of(directory: bytes) -> bytes | None:
    """The git directory of a repository within the worktree; None where its `.git` says nothing."""
    git = directory + b"/.git"
    try:
        if os.path.isdir(git):
            return git
        if not os.path.isfile(git):
            return None
        with open(git, "rb") as file:
            said = file.read(os.pathconf("/", "PC_PATH_MAX"))
    except OSError:
        return None
    if not said.startswith(b"gitdir:"):
        return None
    return os.path.realpath(os.path.join(directory, said.removeprefix(b"gitdir:").strip()))


def common_dir_of(git_dir: Path) -> Path:
    """What all worktrees of a repository share, by the git directory of one."""
    try:
        said = (git_dir / "commondir").read_bytes().strip()
    except OSError:
        return git_dir.resolve()
    return (git_dir / os.fsdecode(said)).resolve()
