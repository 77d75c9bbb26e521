"""The server's care for its memory: garbage is found, old garbage too, and Python's own settings come back."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import pytest

from fantail.web.limits import YOUNG_OBJECTS_MAX
from fantail.web.observability import garbage
from fantail.web.observability.garbage import THRESHOLDS, memory_upkeep
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import Callable


class Cycle:
    def __init__(self) -> None:
        self.itself: Cycle | None = self


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "COLLECT_YOUNG_S", 0.01)
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
        gc.collect()
        del cycle
        await eventually(lambda: found() is None, what="a collection of all objects")


async def test_what_was_looked_at_once_is_not_looked_at_again_however_many_objects_there_are() -> None:
    async with memory_upkeep():
        kept: list[list[None]] = []
        while len(kept) < 4 * YOUNG_OBJECTS_MAX:
            kept.append([])
            if len(kept) % 1000 == 0:
                assert len(gc.get_objects()) <= YOUNG_OBJECTS_MAX + 1000  # without those that are frozen
        assert gc.get_freeze_count() > 3 * YOUNG_OBJECTS_MAX


@pytest.mark.usefixtures("hasty")
async def test_freed_memory_is_given_back_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    monkeypatch.setattr(garbage, "_malloc_trim", lambda: given.append)
    async with memory_upkeep():
        await eventually(lambda: given == [0] * len(given) and len(given) > 1, what="two times")


async def test_without_malloc_trim_there_is_nothing_to_give_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fantail.web.observability.garbage.ctypes.CDLL", lambda _: object())
    async with memory_upkeep():
        assert gc.get_threshold() == THRESHOLDS


async def test_pythons_settings_come_back() -> None:
    before = gc.get_threshold()
    async with memory_upkeep():
        assert gc.get_threshold() == THRESHOLDS
        assert gc.get_freeze_count() > 0
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
