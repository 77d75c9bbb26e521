r"""Files that git would pass through a program before it compares them: the attribute `filter`.

The program is the user's, so it does not run. What its result would have been is known for Git LFS, whose pointer has a
fixed form; for any other the file is listed and its patch left out. The bytes of the worktree are no stand-in for the
result: with git-crypt they are the secret that the filter keeps out of the repository.

Format of a pointer: git-lfs, docs/spec.md. Like `git lfs clean`, a file that is a pointer already is taken as it is,
and an empty file too.
"""
# ruff: noqa: PTH123 - paths are bytes here, which pathlib does not have

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

LFS: Final = b"lfs"
_POINTER: Final = b"version https://git-lfs.github.com/spec/v1\noid sha256:%b\nsize %d\n"
_POINTER_BEGINNINGS: Final = (b"version https://git-lfs.github.com/spec/", b"version https://hawser.github.com/spec/")
_POINTER_BYTES_MAX: Final = 1024
_NO_NAMES: Final = frozenset({b"unspecified", b"unset", b"set"})

_CACHED: Final = re.compile(
    rb"([^\0]+)\0  ctime: (\d+):(\d+)\n  mtime: (\d+):(\d+)\n"
    rb"  dev: \d+\tino: (\d+)\n  uid: \d+\tgid: \d+\n  size: (\d+)\tflags: [0-9a-f]+\n"
)
_GLOB: Final = re.compile(rb"[*?\[\\]")
_ODD: Final = re.compile(rb"[^A-Za-z0-9/._-]")
_WORD: Final = 2**32


class Conversion(NamedTuple):
    """What git is told to do with a file's content.

    Attributes:
        filter: the name of the filter; empty for none.
        encoding: the value of `working-tree-encoding`, as `git check-attr` writes it; empty for none.
    """

    filter: bytes
    encoding: bytes


def parse_conversions(output: bytes) -> dict[bytes, Conversion]:
    """Sorts what `git check-attr -z` printed for the two attributes, by path."""
    fields = output.split(b"\0")
    found: dict[bytes, dict[bytes, bytes]] = {}
    for path, attribute, value in zip(fields[::3], fields[1::3], fields[2::3], strict=False):
        found.setdefault(path, {})[attribute] = value
    return {path: _conversion(values) for path, values in found.items()}


def _conversion(values: dict[bytes, bytes]) -> Conversion:
    driver, encoding = values.get(b"filter", b""), values.get(b"working-tree-encoding", b"")
    return Conversion(b"" if driver in _NO_NAMES else driver, b"" if encoding == b"unspecified" else encoding)


def lfs_content(path: bytes) -> bytes:
    """What Git LFS commits in place of a file; blocks, some two seconds for a gigabyte.

    Raises:
        OSError: the file cannot be read.
    """
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        start = file.read(_POINTER_BYTES_MAX)
        if not start or (len(start) < _POINTER_BYTES_MAX and start.startswith(_POINTER_BEGINNINGS)):
            return start
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256")
        return _POINTER % (digest.hexdigest().encode(), file.tell())


def unchanged(debug_output: bytes, status_of: Iterable[tuple[bytes, os.stat_result]]) -> set[bytes]:
    """The paths whose state is the one that an index has noted, so that the content need not be compared.

    Args:
        debug_output: of `git ls-files -z --debug` for these paths.
        status_of: each path as it is now.
    """
    cached = {match[0]: tuple(int(part) for part in match[1:]) for match in _CACHED.findall(debug_output)}
    return {path for path, status in status_of if cached.get(path) == _noted(status)}


def _noted(status: os.stat_result) -> tuple[int, ...]:
    """A state as an index notes it: in words of 32 bits."""
    ctime, mtime = divmod(status.st_ctime_ns, 10**9), divmod(status.st_mtime_ns, 10**9)
    return tuple(number % _WORD for number in (*ctime, *mtime, status.st_ino, status.st_size))


def pattern_of(path: bytes) -> bytes:
    """The pattern of an attributes file that matches this path alone."""
    literal = _GLOB.sub(rb"\\\g<0>", b"/" + path)
    return b'"%b"' % _ODD.sub(lambda found: b"\\%03o" % found[0][0], literal)
