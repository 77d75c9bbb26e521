"""The watcher as a whole: what is saved is published, whatever happens to the worktree, git, the system, the sink."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from fantail.broker.errors import SourceUnavailableError
from fantail.broker.producers.diff import watcher as diff_watcher
from fantail.broker.producers.diff import worktree_diff
from fantail.broker.producers.diff.watcher import DiffWatcher, watching_diff
from fantail.broker.producers.diff.worktree.git_process import Git, WorktreeError
from fantail.broker.producers.diff.worktree.location import Location, locate
from fantail.broker.producers.diff.worktree.pending_changes import PendingChanges, everything
from fantail.broker.producers.diff.worktree.private_index import PrivateIndex
from fantail.broker.producers.diff.worktree.tree_watch import InotifyTree, PollingTree
from fantail.broker.producers.diff.worktree.watchfiles_tree import WatchfilesTree
from fantail.broker.producers.diff.worktree_diff import DiffLimits, Notices, open_diff
from support.wait import eventually
from support.worktrees.git_repository import GitRepository
from support.worktrees.git_witness import git_witness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from fantail.broker.producers.diff.entry import DiffEntry

WAIT_S = 15.0
linux = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("hermetic_git")]


@pytest.fixture
def repository(repository: GitRepository) -> GitRepository:
    """One that holds a file."""
    repository.write("file", "one\n")
    repository.commit()
    return repository


class Recorder:
    """A sink that keeps what it is given, or refuses it."""

    def __init__(self) -> None:
        self.entries: Mapping[str, DiffEntry] = {}
        self.published: list[bool] = []
        self.failure: Exception | None = None

    async def publish(self, entries: Mapping[str, DiffEntry], *, whole: bool = False) -> None:
        if self.failure is not None:
            raise self.failure
        self.entries = dict(entries)
        self.published.append(whole)

    @property
    def changes(self) -> dict[str, str]:
        return {name: entry.change for name, entry in self.entries.items()}

    async def shows(self, **expected: str) -> None:
        """Wait until just these files differ, in these ways."""
        await eventually(lambda: self.changes == expected, WAIT_S, f"{expected}, not {self.changes}")


@asynccontextmanager
async def following(
    place: Path, base: str | None = None, notices: list[str] | None = None
) -> AsyncIterator[tuple[DiffWatcher, Recorder]]:
    """A watcher that has made its first passes."""
    sink = Recorder()
    told = notices if notices is not None else []
    async with watching_diff(place, sink, base=base, on_notice=told.append) as watcher:
        await eventually(lambda: watcher.ended or (sink.published and not watcher._pending), WAIT_S, "the first passes")
        yield watcher, sink


# -- following ----------------------------------------------------------------------------------------------------


async def test_what_is_saved_is_published_and_what_is_undone_is_taken_back(repository: GitRepository) -> None:
    async with following(repository.root) as (_, sink):
        await sink.shows()
        repository.write("file", "two\n")
        await sink.shows(file="modified")
        repository.write("new", "x\n")
        await sink.shows(file="modified", new="added")
        repository.write("file", "one\n")
        await sink.shows(new="added")
        repository.path("new").unlink()
        await sink.shows()


async def test_directories_are_followed_as_they_come_move_and_go(repository: GitRepository) -> None:
    async with following(repository.root) as (_, sink):
        repository.write("a/b/c/deep", "x\n")
        await eventually(lambda: set(sink.entries) == {"a/b/c/deep"}, WAIT_S)
        repository.write("a/b/second", "x\n")
        await eventually(lambda: len(sink.entries) == 2, WAIT_S)
        repository.path("a").rename(repository.path("moved"))
        await eventually(lambda: set(sink.entries) == {"moved/b/c/deep", "moved/b/second"}, WAIT_S)
        repository.write("moved/b/c/deep", "y\nz\n")
        await eventually(lambda: sink.entries["moved/b/c/deep"].additions == 2, WAIT_S)
        shutil.rmtree(repository.path("moved"))
        await sink.shows()


async def test_commits_checkouts_and_moved_refs_are_noticed_by_themselves(repository: GitRepository) -> None:
    first = repository.head()
    repository.git("checkout", "-q", "-b", "topic/deep")
    repository.write("mine", "x\n")
    mine = repository.commit()
    async with following(repository.root, "main") as (_, sink):
        await sink.shows(mine="added")
        repository.git("update-ref", "refs/heads/main", mine)
        await sink.shows()
        repository.git("pack-refs", "--all")
        repository.git("update-ref", "refs/heads/main", first)
        await sink.shows(mine="added")
        repository.git("checkout", "-q", "main")
        await sink.shows()
        repository.git("checkout", "-q", "topic/deep")
        await sink.shows(mine="added")
        repository.git("commit", "-q", "--amend", "-m", "amended")
        repository.git("branch", "-q", "-f", "main", "topic/deep")
        await sink.shows()


async def test_edits_of_ignore_rules_are_noticed_wherever_they_are(repository: GitRepository) -> None:
    async with following(repository.root) as (_, sink):
        repository.write("dir/a.log", "x\n")
        await eventually(lambda: set(sink.entries) == {"dir/a.log"}, WAIT_S)
        repository.write(".git/info/exclude", "*.log\n")
        await sink.shows()
        repository.write(".git/info/exclude", "")
        await eventually(lambda: set(sink.entries) == {"dir/a.log"}, WAIT_S)
        repository.write("dir/.gitignore", "*\n")
        await sink.shows()
        repository.path("dir/.gitignore").unlink()
        repository.write("dir/b.log", "x\n")
        await eventually(lambda: set(sink.entries) == {"dir/a.log", "dir/b.log"}, WAIT_S)


async def test_a_linked_worktree_is_followed(repository: GitRepository, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    repository.git("worktree", "add", "-q", "-b", "linked", str(linked))
    async with following(linked, "main") as (_, sink):
        (linked / "new").write_text("x\n")
        await sink.shows(new="added")
        GitRepository.git_at(linked, "add", "new")
        GitRepository.git_at(linked, "commit", "-q", "-m", "new")
        repository.git("update-ref", "refs/heads/main", "linked")
        await sink.shows()
        assert b"new" not in repository.files()


async def test_a_commit_in_a_repository_within_is_noticed(repository: GitRepository) -> None:
    async with following(repository.root) as (_, sink):
        within = GitRepository(repository.path("within"))
        await sink.shows(within="added")
        before = sink.entries["within"].diff
        within.git("commit", "-q", "--allow-empty", "-m", "another")
        await eventually(lambda: sink.entries["within"].diff != before, WAIT_S)


@pytest.mark.parametrize("kind", [pytest.param(InotifyTree, marks=linux), WatchfilesTree, PollingTree])
async def test_each_way_of_watching_sees_the_same(
    repository: GitRepository, monkeypatch: pytest.MonkeyPatch, kind: type
) -> None:
    def watched(location: Location) -> InotifyTree | WatchfilesTree | PollingTree:
        return PollingTree(location, 0.1) if kind is PollingTree else kind(location)

    monkeypatch.setattr(worktree_diff, "watch_tree", watched)
    repository.write("ignored/x", "x\n")
    repository.write(".gitignore", "ignored/\n")
    first = repository.commit()
    async with following(repository.root, "main") as (_, sink):
        repository.write("file", "two\n")
        repository.write("new folder/a", "x\n")
        repository.write(b"latin-\xe9", "x\n")
        expected = {"file": "modified", "new folder/a": "added", '"latin-\\351"': "added"}
        await eventually(lambda: sink.changes == expected, WAIT_S)
        repository.write("ignored/y", "x\n")
        shutil.rmtree(repository.path("new folder"))
        repository.path(b"latin-\xe9").unlink()
        await sink.shows(file="modified")
        repository.git("checkout", "-q", "-b", "topic")
        repository.commit()
        await sink.shows(file="modified")
        repository.git("update-ref", "refs/heads/main", "topic")
        await sink.shows()
        repository.git("update-ref", "refs/heads/main", first)
        await sink.shows(file="modified")


# -- cost (trap 22) ------------------------------------------------------------------------------------------------


@pytest.fixture
def overlaps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a witness before git notes when two of them run at once."""
    witness = git_witness(tmp_path / "witness")
    monkeypatch.setenv("PATH", witness.path)
    return witness.overlapped


