"""How many entries to ask for at once, so that a reply stays within its bytes.

LRANGE is bounded by count only. The count is learnt: it starts small, in case each line is a megabyte, follows the
average of what was seen, and never asks for more than a few times as many entries as that average rests on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fantail.broker.limits import PAGE_RECORDS_FIRST

if TYPE_CHECKING:
    from collections.abc import Sequence

_GROWTH: Final = 4
_MEMORY_RECORDS: Final = 8192


class PageSize:
    """Learns from the entries of one list that were read."""

    __slots__ = ("_bytes", "_records")

    def __init__(self) -> None:
        self._records = 0.0
        self._bytes = 0.0

    def seen(self, entries: Sequence[bytes]) -> None:
        """Learns the sizes of some entries; older ones count less and less."""
        self._records += len(entries)
        self._bytes += sum(map(len, entries))
        if self._records > _MEMORY_RECORDS:
            self._records /= 2
            self._bytes /= 2

    def records(self, bytes_max: int, records_max: int) -> int:
        """How many entries to ask for, so that they have at most so many bytes by all that is known; at least one."""
        average = max(1.0, self._bytes / self._records) if self._records else 1.0
        known = max(PAGE_RECORDS_FIRST, int(_GROWTH * self._records))
        return max(1, min(int(bytes_max / average), known, records_max))

    def unit(self, bytes_max: int, records_max: int) -> int:
        """The greatest power of two within that: pages that start at its multiples are the same for every reader."""
        return 1 << (self.records(bytes_max, records_max).bit_length() - 1)
