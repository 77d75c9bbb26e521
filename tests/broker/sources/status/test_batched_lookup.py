"""Questions asked together: each is answered, each once, whoever is cancelled or fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from fantail.broker import SourceUnavailableError
from fantail.broker.sources.status.batched_lookup import BatchedLookup
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

PAGE_MAX = 4


class Oracle:
    """Answers every key but 0 with its square, when it may."""

    def __init__(self) -> None:
        self.pages: list[tuple[int, ...]] = []
        self.may = anyio.Event()
        self.away = False

    async def ask(self, keys: Collection[int]) -> Mapping[int, int]:
        self.pages.append(tuple(keys))
        await self.may.wait()
        if self.away:
            raise SourceUnavailableError("away")
        return {key: key * key for key in keys if key}


async def test_who_waits_while_another_asks_is_asked_for_together() -> None:
    oracle = Oracle()
    gathered = BatchedLookup(oracle.ask, PAGE_MAX)
    found: dict[int, int | None] = {}

    async def ask(key: int) -> None:
        found[key] = (await gathered.answers_with(key)).get(key)

    async with anyio.create_task_group() as tasks:
        for key in (1, 2, 3, 2, 0, 5, 6):
            tasks.start_soon(ask, key)
        await eventually(lambda: oracle.pages)
        oracle.may.set()
    assert found == {1: 1, 2: 4, 3: 9, 0: None, 5: 25, 6: 36}
    assert len(oracle.pages) <= 3
    assert all(len(page) <= PAGE_MAX for page in oracle.pages)


async def test_a_question_whose_asker_was_cancelled_is_asked_by_the_next() -> None:
    oracle = Oracle()
    gathered = BatchedLookup(oracle.ask, PAGE_MAX)
    found: list[Mapping[int, int]] = []

    async def ask(key: int, scope: anyio.CancelScope) -> None:
        with scope:
            found.append(await gathered.answers_with(key))

    first = anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, 1, first)
        tasks.start_soon(ask, 2, anyio.CancelScope())
        tasks.start_soon(ask, 1, anyio.CancelScope())
        await eventually(lambda: oracle.pages)
        first.cancel()
        await eventually(lambda: len(oracle.pages) > 1)
        oracle.may.set()
    assert [answers[key] for answers, key in zip(found, (2, 1), strict=True)] == [4, 1]


async def test_trouble_is_told_to_all_who_wait_at_once_and_the_next_question_is_asked_anew() -> None:
    oracle = Oracle()
    oracle.away = True
    gathered = BatchedLookup(oracle.ask, PAGE_MAX)
    told = []

    async def ask(key: int) -> None:
        with pytest.raises(SourceUnavailableError):
            await gathered.answers_with(key)
        told.append(key)

    async with anyio.create_task_group() as tasks:
        for key in range(1, 20):
            tasks.start_soon(ask, key)
        await eventually(lambda: oracle.pages)
        oracle.may.set()
    assert len(told) == 19
    assert len(oracle.pages) == 1
    oracle.away = False
    assert (await gathered.answers_with(7))[7] == 49
