"""A diff is right after whatever was done to its worktree: the patch served of it gives the worktree on its base.

A real repository is taken through random edits, renames, commits, checkouts, rebases and moved refs. After each step
only what the system reported is looked at again, so the reports, the ignore rules and the base are under test as well.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import anyio
from hypothesis import HealthCheck, example, given, note, settings
from hypothesis import strategies as st

from fantail.broker.producers.diff.entry import fitting
from fantail.broker.producers.diff.worktree.pending_changes import PendingChanges, everything
from fantail.broker.producers.diff.worktree.raw_diff import file_name, path_of
from fantail.broker.producers.diff.worktree_diff import DiffLimits, Notices, WorktreeDiff, open_diff
from support.worktrees.git_repository import HERMETIC, GitRepository

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAMES = ["a", "b", "c.log", "dir/a", "dir/b", "dir/sub/x", "a b", 'q"uote', "n\u00e9\n", "dir", "other/a"]
LINES = st.lists(
    st.sampled_from(["one", "two", "three", "", "\ttab", "cr\r", "--- a", "diff --git a/x b/x"]), max_size=12
)
CONTENTS = st.builds(
    lambda lines, last: ("\n".join(lines) + last).encode(), LINES, st.sampled_from(["\n", "", "\nno end"])
)
ODD_CONTENTS = st.sampled_from([b"", b"\x00binary", b"latin \xe9\n", b"\xff\xfe"])
names = st.sampled_from(NAMES)


@dataclass(frozen=True)
class Step:
    """One thing that is done to a repository."""

    what: str
    name: str = "a"
    other: str = "b"
    content: bytes = b""
    number: int = 0


steps = st.one_of(
    st.builds(Step, st.just("write"), names, content=CONTENTS | ODD_CONTENTS),
    st.builds(Step, st.sampled_from(["append", "prepend"]), names, content=CONTENTS),
    st.builds(Step, st.sampled_from(["delete", "chmod", "stage", "unstage", "forget"]), names),
    st.builds(Step, st.sampled_from(["rename", "copy", "link"]), names, names),
    st.builds(Step, st.just("ignore"), content=st.sampled_from([b"", b"*.log\n", b"dir/\n", b"/a\n*\xc3\xa9*\n"])),
    st.builds(Step, st.sampled_from(["commit", "amend", "stage all", "branch", "rebase", "merge", "abort", "stash"])),
    st.builds(Step, st.sampled_from(["checkout", "reset", "hard reset", "move main"]), number=st.integers(0, 5)),
)


class Play:
    """Carries steps out; what does not apply does nothing."""

    def __init__(self, repository: GitRepository) -> None:
        self.repository = repository
        self.commits: list[str] = [repository.head()]

    def do(self, step: Step) -> None:
        method: Callable[[Step], None] = getattr(self, step.what.replace(" ", "_"))
        with suppress(OSError):
            method(step)
        head = self.repository.git("rev-parse", "-q", "--verify", "HEAD", ok=False).decode().strip()
        if head and head not in self.commits:
            self.commits.append(head)

    def write(self, step: Step) -> None:
        path = self.repository.path(step.name)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        for parent in [path, *path.parents][:-1]:
            if parent != self.repository.root and parent.is_symlink():
                parent.unlink()
        for parent in path.parents:
            if parent.is_file():
                parent.unlink()
        self.repository.write(step.name, step.content)

    def append(self, step: Step) -> None:
        path = self.repository.path(step.name)
        if path.is_file():
            path.write_bytes(path.read_bytes() + step.content)

    def prepend(self, step: Step) -> None:
        path = self.repository.path(step.name)
        if path.is_file():
            path.write_bytes(step.content + path.read_bytes())

    def delete(self, step: Step) -> None:
        path = self.repository.path(step.name)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

    def rename(self, step: Step) -> None:
        self.repository.path(step.other).parent.mkdir(parents=True, exist_ok=True)
        self.repository.path(step.name).rename(self.repository.path(step.other))

    def copy(self, step: Step) -> None:
        self.repository.path(step.other).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(self.repository.path(step.name), self.repository.path(step.other), follow_symlinks=False)

    def link(self, step: Step) -> None:
        self.repository.path(step.name).symlink_to(step.other)

    def chmod(self, step: Step) -> None:
        path = self.repository.path(step.name)
        if path.is_file() and not path.is_symlink():
            path.chmod(path.stat().st_mode ^ 0o111)

    def ignore(self, step: Step) -> None:
        self.repository.write(".gitignore", step.content)

    def stage(self, step: Step) -> None:
        self.repository.git("add", "-f", "--", step.name, ok=False)

    def stage_all(self, _: Step) -> None:
        self.repository.git("add", "-A", ok=False)

    def unstage(self, step: Step) -> None:
        self.repository.git("reset", "-q", "--", step.name, ok=False)

    def forget(self, step: Step) -> None:
        """Not for what is ignored as well: that is gone for git and there for the eye."""
        if not self.repository.git("check-ignore", "--no-index", "--", step.name, ok=False):
            self.repository.git("rm", "-q", "-r", "--cached", "--", step.name, ok=False)

    def commit(self, _: Step) -> None:
        self.repository.git("commit", "-q", "-m", f"commit {len(self.commits)}", ok=False)

    def amend(self, _: Step) -> None:
        self.repository.git("commit", "-q", "--amend", "--allow-empty", "-m", f"amended {len(self.commits)}", ok=False)

    def branch(self, _: Step) -> None:
        self.repository.git("checkout", "-q", "-b", f"branch-{len(self.commits)}", ok=False)

    def checkout(self, step: Step) -> None:
        self.repository.git("checkout", "-q", self._commit(step), ok=False)

    def reset(self, step: Step) -> None:
        self.repository.git("reset", "-q", self._commit(step), ok=False)

    def hard_reset(self, step: Step) -> None:
        self.repository.git("reset", "-q", "--hard", self._commit(step), ok=False)

    def move_main(self, step: Step) -> None:
        self.repository.git("update-ref", "refs/heads/main", self._commit(step))

    def rebase(self, _: Step) -> None:
        self.repository.git("rebase", "-q", "--autostash", "main", ok=False)

    def merge(self, _: Step) -> None:
        self.repository.git("merge", "-q", "main", ok=False)

    def abort(self, _: Step) -> None:
        self.repository.git("rebase", "--abort", ok=False)
        self.repository.git("merge", "--abort", ok=False)

    def stash(self, _: Step) -> None:
        self.repository.git("stash", "-q", ok=False)

    def _commit(self, step: Step) -> str:
        return self.commits[step.number % len(self.commits)]


@example([Step("write", "dir"), Step("hard reset"), Step("copy", "a", "dir/sub/x")])
@example([Step("ignore", content=b"/a\n"), Step("delete", "a"), Step("copy", "c.log", "a")])
@example([Step("rename", "a", "dir/c"), Step("append", "dir/c", content=b"more\n"), Step("stage all"), Step("commit")])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, min_size=3, max_size=14))
def test_the_served_patch_applied_to_the_base_gives_the_worktree(taken: list[Step]) -> None:
    with fresh_repository() as repository:
        anyio.run(play, repository, taken)


async def play(repository: GitRepository, taken: list[Step]) -> None:
    notices: list[str] = []
    told = Notices(notices.append)
    diff = await open_diff(repository.root, asked_base="main", limits=DiffLimits(), notices=told)
    try:
        await settle(diff, everything())
        player = Play(repository)
        for number, step in enumerate(taken):
            player.do(step)
            await settle(diff, diff.tree.drain())
            prove(repository, diff, repository.root.parent / f"applied-{number}")
            note(f"{step}: {sorted(diff.entries)}")
        before = dict(diff.entries)
        await settle(diff, everything())
        assert diff.entries == before, "a complete look finds what the reports had shown"
        assert not notices
    finally:
        diff.close()


async def settle(diff: WorktreeDiff, pending: PendingChanges) -> None:
    for _ in range(10):
        if not pending:
            return
        pending = await diff.update(pending)
        pending.add(diff.tree.drain())
    raise AssertionError(f"it does not come to rest: {pending}")


def prove(repository: GitRepository, diff: WorktreeDiff, place: Path) -> None:
    left_out = {path_of(entry.file) for entry in diff.entries.values() if entry.omitted}
    left_out |= {path_of(entry.old_path) for entry in diff.entries.values() if entry.omitted and entry.old_path}
    applied = repository.files_after(diff.base.tree, diff.entries.values(), place)
    there = repository.files()
    for name in (applied.keys() | there.keys()) - left_out:
        assert applied.get(name) == there.get(name), name
    shutil.rmtree(place)


@contextmanager
def fresh_repository() -> Iterator[GitRepository]:
    with tempfile.TemporaryDirectory(prefix="play-") as place, mock.patch.dict(os.environ, HERMETIC):
        repository = GitRepository(Path(place) / "work")
        repository.write("a", "one\ntwo\nthree\nfour\nfive\n")
        repository.write("dir/a", "six\nseven\neight\nnine\nten\n")
        repository.write("dir/sub/x", "".join(f"{number}\n" for number in range(12)))
        repository.write("a b", "".join(f"{number}\n" for number in range(30, 42)))
        repository.write("c.log", "log\n" * 8)
        repository.commit("base")
        repository.git("checkout", "-q", "-b", "topic")
        yield repository


@given(st.binary(min_size=1, max_size=20).filter(lambda name: b"\0" not in name))
def test_every_name_becomes_text_and_comes_back(path: bytes) -> None:
    name = file_name(path)
    assert path_of(name) == path
    assert name.encode().decode() == name


@given(st.lists(st.integers(0, 50), max_size=12), st.integers(0, 60), st.integers(0, 120))
def test_what_fits_is_within_the_total_and_no_smaller_one_is_left_out(
    sizes: list[int], file_max: int, total_max: int
) -> None:
    chosen = fitting(dict(enumerate(sizes)), file_bytes_max=file_max, total_bytes_max=total_max)
    assert sum(sizes[one] for one in chosen) <= total_max
    assert all(sizes[one] <= file_max for one in chosen)
    left_out = [size for one, size in enumerate(sizes) if one not in chosen]
    assert not (left_out and chosen) or min(left_out) >= max(sizes[one] for one in chosen)
    room = total_max - sum(sizes[one] for one in chosen)
    assert not left_out or min(left_out) > min(room, file_max)
