"""What the tests of a worktree's diff share: opening one, and the proof of what it shows."""

from __future__ import annotations

import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fantail.broker.producers.diff.worktree.pending_changes import everything
from fantail.broker.producers.diff.worktree_diff import DiffLimits, Notices, WorktreeDiff, open_diff

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from fantail.broker.producers.diff.entry import DiffEntry
    from support.worktrees.git_repository import GitRepository

TWENTY = "".join(f"line {number}\n" for number in range(20))


@asynccontextmanager
async def opened(
    place: Path, base: str | None = None, notices: list[str] | None = None, **limits: int
) -> AsyncIterator[WorktreeDiff]:
    told = notices if notices is not None else []
    diff = await open_diff(place, asked_base=base, limits=DiffLimits(**limits), notices=Notices(told.append))
    try:
        yield diff
    finally:
        diff.close()


async def entries_of(repository: GitRepository) -> dict[str, DiffEntry]:
    async with opened(repository.root) as diff:
        await diff.update(everything())
        return dict(diff.entries)


async def check(repository: GitRepository, *expected: tuple[Any, ...], base: str | None = None) -> None:
    """The diff has just these entries (file, change, additions, deletions, and what more), and gives the worktree."""
    async with opened(repository.root, base) as diff:
        await diff.update(everything())
        found = [
            (entry.file, entry.change, entry.additions, entry.deletions)
            + ((entry.old_path,) if entry.old_path else ())
            + ((entry.omitted,) if entry.omitted else ())
            for entry in diff.entries.values()
        ]
        assert sorted(found) == sorted(expected)
        left_out = {entry.file.encode() for entry in diff.entries.values() if entry.omitted}
        place = repository.root.parent / "applied"
        shutil.rmtree(place, ignore_errors=True)
        applied = repository.files_after(diff.base.tree, diff.entries.values(), place)
        there = {name: file for name, file in repository.files().items() if name not in left_out}
        assert {name: file for name, file in applied.items() if name not in left_out} == there
