"""What a diff is against, whose files it leaves alone, and what it says where there is no diff."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fantail.broker.producers.diff.worktree.git_process import Trouble, WorktreeError
from fantail.broker.producers.diff.worktree.pending_changes import PendingChanges, everything
from support.worktrees.git_repository import GitRepository
from support.worktrees.worktree_diff import TWENTY, check, entries_of, opened

if TYPE_CHECKING:
    from collections.abc import Iterator


pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("hermetic_git")]

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
        await diff.update(PendingChanges(base=True))
        assert (diff.base.tree, set(diff.entries)) == (second, {"mine"})
        repository.git("update-ref", "refs/heads/main", first)
        await diff.update(PendingChanges(base=True))
        assert (diff.base.tree, set(diff.entries)) == (first, {"mine", "theirs"})
        repository.git("branch", "-q", "-D", "main")
        await diff.update(PendingChanges(base=True))
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
        await diff.update(PendingChanges(paths={b"new"}))
        await diff.update(everything())
        private_index = diff._private_index.directory
        assert private_index.stat().st_mode & 0o077 == 0
    assert state() == before
    assert not private_index.exists()


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


@pytest.mark.parametrize("form", [(), ("--split-index",), ("--index-version", "4")])
async def test_a_file_that_git_was_told_to_skip_is_never_shown(
    repository: GitRepository, form: tuple[str, ...]
) -> None:
    names = ("edited", "deleted", "replaced", "valid")
    for name in names:
        repository.write(name, "a\n")
    repository.write("file", "a\n")
    repository.commit()
    repository.git("update-index", *form, "--skip-worktree", *names[:3])
    repository.git("update-index", "--assume-unchanged", "valid")
    async with opened(repository.root) as diff:
        await diff.update(everything())
        for name in ("edited", "valid", "file"):
            repository.write(name, "b\n")
        for name in ("deleted", "replaced"):
            repository.path(name).unlink()
        repository.path("replaced").mkdir()
        for pending in (PendingChanges(paths={name.encode() for name in (*names, "file")}), everything()):
            await diff.update(pending)
            assert diff.entries.keys() == {"file"}


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
            await diff.update(PendingChanges(paths={b"secret"}))
            assert set(diff.entries) == {"open", "secret"}
