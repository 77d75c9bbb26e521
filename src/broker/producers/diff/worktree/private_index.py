"""A private directory for one watcher: an index and objects that are ours, so that the user's are never touched.

It holds copies of what changed in the worktree, so nobody else may read it (mode 0700), it is bounded, and it is
removed at the end. A watcher that was killed leaves its directory; the next watcher removes it. A lock that ends with
its holder tells the living from the dead.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fantail.broker.limits import DIFF_SCRATCH_AGE_S
from fantail.broker.own_directories import hide_from_git
from fantail.broker.producers.diff.worktree.private_git import PrivateGit

if TYPE_CHECKING:
    from collections.abc import Collection

    from fantail.broker.producers.diff.worktree.location import Location

SCRATCH_PREFIX: Final = "fantail-diff-"
_FAN_OUT_CHARS: Final = 2
_NAME: Final = re.compile(rb"(?:^|/)fantail-diff-[a-z0-9_]{8}(?:/|$)")  # what `tempfile.mkdtemp` makes of the prefix


def is_scratch(path: bytes) -> bool:
    """Whether a path is, or lies in, the directory of a watcher: this one or another."""
    return _NAME.search(path) is not None


class PrivateIndex:
    """The directory; `close` removes it.

    Attributes:
        directory: where it is.
        private: the git directory in it.
    """

    def __init__(self, location: Location) -> None:
        """Makes it for one worktree.

        Raises:
            OSError: there is no room, or no right to.
        """
        _remove_abandoned()
        self.directory = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX))
        self._lock = os.open(self.directory / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        hide_from_git(self.directory)
        self.private = PrivateGit(
            self.directory / "git",
            root=location.root,
            git_dir=location.git_dir,
            common_dir=location.common_dir,
            objects=location.objects,
        )

    @property
    def index(self) -> Path:
        """Where the private index is."""
        return self.private.index

    @property
    def pair_index(self) -> Path:
        """Where an index for comparing pairs of contents is."""
        return self.directory / "pair-index"

    @property
    def objects(self) -> Path:
        """Where the private objects are."""
        return self.private.objects

    def sweep(self, live: Collection[str]) -> int:
        """Removes the objects that are not named, and returns the bytes of those that are left."""
        kept_bytes = 0
        for folder in self.objects.iterdir():
            if len(folder.name) != _FAN_OUT_CHARS:
                continue
            for file in folder.iterdir():
                if folder.name + file.name in live:
                    kept_bytes += file.stat().st_size
                else:
                    file.unlink(missing_ok=True)
        return kept_bytes

    def close(self) -> None:
        """Removes it. May be called twice."""
        shutil.rmtree(self.directory, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _remove_abandoned() -> None:
    """Removes the directories of this user's watchers that were killed."""
    oldest_s = time.time() - DIFF_SCRATCH_AGE_S
    for directory in Path(tempfile.gettempdir()).glob(f"{SCRATCH_PREFIX}*"):
        with suppress(OSError):
            status = directory.lstat()
            if status.st_uid != os.geteuid() or status.st_mtime > oldest_s:
                continue
            lock = os.open(directory / "lock", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(directory, ignore_errors=True)
            finally:
                os.close(lock)
