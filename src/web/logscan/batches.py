"""Cuts a page of entries into batches of bounded count and size."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def batches(entries: Sequence[bytes], records_max: int, bytes_max: int) -> Iterator[Sequence[bytes]]:
    """Cuts entries into appends of bounded count and size; one entry alone may be longer."""
    first = size = 0
    for index, entry in enumerate(entries):
        if index > first and (index - first >= records_max or size + len(entry) > bytes_max):
            yield entries[first:index]
            first, size = index, 0
        size += len(entry)
    if first < len(entries):
        yield entries[first:]
