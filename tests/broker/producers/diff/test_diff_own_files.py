"""Our own files are never watched nor shown, wherever the temporary, home and data directories are."""

from __future__ import annotations

import tempfile
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from fantail.broker.embedded.data_directory import VALKEY_LOCK, prepare
from fantail.broker.producers.diff.watcher import watching_diff
from fantail.broker.producers.diff.worktree import git_lock
from fantail.broker.producers.diff.worktree.pending_changes import everything
from fantail.broker.producers.diff.worktree.private_index import is_scratch
from fantail.broker.producers.diff.worktree.tree_watch import PollingTree
from fantail.broker.producers.diff.worktree.watchfiles_tree import WatchfilesTree
from support.wait import eventually
from support.worktrees.worktree_diff import TWENTY, opened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fantail.broker.producers.diff.entry import DiffEntry
    from fantail.broker.producers.diff.watcher import DiffWatcher
    from support.worktrees.git_repository import GitRepository

pytestmark = pytest.mark.usefixtures("hermetic_git")

WAIT_S = 20.0


class Sink:
    def __init__(self) -> None:
        self.entries: Mapping[str, DiffEntry] = {}

    async def publish(self, entries: Mapping[str, DiffEntry], *, whole: bool = False) -> None:  # noqa: ARG002 - a sink
        self.entries = dict(entries)


@pytest.fixture
def homely(repository: GitRepository, monkeypatch: pytest.MonkeyPatch) -> GitRepository:
    """A worktree that holds the temporary directory and the home of its user."""
    repository.write("file", TWENTY)
    repository.commit()
    repository.path("tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(repository.path("tmp")))
    monkeypatch.setenv("HOME", str(repository.root))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(git_lock, "_opened", {})
    return repository


async def test_two_watchers_in_a_worktree_with_our_directories_come_to_rest(homely: GitRepository) -> None:
    """Each has its private index in the other's worktree: neither wakes itself, or the other, for ever."""
    sinks = [Sink(), Sink()]
    async with AsyncExitStack() as stack:
        watchers = [await stack.enter_async_context(watching_diff(homely.root, sink)) for sink in sinks]
        for number in range(5):
            homely.write("file", TWENTY + "more\n" * (number + 1))
            for sink in sinks:
                await eventually(
                    lambda: "file" in sink.entries and sink.entries["file"].additions == number + 1,  # noqa: B023
                    WAIT_S,
                    "the save",
                )
        assert all(sink.entries.keys() == {"file"} for sink in sinks)
        await at_rest(watchers)
        # What is reported now would start git again.
        assert not any(watcher._diff.tree.drain() for watcher in watchers)
        assert all(watcher.statistics().git_processes < 80 for watcher in watchers)
    assert {path.name for path in homely.path("tmp").iterdir()} == set()


async def at_rest(watchers: list[DiffWatcher]) -> None:
    """Waits until no watcher has anything to do."""

    def done() -> bool:
        return not any(watcher._pending or watcher._unpublished or watcher._passing.locked() for watcher in watchers)

    for _ in range(5):  # a pass might be about to begin
        await eventually(done, WAIT_S, "rest")
        passes = [watcher.statistics().passes for watcher in watchers]
        for watcher in watchers:
            watcher._drain()
        if done() and passes == [watcher.statistics().passes for watcher in watchers]:
            return
    raise AssertionError("the watchers do not come to rest")


@pytest.mark.parametrize("way", [WatchfilesTree, PollingTree])
async def test_the_other_ways_of_watching_do_not_show_them_either(
    homely: GitRepository, monkeypatch: pytest.MonkeyPatch, way: type[WatchfilesTree | PollingTree]
) -> None:
    monkeypatch.setattr("fantail.broker.producers.diff.worktree_diff.watch_tree", way)
    async with opened(homely.root) as diff:
        homely.write("file", TWENTY + "more\n")
        for _ in range(3):
            await diff.update(everything())
            assert diff.entries.keys() == {"file"}


async def test_rules_of_the_worktree_do_not_bring_them_back(homely: GitRepository) -> None:
    homely.write(".gitignore", "!*\n!.cache\n!tmp/**\n")
    async with opened(homely.root) as diff:
        await diff.update(everything())
        assert diff.entries.keys() == {".gitignore"}
        assert not [name for name in homely.files() if name.startswith((b"tmp/", b".cache/"))], "for git as well"


async def test_a_data_directory_in_a_worktree_is_not_shown_and_files_of_the_users_are(homely: GitRepository) -> None:
    prepare(homely.path("data"))
    homely.write(f"data/{VALKEY_LOCK}", "x\n")
    homely.write("data/dump.rdb", "x\n")
    homely.path("users").mkdir()
    homely.write("users/file", "x\n")
    prepare(homely.path("users"))
    for name in (".file.swp", "file~", "#file#", ".fantail", "fantail-diff-notes/a", "tmp/x"):
        homely.write(name, "x\n")
    homely.write(".git/index.lock", "")
    async with opened(homely.root) as diff:
        await diff.update(everything())
        assert diff.entries.keys() == {
            *(".file.swp", "file~", "#file#", ".fantail", "fantail-diff-notes/a", "tmp/x", "users/file"),
        }


def test_only_what_we_name_is_ours() -> None:
    assert is_scratch(b"tmp/fantail-diff-abcd_123")
    assert is_scratch(b"tmp/fantail-diff-abcd_123/git/index.lock")
    assert not is_scratch(b"tmp/fantail-diff-notes/a")
