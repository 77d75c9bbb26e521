"""What differs in a real worktree: each kind of change, and each edge. No watching takes part."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import orjson
import pytest

from fantail.broker.producers.diff.worktree.pending_changes import PendingChanges, everything
from support.worktrees.git_repository import GitRepository
from support.worktrees.worktree_diff import TWENTY, check, entries_of, opened

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("hermetic_git")]

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
    """Trap 36."""
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
    """Trap 36, while it is followed."""
    repository.write("a", TWENTY)
    repository.commit()
    async with opened(repository.root) as diff:
        await diff.update(everything())
        repository.path("a").rename(repository.path("b"))
        await diff.update(PendingChanges(paths={b"a", b"b"}))
        repository.write("b", TWENTY + "more\n")
        await diff.update(PendingChanges(paths={b"b"}))
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
        await diff.update(PendingChanges(paths={b"a.log", b"build/out"}))
        assert set(diff.entries) == {"kept.log"}
        repository.write(".gitignore", "build/\n")
        await diff.update(PendingChanges(survey=True))
        assert set(diff.entries) == {"kept.log", "a.log", ".gitignore"}
        repository.write(".gitignore", "*.log\n")
        await diff.update(PendingChanges(survey=True))
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
        await diff.update(PendingChanges(paths={b"a.log"}))
        repository.write("b.log", "new\n")
        repository.write("build/c", "new\n")
        await diff.update(PendingChanges(survey=True))
        assert [entry.change for entry in diff.entries.values()] == ["modified"] * 3


async def test_attributes_decide_what_is_binary_also_when_they_change(repository: GitRepository) -> None:
    repository.write("lock", "a\n")
    repository.commit()
    repository.write("lock", "b\n")
    async with opened(repository.root) as diff:
        await diff.update(everything())
        assert diff.entries["lock"].omitted is None
        repository.write(".gitattributes", "lock -diff\n")
        await diff.update(PendingChanges(survey=True))
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
        await diff.update(PendingChanges(survey=True))
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
        await diff.update(PendingChanges(paths={b"folder/secret", b"folder", b"link/secret"}))
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
        await diff.update(PendingChanges(paths={b"pipe", b"new"}))
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
        owed = await diff.update(PendingChanges(directories={b"new"}))
        assert set(diff.entries) == {"new/early"}
        await diff.update(owed)
        assert set(diff.entries) == {"new/early", "new/late"}
