"""Questions that are asked at the same time, asked together: one for all who wait.

A browser that comes back with 200 topics asks 200 times whose they are, and after a restart all browsers do. One by
one that is a query each; 20,000 of them held four connections for longer than the time-out, and the database was said
not to answer.

There is no task: the first who comes asks for itself and all who wait behind it, and each of them finds the answer
made. So a question that nobody waits for any more is not asked, and one whose asker was cancelled is asked by the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Generic, TypeVar

import anyio

from fantail.broker.errors import SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(slots=True, eq=False)
class _Question(Generic[Key, Value]):
    answers: Mapping[Key, Value] | SourceUnavailableError | None = None


class BatchedLookup(Generic[Key, Value]):
    """Asks about keys, a page at a time and one page after another.

    Args:
        ask: answers for those keys of a page that it knows; raises SourceUnavailableError.
        page_max: keys in one question.
    """

    def __init__(self, ask: Callable[[Collection[Key]], Awaitable[Mapping[Key, Value]]], page_max: int) -> None:
        self._ask = ask
        self._page_max = page_max
        self._waiting: dict[Key, _Question[Key, Value]] = {}
        self._turn = anyio.Lock()

    async def answers_with(self, key: Key) -> Mapping[Key, Value]:
        """The answers among which that for this key is, if there is one. They are not older than the call.

        Raises:
            SourceUnavailableError: nobody answers; told at once to all who wait, for each would wait a time-out more.
        """
        question = self._waiting.setdefault(key, _Question())
        async with self._turn:
            if question.answers is None:
                await self._ask_page(key, question)
        if isinstance(question.answers, SourceUnavailableError):
            raise SourceUnavailableError(str(question.answers)) from question.answers
        assert question.answers is not None
        return question.answers

    async def _ask_page(self, key: Key, question: _Question[Key, Value]) -> None:
        page = {key: question}
        page.update(
            islice(((other, each) for other, each in self._waiting.items() if other != key), self._page_max - 1)
        )
        for taken in page:
            self._waiting.pop(taken, None)
        answers: Mapping[Key, Value] | SourceUnavailableError
        try:
            answers = await self._ask(tuple(page))
        except SourceUnavailableError as fault:
            answers = fault
            page.update(self._waiting)
            self._waiting.clear()
        for each in page.values():
            each.answers = answers
