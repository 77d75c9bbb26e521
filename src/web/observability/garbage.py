"""Memory of the server's process over time: what the garbage collector looks at, and what goes back to the system.

**The collector.** Nearly everything is freed by reference counts (tests/faults/test_no_reference_cycles.py). The few
cycles that libraries make must be found: a connection to Redis that was replaced, a poll of a backend; without uvloop,
one of seven objects in each of asyncio's transports. But a look at all objects stops the event loop: 0.2 s with 2,000
open streams. So each object is looked at once while it is young, and frozen if it is still in use (`gc.freeze`); frozen
objects are looked at once an hour. A look at young ones takes some 10 ms at most.

    young objects   by Python itself when there are 25,000, and once a minute however few there are
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

from fantail.web.limits import COLLECT_ALL_S, COLLECT_YOUNG_S, TRIM_S, YOUNG_OBJECTS_MAX

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

logger = logging.getLogger("fantail.server")

# Python's defaults are 700, 10, 10 (3.11) to 2000, 10, 0 (3.14). There is nothing in the older generations.
THRESHOLDS: Final = (YOUNG_OBJECTS_MAX, 1_000_000, 1_000_000)


@asynccontextmanager
async def memory_upkeep() -> AsyncIterator[None]:
    """Collects garbage and returns freed memory while the block lasts; to be entered when the program has started."""
    thresholds = gc.get_threshold()
    gc.callbacks.append(_freeze_survivors)
    gc.collect()
    gc.set_threshold(*THRESHOLDS)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_collect)
            if (trim := _malloc_trim()) is not None:
                tasks.start_soon(_give_back, trim)
            yield
            tasks.cancel_scope.cancel()
    finally:
        gc.callbacks.remove(_freeze_survivors)
        gc.unfreeze()
        gc.set_threshold(*thresholds)


def _freeze_survivors(phase: str, _: object) -> None:
    """Has what a collection left be passed over by the next ones (`gc.callbacks`)."""
    if phase == "stop":
        gc.freeze()


async def _collect() -> None:
    all_due_s = anyio.current_time() + COLLECT_ALL_S
    while True:
        await anyio.sleep(COLLECT_YOUNG_S)
        if anyio.current_time() >= all_due_s:
            all_due_s = anyio.current_time() + COLLECT_ALL_S
            gc.unfreeze()
        began_s = time.perf_counter()
        found = gc.collect()
        logger.debug("collected %d objects in %.1f ms", found, 1000 * (time.perf_counter() - began_s))


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
