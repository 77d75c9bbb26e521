"""Waiting for a condition, with a bound: what the tests do instead of sleeping."""

from __future__ import annotations

import inspect
import time
from typing import TYPE_CHECKING, TypeVar, overload

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

FIRST_PAUSE_S = 0.002
LONGEST_PAUSE_S = 0.05


@overload
async def eventually(predicate: Callable[[], Awaitable[T]], timeout_s: float = ..., what: str | None = ...) -> T: ...
@overload
async def eventually(predicate: Callable[[], T], timeout_s: float = ..., what: str | None = ...) -> T: ...
async def eventually(predicate: Callable[[], T | Awaitable[T]], timeout_s: float = 5.0, what: str | None = None) -> T:
    """Ask again and again until the answer is true, and return that answer.

    Args:
        predicate: a function, plain or async, asked at growing intervals of 2 to 50 ms.
        timeout_s: after so many seconds the test fails, with the last answer in the message.
        what: what was waited for, in words, for that message.
    """
    deadline = time.monotonic() + timeout_s
    pause_s = FIRST_PAUSE_S
    while True:
        answer = predicate()
        value: T = await answer if inspect.isawaitable(answer) else answer
        if value:
            return value
        if time.monotonic() >= deadline:
            name = what or getattr(predicate, "__qualname__", repr(predicate))
            raise AssertionError(f"not within {timeout_s} s: {name}; the last answer was {value!r}")
        await anyio.sleep(pause_s)
        pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)
