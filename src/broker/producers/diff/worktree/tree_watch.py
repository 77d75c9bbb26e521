"""Which directories of a worktree and its repository are watched, and what came of it.

Three ways, one face:

- `InotifyTree`, on Linux: each directory that git looks into, by itself. What git ignores is not watched, nor are the
  insides of repositories within the worktree that are no submodules; of all repositories, the few directories in which
  HEAD, the index and the refs change.
- `WatchfilesTree` (`watchfiles_tree`), elsewhere: the package watchfiles over the whole worktree, where the system
  itself watches recursively (FSEvents). What is ignored is sorted out afterwards.
- `PollingTree`, where watching is refused (inotify watches used up, a file system that has none): everything, every two
  seconds or more.

What holds: a directory is watched before it is listed, so what appears in it in between is seen; and whoever asks for
`cover` surveys afterwards, so what appeared before is seen too.
"""
# ruff: noqa: PTH118 - paths are bytes here, which pathlib does not have

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Protocol

import anyio
import anyio.to_thread

from fantail.broker.limits import DIFF_POLL_S, DIFF_REF_DIRECTORIES_MAX
from fantail.broker.producers.diff.worktree.inotify import Event, Inotify, Mask, WatchesUsedUpError
from fantail.broker.producers.diff.worktree.pending_changes import Meaning, PendingChanges, everything
from fantail.broker.producers.diff.worktree.private_index import is_scratch
from fantail.broker.producers.diff.worktree.submodules import git_dir_of

if TYPE_CHECKING:
    from fantail.broker.producers.diff.worktree.location import Location


class TreeWatch(Protocol):
    """What a watcher needs of a watched tree."""

    @property
    def watches(self) -> int:
        """How many directories are watched."""

    @property
    def meaning(self) -> Meaning:
        """What is known of the tree."""

    async def wait(self) -> None:
        """Returns when something may have happened."""

    def drain(self) -> PendingChanges:
        """What has happened since the last call."""

    async def cover(self, ignored: set[bytes]) -> bool:
        """Watches the directories that there are now, but for these; whether any is new.

        Raises:
            WatchesUsedUpError: the system allows no more.
        """

    def close(self) -> None:
        """Ends the watching. May be called twice."""


