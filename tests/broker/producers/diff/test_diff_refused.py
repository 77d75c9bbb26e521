"""A file that git refuses takes nothing else away: it is left out with its reason, and all others are shown."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from fantail.broker.limits import GIT_REFUSED_FILES_MAX
from fantail.broker.producers.diff.worktree.pending_changes import PendingChanges, everything
from support.worktrees.git_repository import GitRepository
from support.worktrees.worktree_diff import TWENTY, opened

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fantail.broker.producers.diff.worktree_diff import WorktreeDiff


pytestmark = pytest.mark.usefixtures("hermetic_git")


def shown(diff: WorktreeDiff) -> set[tuple[str, str, str | None]]:
    return {(entry.file, entry.change, entry.omitted) for entry in diff.entries.values()}


async def left_out(repository: GitRepository, *expected: tuple[str, str, str | None]) -> list[str]:
    """The edit of `file` is shown beside these, however it is looked for; returns what was told."""
    notices: list[str] = []
    async with opened(repository.root, notices=notices) as diff:
        await diff.update(everything())
        repository.write("file", TWENTY + "more\n")
        await diff.update(PendingChanges(paths={b"file"}))
        assert shown(diff) == {("file", "modified", None), *expected}
        before = list(notices)
        for pending in (PendingChanges(survey=True), everything()):
            await diff.update(pending)
            assert shown(diff) == {("file", "modified", None), *expected}
        assert notices == before, "nothing is told twice"
    return notices


# -- encodings ------------------------------------------------------------------------------------------------------


@pytest.fixture
def encoded(repository: GitRepository) -> GitRepository:
    repository.write("file", TWENTY)
    repository.write(".gitattributes", "*.wide working-tree-encoding=UTF-16\n*.odd working-tree-encoding=x-nothing\n")
    repository.write("good.wide", "one\n".encode("utf-16"))
    repository.write("bad.wide", "one\n".encode("utf-16"))
    repository.commit()
    return repository


async def test_a_byte_outside_of_a_files_encoding(encoded: GitRepository) -> None:
    encoded.write("bad.wide", b"\xff\xfea\0\0\xd8x")
    encoded.write("good.wide", "one\ntwo\n".encode("utf-16"))
    notices = await left_out(encoded, ("good.wide", "modified", None), ("bad.wide", "modified", "encoding"))
    assert notices == ["not compared, as git cannot convert their encoding: bad.wide"]


async def test_an_encoding_that_git_does_not_know(encoded: GitRepository) -> None:
    encoded.write("new.odd", "x\n")
    await left_out(encoded, ("new.odd", "added", "encoding"))


@pytest.mark.parametrize("value", ["working-tree-encoding", "-working-tree-encoding"])
async def test_an_encoding_without_a_name_at_which_git_ends(repository: GitRepository, value: str) -> None:
    repository.write("file", TWENTY)
    names = ["plain.odd", 'folder/q"uo te*[x]?.odd', "folder/\u00e9\\.odd"]
    for name in names:
        repository.write(name, "x\n")
    repository.commit()
    repository.write(".gitattributes", f"*.odd {value}\n")
    for name in names:
        repository.write(name, "y\n")
    await left_out(repository, (".gitattributes", "added", None), *((name, "modified", None) for name in names))


async def test_a_file_whose_encoding_is_right_again_comes_back(encoded: GitRepository) -> None:
    async with opened(encoded.root) as diff:
        encoded.write("bad.wide", b"\xff\xfe\0\xd8")
        await diff.update(everything())
        assert shown(diff) == {("bad.wide", "modified", "encoding")}
        encoded.write("bad.wide", "two\n".encode("utf-16"))
        await diff.update(PendingChanges(paths={b"bad.wide"}))
        assert diff.entries["bad.wide"].diff.endswith("-one\n+two\n")
        encoded.write("bad.wide", "one\n".encode("utf-16"))
        await diff.update(PendingChanges(survey=True))
        assert not diff.entries


async def test_more_refused_files_than_are_looked_for_hide_no_other(encoded: GitRepository) -> None:
    for number in range(150):
        encoded.write(f"{number}.wide", b"\xff\xfe\0\xd8")
        encoded.write(f"{number}.txt", "x\n")
    async with opened(encoded.root) as diff:
        await diff.update(everything())
        assert shown(diff) == {
            *((f"{number}.wide", "added", "encoding") for number in range(150)),
            *((f"{number}.txt", "added", None) for number in range(150)),
        }
        assert diff.git.processes < 150
        before = diff.git.processes
        await diff.update(PendingChanges(survey=True))
        assert diff.git.processes - before <= 3


# -- lost contents ----------------------------------------------------------------------------------------------------


def object_of(repository: GitRepository, name: str) -> Path:
    oid = repository.head(f"HEAD:{name}")
    return repository.path(f".git/objects/{oid[:2]}/{oid[2:]}")


def lose(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"")


def damage(path: Path) -> None:
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    content[-1] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [lose, empty, damage])
async def test_a_blob_of_the_base_that_cannot_be_read(repository: GitRepository, harm: Callable[[Path], None]) -> None:
    repository.write("file", TWENTY)
    repository.write("lost", TWENTY * 3)
    repository.write("lost too", TWENTY * 4)
    repository.write("moved", TWENTY + "moved\n")
    repository.commit()
    for name in ("lost", "lost too"):
        harm(object_of(repository, name))
    repository.write("lost", TWENTY * 3 + "more\n")
    repository.path("lost too").unlink()
    repository.path("moved").rename(repository.path("moved away"))
    repository.write("moved away", TWENTY + "moved\nmore\n")
    await left_out(
        repository,
        ("lost", "modified", "missing"),
        ("lost too", "deleted", "missing"),
        ("moved away", "renamed", None),
    )


async def test_a_partial_clone_without_its_remote_shows_what_it_has(repository: GitRepository, tmp_path: Path) -> None:
    for name in ("file", "other", "third"):
        repository.write(name, TWENTY + name)
    repository.commit()
    for name in ("other", "third"):
        repository.write(name, TWENTY + name + "changed\n")
    repository.commit()
    repository.git("config", "uploadpack.allowFilter", "true")
    clone = tmp_path / "clone"
    repository.git_at(tmp_path, "clone", "-q", "--filter=blob:none", f"file://{repository.root}", str(clone))
    repository.git_at(clone, "checkout", "-q", "-b", "topic")
    repository.git_at(clone, "update-ref", "refs/remotes/origin/main", "HEAD~1")
    shutil.move(repository.root, tmp_path / "away")
    (clone / "file").write_text(TWENTY + "changed\n")
    async with opened(clone, "origin/main") as diff:
        await diff.update(everything())
        assert shown(diff) == {
            ("file", "modified", None),
            ("other", "modified", "missing"),
            ("third", "modified", "missing"),
        }
        before = diff.git.processes
        await diff.update(PendingChanges(survey=True))
        assert diff.git.processes - before <= 5
        shutil.move(tmp_path / "away", repository.root)
        repository.git_at(clone, "diff", "origin/main")
        await diff.update(everything())
        assert shown(diff) == {("file", "modified", None), ("other", "modified", None), ("third", "modified", None)}


async def test_a_fetch_of_lost_contents_is_never_tried(repository: GitRepository, tmp_path: Path) -> None:
    """It would start ssh, or whatever the remote names."""
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho \"$*\" >>'{ran}'\nexit 1\n")
    program.chmod(0o755)
    repository.write("file", TWENTY)
    repository.write("lost", TWENTY * 2)
    repository.commit()
    object_of(repository, "lost").unlink()
    for name, value in {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.url": "ssh://host.invalid/repository",
        "remote.origin.promisor": "true",
        "core.sshCommand": str(program),
    }.items():
        repository.git("config", name, value)
    repository.write("lost", TWENTY * 2 + "more\n")
    await left_out(repository, ("lost", "modified", "missing"))
    repository.write(".git/refs/remotes/origin/HEAD", "1" * 40 + "\n")  # a base that is not there
    await left_out(repository, ("lost", "modified", "missing"))
    assert not ran.exists()


async def test_a_file_that_is_cut_and_written_while_git_reads_it(repository: GitRepository) -> None:
    repository.write("file", TWENTY)
    restless = repository.write("restless", "x" * 4_000_000)
    repository.commit()
    program = "import sys\nwhile True:\n    open(sys.argv[1], 'w').write('y' * 4_000_000)\n"
    async with opened(repository.root) as diff:
        await diff.update(everything())
        with subprocess.Popen([sys.executable, "-c", program, str(restless)]) as writer:  # noqa: ASYNC220 - it starts in a moment
            try:
                for number in range(6):
                    repository.write("file", TWENTY + "more\n" * (number + 1))
                    await diff.update(everything())
                    assert diff.entries["file"].additions == number + 1
            finally:
                writer.kill()
        restless.write_text("at rest\n")
        await diff.update(PendingChanges(paths={b"restless"}))
        assert diff.entries["restless"].additions == 1


# -- what is no ordinary file -----------------------------------------------------------------------------------------


async def test_files_that_are_none(repository: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("file", "was a file", "loop", "folder/a"):
        repository.write(name, TWENTY)
    repository.commit()
    for name in ("was a file", "loop"):
        repository.path(name).unlink()
    os.mkfifo(repository.path("was a file"))
    os.mkfifo(repository.path("folder/pipe"))
    monkeypatch.chdir(repository.root)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket")
    repository.path("loop").symlink_to("loop")
    repository.path("one").symlink_to("two")
    repository.path("two").symlink_to("one")
    repository.path("folder/up").symlink_to("..")
    repository.path("nowhere").symlink_to(tmp_path / "nowhere")
    await left_out(
        repository,
        ("was a file", "deleted", None),
        ("loop", "modified", None),
        *((name, "added", None) for name in ("one", "two", "folder/up", "nowhere")),
    )


async def test_a_path_longer_than_the_system_takes(repository: GitRepository) -> None:
    repository.write("file", TWENTY)
    repository.commit()
    here = os.open(repository.root, os.O_RDONLY)
    top = here
    try:
        for _ in range(24):
            os.mkdir("d" * 200, dir_fd=here)
            below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
            if here != top:
                os.close(here)
            here = below
        os.close(os.open("deep", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    finally:
        os.close(here)
        os.close(top)
    await left_out(repository)


async def test_folders_that_look_like_a_repository_and_are_none(repository: GitRepository, tmp_path: Path) -> None:
    repository.write("file", TWENTY)
    repository.commit()
    repository.write("nowhere/.git", f"gitdir: {tmp_path}/nowhere\n")
    repository.write("nowhere/inside", "x\n")
    repository.write("text/.git", "this is no link\n")
    repository.write("text/inside", "x\n")
    repository.path("empty/.git").mkdir(parents=True)
    repository.write("empty/inside", "x\n")
    repository.path("loop").mkdir()
    repository.path("loop/.git").symlink_to(".git")
    repository.write("loop/inside", "x\n")
    GitRepository(repository.path("unborn"), empty=True)
    notices: list[str] = []
    async with opened(repository.root, notices=notices) as diff:
        await diff.update(everything())
        repository.write("file", TWENTY + "more\n")
        await diff.update(PendingChanges(paths={b"file"}))
        first = shown(diff)
        assert ("file", "modified", None) in first
        before = list(notices)
        await diff.update(everything())
        assert shown(diff) == first
        assert notices == before


async def test_names_that_are_like_what_git_says_without_room(encoded: GitRepository) -> None:
    names = ("index.lock", "No space left on device", "Disk quota exceeded")
    encoded.write(".gitattributes", "".join(f'"{name}" working-tree-encoding=UTF-16\n' for name in names))
    encoded.commit()
    for name in names:
        encoded.write(name, "no byte order mark\n")
    await left_out(encoded, *((name, "added", "encoding") for name in names))


async def test_many_repositories_without_a_commit_hide_no_new_file(repository: GitRepository) -> None:
    repository.write("file", TWENTY)
    repository.commit()
    for number in range(GIT_REFUSED_FILES_MAX + 6):
        GitRepository(repository.path(f"empty/{number}"), empty=True)
    repository.write("new", "new\n")
    repository.path("link").symlink_to("new")
    repository.write("file", TWENTY + "more\n")
    async with opened(repository.root) as diff:
        await diff.update(everything())
        assert shown(diff) == {("file", "modified", None), ("new", "added", None), ("link", "added", None)}


async def test_a_partial_clone_without_the_trees_of_its_base_is_compared_with_head(
    repository: GitRepository, tmp_path: Path
) -> None:
    repository.write("folder/a", TWENTY)
    repository.write("file", TWENTY)
    repository.commit()
    repository.git("branch", "feature")
    repository.write("folder/later", TWENTY)
    repository.commit()
    repository.git("checkout", "-q", "feature")
    repository.write("folder/b", TWENTY)
    repository.commit()
    repository.git("config", "uploadpack.allowFilter", "true")
    source = f"file://{repository.root}"
    GitRepository.git_at(tmp_path, "clone", "-q", "--filter=tree:0", "-b", "feature", source, "clone")
    repository.root.rename(tmp_path / "away")
    clone = GitRepository(tmp_path / "clone", empty=True)
    clone.write("file", TWENTY + "more\n")
    notices: list[str] = []
    async with opened(clone.root, "origin/main", notices=notices) as diff:
        for _ in range(2):
            await diff.update(everything())
            assert shown(diff) == {("file", "modified", None)}
    assert notices == [
        "the folders of origin/main are not in this partial clone: what differs from HEAD is shown instead"
    ]
