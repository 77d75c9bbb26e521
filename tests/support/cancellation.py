"""Cancelling at the n-th await: run it for every n, and look at what is left behind."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator


async def cancelled_at(nth: int, main: Callable[[], Coroutine[Any, Any, None]]) -> bool:
    """Runs an async function and cancels it when it waits for the n-th time, counted from 0, in this very task.

    Returns:
        Whether it came so far; False: it has ended before, and no higher n is of interest.
    """
    with anyio.CancelScope() as scope:
        await _counted(main(), nth, scope.cancel)
    return scope.cancelled_caught


@types.coroutine
def _counted(coroutine: Coroutine[Any, Any, None], nth: int, cancel: Callable[[], None]) -> Generator[Any, Any, None]:
    """Passes on whatever the event loop and the coroutine say to each other, and counts."""
    waits = 0
    answer: Any = None
    fault: BaseException | None = None
    while True:
        try:
            request = coroutine.send(answer) if fault is None else coroutine.throw(fault)
        except StopIteration:
            return
        if waits == nth:
            cancel()
        waits += 1
        try:
            answer, fault = (yield request), None
        except BaseException as thrown:  # noqa: BLE001 - it is handed on
            answer, fault = None, thrown
