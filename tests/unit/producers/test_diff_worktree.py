"""What differs in a real worktree: each kind of change, each edge, and the limits. No watching takes part."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from broker.producers.worktree.dirt import Dirt, everything
from broker.producers.worktree.git_process import Trouble, WorktreeError
from broker.producers.worktree_diff import DiffLimits, Notices, WorktreeDiff, open_diff
from support.git_repository import HERMETIC, GitRepository

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from broker.producers.diff_entry import DiffEntry

TWENTY = "".join(f"line {number}\n" for number in range(20))


@pytest.fixture(autouse=True)
def _hermetic(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in HERMETIC.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    return GitRepository(tmp_path / "work")


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


# -- kinds of change -----------------------------------------------------------------------------------------------


async def test_what_is_changed_staged_or_new_differs_and_what_is_not_does_not(repository: GitRepository) -> None:
    repository.write("same", "same\n")
    repository.write("edited", "one\ntwo\n")
    repository.write("staged", "one\n")
    repository.write("deleted", "one\n")
    repository.commit()
    repository.write("edited", "one\n2\n3\n")
    repository.write("staged", "one\ntwo\n")
    repository.git("add", "staged")
    repository.path("deleted").unlink()
    repository.write("folder/new", "new\n")
    repository.write("empty")
    await check(
        repository,
        ("edited", "modified", 2, 1),
        ("staged", "modified", 1, 0),
        ("deleted", "deleted", 0, 1),
        ("folder/new", "added", 1, 0),
        ("empty", "added", 0, 0),
    )


async def test_an_untracked_file_that_was_renamed_and_edited_is_one_entry_with_its_old_path(
    repository: GitRepository,
) -> None:
    repository.write("old name", TWENTY)
    repository.commit()
    repository.path("old name").rename(repository.path("new name"))
    await check(repository, ("new name", "renamed", 0, 0, "old name"))
    repository.write("new name", TWENTY + "more\n")
    await check(repository, ("new name", "renamed", 1, 0, "old name"))
    repository.git("add", "-A")
    await check(repository, ("new name", "renamed", 1, 0, "old name"))
    repository.write("new name", "first\n" + TWENTY + "more\n")
    await check(repository, ("new name", "renamed", 2, 0, "old name"))


async def test_a_reported_edit_after_a_rename_stays_one_entry(repository: GitRepository) -> None:
    repository.write("a", TWENTY)
    repository.commit()
    async with opened(repository.root) as diff:
        await diff.update(everything())
        repository.path("a").rename(repository.path("b"))
        await diff.update(Dirt(paths={b"a", b"b"}))
        repository.write("b", TWENTY + "more\n")
        await diff.update(Dirt(paths={b"b"}))
        [entry] = diff.entries.values()
        assert (entry.file, entry.old_path, entry.change, entry.additions) == ("b", "a", "renamed", 1)


async def test_a_copy_names_what_it_was_copied_from(repository: GitRepository) -> None:
    repository.write("a", TWENTY)
    repository.commit()
    repository.write("a", TWENTY + "changed\n")
    repository.write("b", TWENTY)
    await check(repository, ("a", "modified", 1, 0), ("b", "copied", 0, 0, "a"))


async def test_modes_types_and_symlinks_are_in_the_patch(repository: GitRepository) -> None:
    repository.write("program", "#!/bin/sh\n")
    repository.write("file", "text\n")
    repository.write("link target", "text that differs\n")
    repository.path("link").symlink_to("link target")
    repository.commit()
    repository.path("program").chmod(0o755)
    repository.path("file").unlink()
    repository.path("file").symlink_to("link target")
    repository.path("link").unlink()
    repository.path("link").symlink_to("program")
    await check(
        repository,
        ("program", "modified", 0, 0),
        ("file", "modified", 1, 1),
        ("link", "modified", 1, 1),
    )


async def test_a_file_may_become_a_folder_and_a_folder_a_file(repository: GitRepository) -> None:
    repository.write("a", TWENTY)
    repository.write("b/c", "other\n")
    repository.write("b/d", "more\n")
    repository.commit()
    repository.path("a").unlink()
    repository.write("a/inside", TWENTY + "x\n")
    shutil.rmtree(repository.path("b"))
    repository.write("b", "now a file\n")
    await check(
        repository,
        ("a/inside", "renamed", 1, 0, "a"),
        ("b", "added", 1, 0),
        ("b/c", "deleted", 0, 1),
        ("b/d", "deleted", 0, 1),
    )


async def test_binary_and_foreign_encodings_are_left_out_with_their_reason(repository: GitRepository) -> None:
    repository.write("picture", b"\x89PNG\0\1\2")
    repository.write("latin", "gr\u00fcn\n".encode("latin-1"))
    repository.write("-text.bin", b"a\0b")
    repository.commit()
    repository.write("picture", b"\x89PNG\0\1\3")
    repository.write("latin", "rot\nblau\n".encode("latin-1") + b"\xe9\n")
    repository.path("-text.bin").rename(repository.path("moved.bin"))
    await check(
        repository,
        ("picture", "modified", 0, 0, "binary"),
        ("latin", "modified", 3, 1, "encoding"),
        ("moved.bin", "renamed", 0, 0, "-text.bin"),
    )


async def test_bytes_are_kept_line_ends_and_all(repository: GitRepository) -> None:
    repository.write("dos", "a\r\nb\r\n")
    repository.write("open end", "a\nb")
    repository.commit()
    repository.write("dos", "a\r\nc\r\nd\n")
    repository.write("open end", "a\nb\nc")
    repository.write(
        "odd text", "\x0b\x1b[31m\u2028 \u00e9 \U0001f600\r\rx\n\n\ndiff --git a/x b/x\n@@ -1 +1 @@\n--- a\n"
    )
    await check(repository, ("dos", "modified", 2, 1), ("open end", "modified", 2, 1), ("odd text", "added", 6, 0))


async def test_odd_names_stand_in_json_and_apply(repository: GitRepository) -> None:
    odd = ["with blank", 'quo"te', "new\nline", "back\\slash", "tab\there", "umlaut-\u00e4", " lead", "-rf", '"quoted"']
    for name in odd:
        repository.write(name, TWENTY + name)
    repository.write(b"latin-\xe4", "x\n")
    repository.commit()
    for name in odd[:-2]:
        repository.path(name).rename(repository.path(f"{name} moved"))
    repository.write(b"latin-\xe4", "y\n")
    repository.write('"quoted"', TWENTY)
    await check(
        repository,
        *[(f"{name} moved", "renamed", 0, 0, name) for name in odd[:-2]],
        ('"latin-\\344"', "modified", 1, 1),
        ('"\\"quoted\\""', "modified", 0, 1),
    )
    for name, entry in (await entries_of(repository)).items():
        assert orjson.loads(entry.encode())["file"] == name


# -- ignore rules, repositories within, links to the outside ---------------------------------------------------------


async def test_ignored_files_do_not_differ_and_an_edit_of_the_rules_is_honoured(repository: GitRepository) -> None:
    repository.write(".gitignore", "*.log\nbuild/\n")
    repository.write("kept.log", "tracked although ignored\n")
    repository.git("add", "-f", "kept.log")
    repository.commit()
    repository.write("a.log", "x\n")
    repository.write("build/out", "x\n")
    repository.write("kept.log", "changed\n")
    async with opened(repository.root) as diff:
        await diff.update(everything())
        assert set(diff.entries) == {"kept.log"}
        await diff.update(Dirt(paths={b"a.log", b"build/out"}))
        assert set(diff.entries) == {"kept.log"}
        repository.write(".gitignore", "build/\n")
        await diff.update(Dirt(survey=True))
        assert set(diff.entries) == {"kept.log", "a.log", ".gitignore"}
        repository.write(".gitignore", "*.log\n")
        await diff.update(Dirt(survey=True))
        assert set(diff.entries) == {"kept.log", "build/out", ".gitignore"}


async def test_a_file_both_tracked_and_ignored_may_be_deleted_and_written_again(repository: GitRepository) -> None:
    repository.write(".gitignore", "*.log\nbuild/\n")
    for name in ("a.log", "b.log", "build/c"):
        repository.write(name, "old\n")
        repository.git("add", "-f", name)
    repository.commit()
    async with opened(repository.root) as diff:
        for name in ("a.log", "b.log", "build/c"):
            repository.path(name).unlink()
        await diff.update(everything())
        assert {entry.change for entry in diff.entries.values()} == {"deleted"}
        repository.write("a.log", "new\n")
        await diff.update(Dirt(paths={b"a.log"}))
        repository.write("b.log", "new\n")
        repository.write("build/c", "new\n")
        await diff.update(Dirt(survey=True))
        assert [entry.change for entry in diff.entries.values()] == ["modified"] * 3


async def test_attributes_decide_what_is_binary_also_when_they_change(repository: GitRepository) -> None:
    repository.write("lock", "a\n")
    repository.commit()
    repository.write("lock", "b\n")
    async with opened(repository.root) as diff:
        await diff.update(everything())
        assert diff.entries["lock"].omitted is None
        repository.write(".gitattributes", "lock -diff\n")
        await diff.update(Dirt(survey=True))
        assert diff.entries["lock"].omitted == "binary"


async def test_a_submodule_shows_its_commits_and_a_repository_within_is_one_entry(
    repository: GitRepository, tmp_path: Path
) -> None:
    library = GitRepository(tmp_path / "library")
    repository.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library.root), "sub")
    repository.commit()
    inner = repository.path("sub")
    GitRepository.git_at(inner, "commit", "-q", "--allow-empty", "-m", "inner")
    repository.write("sub/untracked", "no business of ours\n")
    GitRepository(repository.path("within")).git("commit", "-q", "--allow-empty", "-m", "another")
    entries = await entries_of(repository)
    assert {(entry.file, entry.change) for entry in entries.values()} == {("sub", "modified"), ("within", "added")}
    commit = GitRepository.git_at(inner, "rev-parse", "HEAD").decode().strip()
    assert entries["sub"].diff.endswith(f"+Subproject commit {commit}\n")


async def test_a_repository_without_a_commit_hides_nothing_else(repository: GitRepository) -> None:
    GitRepository(repository.path("unborn"), empty=True)
    repository.write("unborn/file", "x\n")
    repository.write("new", "x\n")
    notices: list[str] = []
    async with opened(repository.root, notices=notices) as diff:
        await diff.update(everything())
        assert set(diff.entries) == {"new"}
        before = diff.git.processes
        await diff.update(Dirt(survey=True))
        assert diff.git.processes - before <= 3, "what git refused is not tried again as long as it is the same"
    assert any("unborn" in notice for notice in notices)


async def test_a_link_to_the_outside_is_never_followed(repository: GitRepository, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret\n")
    repository.write("folder/secret", "inside\n")
    repository.commit()
    repository.path("link").symlink_to(tmp_path / "outside")
    async with opened(repository.root) as diff:
        await diff.update(everything())
        shutil.rmtree(repository.path("folder"))
        repository.path("folder").symlink_to(tmp_path / "outside")
        await diff.update(Dirt(paths={b"folder/secret", b"folder", b"link/secret"}))
        assert {(entry.file, entry.change) for entry in diff.entries.values()} == {
            ("folder/secret", "deleted"),
            ("folder", "added"),
            ("link", "added"),
        }
        assert not any("+secret" in entry.diff for entry in diff.entries.values())


async def test_sockets_and_pipes_are_no_files(repository: GitRepository) -> None:
    os.mkfifo(repository.path("pipe"))
    repository.write("new", "x\n")
    async with opened(repository.root) as diff:
        await diff.update(everything())
        await diff.update(Dirt(paths={b"pipe", b"new"}))
        assert set(diff.entries) == {"new"}


async def test_what_appears_before_its_directory_is_watched_is_found(
    repository: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(repository.root) as diff:
        await diff.update(everything())
        cover = diff.tree.cover

        async def late(ignored: set[bytes]) -> bool:
            repository.write("new/late", "x\n")
            return await cover(ignored)

        repository.write("new/early", "x\n")
        monkeypatch.setattr(diff.tree, "cover", late)
        owed = await diff.update(Dirt(directories={b"new"}))
        assert set(diff.entries) == {"new/early"}
        await diff.update(owed)
        assert set(diff.entries) == {"new/early", "new/late"}


# -- limits (traps 23 and 33) ------------------------------------------------------------------------------------------


async def test_a_file_past_its_limit_keeps_its_statistics_says_so_and_comes_back(repository: GitRepository) -> None:
    repository.write("file", "old\n")
    repository.commit()
    async with opened(repository.root, file_bytes=1000) as diff:
        for _ in range(5):  # what counts is what differs now, not how often it was made
            repository.write("file", "".join(f"{number}\n" for number in range(400)))
            await diff.update(Dirt(paths={b"file"}, survey=True))
            [large] = diff.entries.values()
            assert (large.diff, large.omitted, large.additions, large.deletions) == ("", "size", 400, 1)
            repository.write("file", "new\n")
            await diff.update(Dirt(paths={b"file"}))
            [small] = diff.entries.values()
            assert small.omitted is None
            assert small.diff.endswith("-old\n+new\n")


async def test_the_total_counts_what_is_current_and_gives_back(repository: GitRepository) -> None:
    def content(number: int) -> str:
        return f"{number} and more of it\n" * 20

    async with opened(repository.root, total_bytes=2000) as diff:
        for round_number in range(4):
            for number in range(6):
                repository.write(f"file-{number}", content(number) + f"round {round_number}\n")
            await diff.update(Dirt(survey=True))
            shown = {name for name, entry in diff.entries.items() if entry.omitted is None}
            assert len(shown) == 3
            assert len(diff.entries) == 6
            assert all(entry.additions == 21 for entry in diff.entries.values())
            hidden = sorted(diff.entries.keys() - shown)
            for name in sorted(shown)[:2]:
                repository.path(name).unlink()
            await diff.update(Dirt(survey=True))
            assert [name for name in hidden if diff.entries[name].omitted is None] == hidden[:2]


async def test_ordinary_files_are_whole(repository: GitRepository) -> None:
    """A file of 20,000 lines is nothing unusual."""
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
        await diff.update(Dirt(survey=True))
        assert diff.git.processes - processes == 2, "unchanged, it is not taken in again"
        repository.write("data", "small\n")
        await diff.update(Dirt(survey=True))
        assert diff.entries["data"].diff.endswith("+small\n")
        repository.write("data", "y\n" * 10_000)
        await diff.update(Dirt(paths={b"data"}))
        assert diff.entries["data"].omitted == "size"
        repository.path("data").unlink()
        await diff.update(Dirt(survey=True))
        assert not diff.entries


async def test_copies_on_disk_are_bounded_and_given_back(repository: GitRepository) -> None:
    async with opened(repository.root, store_bytes=100_000) as diff:
        objects = diff._scratch.objects
        for number in range(30):
            repository.write("file", f"{number}\n" * 8_000)
            await diff.update(Dirt(survey=True))
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


# -- the base --------------------------------------------------------------------------------------------------------


async def test_the_base_is_the_merge_base_and_follows_commits_rebases_and_forced_refs(
    repository: GitRepository,
) -> None:
    repository.write("shared", "one\n")
    first = repository.commit()
    repository.git("checkout", "-q", "-b", "topic")
    repository.write("mine", "mine\n")
    repository.commit()
    repository.git("checkout", "-q", "main")
    repository.write("theirs", "theirs\n")
    second = repository.commit()
    repository.git("checkout", "-q", "topic")
    async with opened(repository.root, "main") as diff:
        await diff.update(everything())
        assert (diff.base.tree, set(diff.entries)) == (first, {"mine"})
        repository.git("rebase", "-q", "main")
        await diff.update(everything())
        assert (diff.base.tree, set(diff.entries)) == (second, {"mine"})
        repository.git("commit", "-q", "--amend", "-m", "amended")
        await diff.update(Dirt(base=True))
        assert (diff.base.tree, set(diff.entries)) == (second, {"mine"})
        repository.git("update-ref", "refs/heads/main", first)
        await diff.update(Dirt(base=True))
        assert (diff.base.tree, set(diff.entries)) == (first, {"mine", "theirs"})
        repository.git("branch", "-q", "-D", "main")
        await diff.update(Dirt(base=True))
        assert (diff.base.tree, set(diff.entries)) == (first, {"mine", "theirs"})


async def test_without_a_base_ref_it_is_the_first_usual_one(repository: GitRepository, tmp_path: Path) -> None:
    repository.write("a", "a\n")
    first = repository.commit()
    repository.git("checkout", "-q", "-b", "topic")
    repository.write("b", "b\n")
    repository.commit()
    await check(repository, ("b", "added", 1, 0))
    repository.git("branch", "-q", "-m", "main", "trunk")
    await check(repository)
    clone = tmp_path / "clone"
    repository.git("checkout", "-q", "trunk")
    GitRepository.git_at(tmp_path, "clone", "-q", str(repository.root), str(clone))
    GitRepository.git_at(clone, "checkout", "-q", "-b", "mine")
    (clone / "c").write_text("c\n")
    GitRepository.git_at(clone, "add", "-A")
    GitRepository.git_at(clone, "commit", "-q", "-m", "c")
    async with opened(clone) as diff:
        await diff.update(everything())
        assert (diff.base.tree, diff.base.ref, set(diff.entries)) == (first, "refs/remotes/origin/HEAD", {"c"})


async def test_before_the_first_commit_everything_is_new(tmp_path: Path) -> None:
    repository = GitRepository(tmp_path / "work", empty=True)
    repository.write("a", "a\n")
    await check(repository, ("a", "added", 1, 0))


async def test_a_base_of_another_history_is_taken_as_it_is(repository: GitRepository) -> None:
    repository.write("a", "a\n")
    repository.commit()
    repository.git("checkout", "-q", "--orphan", "other")
    repository.write("b", "b\n")
    repository.commit()
    repository.git("rm", "-q", "a")
    await check(repository, ("a", "deleted", 0, 1), ("b", "added", 1, 0), base="main")


async def test_a_conflict_shows_what_is_in_the_file(repository: GitRepository) -> None:
    repository.write("file", "base\n")
    repository.write("gone", "base\n")
    repository.commit()
    repository.git("checkout", "-q", "-b", "topic")
    repository.write("file", "mine\n")
    repository.path("gone").unlink()
    repository.commit()
    repository.git("checkout", "-q", "main")
    repository.write("file", "theirs\n")
    repository.write("gone", "theirs\n")
    repository.commit()
    repository.git("merge", "topic", ok=False)
    assert b"<<<<<<<" in repository.path("file").read_bytes()
    await check(repository, ("file", "modified", 4, 0))


# -- cost ------------------------------------------------------------------------------------------------------------


async def test_a_burst_of_a_thousand_changed_files_costs_eight_git_processes(repository: GitRepository) -> None:
    for number in range(500):
        repository.write(f"folder-{number % 10}/file-{number}", f"{number}\n" + TWENTY)
    repository.commit()
    async with opened(repository.root) as diff:
        await diff.update(everything())
        await diff.update(Dirt(survey=True))
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
        await diff.update(Dirt(paths={b"file-3"}))
        assert diff.patches.made == 21
        await diff.update(everything())
        assert diff.patches.made == 21


# -- whose files are touched ----------------------------------------------------------------------------------------


async def test_the_users_index_and_objects_are_never_touched(repository: GitRepository) -> None:
    repository.write("a", "a\n")
    repository.commit()
    repository.write("a", "b\n")
    repository.write("new", "new\n")

    def state() -> dict[str, tuple[int, int]]:
        """What is there and when it was written; git notes by an object's time that it is in use."""
        return {
            str(path): (path.stat().st_ino, 0 if "objects" in path.parts else path.stat().st_mtime_ns)
            for path in repository.path(".git").rglob("*")
        }

    before = state()
    async with opened(repository.root) as diff:
        await diff.update(everything())
        repository.write("new", "newer\n")
        await diff.update(Dirt(paths={b"new"}))
        await diff.update(everything())
        scratch = diff._scratch.directory
        assert scratch.stat().st_mode & 0o077 == 0
    assert state() == before
    assert not scratch.exists()


