"""A bounded queue of entries on disk, for the time while Redis is away.

The file has no name: it is gone with the process, however that ends. Each entry is stored with its length before it;
reading and writing go by place, so nothing is buffered here. Space is given back when the queue runs empty, and not
before: the bound is on the file, and a queue that is read while it is written may be full a little early.

A full or unwritable disk is the same as a full queue: the caller is told how many entries were taken. Writes go to
the page cache and do not wait for the disk, so the functions are plain ones.

Decided against: a named file that another process could deliver later. The job would have got its status by then, and
two writers would race for one list.
"""

from __future__ import annotations

import os
import struct
import tempfile
from typing import TYPE_CHECKING, Final

from fantail.broker.limits import APPEND_BYTES_MAX, APPEND_RECORDS_MAX, SPOOL_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import IO, Self

_LENGTH: Final = struct.Struct(">I")


class Spool:
    """First in, first out; use it as a context, or close it."""

    def __init__(self, bytes_max: int = SPOOL_BYTES_MAX, directory: Path | None = None) -> None:
        """Makes an empty queue; the file is made with the first entry.

        Args:
            bytes_max: how large the file may grow; 0 takes nothing.
            directory: where it is made; the system's directory for temporary files where None.
        """
        self._bytes_max = bytes_max
        self._directory = directory
        self._file: IO[bytes] | None = None
        self._read_at = 0
        self._write_at = 0
        self._entries = 0

    def __len__(self) -> int:
        """How many entries wait."""
        return self._entries

    def append(self, entries: Sequence[bytes]) -> int:
        """Takes as many of the entries as there is room for, in order, and returns how many that were."""
        taken = []
        room = self._bytes_max - self._write_at
        for entry in entries:
            room -= _LENGTH.size + len(entry)
            if room < 0:
                break
            taken.append(_LENGTH.pack(len(entry)) + entry)
        block = b"".join(taken)
        if not block or not self._written(block):
            return 0
        self._write_at += len(block)
        self._entries += len(taken)
        return len(taken)

    def take(self, records_max: int = APPEND_RECORDS_MAX, bytes_max: int = APPEND_BYTES_MAX) -> list[bytes]:
        """Removes and returns the oldest entries, at least one if there are any."""
        entries: list[bytes] = []
        total = 0
        while self._entries and len(entries) < records_max and (not entries or total < bytes_max):
            (length,) = _LENGTH.unpack(self._read(_LENGTH.size))
            entries.append(self._read(length))
            total += length
            self._entries -= 1
        if not self._entries:
            self._empty()
        return entries

    def close(self) -> None:
        """Gives the file up, with whatever it holds. May be called twice."""
        self._entries = self._read_at = self._write_at = 0
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _written(self, block: bytes) -> bool:
        try:
            if self._file is None:
                directory = self._directory
                self._file = tempfile.TemporaryFile(buffering=0, dir=directory)  # noqa: SIM115 - closed by close()
            place, rest = self._write_at, memoryview(block)
            while rest:
                count = os.pwrite(self._file.fileno(), rest, place)
                place, rest = place + count, rest[count:]
        except OSError:
            return False
        return True

    def _read(self, count: int) -> bytes:
        assert self._file is not None
        data = os.pread(self._file.fileno(), count, self._read_at)
        assert len(data) == count, "the spool is shorter than what was written to it"
        self._read_at += count
        return data

    def _empty(self) -> None:
        self._read_at = self._write_at = 0
        if self._file is not None:
            os.ftruncate(self._file.fileno(), 0)
