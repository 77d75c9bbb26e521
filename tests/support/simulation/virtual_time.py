"""An event loop whose clock jumps: what waits for an hour takes no time, and waiting for nothing is an error.

Everything that runs on it is deterministic (asyncio's queue is first in, first out), so a simulation that is
seeded runs the same way twice. Where no task can go on and no timer is set, nothing can ever happen again: that is
a lost wake-up, and `DeadlockError` says so at once instead of a time limit minutes later.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


class DeadlockError(AssertionError):
    """Every task waits for another one."""


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise DeadlockError("nothing is due and nobody can go on")
        self.now_s += max(timeout, 0.0)
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop with a clock that starts at 0 and jumps to the next timer."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s


def run(main: Callable[[], Awaitable[T]]) -> T:
    """Runs an async function on such a loop, under anyio.

    Raises:
        DeadlockError: it can never end.
    """
    return anyio.run(main, backend="asyncio", backend_options={"loop_factory": VirtualTimeLoop})
