"""Nothing of the user's runs for a diff: no hook, filter, monitor, diff program or helper; and the diff is right."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from fantail.broker.producers.diff.worktree.pending_changes import PendingChanges, everything
from support.worktrees.git_repository import GitRepository
from support.worktrees.worktree_diff import TWENTY, check, opened

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.usefixtures("hermetic_git")


class Program:
    """A program of the user's that notes that it ran."""

    def __init__(self, place: Path) -> None:
        self.path = place / "program"
        self._ran = place / "ran"
        self.path.write_text(f'#!/bin/sh\necho "$0 $*" >>{shlex.quote(str(self._ran))}\ncat\n')
        self.path.chmod(0o755)

    @property
    def ran(self) -> str:
        return self._ran.read_text() if self._ran.exists() else ""


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


HOOKS = (
    "applypatch-msg",
    "commit-msg",
    "fsmonitor-watchman",
    "post-checkout",
    "post-commit",
    "post-index-change",
    "post-merge",
    "post-rewrite",
    "pre-auto-gc",
    "pre-commit",
    "reference-transaction",
    "sendemail-validate",
    "update",
)


async def look_at_all(repository: GitRepository, *expected: tuple[object, ...]) -> None:
    """Looks at everything, at one edit, and at the whole again."""
    async with opened(repository.root) as diff:
        await diff.update(everything())
        repository.write("file", TWENTY + "more\n")
        await diff.update(PendingChanges(paths={b"file"}))
        await diff.update(everything())
    await check(repository, ("file", "modified", 1, 0), *expected)


async def test_no_hook_runs(repository: GitRepository, program: Program) -> None:
    repository.write("file", TWENTY)
    repository.commit()
    for place in (repository.path(".git/hooks"), repository.path(".git/more")):
        place.mkdir(exist_ok=True)
        for hook in HOOKS:
            (place / hook).symlink_to(program.path)
    await look_at_all(repository)
    repository.git("config", "core.hooksPath", ".git/more")
    await look_at_all(repository)
    assert program.ran == ""


@pytest.mark.parametrize("scope", ["local", "global", "system", "worktree", "included", "environment"])
async def test_no_program_of_the_configuration_runs(
    repository: GitRepository, program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scope: str
) -> None:
    repository.write("file", TWENTY)
    repository.write(".gitattributes", "file diff=own merge=own\n*.doc filter=own diff=own\n*.long filter=slow\n")
    repository.write("old.doc", "old\n")
    repository.write("old.long", "old\n")
    repository.commit()
    where = str(program.path)
    settings = {
        "core.fsmonitor": where,
        "core.pager": where,
        "core.editor": where,
        "core.askPass": where,
        "core.sshCommand": where,
        "core.gitProxy": where,
        "core.alternateRefsCommand": where,
        "credential.helper": where,
        "gpg.program": where,
        "interactive.diffFilter": where,
        "pager.status": where,
        "pager.diff": where,
        "diff.external": where,
        "diff.own.command": where,
        "diff.own.textconv": where,
        "merge.own.driver": where,
        "filter.own.clean": where,
        "filter.own.smudge": where,
        "filter.own.required": "true",
        "filter.slow.process": where,
        "alias.status": f"!{where}",
        "alias.diff-index": f"!{where}",
        "submodule.recurse": "true",
        "status.submoduleSummary": "true",
        "trace2.eventTarget": str(tmp_path / "ran"),
    }
    if scope == "environment":
        monkeypatch.setenv("GIT_CONFIG_COUNT", str(len(settings)))
        for number, (name, value) in enumerate(settings.items()):
            monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", name)
            monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)
    else:
        file = {"local": repository.path(".git/config"), "worktree": repository.path(".git/config.worktree")}.get(
            scope, tmp_path / "config"
        )
        if scope == "worktree":
            repository.git("config", "extensions.worktreeConfig", "true")
        for name, value in settings.items():
            GitRepository.git_at(tmp_path, "config", "--file", str(file), name, value)
        if scope == "included":
            repository.git("config", "include.path", str(file))
        if scope == "global":
            monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(file))
        if scope == "system":
            monkeypatch.delenv("GIT_CONFIG_NOSYSTEM")
            monkeypatch.setenv("GIT_CONFIG_SYSTEM", str(file))
    repository.write("old.doc", "new\n")
    repository.write("new.doc", "new\n")
    repository.write("old.long", "new\n")
    async with opened(repository.root) as diff:
        await diff.update(everything())
        repository.write("file", TWENTY + "more\n")
        await diff.update(PendingChanges(paths={b"file", b"new.doc"}))
        await diff.update(everything())
        found = {(entry.file, entry.change, entry.additions, entry.omitted) for entry in diff.entries.values()}
    assert found == {
        ("file", "modified", 1, None),
        ("old.doc", "modified", 0, "filter"),
        ("new.doc", "added", 0, "filter"),
        ("old.long", "modified", 0, "filter"),
    }
    assert program.ran == ""


