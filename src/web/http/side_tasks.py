"""Tasks beside a request that end with it and leave no reference cycle.

A child of an anyio task group that ends by cancellation leaves one: its `CancelledError` refers, by the traceback, to
a frame of anyio that refers to the error. It holds the frames of the request with all that they hold, until the garbage
collector looks at old objects, which it seldom does. So each task here runs in a cancel scope of its own, and ends
normally when that is cancelled.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


@asynccontextmanager
async def side_tasks() -> AsyncIterator[Callable[..., None]]:
    """Gives a function that starts a task, `start(function, *arguments)`; the tasks are cancelled when the block ends.

    A task that raises cancels the block, and the exception comes out in an `ExceptionGroup`.
    """
    scopes: list[anyio.CancelScope] = []

    async def run(scope: anyio.CancelScope, function: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
        with scope:
            await function(*arguments)

    async with anyio.create_task_group() as tasks:

        def start(function: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
            scope = anyio.CancelScope()
            scopes.append(scope)
            tasks.start_soon(run, scope, function, *arguments)

        try:
            yield start
        finally:
            for scope in scopes:
                scope.cancel()
