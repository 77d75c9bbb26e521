"""Linux's file notifications, one directory at a time.

What for: an agent's worktree has a folder of packages with a hundred thousand files that git ignores. Only directories
that git looks into are watched here, and the set changes while it runs.

What holds:
- No event is lost without a word: where the kernel's queue overflowed, `read` says so.
- Idle costs nothing: there is no thread and no timer; the descriptor becomes readable.
- Names are bytes, whatever is in them.

Decided against: watchfiles, for Linux (1.2 was read, 1.3 tried). Its set of paths is fixed when it starts; a name that
is no UTF-8 stops it; the kernel's overflow is not passed on; changes that come while a wait times out are dropped; a
thread wakes up every few milliseconds. It is the choice where there is no inotify (`tree_watch`). Also watchdog: a
thread, and half a second of delay for pairing renames that nobody needs here.

Source: inotify(7).
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from enum import IntFlag
from typing import NamedTuple

import anyio

from fantail.broker.limits import INOTIFY_READ_BYTES, INOTIFY_READS_MAX


class Mask(IntFlag):
    """Bits of `<sys/inotify.h>`."""

    MODIFY = 0x2
    ATTRIB = 0x4
    MOVED_FROM = 0x40
    MOVED_TO = 0x80
    CREATE = 0x100
    DELETE = 0x200
    DELETE_SELF = 0x400
    MOVE_SELF = 0x800
    UNMOUNT = 0x2000
    Q_OVERFLOW = 0x4000
    IGNORED = 0x8000
    ONLYDIR = 0x0100_0000
    DONT_FOLLOW = 0x0200_0000
    EXCL_UNLINK = 0x0400_0000
    ISDIR = 0x4000_0000


WATCHED = (
    Mask.MODIFY
    | Mask.ATTRIB
    | Mask.MOVED_FROM
    | Mask.MOVED_TO
    | Mask.CREATE
    | Mask.DELETE
    | Mask.DELETE_SELF
    | Mask.MOVE_SELF
    | Mask.ONLYDIR
    | Mask.DONT_FOLLOW
    | Mask.EXCL_UNLINK
)
_EVENT = struct.Struct("iIII")


class WatchesUsedUpError(OSError):
    """The system's limit of inotify instances or watches is reached (fs.inotify.max_user_watches)."""


class Event(NamedTuple):
    """One notification.

    Attributes:
        watch: the number that `add` returned; -1 for an overflow.
        mask: what happened.
        name: within the directory; empty for the directory itself.
    """

    watch: int
    mask: int
    name: bytes


class Inotify:
    """One inotify instance."""

    def __init__(self) -> None:
        """Opens it.

        Raises:
            WatchesUsedUpError: this user has as many as the system allows.
            OSError: the system has none.
        """
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            self._add_watch = libc.inotify_add_watch
            self._rm_watch = libc.inotify_rm_watch
            init = libc.inotify_init1
        except AttributeError:
            raise OSError(errno.ENOSYS, "this system has no inotify") from None
        self._add_watch.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32]
        self._fd = _checked(init(os.O_NONBLOCK | os.O_CLOEXEC))

    def add(self, directory: bytes) -> int:
        """Watches a directory and not what is below it; one that is watched already keeps its number.

        Raises:
            WatchesUsedUpError: there are no more watches.
            OSError: it is gone, is no directory, or may not be read.
        """
        return _checked(self._add_watch(self._fd, directory, WATCHED))

    def remove(self, watch: int) -> None:
        """Ends a watch; one that has ended already is no fault."""
        self._rm_watch(self._fd, watch)

    async def wait(self) -> None:
        """Returns when there is something to read."""
        await anyio.wait_readable(self._fd)

    def read(self) -> list[Event]:
        """What has happened since the last call, or a good part of it; empty if nothing has."""
        events: list[Event] = []
        for _ in range(INOTIFY_READS_MAX):
            try:
                data = os.read(self._fd, INOTIFY_READ_BYTES)
            except BlockingIOError:
                break
            at = 0
            while at < len(data):
                watch, mask, _cookie, length = _EVENT.unpack_from(data, at)
                at += _EVENT.size
                events.append(Event(watch, mask, data[at : at + length].rstrip(b"\0")))
                at += length
        return events

    def close(self) -> None:
        """Ends all watches. May be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _checked(result: int) -> int:
    if result >= 0:
        return result
    number = ctypes.get_errno()
    if number in {errno.ENOSPC, errno.EMFILE}:
        raise WatchesUsedUpError(number, "the system's inotify watches are used up")
    raise OSError(number, os.strerror(number))