async def test_one_git_process_runs_at_a_time_for_a_worktree(repository: GitRepository, overlaps: Path) -> None:
    """Trap 22, also with two watchers of one worktree: two jobs, each with a base of its own."""
    async with (
        following(repository.root) as (first, one),
        following(repository.path(".git").parent, "HEAD") as (second, other),
    ):
        for number in range(4):
            repository.path(f"file-{number}").write_text("x\n")
            await eventually(lambda: len(one.entries) == len(other.entries) == number + 1, WAIT_S)  # noqa: B023
        assert first.statistics().git_processes > 10
        assert second.statistics().git_processes > 10
    assert not overlaps.stat().st_size, overlaps.read_text()  # noqa: ASYNC240 - a test may block


async def test_nothing_is_asked_of_git_while_only_ignored_files_change(repository: GitRepository) -> None:
    repository.write(".gitignore", "*.log\nnode_modules/\n")
    for number in range(50):
        repository.write(f"node_modules/package-{number}/index.js", "x\n")
    repository.write("known.log", "x\n")
    repository.commit()
    async with following(repository.root) as (watcher, sink):
        assert watcher.statistics().watches < 40, "ignored folders are not watched"
        repository.write("unknown.log", "x\n")
        repository.write("file", "two\n")
        await sink.shows(file="modified")
        before = watcher.statistics().git_processes
        for number in range(100):
            repository.write("known.log", f"{number}\n")
            repository.write("unknown.log", f"{number}\n")
            repository.write("node_modules/package-1/index.js", f"{number}\n")
            await anyio.lowlevel.checkpoint()
        repository.write("file", "three\n")
        await eventually(lambda: "three" in sink.entries["file"].diff, WAIT_S)
        assert watcher.statistics().git_processes - before <= 7, "those of the last save"


