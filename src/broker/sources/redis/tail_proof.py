"""The last known entries of a list, by which every read proves that the list still is the one we know.

A list can be trimmed at its front, deleted and written anew, or lose its tail in a crash, between any two reads and
without a trace. So every read takes the last known entries with it and looks where they stand: in their place, further
to the front (then that much was trimmed), or nowhere (then it is another list).

Pure. Entries are known by their checksums.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

import orjson

from fantail.broker.limits import PROOF_BYTES, PROOF_RECORDS
from fantail.broker.log.position import checksum

if TYPE_CHECKING:
    from collections.abc import Sequence

# A run of entries without a time of their own is taken for the same run elsewhere only if it is this long.
_PLAIN_RUN_MIN: Final = 4


class TailProof:
    """Remembers the last entries of one list."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: deque[tuple[int, int]] = deque(maxlen=PROOF_RECORDS)

    def extend(self, entries: Sequence[bytes], crcs: Sequence[int]) -> None:
        """Learns the entries that follow, or their end: only the last ones count."""
        last = entries[-PROOF_RECORDS:]
        self._known.extend((crc, len(entry)) for crc, entry in zip(crcs[-PROOF_RECORDS:], last, strict=True))

    def clear(self) -> None:
        """Forgets them: the log starts anew."""
        self._known.clear()

    def run(self, length: int) -> tuple[int, ...]:
        """The checksums to look for: of as many last entries as are cheap to read again, at least one.

        Args:
            length: the list has no more entries than that before its known end.
        """
        taken: list[int] = []
        size = 0
        for crc, entry_bytes in reversed(self._known):
            size += entry_bytes
            if len(taken) >= length or (taken and size > PROOF_BYTES):
                break
            taken.append(crc)
        return tuple(reversed(taken))


def find_run(run: Sequence[int], entries: Sequence[bytes], expected: int) -> int | None:
    """Where a run of known entries stands in what was just read.

    Args:
        run: checksums, at least one.
        entries: what was read.
        expected: where the run starts if nothing has changed.

    Returns:
        `expected`, or a lower index if the run stands there exactly once and can be no other; None: nowhere.
    """
    size = len(run)
    crcs = [checksum(entry) for entry in entries[: expected + size]]
    if tuple(crcs[expected : expected + size]) == tuple(run):
        return expected
    places = [
        at for at in range(min(expected, len(crcs))) if crcs[at] == run[0] and tuple(crcs[at : at + size]) == tuple(run)
    ]
    if len(places) != 1 or not _is_telling(entries[places[0] : places[0] + size]):
        return None
    return places[0]


def find_rest(run: Sequence[int], entries: Sequence[bytes]) -> int:
    """How many of the last entries of a run the list still begins with, after a trim that took the others; 0: none.

    Args:
        run: checksums, at least one.
        entries: the front of the list.
    """
    crcs = [checksum(entry) for entry in entries[: len(run)]]
    for left in range(min(len(run) - 1, len(crcs)), 0, -1):
        if crcs[:left] == list(run[-left:]) and all(has_time(entry) for entry in entries[:left]):
            return left
    return 0


def has_time(entry: bytes) -> bool:
    """Whether an entry carries a time, which makes it unlike any other."""
    try:
        value: Any = orjson.loads(entry)
    except orjson.JSONDecodeError:
        return False
    timestamp = value.get("timestamp") if isinstance(value, dict) else None
    return isinstance(timestamp, int | float) and timestamp > 0


def _is_telling(entries: Sequence[bytes]) -> bool:
    plain = len(entries) >= _PLAIN_RUN_MIN and len(set(entries)) > 1
    return plain or any(has_time(entry) for entry in entries)