async def test_settings_and_environment_of_the_user_do_not_change_the_form(
    repository: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write("file", TWENTY)
    repository.commit()
    for setting in (
        "diff.noprefix=true",
        "diff.mnemonicPrefix=true",
        "diff.external=false",
        "diff.context=0",
        "diff.suppressBlankEmpty=true",
        "color.ui=always",
        "core.splitIndex=true",
        "core.untrackedCache=true",
        "core.safecrlf=true",
        "status.showUntrackedFiles=no",
        "status.renames=copies",
        "core.quotePath=false",
    ):
        repository.git("config", *setting.split("="))
    repository.write("file", TWENTY.replace("line 3\n", "\r\n\nx\n"))
    repository.write("umlaut-\u00e4", "new\n")
    other = GitRepository(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(other.root / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    monkeypatch.setenv("GIT_DIFF_OPTS", "--unified=0")
    await check(repository, ("file", "modified", 3, 1), ("umlaut-\u00e4", "added", 1, 0))


async def test_a_linked_worktree_and_sha256_work_the_same(tmp_path: Path) -> None:
    repository = GitRepository(tmp_path / "work", arguments=["--object-format=sha256"])
    repository.write("a", TWENTY)
    repository.write("b", "b\n")
    repository.commit()
    linked = tmp_path / "linked tree"
    repository.git("worktree", "add", "-q", "-b", "linked", str(linked))
    (linked / "a").rename(linked / "c")
    (linked / "b").unlink()
    (linked / "sub").mkdir()
    async with opened(linked / "sub") as diff:
        await diff.update(everything())
        assert {(entry.file, entry.change) for entry in diff.entries.values()} == {("c", "renamed"), ("b", "deleted")}
        assert diff.location.root == linked


async def test_a_sparse_checkout_does_not_show_what_is_not_checked_out(repository: GitRepository) -> None:
    repository.write("in/a", "a\n")
    repository.write("out/b", "b\n")
    repository.commit()
    repository.git("sparse-checkout", "set", "--cone", "--sparse-index", "in")
    repository.write("in/a", "b\n")
    entries = await entries_of(repository)
    assert set(entries) == {"in/a"}


# -- errors -----------------------------------------------------------------------------------------------------------


NOBODY = 65534


@pytest.fixture
def public_repository() -> Iterator[GitRepository]:
    """A repository that others than root can reach."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="public-") as place:
        Path(place).chmod(0o755)
        yield GitRepository(Path(place) / "work")


@contextmanager
def not_root(repository: GitRepository) -> Iterator[None]:
    """As root nothing is forbidden: then somebody else tries, who owns the repository."""
    if os.geteuid() != 0:
        yield
        return
    for path in [repository.root, *repository.root.rglob("*")]:
        os.lchown(path, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


async def fails(place: Path, trouble: Trouble, words: str, base: str | None = None) -> None:
    with pytest.raises(WorktreeError, match=words) as caught:
        async with opened(place, base):
            pass
    assert caught.value.trouble is trouble
    assert "\n" not in str(caught.value)


async def test_what_is_no_worktree_is_said_in_a_sentence(repository: GitRepository, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "file").write_text("")
    await fails(tmp_path / "nowhere", Trouble.NO_DIRECTORY, "does not exist")
    await fails(tmp_path / "file", Trouble.NO_DIRECTORY, "is no directory")
    await fails(tmp_path / "plain", Trouble.NOT_A_WORKTREE, "is in no git worktree: not a git repository")
    await fails(repository.path(".git"), Trouble.NOT_A_WORKTREE, "must be run in a work tree")
    GitRepository.git_at(tmp_path, "init", "-q", "--bare", "bare")
    await fails(tmp_path / "bare", Trouble.NOT_A_WORKTREE, "must be run in a work tree")


@pytest.mark.parametrize("base", ["nowhere", "", "main:file", "-x", "a\nb", "HEAD^{tree}", "@{u}"])
async def test_a_base_that_names_no_commit_is_refused(repository: GitRepository, base: str) -> None:
    repository.write("file", "x\n")
    repository.commit()
    await fails(repository.root, Trouble.NO_SUCH_BASE, "names no commit", base)


async def test_a_missing_git_is_said(
    repository: GitRepository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    await fails(repository.root, Trouble.GIT_MISSING, "git is not installed")


async def test_a_directory_that_may_not_be_entered_is_said(public_repository: GitRepository) -> None:
    with not_root(public_repository):
        public_repository.root.chmod(0)
        await fails(public_repository.root, Trouble.NOT_ALLOWED, "^permission denied: ")
    public_repository.root.chmod(0o755)


async def test_a_file_that_may_not_be_read_is_left_out_with_a_notice(public_repository: GitRepository) -> None:
    repository = public_repository
    repository.write("secret", "x\n")
    repository.write("open", "x\n")
    notices: list[str] = []
    repository.path("secret").chmod(0)
    with not_root(repository):
        async with opened(repository.root, notices=notices) as diff:
            await diff.update(everything())
            assert set(diff.entries) == {"open"}
            assert notices == ["left out of the diff, as they may not be read: secret"]
            repository.path("secret").chmod(0o644)
            await diff.update(Dirt(paths={b"secret"}))
            assert set(diff.entries) == {"open", "secret"}
