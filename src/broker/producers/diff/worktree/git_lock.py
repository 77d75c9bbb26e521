"""Whose turn it is to run git in a worktree: one watcher's at a time, of all that this user has on the machine.

Two jobs may work in one worktree, each with a base of its own: each has its own watcher and its own diff, and their git
processes take turns. Within a process that is a lock of the event loop. Between processes it is a lock on one byte of
one file in the user's cache directory; which byte, the worktree's real path says.

What holds:
- The lock belongs to the process: the kernel takes it back however that ends, and git does not inherit it (what git
  leaves running, a monitor of files, would hold it for ever).
- It costs load and never correctness, so no trouble with it stops a diff: where the file cannot be had, or somebody
  holds it for longer than any git of ours runs, git runs without it, and `trouble` says so.
- Nothing is left behind but one empty file, and a rule by which git ignores it, however many worktrees there were. The
  file is never removed: a name could then be locked twice.

Decided against: a file within `.git` (it is the user's, and may be read only), a file for each worktree (an agent makes
thousands, and removing a lock file needs a lock), and $XDG_RUNTIME_DIR (a job started by cron has none, and would not
meet the one started by hand). Another user, or another machine on a shared disk without locks, is not met.

Locks are those of fcntl(2), "advisory record locking": closing any descriptor of the file gives all of them back, so it
is opened once in a process and stays open.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import weakref
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio

from fantail.broker.limits import GIT_TURN_LOOK_S_MAX, GIT_TURN_LOOK_S_MIN, GIT_TURN_S_MAX
from fantail.broker.own_directories import hide_from_git

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_OFFSET_BITS: Final = 62
"""Of the offset of a worktree's byte: a file's offsets are signed and of 64 bits."""

_queues: weakref.WeakValueDictionary[str, anyio.Lock] = weakref.WeakValueDictionary()
_opened: dict[Path, int] = {}


def turns_file() -> Path:
    """Where the locks are: `fantail/worktrees.lock` in $XDG_CACHE_HOME, else in ~/.cache."""
    # A relative path is to be ignored (XDG Base Directory Specification).
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (cache if cache.is_absolute() else Path.home() / ".cache") / "fantail" / "worktrees.lock"


class WorktreeLock:
    """The turns of one worktree.

    Attributes:
        trouble: why git may run beside that of another program, as a sentence; None while it may not.
    """

    def __init__(self, directory: Path) -> None:
        """Takes any directory of the worktree; touches nothing yet."""
        self.trouble: str | None = None
        root = _root_of(directory)
        self._queue = _queues.setdefault(root, anyio.Lock())
        self._offset = _offset_of(root)
        self._patient = True

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits until it is our turn, for at most `GIT_TURN_S_MAX` where another process has it; then it is ours."""
        async with self._queue:
            file = self._file()
            taken = file is not None and await self._taken(file)
            try:
                yield
            finally:
                if file is not None and taken:
                    with suppress(OSError):  # there are no locks there, which was told
                        fcntl.lockf(file, fcntl.LOCK_UN, 1, self._offset)

    def _file(self) -> int | None:
        """The open file; None where it cannot be had, which is the trouble then."""
        try:
            return _open(turns_file())
        except (OSError, RuntimeError) as error:  # RuntimeError: there is no home directory
            self.trouble = f"git may run beside that of another watcher: {error}"
            return None

    async def _taken(self, file: int) -> bool:
        """Whether we hold the lock; looks again and again, more and more rarely."""
        look_s = GIT_TURN_LOOK_S_MIN
        with anyio.move_on_after(GIT_TURN_S_MAX if self._patient else 0):
            while not (held := self._locked(file)):
                await anyio.sleep(look_s)
                look_s = min(2 * look_s, GIT_TURN_LOOK_S_MAX)
            return held
        # Who waited in vain once does not wait again until it was free: the other is stopped, or stuck.
        self._patient = False
        self.trouble = (
            f"another watcher of this worktree has not let git run for {GIT_TURN_S_MAX:.0f} s; no longer waited for"
        )
        return False

    def _locked(self, file: int) -> bool:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self._offset)
        except (BlockingIOError, PermissionError):  # EAGAIN or EACCES: another has it
            return False
        except OSError as error:
            self.trouble = f"git may run beside that of another watcher: {error}"
            return True
        self._patient = True
        self.trouble = None
        return True


def _root_of(directory: Path) -> str:
    """The worktree's own directory, by the rule that git has: the nearest that holds `.git`."""
    place = Path(os.path.realpath(directory))
    # `os.path` and not `Path.exists`: what may not be looked at is not there, and git will say why.
    return os.fspath(next((above for above in (place, *place.parents) if os.path.exists(above / ".git")), place))  # noqa: PTH110


def _offset_of(root: str) -> int:
    digest = hashlib.sha256(os.fsencode(root)).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - _OFFSET_BITS)


def _open(path: Path) -> int:
    known = _opened.get(path)
    if known is None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        hide_from_git(path.parent)
        known = _opened[path] = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    return known
