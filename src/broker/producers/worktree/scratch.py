"""A private directory for one watcher: an index and objects that are ours, so that the user's are never touched.

It holds copies of what changed in the worktree, so nobody else may read it (mode 0700), it is bounded, and it is
removed at the end. A watcher that was killed leaves its directory; the next watcher removes it. A lock that ends with
its holder tells the living from the dead.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from broker.limits import DIFF_SCRATCH_AGE_S
from broker.producers.worktree.raw_diff import quoted

if TYPE_CHECKING:
    from collections.abc import Collection

_PREFIX: Final = "fantail-diff-"
_FAN_OUT_CHARS: Final = 2


class Scratch:
    """The directory; `close` removes it."""

    def __init__(self, shared_objects: Path) -> None:
        """Makes it.

        Args:
            shared_objects: the repository's object directory, which git reads behind ours.

        Raises:
            OSError: there is no room, or no right to.
        """
        _remove_abandoned()
        self.directory = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._lock = os.open(self.directory / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (self.objects / "info").mkdir(parents=True)
        alternates = quoted(os.fsencode(shared_objects))
        (self.objects / "info" / "alternates").write_text(f"{alternates}\n", encoding="utf-8")

    @property
    def index(self) -> Path:
        """Where the private index is."""
        return self.directory / "index"

    @property
    def pair_index(self) -> Path:
        """Where an index for comparing pairs of contents is."""
        return self.directory / "pair-index"

    @property
    def objects(self) -> Path:
        """Where the private objects are."""
        return self.directory / "objects"

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
    for directory in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
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