async def test_no_variable_of_the_users_names_a_program_or_traces(
    repository: GitRepository, program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write("file", TWENTY)
    repository.commit()
    for name in ("EXTERNAL_DIFF", "PAGER", "EDITOR", "ASKPASS", "SSH", "SSH_COMMAND", "PROXY_COMMAND"):
        monkeypatch.setenv(f"GIT_{name}", str(program.path))
    for name in ("TRACE", "TRACE_SETUP", "TRACE_PERFORMANCE", "TRACE2", "TRACE2_EVENT", "TRACE2_PERF"):
        monkeypatch.setenv(f"GIT_{name}", str(tmp_path / "ran"))
    monkeypatch.setenv("GIT_EXEC_PATH", str(tmp_path))
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(tmp_path))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_LITERAL_PATHSPECS", "1")
    monkeypatch.setenv("GIT_REDIRECT_STDERR", "off")
    monkeypatch.setenv("GIT_OPTIONAL_LOCKS", "1")
    await look_at_all(repository)
    assert program.ran == ""


async def test_settings_of_the_user_that_say_how_files_are_read_apply(
    repository: GitRepository, tmp_path: Path
) -> None:
    repository.write("dos", "a\n")
    repository.write("program", "a\n")
    repository.commit()
    (tmp_path / "ignore").write_text("*.mine\n")
    (tmp_path / "attributes").write_text("*.bin -diff\n")
    repository.git("config", "core.excludesFile", str(tmp_path / "ignore"))
    repository.git("config", "core.attributesFile", str(tmp_path / "attributes"))
    repository.git("config", "core.autocrlf", "input")
    repository.git("config", "core.fileMode", "false")
    repository.write(".git/info/exclude", "*.local\n")
    repository.write(".git/info/attributes", "*.data -diff\n")
    repository.write("dos", "a\r\nb\r\n")
    repository.path("program").chmod(0o755)
    for name in ("x.mine", "x.local", "x.bin", "x.data"):
        repository.write(name, "x\n")
    async with opened(repository.root) as diff:
        await diff.update(everything())
        found = {(entry.file, entry.additions, entry.deletions, entry.omitted) for entry in diff.entries.values()}
    assert found == {("dos", 1, 0, None), ("x.bin", 0, 0, "binary"), ("x.data", 0, 0, "binary")}


@pytest.mark.parametrize(
    "form", [["--split-index"], ["--index-version", "4"], ["--untracked-cache"], ["--fsmonitor-valid", "file"]]
)
async def test_any_form_of_the_users_index_is_read(repository: GitRepository, form: list[str]) -> None:
    for number in range(30):
        repository.write(f"folder/file-{number}", f"{number}\n")
    repository.write("file", TWENTY)
    repository.commit()
    repository.git("update-index", *form)
    repository.write("folder/file-3", "staged\n")
    repository.git("add", "-A")
    assert bool(list(repository.path(".git").glob("sharedindex.*"))) == (form == ["--split-index"])
    await look_at_all(repository, ("folder/file-3", "modified", 1, 1))


async def test_a_repository_without_its_own_configuration_file_is_shown(repository: GitRepository) -> None:
    repository.write("file", TWENTY)
    repository.commit()
    repository.path(".git/config").unlink()
    await look_at_all(repository)


# -- filters --------------------------------------------------------------------------------------------------------


@pytest.fixture
def with_lfs(repository: GitRepository, tmp_path: Path) -> GitRepository:
    """A repository with a file in Git LFS, whose program is missing from now on."""
    repository.git("lfs", "install", "--local")
    repository.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    repository.write("old.bin", b"\0" * 3000)
    repository.write("touched.bin", b"\1" * 3000)
    repository.write("file", TWENTY)
    repository.commit()
    for name in ("clean", "smudge", "process"):
        repository.git("config", f"filter.lfs.{name}", str(tmp_path / "git-lfs-is-missing"))
    return repository


async def test_lfs_files_are_compared_by_their_pointers_without_the_program(with_lfs: GitRepository) -> None:
    repository = with_lfs
    repository.write("file", TWENTY + "more\n")
    repository.path("touched.bin").touch()
    repository.write("new.bin", b"\2" * 5000)
    repository.write("pointer.bin", repository.git("show", "HEAD:old.bin"))
    repository.write("empty.bin", b"")
    async with opened(repository.root) as diff:
        for pending in (everything(), PendingChanges(survey=True), everything()):
            await diff.update(pending)
            found = {(entry.file, entry.change, entry.additions, entry.omitted) for entry in diff.entries.values()}
            assert found == {
                ("file", "modified", 1, None),
                ("new.bin", "added", 3, None),
                ("pointer.bin", "copied" if ("pointer.bin", "copied", 0, None) in found else "added", 3, None),
                ("empty.bin", "added", 0, None),
            }
        repository.write("old.bin", b"\3" * 3000)
        await diff.update(PendingChanges(paths={b"old.bin"}))
        entry = diff.entries["old.bin"]
        assert (entry.change, entry.additions, entry.deletions) == ("modified", 1, 1)
        assert "+oid sha256:" in entry.diff


