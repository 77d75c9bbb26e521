"""A tree watched through the package watchfiles: for systems that watch recursively by themselves (FSEvents of macOS).

One thread waits in watchfiles and writes a byte to a pipe, at which the event loop wakes up. What is reported below
ignored directories is dropped here.

Decided against: `watchfiles.awatch`. A wait that is cancelled (and ours often is: for a last pass, for a timer) ends
its generator.
"""
# ruff: noqa: PTH120 - paths are bytes here, which pathlib does not have

from __future__ import annotations

import os
import stat
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import anyio
from watchfiles import Change, watch

from fantail.broker.limits import DIFF_DEBOUNCE_S, INOTIFY_READ_BYTES
from fantail.broker.producers.diff.worktree.pending_changes import Meaning, PendingChanges, everything

if TYPE_CHECKING:
    from fantail.broker.producers.diff.worktree.location import Location

_STEP_MS: Final = 25
# What watchfiles takes to start watching, and more.
_BEGIN_S: Final = 0.2


class WatchfilesTree:
    """Watches the worktree and its repository recursively."""

    def __init__(self, location: Location) -> None:
        """Starts watching."""
        self.meaning = Meaning(location)
        self._root = os.fsencode(location.root)
        places = {os.fspath(place) for place in (location.root, location.git_dir, location.common_dir)}
        self._places = sorted(place for place in places if not any(place.startswith(f"{other}/") for other in places))
        self._ignored: set[bytes] = set()
        self._changes: set[tuple[Change, str]] = set()
        self._begun = self._failed = False
        self._lock = threading.Lock()
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="watchfiles", daemon=True)
        self._thread.start()

    @property
    def watches(self) -> int:
        """How many places are watched, recursively."""
        return len(self._places)

    async def wait(self) -> None:
        """Returns when something has changed."""
        await anyio.wait_readable(self._reader)

    def drain(self) -> PendingChanges:
        """What the changes since the last call mean."""
        with suppress(BlockingIOError):
            os.read(self._reader, INOTIFY_READ_BYTES)
        with self._lock:
            changes, self._changes = self._changes, set()
            failed, self._failed = self._failed, False
        pending = everything() if failed else PendingChanges()
        for change, path in changes:
            self._note(pending, change, os.fsencode(path))
        return pending

    async def cover(self, ignored: set[bytes]) -> bool:
        """Takes what is to be dropped; all else is watched, once the thread has begun: nobody says when."""
        self._ignored = {path.rstrip(b"/") for path in ignored if path.endswith(b"/")}
        if self._begun:
            return False
        self._begun = True
        await anyio.sleep(_BEGIN_S)
        return True

    def close(self) -> None:
        """Ends the watching; waits for the thread, some milliseconds."""
        if not self._stop.is_set():
            self._stop.set()
            self._thread.join(timeout=1.0)
            with self._lock:
                os.close(self._reader)
                os.close(self._writer)
                self._writer = -1

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow_once()
            except (OSError, RuntimeError):
                # A name that is no UTF-8, or a place that vanished. What was reported with it is lost, and what
                # happens until it watches again: so everything is looked at then.
                again = threading.Timer(_BEGIN_S, self._fail)
                again.daemon = True
                again.start()
                self._stop.wait(_STEP_MS / 1000)

    def _follow_once(self) -> None:
        changes = watch(
            *self._places,
            watch_filter=None,
            debounce=int(DIFF_DEBOUNCE_S * 1000),
            step=_STEP_MS,
            stop_event=self._stop,
            rust_timeout=0,
            raise_interrupt=False,
            ignore_permission_denied=True,
        )
        for some in changes:
            with self._lock:
                self._changes |= some
                self._ring()

    def _fail(self) -> None:
        with self._lock:
            self._failed = True
            self._ring()

    def _ring(self) -> None:
        """Wakes the event loop; under the lock, as the pipe may be closed."""
        if self._writer >= 0:
            with suppress(BlockingIOError):
                os.write(self._writer, b"\0")

    def _note(self, pending: PendingChanges, change: Change, path: bytes) -> None:
        directory, name = os.path.split(path)
        if self._is_ignored(directory):
            return
        is_directory = False
        with suppress(OSError):
            is_directory = stat.S_ISDIR(os.lstat(path).st_mode)
        went = change is Change.deleted
        # What is deleted may have been a directory: nobody can tell any more.
        self.meaning.note(
            pending, directory, name, is_directory=is_directory or went, came=change is Change.added, went=went
        )

    def _is_ignored(self, directory: bytes) -> bool:
        folder = directory[len(self._root) + 1 :] if directory.startswith(self._root + b"/") else b""
        while folder:
            if folder in self._ignored:
                return True
            folder = os.path.dirname(folder)
        return False
