"""Where a worktree is, and what its diff is against.

The base is the merge base of HEAD and a base ref: what the branch has changed, whatever was merged upstream since. It
is looked up again whenever HEAD or a ref moves, so it follows commits, checkouts, rebases, and refs moved by force.

- Without a base ref it is the first that exists of origin/HEAD, main, master; where none does, HEAD.
- Where HEAD and the base ref have no common ancestor, it is the base ref itself.
- Where there is no commit yet, it is the empty tree.
- In a partial clone without the base's trees (`--filter=tree:0`) it is HEAD, and a notice says so.
- A base ref that is deleted while it is watched: the last base stays, and a notice says so.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fantail.broker.producers.diff.worktree.git_process import Git, Trouble, WorktreeError, last_words

_COMMIT: Final = re.compile(rb"commit ([0-9a-f]{40,64})")
_SHA1_CHARS: Final = 40
DEFAULT_BASES: Final = ("refs/remotes/origin/HEAD", "refs/heads/main", "refs/heads/master")


@dataclass(frozen=True, slots=True)
class Location:
    """The directories of one worktree, absolute.

    Attributes:
        root: the top of the worktree.
        git_dir: its own git directory: HEAD, index.
        common_dir: what all worktrees of the repository share: refs, objects, configuration.
        index: the user's index. It is read, never written.
        objects: the repository's object directory.
        oid_chars: the length of its names of objects: 40, or 64 with SHA-256.
    """

    root: Path
    git_dir: Path
    common_dir: Path
    index: Path
    objects: Path
    oid_chars: int


@dataclass(frozen=True, slots=True)
class Base:
    """What the diff is against.

    Attributes:
        tree: a commit, or the empty tree.
        ref: the name of the ref it was found by; empty for the empty tree.
        head: the commit of HEAD it was found for, None where there is none.
        target: the commit of the ref.
    """

    tree: str
    ref: str
    head: str | None
    target: str | None


async def locate(git: Git) -> Location:
    """Finds the worktree that a directory is in, and has git stay with it.

    Args:
        git: of any directory of the worktree. From here on it runs at the top of it, and knows the repository: where
            `.git` vanishes, it does not find another one above.

    Raises:
        WorktreeError: the directory does not exist, is in no worktree, or may not be read; or git is missing.
    """
    if is_gone(git.directory):
        raise WorktreeError(Trouble.NO_DIRECTORY, f"{git.directory} does not exist")
    root = await _asked(git, "--show-toplevel")
    git_dir = await _asked(git, "--absolute-git-dir")
    git.pin(root, {"GIT_DIR": os.fspath(git_dir), "GIT_WORK_TREE": os.fspath(root)})
    return Location(
        root=root,
        git_dir=git_dir,
        common_dir=(root / await _asked(git, "--git-common-dir")).resolve(),
        index=root / await _asked(git, "--git-path", "index"),
        objects=(root / await _asked(git, "--git-path", "objects")).resolve(),
        oid_chars=64 if (await _asked(git, "--show-object-format")).name == "sha256" else 40,
    )


def is_partial(location: Location) -> bool:
    """Whether the repository is a partial clone. With SHA-256, where nobody has them yet, the answer is no."""
    return location.oid_chars == _SHA1_CHARS and any((location.objects / "pack").glob("*.promisor"))


def is_gone(directory: Path) -> bool:
    """Whether there is nothing at that place. What cannot be looked at is not gone."""
    try:
        directory.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


async def _asked(git: Git, *question: str) -> Path:
    try:
        finished = await git.run("rev-parse", *question)
    except WorktreeError as error:
        if error.trouble is not Trouble.GIT_FAILED:
            raise
        reason = str(error).removeprefix("git rev-parse failed: ")
        raise WorktreeError(Trouble.NOT_A_WORKTREE, f"{git.directory} is in no git worktree: {reason}") from error
    return Path(os.fsdecode(finished.output.removesuffix(b"\n")))


async def find_base(git: Git, asked: str | None, last: Base | None) -> Base:
    """Finds the base as it is now: one git process where nothing moved, two where something did.

    Args:
        git: of a located worktree.
        asked: the base ref; None for the usual ones.
        last: what was found before, for comparing.

    Raises:
        WorktreeError: the ref that was asked for does not name a commit.
    """
    if asked is not None and (not asked.strip() or "\n" in asked or "\0" in asked):
        raise WorktreeError(Trouble.NO_SUCH_BASE, f"{asked!r} names no commit")
    candidates = DEFAULT_BASES if asked is None else (asked,)
    head, *found = await _commits(git, asked, ("HEAD", *candidates))
    ref, target = next(((ref, oid) for ref, oid in zip(candidates, found, strict=True) if oid), ("HEAD", head))
    if asked is not None and found == [None]:
        raise WorktreeError(Trouble.NO_SUCH_BASE, f"{asked} names no commit of {git.directory}")
    if last is not None and (last.ref, last.head, last.target) == (ref, head, target):
        return last
    if target is None:
        return Base(await _empty_tree(git), "", None, None)
    return Base(await _merge_base(git, head, target), ref, head, target)


async def _commits(git: Git, asked: str | None, refs: tuple[str, ...]) -> list[str | None]:
    """The commits that refs name, in one process."""
    names = "".join(f"{ref}^{{commit}}\n" for ref in refs)
    accepted = (0,) if asked is None else (0, 128)  # 128: some forms, like `@{upstream}`, end git where there is none
    batch = "--batch-check=%(objecttype) %(objectname)"
    finished = await git.run("cat-file", batch, stdin=os.fsencode(names), accepted=accepted)
    if finished.code:
        raise WorktreeError(Trouble.NO_SUCH_BASE, f"{asked} names no commit: {last_words(finished.error)}")
    lines = finished.output.split(b"\n")[: len(refs)]
    return [match.group(1).decode() if (match := _COMMIT.fullmatch(line)) else None for line in lines]


async def _merge_base(git: Git, head: str | None, target: str) -> str:
    if head is None or head == target:
        return target
    finished = await git.run("merge-base", head, target, accepted=(0, 1))
    return finished.output.decode().strip() or target


async def _empty_tree(git: Git) -> str:
    finished = await git.run("hash-object", "-t", "tree", "--stdin")
    return finished.output.decode().strip()