async def test_the_pointer_is_what_lfs_itself_makes(repository: GitRepository) -> None:
    repository.git("lfs", "install", "--local")
    repository.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    repository.commit()
    repository.write("new.bin", b"content\n" * 4000)
    async with opened(repository.root) as diff:
        await diff.update(everything())
        shown = [line[1:] for line in diff.entries["new.bin"].diff.splitlines() if line.startswith("+")][1:]
    repository.git("add", "-A")
    assert shown == repository.git("cat-file", "-p", ":new.bin").decode().splitlines()


async def test_a_file_of_another_filter_is_listed_without_its_patch_and_only_where_it_changed(
    repository: GitRepository, program: Program
) -> None:
    """As with git-crypt: the bytes of the worktree are what the filter keeps out of the repository."""
    repository.git("config", "filter.crypt.clean", "tr a-z b-za")
    repository.git("config", "filter.crypt.smudge", "tr b-za a-z")
    repository.git("config", "filter.crypt.required", "true")
    repository.write(".gitattributes", "secret* filter=crypt\n")
    repository.write("secret", "password\n")
    repository.write("secret staged", "password\n")
    repository.write("secret same", "password\n")
    repository.write("file", TWENTY)
    repository.commit()
    repository.write("secret staged", "passwords\n")
    repository.git("add", "-A")
    repository.git("config", "filter.crypt.clean", str(program.path))
    notices: list[str] = []
    async with opened(repository.root, notices=notices) as diff:
        await diff.update(everything())
        assert {entry.file: entry.additions for entry in diff.entries.values()} == {"secret staged": 1}
        assert "+qbttxpset" in diff.entries["secret staged"].diff
        repository.write("secret", "password and more\n")
        repository.write("secret new", "password\n")
        repository.write("file", TWENTY + "more\n")
        for pending in (
            PendingChanges(paths={b"secret", b"secret new", b"file"}),
            PendingChanges(survey=True),
            everything(),
        ):
            await diff.update(pending)
            assert {(entry.file, entry.omitted) for entry in diff.entries.values()} == {
                ("file", None),
                ("secret", "filter"),
                ("secret new", "filter"),
                ("secret staged", None),
            }
        assert not any("password" in entry.diff for entry in diff.entries.values())
        repository.write("file", TWENTY)
        repository.path("secret new").unlink()
        await diff.update(PendingChanges(survey=True))
        assert set(diff.entries) == {"secret", "secret staged"}
    assert notices[0] == "not compared, as a filter program would have to convert them: secret, secret new"
    assert program.ran == ""


async def test_many_files_of_a_filter_are_counted_once_and_the_edit_is_shown(
    repository: GitRepository, program: Program
) -> None:
    repository.git("config", "filter.own.clean", "cat")
    repository.write(".gitattributes", "data/* filter=own\n")
    for number in range(1200):
        repository.write(f"data/[{number}]", f"{number}\n")
    repository.write("file", TWENTY)
    repository.commit()
    repository.git("config", "filter.own.clean", str(program.path))
    repository.write("file", TWENTY + "more\n")
    async with opened(repository.root) as diff:
        await diff.update(everything())
        assert set(diff.entries) == {"file"}, "files that are younger than the index are known by their state"
        before = diff.git.processes
        await diff.update(PendingChanges(survey=True))
        assert diff.git.processes - before <= 3
    assert program.ran == ""


async def test_execute_bits_mean_nothing_where_the_user_says_so(repository: GitRepository) -> None:
    repository.write(".gitattributes", "*.bin filter=lfs\n*.own filter=own\n*.wide working-tree-encoding=UTF-16\n")
    names = ("was.own", "was.wide", "was.bin")
    for name in names:
        repository.write(name, "old\n".encode("utf-16"))
    repository.write("script.own", "old\n")
    repository.path("script.own").chmod(0o755)
    repository.commit()
    repository.git("config", "core.fileMode", "No")
    repository.git("config", "filter.own.clean", "false")
    repository.git("config", "filter.lfs.clean", "false")
    for name in (*names, "new.own", "new.wide", "new.bin", "script.own"):
        repository.write(name, "a longer text\n")
        repository.path(name).chmod(0o644 if name == "script.own" else 0o755)
    async with opened(repository.root) as diff:
        await diff.update(everything())
        modes = {
            entry.file: [line for line in entry.diff.split("\n") if "mode" in line] for entry in diff.entries.values()
        }
        changes = await diff._snapshot.changes(diff.base.tree)  # patches without text say no modes
    assert modes["was.bin"] == []
    assert {(one.path, one.old_mode, one.new_mode) for one in changes if one.path.startswith(b"was")} == {
        (name.encode(), "100644", "100644") for name in names
    }
    assert {one.new_mode for one in changes if one.path.startswith(b"new")} == {"100644"}
    assert {(one.old_mode, one.new_mode) for one in changes if one.path == b"script.own"} == {("100755", "100755")}