async def test_steady_writing_makes_passes_rest(repository: GitRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass and its rest take five times the pass; here a pass is made to take an eighth of a second."""
    monkeypatch.setattr(diff_watcher, "DIFF_DEBOUNCE_S", 0.002)
    monkeypatch.setattr(diff_watcher, "DIFF_DEBOUNCE_S_MAX", 0.004)
    update = worktree_diff.WorktreeDiff.update

    async def slow(self: worktree_diff.WorktreeDiff, pending: PendingChanges, *, cover: bool = True) -> PendingChanges:
        await anyio.sleep(0.125)
        return await update(self, pending, cover=cover)

    async with following(repository.root) as (watcher, _):
        monkeypatch.setattr(worktree_diff.WorktreeDiff, "update", slow)
        before = watcher.statistics().passes
        ends_s = time.monotonic() + 1.5
        number = 0
        while time.monotonic() < ends_s:
            number += 1
            repository.write("file", f"{number}\n")
            await anyio.sleep(0.002)
        assert 1 <= watcher.statistics().passes - before <= 4


# -- the end ---------------------------------------------------------------------------------------------------------


async def test_the_last_pass_has_what_was_written_just_before_and_writes_all(repository: GitRepository) -> None:
    async with following(repository.root) as (watcher, sink):
        repository.write("late/file", "x\n")
        repository.write("file", "two\n")
        assert await watcher.last_pass()
        assert set(sink.entries) == {"late/file", "file"}
        assert sink.published[-1] is True
        assert watcher.ended
        assert not await watcher.last_pass(), "once"


@linux
async def test_leaving_removes_all_that_was_made(repository: GitRepository) -> None:
    open_before = -1
    for number in range(3):
        with anyio.CancelScope() as scope:
            async with following(repository.root) as (watcher, _):
                private_index = watcher._diff._private_index.directory
                repository.write("file", f"{number}\n")
                scope.cancel()
                await anyio.lowlevel.checkpoint()
        assert not private_index.exists()
        if number == 0:  # the event loop keeps some for itself
            open_before = open_descriptors()
    await eventually(lambda: open_descriptors() <= open_before)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the names are enough


async def test_an_error_within_the_context_arrives_as_it_is(repository: GitRepository) -> None:
    with pytest.raises(KeyError, match="mine"):
        async with watching_diff(repository.root, Recorder()):
            raise KeyError("mine")


def test_what_a_killed_watcher_left_is_removed_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    location = Location(tmp_path, tmp_path, tmp_path, tmp_path / "index", tmp_path, 40)
    living = PrivateIndex(location)
    dead = PrivateIndex(location)
    os.close(dead._lock)
    dead._lock = -1
    for directory in (living.directory, dead.directory):
        os.utime(directory, (1, 1))
    PrivateIndex(location).close()
    assert living.directory.exists()
    assert not dead.directory.exists()
    living.close()


# -- trouble ----------------------------------------------------------------------------------------------------------


async def test_a_worktree_deleted_while_it_is_watched_ends_it_with_a_notice(repository: GitRepository) -> None:
    notices: list[str] = []
    async with following(repository.root, notices=notices) as (watcher, _):
        shutil.rmtree(repository.root)
        await eventually(lambda: watcher.ended, WAIT_S)
        assert not await watcher.last_pass()
    assert notices[-1] == f"the worktree {repository.root} is gone; its last diff stays"


async def test_a_repository_that_is_away_for_a_moment_is_followed_again(repository: GitRepository) -> None:
    notices: list[str] = []
    async with following(repository.root, notices=notices) as (_, sink):
        repository.path(".git").rename(repository.path("elsewhere"))
        await eventually(lambda: any("not up to date" in notice for notice in notices), WAIT_S)
        repository.path("elsewhere").rename(repository.path(".git"))
        repository.write("file", "two\n")
        await sink.shows(file="modified")
        repository.write("file", "one\n")
        await sink.shows()


async def test_git_that_vanishes_is_told_once_and_does_not_end_the_job(
    repository: GitRepository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(diff_watcher, "DIFF_RETRY_S_MIN", 0.01)
    notices: list[str] = []
    async with following(repository.root, notices=notices) as (watcher, sink):
        path = os.environ["PATH"]
        monkeypatch.setenv("PATH", str(tmp_path))
        repository.write("file", "two\n")
        await eventually(lambda: watcher._failures >= 3, WAIT_S)
        assert notices == ["the diff is not up to date: git is not installed, or not on PATH"]
        monkeypatch.setenv("PATH", path)
        await sink.shows(file="modified")


async def test_a_sink_that_is_away_is_given_the_state_when_it_is_back(
    repository: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diff_watcher, "DIFF_RETRY_S_MIN", 0.01)
    async with following(repository.root) as (watcher, sink):
        sink.failure = SourceUnavailableError("away")
        repository.write("file", "two\n")
        repository.write("other", "two\n")
        await eventually(lambda: watcher._failures >= 3, WAIT_S)
        repository.path("other").unlink()
        sink.failure = None
        await sink.shows(file="modified")


async def test_the_last_pass_gives_up_where_the_sink_stays_away(
    repository: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diff_watcher, "DIFF_LAST_PASS_S_MAX", 0.5)
    async with following(repository.root) as (watcher, sink):
        sink.failure = SourceUnavailableError("away")
        assert not await watcher.last_pass()


async def test_a_last_pass_does_not_wait_longer_the_more_often_git_failed_before(repository: GitRepository) -> None:
    """A job must not be kept from its end by faults of its diff: 15 s were seen, with a command of one second."""
    notices: list[str] = []
    async with following(repository.root, notices=notices) as (watcher, _):
        repository.write(".git/index", "this is no index\n")
        await eventually(lambda: notices, WAIT_S, "the fault")
        watcher._failures = 10
        with anyio.fail_after(WAIT_S):
            assert not await watcher.last_pass()
        assert len(notices) == 1


async def test_a_fault_of_ours_ends_the_diff_and_not_the_job(repository: GitRepository) -> None:
    notices: list[str] = []
    async with following(repository.root, notices=notices) as (watcher, sink):
        sink.failure = ZeroDivisionError("a fault")
        repository.write("file", "two\n")
        await eventually(lambda: watcher.ended, WAIT_S)
    assert notices == ["the diff is no longer followed: ZeroDivisionError('a fault')"]


async def test_no_worktree_is_an_error_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(WorktreeError, match="is in no git worktree"):
        async with watching_diff(tmp_path, Recorder()):
            pass


@linux
async def test_events_that_the_kernel_dropped_are_made_up_for(repository: GitRepository) -> None:
    queue = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())  # noqa: ASYNC240 - no disk is asked
    if queue > 100_000:
        pytest.skip("the queue of this system is too long to be filled by a test")
    diff = await open_diff(repository.root, asked_base=None, limits=DiffLimits(), notices=Notices(lambda _: None))
    try:
        await diff.update(everything())
        diff.tree.drain()
        paths = [repository.path(name) for name in ("x", "y")]
        for _ in range(queue // 4 + 10):
            for path in paths:
                path.touch()
                path.unlink()
        repository.write("late", "x\n")
        pending = diff.tree.drain()
        assert b"late" not in pending.paths
        await diff.update(pending)
        assert set(diff.entries) == {"late"}
    finally:
        diff.close()


USED_UP = """
import sys
from pathlib import Path
import anyio
from fantail.broker.producers.diff.watcher import watching_diff

class Sink:
    async def publish(self, entries, *, whole=False):
        print("published", *entries, flush=True)

async def main():
    root = Path(sys.argv[1])
    async with watching_diff(root, Sink(), on_notice=lambda text: print("notice", text, flush=True)) as watcher:
        while watcher.statistics().passes < 1:
            await anyio.sleep(0.01)
        (root / "file").write_text("two")
        print("polling", watcher.statistics().polling, await watcher.last_pass(), flush=True)

anyio.run(main)
"""


@linux
@pytest.mark.parametrize("limit", ["max_inotify_watches", "max_inotify_instances"])
def test_where_inotify_is_used_up_it_polls_and_says_so(repository: GitRepository, limit: str) -> None:
    """In a user namespace, whose own limit is lowered: the real thing, and nobody else's business."""
    for number in range(20):
        repository.write(f"folder-{number}/x", "x\n")
    repository.commit()
    value = 10 if limit == "max_inotify_watches" else 0
    namespace = [
        "unshare",
        "--user",
        "--map-root-user",
        "sh",
        "-c",
        f'echo {value} >/proc/sys/user/{limit} && exec "$@"',
        "sh",
    ]
    try:
        subprocess.run([*namespace, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this system lets nobody make a user namespace")
    finished = subprocess.run(
        [*namespace, sys.executable, "-c", USED_UP, str(repository.root)],
        check=False,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert finished.returncode == 0, finished.stderr
    lines = finished.stdout.splitlines()
    assert sum(line.startswith("notice") and "watches are used up" in line for line in lines) == 1
    assert lines[-2:] == ["published file", "polling True True"]


async def test_a_place_is_found_from_any_directory_of_it(repository: GitRepository) -> None:
    repository.path("a/b").mkdir(parents=True)
    location = await locate(Git(repository.path("a/b")))
    assert location.root == repository.root
