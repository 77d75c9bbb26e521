"""How long the event loop is kept from everybody else."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass(slots=True)
class Pauses:
    """What was seen so far."""

    longest_s: float = 0.0


@asynccontextmanager
async def watching_pauses() -> AsyncIterator[Pauses]:
    """Watches the loop while the context lasts: a task that asks to go on after a millisecond, again and again."""
    pauses = Pauses()

    async def watch() -> None:
        while True:
            began_s = time.monotonic()
            await anyio.sleep(0.001)
            pauses.longest_s = max(pauses.longest_s, time.monotonic() - began_s)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        yield pauses
        tasks.cancel_scope.cancel()
