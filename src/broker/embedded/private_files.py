"""Directories and files that nobody else can have made or can change, and processes that are proven to be ours.

What for: the private Valkey keeps users' output in a directory, and a lock file there says which process to adopt or
to end. In a directory that another user made, or may write to, all of it may be planted: links that have us overwrite
a file of our user's, a Valkey that records what is written to it, the id of a process that is to be killed.

Invariants: a directory is used only if it and everything above it belong to this user or to root and are closed to
others' writing (or have the sticky bit, as /tmp has); a file is opened only if it is no link and belongs to this user;
a process is signalled only if it belongs to this user, runs a valkey-server and has the lock file open, and through a
handle that was taken before this was proven, so that an id that is used again is never meant.
"""

from __future__ import annotations

import grp
import os
import pwd
import signal
import socket
import stat
import struct
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import Self

PROGRAM: Final = "valkey-server"
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_PEER: Final = struct.Struct("3i")  # struct ucred of unix(7): pid, uid, gid


class UnsafePathError(OSError):
    """Another user could have made the file or directory, or can change it; the message says why."""


def check_directory(directory: Path) -> None:
    """Makes sure that nobody else can change what is in a directory, or put another in its place.

    Raises:
        UnsafePathError: somebody can.
        OSError: it cannot be looked at.
    """
    found = directory.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise UnsafePathError(f"{directory} is not a directory")
    if found.st_uid != os.geteuid():
        raise UnsafePathError(f"it belongs to {_user(found.st_uid)}, and this is {_user(os.geteuid())}")
    if found.st_mode & _OTHERS_WRITE:
        raise UnsafePathError(f"other users may write to it (mode {stat.S_IMODE(found.st_mode):o}); chmod go-w it")
    # As it was named and as it is: a link in between must not be anybody else's either.
    for above in dict.fromkeys((*directory.absolute().parents, *directory.resolve().parents)):
        _check_above(above)


def check_file(path: Path) -> None:
    """Makes sure that a file or socket is this user's own and no link; nothing happens if there is none.

    Raises:
        UnsafePathError: it is somebody else's, or a link.
    """
    with suppress(FileNotFoundError):
        _check_entry(path, path.lstat())


def open_private(path: Path, flags: int) -> int:
    """Opens a file of this user's own, never through a link; one that is made is open to this user alone.

    Raises:
        UnsafePathError: it is somebody else's, or a link.
        OSError: it cannot be opened.
    """
    check_file(path)  # first by its name, for the reason: an open that is refused does not tell a link from a loop
    fileno = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    try:
        _check_entry(path, os.fstat(fileno), regular=True)
    except BaseException:
        os.close(fileno)
        raise
    return fileno


def _check_entry(path: Path, found: os.stat_result, *, regular: bool = False) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise UnsafePathError(f"{path.name} is a symbolic link; remove it")
    if found.st_uid != os.geteuid():
        raise UnsafePathError(f"{path.name} belongs to {_user(found.st_uid)}, and this is {_user(os.geteuid())}")
    if regular and not stat.S_ISREG(found.st_mode):
        raise UnsafePathError(f"{path.name} is not a regular file; remove it")
    if stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
        raise UnsafePathError(f"{path.name} is a hard link to another file; remove it")
    if found.st_mode & _OTHERS_WRITE and not stat.S_ISSOCK(found.st_mode):
        raise UnsafePathError(f"other users may write to {path.name}; chmod go-w it")


def _check_above(directory: Path) -> None:
    found = directory.lstat()
    if found.st_uid not in (0, os.geteuid()):
        raise UnsafePathError(f"{directory} above it belongs to {_user(found.st_uid)}, who could replace it")
    if stat.S_ISLNK(found.st_mode) or found.st_mode & stat.S_ISVTX:
        return
    if found.st_mode & stat.S_IWOTH or (found.st_mode & stat.S_IWGRP and not _is_own_group(found.st_gid)):
        raise UnsafePathError(f"other users may write to {directory} above it, and could replace it")


def _is_own_group(gid: int) -> bool:
    """Whether only this user is in the group: systems with a group per user make directories that it may write to."""
    try:
        group, user = grp.getgrgid(gid), pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}


def _user(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name} ({uid})"
    except KeyError:
        return f"user {uid}"


# -- processes ------------------------------------------------------------------------------------------------------


def peer_of(connection: socket.socket) -> tuple[int, int] | None:
    """The process and the user that listen at the other end of a Unix socket; None where the system does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    pid, uid, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, option, _PEER.size))
    return pid, uid


class OwnProcess:
    """A Valkey of this user's that holds a lock file, proven; it is signalled through a handle, not by its id.

    Attributes:
        pid: its process id.
    """

    def __init__(self, pid: int, handle: int) -> None:
        self.pid = pid
        self._handle = handle

    @classmethod
    def proven(cls, pid: int, lock: Path) -> Self | None:
        """The process of that id, if it belongs to this user, runs a valkey-server and has the lock file open.

        None also where the system has no /proc or no handles of processes: nothing is proven there.
        """
        if pid <= 1 or not hasattr(os, "pidfd_open"):
            return None
        try:
            handle = os.pidfd_open(pid)
        except OSError:
            return None
        if _is_ours(Path("/proc") / str(pid), lock):
            return cls(pid, handle)
        os.close(handle)
        return None

    def send(self, number: signal.Signals) -> None:
        """Sends a signal; nothing happens if the process has ended."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, number)

    def close(self) -> None:
        """Gives the handle up. May be called twice."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def _is_ours(process: Path, lock: Path) -> bool:
    try:
        if process.stat().st_uid != os.geteuid():
            return False
        program = str((process / "exe").readlink()).removesuffix(" (deleted)")  # after an upgrade
        held = lock.stat()
        return Path(program).name == PROGRAM and any(
            (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino) for found in _open_files(process)
        )
    except OSError:
        return False


def _open_files(process: Path) -> list[os.stat_result]:
    found = []
    for descriptor in (process / "fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            found.append(descriptor.stat())
    return found
