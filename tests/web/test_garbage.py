"""The server's care for its memory: garbage is found, old garbage too, and Python's own settings come back."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import pytest

from support.wait import eventually
from web import garbage
from web.garbage import THRESHOLDS, memory_upkeep

if TYPE_CHECKING:
    from collections.abc import Callable


class Cycle:
    def __init__(self) -> None:
        self.itself: Cycle | None = self


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "COLLECT_RECENT_S", 0.01)
    monkeypatch.setattr(garbage, "COLLECT_ALL_S", 0.05)
    monkeypatch.setattr(garbage, "TRIM_S", 0.01)


def dropped() -> Callable[[], object]:
    """A reference to something that only the collector can free."""
    return weakref.ref(Cycle())


@pytest.mark.usefixtures("hasty")
async def test_what_only_the_collector_can_free_is_freed() -> None:
    async with memory_upkeep():
        found = dropped()
        await eventually(lambda: found() is None, what="a collection")


@pytest.mark.usefixtures("hasty")
async def test_so_is_what_became_garbage_long_after_it_was_made() -> None:
    async with memory_upkeep():
        cycle = Cycle()
        found = weakref.ref(cycle)
        garbage.collect_and_freeze()
        del cycle
        await eventually(lambda: found() is None, what="a collection of all objects")


async def test_what_is_frozen_is_not_looked_at_again() -> None:
    async with memory_upkeep():
        kept = [[] for _ in range(1000)]  # type: ignore[var-annotated]  # of nothing
        garbage.collect_and_freeze()
        assert len(gc.get_objects()) < len(kept)


@pytest.mark.usefixtures("hasty")
async def test_freed_memory_is_given_back_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    monkeypatch.setattr(garbage, "_malloc_trim", lambda: given.append)
    async with memory_upkeep():
        await eventually(lambda: given == [0] * len(given) and len(given) > 1, what="two times")


async def test_without_malloc_trim_there_is_nothing_to_give_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.garbage.ctypes.CDLL", lambda _: object())
    async with memory_upkeep():
        assert gc.get_threshold() == THRESHOLDS


async def test_pythons_settings_come_back() -> None:
    before = gc.get_threshold()
    async with memory_upkeep():
        assert gc.get_threshold() == THRESHOLDS
        assert gc.get_freeze_count() > 0
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
