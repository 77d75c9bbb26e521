"""What differs from the private index, and what git ignores: one `git status` over all files of a worktree.

Two things that a file can do end `git status` for the whole worktree. Each has another way around it here: an encoding
attribute without a name (the attribute is taken off), and a file that shrinks while git has it mapped into memory (the
files are looked at without their contents).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fantail.broker.producers.diff.worktree.content_filters import parse_conversions, pattern_of
from fantail.broker.producers.diff.worktree.git_process import ANY_CODE, Git, Trouble, WorktreeError, last_words
from fantail.broker.producers.diff.worktree.private_index import is_scratch

if TYPE_CHECKING:
    from fantail.broker.producers.diff.worktree.private_git import PrivateGit

_STATUS: Final = (
    "status",
    "--porcelain",
    "-z",
    "--untracked-files=all",
    "--ignored=matching",
    "--no-renames",
    "--ignore-submodules=dirty",
)
_BAD_ENCODING: Final = "are no valid working-tree-encodings"


class Status:
    """Asks git for the status of one worktree."""

    def __init__(self, git: Git, private: PrivateGit) -> None:
        """Takes git, and the private git directory whose index is compared with the files."""
        self._git = git
        self._private = private

    async def look(self) -> tuple[set[bytes], set[bytes]]:
        """What differs from the private index, and what is ignored."""
        finished = await self._git.run(*_STATUS, environment=self._private.environment, accepted=ANY_CODE)
        if finished.code and _BAD_ENCODING in finished.error:
            await self._drop_bad_encodings()
            finished = await self._git.run(*_STATUS, environment=self._private.environment, accepted=ANY_CODE)
        if finished.code < 0:
            return await self._look_from_outside()
        if finished.code:
            reason = f"git status failed: {last_words(finished.error)}"
            raise WorktreeError(Trouble.GIT_FAILED, reason, said=finished.error)
        dirty: set[bytes] = set()
        ignored: set[bytes] = set()
        for record in finished.output.split(b"\0"):
            state, path = record[:2], record[3:]
            if state == b"!!":
                ignored.add(path)
            elif path and (state[1:] != b" " or state[:1] == b"U"):
                dirty.add(path.rstrip(b"/"))
        return _without_scratch(dirty), _without_scratch(ignored)

    async def _look_from_outside(self) -> tuple[set[bytes], set[bytes]]:
        """The same without reading contents: git ends by a signal where a file shrinks that it has mapped."""
        changed = await self._run("diff-files", "--name-only", "-z", "--ignore-submodules=dirty")
        new = await self._run("ls-files", "-z", "--others", "--exclude-standard")
        ignored = await self._run("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory")
        dirty = {path.rstrip(b"/") for path in (changed + new).split(b"\0")}
        return _without_scratch(dirty), _without_scratch(set(ignored.split(b"\0")))

    async def _drop_bad_encodings(self) -> None:
        """Takes an attribute at which git ends off the files that have it."""
        names = await self._run("ls-files", "-z")
        attributes = await self._run("check-attr", "-z", "--stdin", "working-tree-encoding", stdin=names)
        bad = [path for path, one in parse_conversions(attributes).items() if one.encoding in {b"set", b"unset"}]
        self._private.add_attributes(b"".join(b"%b !working-tree-encoding\n" % pattern_of(path) for path in bad))

    async def _run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        finished = await self._git.run(*arguments, stdin=stdin, environment=self._private.environment)
        return finished.output


def _without_scratch(paths: set[bytes]) -> set[bytes]:
    return {path for path in paths if path and not is_scratch(path)}
