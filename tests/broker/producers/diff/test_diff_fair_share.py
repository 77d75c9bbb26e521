"""What git tracks is shown first, and a large new folder takes no room from anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fantail.broker.producers.diff.worktree.fair_share import fair_share, tracked_folders
from fantail.broker.producers.diff.worktree.pending_changes import PendingChanges, everything
from support.worktrees.worktree_diff import TWENTY, opened

if TYPE_CHECKING:
    from support.worktrees.git_repository import GitRepository

pytestmark = pytest.mark.usefixtures("hermetic_git")


@pytest.fixture
def edited(repository: GitRepository) -> GitRepository:
    """One edit in a tracked file whose name comes last, and one in a file that is only staged."""
    repository.write("zz/edited", TWENTY)
    repository.commit()
    repository.write("zz/edited", TWENTY + "more\n")
    repository.write("zz/staged", "staged\n")
    repository.git("add", "zz/staged")
    repository.write("zz/new", "new\n")
    return repository


async def test_a_large_new_folder_is_named_and_takes_no_room(edited: GitRepository) -> None:
    for number in range(30):
        edited.write(f".venv/lib/{number}.py", f"{number}\n" * 2000)
        edited.write(f"small/{number}.py", f"{number}\n")
    notices: list[str] = []
    async with opened(edited.root, notices=notices, store_bytes=150_000) as diff:
        for pending in (everything(), PendingChanges(survey=True), everything()):
            await diff.update(pending)
            assert diff.entries.keys() == {
                *("zz/edited", "zz/staged", "zz/new"),
                *(f"small/{number}.py" for number in range(30)),
            }
            assert not any(entry.omitted for entry in diff.entries.values())
        edited.write(".venv/lib/more.py", "x\n")
        await diff.update(PendingChanges(paths={b".venv/lib/more.py"}))
        edited.write("zz/edited", TWENTY + "more\nand more\n")
        await diff.update(PendingChanges(paths={b"zz/edited"}))
        assert diff.entries["zz/edited"].additions == 2
        assert notices == ["left out of the diff, as too much is new: .venv/ (0.2 MiB)"]


async def test_a_folder_of_many_files_is_named_and_the_edit_is_listed(edited: GitRepository) -> None:
    for number in range(60):
        edited.write(f"node_modules/{number % 7}/{number}.js", "x\n")
    edited.write("package/app.js", "x\n")
    notices: list[str] = []
    async with opened(edited.root, notices=notices, files=50) as diff:
        await diff.update(everything())
        assert diff.entries.keys() == {"zz/edited", "zz/staged", "zz/new", "package/app.js"}
        edited.write(".gitignore", "node_modules/\n")
        await diff.update(PendingChanges(survey=True))
        assert diff.entries.keys() == {"zz/edited", "zz/staged", "zz/new", "package/app.js", ".gitignore"}
    assert notices == ["left out of the diff, as too much is new: node_modules/ (60 files)"]


async def test_a_folder_that_grows_past_the_limit_leaves_the_diff_and_comes_back(edited: GitRepository) -> None:
    notices: list[str] = []
    async with opened(edited.root, notices=notices, files=50) as diff:
        await diff.update(everything())
        for some in range(4):
            paths = {f"many/{some}/{number}" for number in range(20)}
            for path in paths:
                edited.write(path, "x\n")
            await diff.update(PendingChanges(paths={path.encode() for path in paths}))
        assert diff.entries.keys() == {"zz/edited", "zz/staged", "zz/new"}
        for file in edited.path("many").rglob("*"):
            if file.is_file() and file.name != "3":
                file.unlink()
        await diff.update(PendingChanges(survey=True))
        assert diff.entries.keys() == {"zz/edited", "zz/staged", "zz/new", *(f"many/{some}/3" for some in range(4))}


async def test_a_folder_that_grows_past_the_bytes_leaves_the_tracked_files_their_room(edited: GitRepository) -> None:
    async with opened(edited.root, store_bytes=400_000) as diff:
        await diff.update(everything())
        for number in range(60):
            edited.write(f"data/{number}", f"{number}\n" * 4000)
            await diff.update(PendingChanges(paths={f"data/{number}".encode()}))
            edited.write("zz/edited", TWENTY + "more\n" * (10_000 + number))
            await diff.update(PendingChanges(paths={b"zz/edited"}))
            assert diff.entries["zz/edited"].omitted is None
        assert not any(name.startswith("data/") for name in diff.entries)


async def test_tracked_files_past_the_number_come_before_all_that_is_new(repository: GitRepository) -> None:
    for number in range(40):
        repository.write(f"tracked/{number:02}", "old\n")
    repository.commit()
    for number in range(40):
        repository.write(f"tracked/{number:02}", "new\n")
        repository.write(f"a-folder/{number:02}", "new\n")
    notices: list[str] = []
    async with opened(repository.root, notices=notices, files=30) as diff:
        await diff.update(everything())
        assert diff.entries.keys() == {f"tracked/{number:02}" for number in range(30)}
    assert notices[0].startswith("left out of the diff, as too much is new: a-folder/ (40 files)")


async def test_new_folders_that_fit_by_themselves_come_after_the_tracked_files(repository: GitRepository) -> None:
    for number in range(25):
        repository.write(f"tracked/{number:02}", "old\n")
    repository.commit()
    for number in range(25):
        repository.write(f"tracked/{number:02}", "new\n")
    for number in range(20):
        repository.write(f"a-folder/{number:02}", "new\n")
    repository.write("b-folder/one", "new\n")
    notices: list[str] = []
    async with opened(repository.root, notices=notices, files=30) as diff:
        await diff.update(everything())
        assert diff.entries.keys() == {*(f"tracked/{number:02}" for number in range(25)), "b-folder/one"}
    assert notices == ["left out of the diff, as too much is new: a-folder/ (20 files)"]


async def test_the_real_limits_leave_a_package_tree_out(edited: GitRepository) -> None:
    """20,500 files in node_modules/, as `npm install` makes them without an ignore rule."""
    for folder in range(205):
        edited.path(f"node_modules/{folder}").mkdir(parents=True)
        for number in range(100):
            edited.path(f"node_modules/{folder}/{number}.js").touch()
    notices: list[str] = []
    async with opened(edited.root, notices=notices) as diff:
        await diff.update(everything())
        assert diff.entries.keys() == {"zz/edited", "zz/staged", "zz/new"}
    assert notices == ["left out of the diff, as too much is new: node_modules/ (20,500 files)"]


def test_folders_are_counted_from_the_topmost_without_tracked_files() -> None:
    folders = tracked_folders([b"packages/a/src/main.js", b"README"])
    assert folders == {b"", b"packages", b"packages/a", b"packages/a/src"}
    sizes = {b"packages/a/node_modules/x/y.js": 10, b"packages/a/node_modules/z.js": 10, b"packages/a/src/new.js": 1}
    share = fair_share(sizes, folders, files_max=10, bytes_max=15)
    assert share.taken == {b"packages/a/src/new.js"}
    assert share.left_out.keys() == {b"packages/a/node_modules/"}
