"""What only the garbage collector can free: objects in reference cycles, counted by type."""

from __future__ import annotations

import gc
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def counted_garbage() -> Iterator[Counter[str]]:
    """Counts the objects that become unreachable in the block and are not freed by their reference counts.

    Automatic collection is off in the block; the counter is filled when the block ends.
    """
    found: Counter[str] = Counter()
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    flags = gc.get_debug()
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found.update(f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.garbage)
    finally:
        gc.set_debug(flags)
        gc.garbage.clear()
        gc.collect()
        if was_enabled:
            gc.enable()
