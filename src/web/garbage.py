"""Memory of the server's process over time: what the garbage collector looks at, and what goes back to the system.

**The collector.** Nearly everything is freed by reference counts (tests/faults/test_no_reference_cycles.py). The few
cycles that libraries make must be found: a connection to Redis that was replaced, a poll of a backend; without uvloop,
one of seven objects in each of asyncio's transports. But a look at all objects stops the event loop for about 0.2 s
with 2,000 open streams. So:

    young objects   by Python itself, after 50,000 more objects were made than freed
    recent ones     once a minute: those that were made since the last time; afterwards they are frozen
    all             once an hour

A line to a thousand clients makes and drops thousands of objects that have no cycles; with Python's own thresholds a
seventh of the time of such a fan-out goes into the collector.

**The allocator.** glibc keeps freed memory for the process. `malloc_trim` gives whole free pages back to the system. It
runs in a thread, and often, so that each time there is little to give: it holds the allocator's lock meanwhile.
Elsewhere than on glibc nothing is done.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from web.limits import COLLECT_ALL_S, COLLECT_RECENT_S, TRIM_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

logger = logging.getLogger("fantail.server")

# Python's defaults are 700, 10, 10 (3.11) to 2000, 10, 0 (3.14). The last is out of reach: `_collect` does that part.
THRESHOLDS: Final = (50_000, 20, 1_000_000)


@asynccontextmanager
async def memory_upkeep() -> AsyncIterator[None]:
    """Collects garbage and returns freed memory while the block lasts; to be entered when the program has started."""
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_collect)
            if (trim := _malloc_trim()) is not None:
                tasks.start_soon(_give_back, trim)
            yield
            tasks.cancel_scope.cancel()
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)


async def _collect() -> None:
    all_due_s = anyio.current_time() + COLLECT_ALL_S
    while True:
        await anyio.sleep(COLLECT_RECENT_S)
        everything = anyio.current_time() >= all_due_s
        if everything:
            all_due_s = anyio.current_time() + COLLECT_ALL_S
            gc.unfreeze()
        collect_and_freeze()


def collect_and_freeze() -> int:
    """Collects what is not frozen, and freezes the rest: the next time, only what is made from now on is looked at.

    Returns:
        How many objects were found that only the collector could free.
    """
    began_s = time.perf_counter()
    found = gc.collect()
    gc.freeze()
    logger.debug("collected %d objects in %.1f ms", found, 1000 * (time.perf_counter() - began_s))
    return found


async def _give_back(trim: Callable[[int], int]) -> None:
    while True:
        await anyio.sleep(TRIM_S)
        began_s = time.perf_counter()
        await anyio.to_thread.run_sync(trim, 0)
        logger.debug("gave freed memory back in %.1f ms", 1000 * (time.perf_counter() - began_s))


def _malloc_trim() -> Callable[[int], int] | None:
    """malloc_trim(3), which ctypes calls without the interpreter's lock; None where there is none."""
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return None
    return trim