class InotifyTree:
    """Watches directory by directory."""

    def __init__(self, location: Location) -> None:
        """Watches nothing yet.

        Raises:
            WatchesUsedUpError: the system allows no more.
            OSError: it has no inotify.
        """
        self.meaning = Meaning(location)
        self._location = location
        self._root = os.fsencode(location.root)
        self._inotify = Inotify()
        self._directories: dict[int, bytes] = {}
        self._uncovered: set[bytes] = set()

    @property
    def watches(self) -> int:
        """How many directories are watched."""
        return len(self._directories)

    async def wait(self) -> None:
        """Returns when there is an event; costs nothing until then."""
        await self._inotify.wait()

    def drain(self) -> PendingChanges:
        """What the events since the last call mean."""
        pending = PendingChanges()
        for event in self._inotify.read():
            self._note(pending, event)
        return pending

    async def cover(self, ignored: set[bytes]) -> bool:
        """Watches the directories that there are now; takes some 20 ms for 1,000, in a thread."""
        found = await anyio.to_thread.run_sync(self._walk, ignored)
        new = found.keys() - self._directories.keys()
        for watch in self._directories.keys() - found.keys():
            self._inotify.remove(watch)
        self._directories = found
        return bool(new)

    def close(self) -> None:
        """Ends the watching."""
        self._inotify.close()

    def _note(self, pending: PendingChanges, event: Event) -> None:
        if event.mask & Mask.Q_OVERFLOW:
            pending.add(everything())
            return
        directory = self._directories.get(event.watch)
        if directory is None:
            return
        if event.mask & Mask.IGNORED:
            del self._directories[event.watch]
        if event.name:
            self.meaning.note(
                pending,
                directory,
                event.name,
                is_directory=bool(event.mask & Mask.ISDIR),
                came=bool(event.mask & (Mask.CREATE | Mask.MOVED_TO)),
                went=bool(event.mask & (Mask.DELETE | Mask.MOVED_FROM)),
            )
        elif directory == self._root and event.mask & (Mask.DELETE_SELF | Mask.MOVE_SELF | Mask.UNMOUNT):
            pending.survey = True

    def _walk(self, ignored: set[bytes]) -> dict[int, bytes]:
        """Watches, then lists, each directory; returns the numbers of the watches."""
        found: dict[int, bytes] = {}
        nested: dict[bytes, bytes | None] = {}
        self._walk_content(found, nested, {path.rstrip(b"/") for path in ignored if path.endswith(b"/")})
        self._walk_repository(found)
        for git_dir in nested.values():
            if git_dir is not None:
                self._watch(found, git_dir)
        self.meaning.set_nested(nested)
        return found

    def _walk_content(self, found: dict[int, bytes], nested: dict[bytes, bytes | None], ignored: set[bytes]) -> None:
        waiting = [b""]
        while waiting:
            folder = waiting.pop()
            directory = os.path.join(self._root, folder) if folder else self._root
            names = self._listed(found, directory)
            if folder and b".git" in names:
                nested[folder] = git_dir_of(directory)
                if not self.meaning.is_linked(folder):
                    continue
            below = (folder + b"/" + name if folder else name for name, is_directory in names.items() if is_directory)
            waiting += [path for path in below if path not in ignored and not _is_own(path)]

    def _walk_repository(self, found: dict[int, bytes]) -> None:
        waiting: list[bytes] = []
        for place in {os.fsencode(self._location.git_dir), os.fsencode(self._location.common_dir)}:
            self._watch(found, place)
            self._watch(found, place + b"/info")
            waiting += [place + b"/refs", place + b"/reftable"]
        for _ in range(DIFF_REF_DIRECTORIES_MAX):
            if not waiting:
                return
            directory = waiting.pop()
            names = self._listed(found, directory)
            waiting += [directory + b"/" + name for name, is_directory in names.items() if is_directory]

    def _listed(self, found: dict[int, bytes], directory: bytes) -> dict[bytes, bool]:
        """Watches a directory; what is in it, and whether that is a directory. Empty where it cannot be read."""
        if not self._watch(found, directory):
            return {}
        try:
            with os.scandir(directory) as entries:
                return {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
        except OSError:
            return {}

    def _watch(self, found: dict[int, bytes], directory: bytes) -> bool:
        try:
            found[self._inotify.add(directory)] = directory
        except WatchesUsedUpError:
            raise
        except OSError:
            return False  # gone meanwhile, or not for us: git says so, where it matters
        return True


class PollingTree:
    """Watches nothing: everything may have changed, at intervals."""

    def __init__(self, location: Location, interval_s: float = DIFF_POLL_S) -> None:
        """Takes the seconds between two looks."""
        self.meaning = Meaning(location)
        self._index = location.index
        self._interval_s = interval_s
        self._seen: tuple[int, int] | None = None

    @property
    def watches(self) -> int:
        """None."""
        return 0

    async def wait(self) -> None:
        """Returns after the interval."""
        await anyio.sleep(self._interval_s)

    def drain(self) -> PendingChanges:
        """All files and the base; and the user's index, where that was written."""
        try:
            status = self._index.stat()
        except OSError:
            return PendingChanges(survey=True, base=True)
        seen = (status.st_mtime_ns, status.st_ino)
        fresh, self._seen = seen != self._seen, seen
        return PendingChanges(survey=True, base=True, fresh=fresh)

    async def cover(self, ignored: set[bytes]) -> bool:  # noqa: ARG002 - there is nothing to cover
        """Does nothing."""
        return False

    def close(self) -> None:
        """Does nothing."""


def watch_tree(location: Location) -> TreeWatch:
    """Starts watching in the way of this system.

    Raises:
        OSError: it refuses.
    """
    if platform.system() == "Linux":
        return InotifyTree(location)
    from fantail.broker.producers.diff.worktree.watchfiles_tree import WatchfilesTree  # noqa: PLC0415 - never needed on Linux

    return WatchfilesTree(location)


def _is_own(path: bytes) -> bool:
    """Whether a directory is git's, which is watched apart, or ours."""
    return path == b".git" or path.endswith(b"/.git") or is_scratch(path)
