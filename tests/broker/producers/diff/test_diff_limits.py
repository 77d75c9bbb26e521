"""What a diff may cost, and that every limit shows and gives back (traps 22, 23 and 33)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fantail.broker.producers.diff.worktree.pending_changes import PendingChanges, everything
from support.worktrees.worktree_diff import TWENTY, check, opened

if TYPE_CHECKING:
    from support.worktrees.git_repository import GitRepository


pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("hermetic_git")]

# -- limits (traps 23 and 33) ------------------------------------------------------------------------------------------


async def test_a_file_past_its_limit_keeps_its_statistics_says_so_and_comes_back(repository: GitRepository) -> None:
    repository.write("file", "old\n")
    repository.commit()
    async with opened(repository.root, file_bytes=1000) as diff:
        for _ in range(5):  # what counts is what differs now, not how often it was made
            repository.write("file", "".join(f"{number}\n" for number in range(400)))
            await diff.update(PendingChanges(paths={b"file"}, survey=True))
            [large] = diff.entries.values()
            assert (large.diff, large.omitted, large.additions, large.deletions) == ("", "size", 400, 1)
            repository.write("file", "new\n")
            await diff.update(PendingChanges(paths={b"file"}))
            [small] = diff.entries.values()
            assert small.omitted is None
            assert small.diff.endswith("-old\n+new\n")


async def test_the_total_counts_what_is_current_and_gives_back(repository: GitRepository) -> None:
    """Trap 23."""

    def content(number: int) -> str:
        return f"{number} and more of it\n" * 20

    async with opened(repository.root, total_bytes=2000) as diff:
        for round_number in range(4):
            for number in range(6):
                repository.write(f"file-{number}", content(number) + f"round {round_number}\n")
            await diff.update(PendingChanges(survey=True))
            shown = {name for name, entry in diff.entries.items() if entry.omitted is None}
            assert len(shown) == 3
            assert len(diff.entries) == 6
            assert all(entry.additions == 21 for entry in diff.entries.values())
            hidden = sorted(diff.entries.keys() - shown)
            for name in sorted(shown)[:2]:
                repository.path(name).unlink()
            await diff.update(PendingChanges(survey=True))
            assert [name for name in hidden if diff.entries[name].omitted is None] == hidden[:2]


async def test_ordinary_files_are_whole(repository: GitRepository) -> None:
    """Trap 33: a file of 20,000 lines is nothing unusual."""
    repository.write("long", "".join(f"line {number} of a rather ordinary source file\n" for number in range(20_000)))
    await check(repository, ("long", "added", 20_000, 0))


async def test_a_file_too_large_to_be_read_is_listed_followed_and_read_when_small(repository: GitRepository) -> None:
    notices: list[str] = []
    async with opened(repository.root, notices=notices, source_bytes=10_000) as diff:
        repository.write("data", "x\n" * 10_000)
        await diff.update(everything())
        assert (diff.entries["data"].omitted, diff.entries["data"].change) == ("size", "added")
        assert notices == ["too large to be compared: data"]
        processes = diff.git.processes
        await diff.update(PendingChanges(survey=True))
        assert diff.git.processes - processes == 2, "unchanged, it is not taken in again"
        repository.write("data", "small\n")
        await diff.update(PendingChanges(survey=True))
        assert diff.entries["data"].diff.endswith("+small\n")
        repository.write("data", "y\n" * 10_000)
        await diff.update(PendingChanges(paths={b"data"}))
        assert diff.entries["data"].omitted == "size"
        repository.path("data").unlink()
        await diff.update(PendingChanges(survey=True))
        assert not diff.entries


async def test_copies_on_disk_are_bounded_and_given_back(repository: GitRepository) -> None:
    async with opened(repository.root, store_bytes=100_000) as diff:
        objects = diff._private_index.objects
        for number in range(30):
            repository.write("file", f"{number}\n" * 8_000)
            await diff.update(PendingChanges(survey=True))
            held = sum(path.stat().st_size for path in objects.rglob("*") if path.is_file())
            assert held < 200_000
            assert diff.entries["file"].omitted is None
        for number in range(10):
            repository.write(f"more-{number}", f"{number}\n" * 10_000)
        await diff.update(everything())
        assert {entry.omitted for entry in diff.entries.values()} == {None, "size"}
        for number in range(8):
            repository.path(f"more-{number}").unlink()
        await diff.update(everything())
        assert {entry.omitted for entry in diff.entries.values()} == {None}


async def test_past_the_number_of_files_a_notice_says_so(repository: GitRepository) -> None:
    for number in range(12):
        repository.write(f"file-{number:02}", "x\n")
    notices: list[str] = []
    async with opened(repository.root, notices=notices, files=10) as diff:
        await diff.update(everything())
        assert len(diff.entries) == 10
    assert notices == ["12 files differ, the first 10 are listed; see `git diff`"]


# -- cost ------------------------------------------------------------------------------------------------------------


async def test_a_burst_of_a_thousand_changed_files_costs_eight_git_processes(repository: GitRepository) -> None:
    """Trap 22."""
    for number in range(500):
        repository.write(f"folder-{number % 10}/file-{number}", f"{number}\n" + TWENTY)
    repository.commit()
    async with opened(repository.root) as diff:
        await diff.update(everything())
        await diff.update(PendingChanges(survey=True))
        before = diff.git.processes
        for number in range(500):
            repository.write(f"folder-{number % 10}/file-{number}", f"{number}\n" + TWENTY + "more\n")
            repository.write(f"folder-{number % 10}/new-{number}", f"new {number}\n")
        await diff.update(diff.tree.drain())
        assert len(diff.entries) == 1000
        assert diff.git.processes - before <= 8


async def test_only_what_changed_is_computed_again(repository: GitRepository) -> None:
    for number in range(20):
        repository.write(f"file-{number}", "x\n")
    async with opened(repository.root) as diff:
        await diff.update(everything())
        assert diff.patches.made == 20
        repository.write("file-3", "y\n")
        await diff.update(PendingChanges(paths={b"file-3"}))
        assert diff.patches.made == 21
        await diff.update(everything())
        assert diff.patches.made == 21
