"""Something happens at the n-th await of a response: run it for every n, and look at what the client was sent.

All tasks that a response starts count, those that read pages of the archive for it too. What happens is done at once,
by a client of Redis that blocks the event loop, so nothing else runs between the await and it.
"""

from __future__ import annotations

import asyncio
import types
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Generator

    from starlette.types import ASGIApp, Message, Scope

WAIT_S = 20.0
_TURNS_UNTIL_ASLEEP = 30


@dataclass(eq=False)
class Moment:
    """The n-th await of a response, counted from 0, and what happens then.

    Attributes:
        left: how many awaits are left until then.
        happened: whether it came to that.
    """

    left: int
    happens: Callable[[], None]
    happened: bool = False

    def pass_one(self) -> None:
        """Counts an await."""
        if self.left == 0:
            self.come()
        self.left -= 1

    def come(self) -> None:
        """It happens now, if it has not."""
        if not self.happened:
            self.happened = True
            self.happens()


_moment: ContextVar[Moment | None] = ContextVar("moment", default=None)


async def _counted(coroutine: Coroutine[Any, Any, Any], moment: Moment) -> Any:
    return await _passed_on(coroutine, moment)


@types.coroutine
def _passed_on(coroutine: Coroutine[Any, Any, Any], moment: Moment) -> Generator[Any, Any, Any]:
    """Passes on whatever the event loop and the coroutine say to each other, and counts."""
    answer: Any = None
    fault: BaseException | None = None
    while True:
        try:
            request = coroutine.send(answer) if fault is None else coroutine.throw(fault)
        except StopIteration as end:
            return end.value
        moment.pass_one()
        try:
            answer, fault = (yield request), None
        except BaseException as thrown:  # noqa: BLE001 - it is handed on
            answer, fault = None, thrown


def _make_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **settings: Any) -> asyncio.Task[Any]:
    moment = _moment.get()
    return asyncio.Task(coroutine if moment is None else _counted(coroutine, moment), loop=loop, **settings)


@asynccontextmanager
async def counting() -> AsyncIterator[None]:
    """Has the tasks of responses count their awaits while the context lasts."""
    loop = asyncio.get_running_loop()
    loop.set_task_factory(_make_task)
    try:
        yield
    finally:
        loop.set_task_factory(None)


@dataclass
class Answer:
    """What one client was sent."""

    scope: Scope
    request_body: bytes
    status: int = 0
    body: bytes = b""
    over: bool = False
    fault: Exception | None = None
    left: anyio.Event = field(default_factory=anyio.Event)
    _asked: bool = False

    async def run(self, app: ASGIApp, moment: Moment) -> None:
        """Answers the request; counts in this very task, and in those that it starts."""
        _moment.set(moment)
        try:
            await _counted(app(self.scope, self._receive, self._send), moment)  # type: ignore[arg-type]
        except Exception as fault:  # noqa: BLE001 - a connection that is cut, to a server without connections
            self.fault = fault
        self.over = True

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self.request_body, "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        self.body += message.get("body", b"")
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.left.set()
        await anyio.lowlevel.checkpoint()


async def answered(
    app: ASGIApp, answer: Answer, moment: Moment, *, caught_up: bytes | None, told: Callable[[bytes], bool]
) -> bool:
    """Answers one request, during which something happens.

    Args:
        app: the application.
        answer: of the request.
        moment: when; a client that has been sent everything before is as good.
        caught_up: what a stream ends with before it waits for news.
        told: whether a stream has told all that is to be told after it happened.

    Returns:
        Whether a later moment may make a difference.
    """
    early = True
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer.run, app, moment)
        with anyio.fail_after(WAIT_S):
            while not answer.over and not (moment.happened and told(answer.body)):
                if not moment.happened and caught_up is not None and caught_up in answer.body:
                    for _ in range(_TURNS_UNTIL_ASLEEP):
                        await anyio.lowlevel.checkpoint()
                    early = moment.happened
                    moment.come()
                await anyio.lowlevel.checkpoint()
            answer.left.set()
            while not answer.over:
                await anyio.lowlevel.checkpoint()
    return early and moment.happened
