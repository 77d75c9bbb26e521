"""Repositories within the worktree: submodules, clones, other worktrees, and what only looks like one."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from fantail.broker.producers.diff.watcher import watching_diff
from fantail.broker.producers.diff.worktree.pending_changes import PendingChanges, everything
from support.wait import eventually
from support.worktrees.git_repository import GitRepository
from support.worktrees.worktree_diff import TWENTY, check, opened

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fantail.broker.producers.diff.entry import DiffEntry


pytestmark = pytest.mark.usefixtures("hermetic_git")

WAIT_S = 20.0


def add_submodule(repository: GitRepository, source: GitRepository, name: str) -> GitRepository:
    repository.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(source.root), name)
    return GitRepository(repository.path(name), empty=True)


def add_clone(repository: GitRepository, source: GitRepository, name: str) -> GitRepository:
    repository.git("clone", "-q", str(source.root), name)
    return GitRepository(repository.path(name), empty=True)


@pytest.fixture
def library(tmp_path: Path) -> GitRepository:
    library = GitRepository(tmp_path / "library")
    library.write("code", TWENTY)
    library.write("folder/more", TWENTY)
    library.write(".gitignore", "*.log\nbuild/\n")
    library.commit()
    return library


@pytest.fixture(params=[add_submodule, add_clone])
def mod(request: pytest.FixtureRequest, repository: GitRepository, library: GitRepository) -> GitRepository:
    mod: GitRepository = request.param(repository, library, "mod")
    repository.write("file", TWENTY)
    repository.commit()
    return mod


async def test_an_edit_inside_lists_the_submodule_as_modified(repository: GitRepository, mod: GitRepository) -> None:
    await check(repository)
    mod.write("code", TWENTY + "more\n")
    await check(repository, ("mod", "modified", 1, 1))
    async with opened(repository.root) as diff:
        await diff.update(everything())
        commit = mod.head()
        assert diff.entries["mod"].diff.endswith(f"-Subproject commit {commit}\n+Subproject commit {commit}-dirty\n")
        mod.write("code", TWENTY)
        await diff.update(PendingChanges(paths={b"mod"}))
        assert not diff.entries
        mod.write("folder/more", "staged\n")
        mod.git("add", "-A")
        await diff.update(PendingChanges(survey=True))
        assert diff.entries.keys() == {"mod"}
        mod.git("commit", "-q", "-m", "more")
        await diff.update(PendingChanges(paths={b"mod"}))
        assert diff.entries["mod"].diff.endswith(f"+Subproject commit {mod.head()}\n")
        mod.path("code").unlink()
        await diff.update(PendingChanges(paths={b"mod"}))
        assert diff.entries["mod"].diff.endswith(f"+Subproject commit {mod.head()}-dirty\n")
        repository.git("add", "mod")
        await diff.update(everything())
        assert diff.entries["mod"].diff.endswith(f"+Subproject commit {mod.head()}-dirty\n")
    assert repository.git("diff", "HEAD").decode().endswith(f"+Subproject commit {mod.head()}-dirty\n"), "as git says"


async def test_ignored_and_untracked_files_do_not_make_it_differ(repository: GitRepository, mod: GitRepository) -> None:
    mod.write("a.log", "x\n")
    mod.write("build/out", "x\n")
    mod.write("untracked", "x\n")
    mod.path("code").touch()
    await check(repository)


async def test_a_submodule_within_a_submodule(
    repository: GitRepository, library: GitRepository, tmp_path: Path
) -> None:
    middle = GitRepository(tmp_path / "middle")
    add_submodule(middle, library, "inner")
    middle.commit()
    outer = add_submodule(repository, middle, "outer")
    outer.git("-c", "protocol.file.allow=always", "submodule", "update", "-q", "--init")
    repository.commit()
    await check(repository)
    outer.write("inner/code", TWENTY + "more\n")
    await check(repository, ("outer", "modified", 1, 1))


async def test_nothing_that_a_submodule_configures_runs(
    repository: GitRepository, mod: GitRepository, tmp_path: Path
) -> None:
    ran, program = tmp_path / "ran", tmp_path / "program"
    program.write_text(f'#!/bin/sh\necho "$0 $*" >>{shlex.quote(str(ran))}\ncat\n')
    program.chmod(0o755)
    mod.write(".gitattributes", "code filter=own diff=own\n")
    mod.git("add", "-A")
    mod.git("commit", "-q", "-m", "attributes")
    repository.commit()
    for name in ("core.fsmonitor", "filter.own.clean", "filter.own.process", "diff.own.textconv", "diff.external"):
        mod.git("config", name, str(program))
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for hook in ("post-index-change", "reference-transaction", "post-checkout"):
        (hooks / hook).symlink_to(program)
    mod.git("config", "core.hooksPath", str(hooks))
    ran.unlink(missing_ok=True)
    async with opened(repository.root) as diff:
        await diff.update(everything())
        assert not diff.entries, "a filtered file that is as the index has noted it"
        mod.write("folder/more", "more\n")
        await diff.update(PendingChanges(paths={b"mod"}))
        assert diff.entries.keys() == {"mod"}
    assert not ran.exists()


class Sink:
    def __init__(self) -> None:
        self.entries: Mapping[str, DiffEntry] = {}

    async def publish(self, entries: Mapping[str, DiffEntry], *, whole: bool = False) -> None:  # noqa: ARG002 - a sink
        self.entries = dict(entries)


async def test_edits_inside_are_noticed_while_it_is_followed(repository: GitRepository, mod: GitRepository) -> None:
    sink = Sink()
    mod.path("new/folder").mkdir(parents=True)
    mod.write("new/folder/file", "x\n")
    mod.git("add", "-A")
    mod.git("commit", "-q", "-m", "more")
    repository.commit()
    async with watching_diff(repository.root, sink) as watcher:
        repository.write("file", "first\n")
        await eventually(lambda: sink.entries.keys() == {"file"}, WAIT_S)
        for name in ("code", "new/folder/file"):
            content = mod.path(name).read_text()
            mod.write(name, "changed\n")
            await eventually(lambda: sink.entries.keys() == {"file", "mod"}, WAIT_S, name)
            mod.write(name, content)
            await eventually(lambda: sink.entries.keys() == {"file"}, WAIT_S, f"{name} again")
        await eventually(lambda: not (watcher._pending or watcher._passing.locked()), WAIT_S, "rest")
        assert not watcher._diff.tree.drain(), "looking into it is no change of it"


async def test_a_submodule_that_is_not_checked_out_or_broken_hides_nothing(
    repository: GitRepository, library: GitRepository, tmp_path: Path
) -> None:
    for name in ("absent", "broken", "headless"):
        add_submodule(repository, library, name)
    repository.write("file", TWENTY)
    repository.commit()
    repository.git("submodule", "deinit", "-q", "-f", "absent")
    repository.write("broken/.git", f"gitdir: {tmp_path}/nowhere\n")
    repository.write(".git/modules/headless/HEAD", "ref: refs/heads/nowhere\n")
    repository.write("file", TWENTY + "more\n")
    async with opened(repository.root) as diff:
        for pending in (everything(), PendingChanges(survey=True), everything()):
            await diff.update(pending)
            assert "file" in diff.entries
            assert diff.entries["file"].additions == 1


# -- other worktrees --------------------------------------------------------------------------------------------------


async def test_a_linked_worktree_of_the_same_repository_is_left_out(repository: GitRepository) -> None:
    repository.write("file", TWENTY)
    repository.commit()
    repository.git("worktree", "add", "-q", "-b", "agent", ".claude/worktrees/x")
    linked = repository.path(".claude/worktrees/x")
    repository.git_at(linked, "worktree", "add", "-q", "-b", "second", "inside/y")
    (linked / "file").write_text("changed\n")
    repository.write(".claude/settings", "x\n")
    notices: list[str] = []
    async with opened(repository.root, notices=notices) as diff:
        for pending in (
            everything(),
            PendingChanges(paths={b".claude/worktrees/x"}),
            PendingChanges(survey=True),
            everything(),
        ):
            await diff.update(pending)
            assert diff.entries.keys() == {".claude/settings"}
    assert notices == ["left out of the diff, as they are worktrees of their own: .claude/worktrees/x"]
    async with opened(linked) as diff:
        await diff.update(everything())
        assert diff.entries.keys() == {"file"}, "and by itself it is shown"


async def test_a_worktree_of_another_repository_and_a_clone_are_one_entry_each(
    repository: GitRepository, library: GitRepository
) -> None:
    repository.write("file", TWENTY)
    repository.commit()
    library.git("worktree", "add", "-q", "-b", "other", str(repository.path("folder/other")))
    add_clone(repository, library, "clone")
    GitRepository.git_at(repository.root, "init", "-q", "--bare", "bare.git")
    async with opened(repository.root) as diff:
        await diff.update(everything())
        links = {name for name, entry in diff.entries.items() if "new file mode 160000" in entry.diff}
        assert links == {"folder/other", "clone"}
        assert "bare.git/HEAD" in diff.entries, "as for git, a bare repository is files"


async def test_submodules_past_the_limit_are_told_of(
    repository: GitRepository, library: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fantail.broker.producers.diff.worktree.snapshot.DIFF_SUBMODULES_MAX", 1)
    first, second = (add_clone(repository, library, name) for name in ("a", "b"))
    repository.commit()
    first.write("code", "edited\n")
    second.write("code", "edited\n")
    notices: list[str] = []
    async with opened(repository.root, notices=notices) as diff:
        for _ in range(2):
            await diff.update(everything())
        assert diff.entries.keys() == {"a"}
    assert [notice for notice in notices if notice.startswith("edits inside 1 submodules are not shown")] == notices
    assert len(notices) == 1
