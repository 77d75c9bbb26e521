"""What differs between two trees, and the patches of that, each made of two contents that git has by name.

To make the patch of a renamed file, its old content is put under its new name: two private trees are compared in which
every path is the new one. So a patch never depends on which others are made with it, as it would if git looked for the
rename among the paths that it is given.

What holds: a content that cannot be read takes away its own patch and no other. That is a blob that was never fetched
(partial clones), was lost, or is damaged; it is remembered as lost until `forget_lost`.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from fantail.broker.limits import DIFF_BATCH_FILES, DIFF_LOST_CHARS_MAX, DIFF_RENAME_FILES_MAX, GIT_REFUSED_FILES_MAX
from fantail.broker.producers.diff.worktree.git_process import ANY_CODE, Git, Trouble, WorktreeError, last_words
from fantail.broker.producers.diff.worktree.patch_stream import Patch, PatchStream
from fantail.broker.producers.diff.worktree.raw_diff import GITLINK_MODE, NO_MODE, parse_raw

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from fantail.broker.producers.diff.worktree.raw_diff import Change

_DIFF: Final = ("diff-index", "--cached", "--no-abbrev", "--ignore-submodules=dirty", "--no-ext-diff", "--no-textconv")
_RAW: Final = (*_DIFF, "--raw", "-z", f"-l{DIFF_RENAME_FILES_MAX}", "--no-rename-empty")
_OID: Final = re.compile(r"\b[0-9a-f]{40,64}\b")
_LOST: Final = Patch(0, 0, 0, None, "missing")
_UNREADABLE: Final = Patch(0, 0, 0, None, "unreadable")


class Comparison:
    """Compares contents by their names.

    Attributes:
        lost: names of contents that cannot be read.
    """

    def __init__(self, git: Git, environment: Mapping[str, str], index: Path) -> None:
        """Takes git, the variables of the private git directory, and where a private index may be."""
        self.lost: set[str] = set()
        self._git = git
        self._private = environment
        self._environment = {**environment, "GIT_INDEX_FILE": os.fspath(index)}
        self._index = index

    def forget_lost(self) -> None:
        """Tries lost contents again: they may have been fetched."""
        self.lost.clear()

    def is_lost(self, change: Change) -> bool:
        """Whether a content of this change is known to be lost."""
        return not self.lost.isdisjoint((change.old_oid, change.new_oid))

    async def find_lost(self, changes: Iterable[Change], error: str) -> bool:
        """Adds the lost contents of changes to `lost`; returns whether there are new ones.

        Args:
            changes: whose contents are looked for.
            error: what git said when it failed; it names a damaged object.
        """
        oids = {
            oid
            for change in changes
            for mode, oid in ((change.old_mode, change.old_oid), (change.new_mode, change.new_oid))
            if mode not in (NO_MODE, GITLINK_MODE)
        }
        before = len(self.lost)
        finished = await self._git.run(
            "cat-file",
            "--batch-check=%(objectname) %(objecttype)",
            stdin="".join(f"{oid}\n" for oid in sorted(oids)).encode(),
            environment=self._environment,
            accepted=ANY_CODE,
        )
        said = (line.split(" ", 1) for line in finished.output.decode("ascii", "replace").splitlines())
        self.lost.update(oid for oid, kind in said if kind != "blob" and oid in oids)
        self.lost.update(oid for oid in _OID.findall(error) if oid in oids)
        return len(self.lost) > before

    async def changes(self, base: str) -> list[Change]:
        """What differs between a commit, or the empty tree, and the private index, by new path; renames are found."""
        said = ""
        if not self.lost:
            try:
                return parse_raw(await self._listed(*_RAW, "-M", "-C", base))
            except WorktreeError as error:
                if error.trouble is not Trouble.GIT_FAILED:
                    raise
                said = error.said
        # Looking for renames reads contents. Those that are lost are kept out of it.
        plain = parse_raw(await self._listed(*_RAW, "--no-renames", base))
        await self.find_lost(plain, said)
        lost = [change for change in plain if self.is_lost(change)]
        excluded = [f":(top,exclude,literal){os.fsdecode(change.path)}" for change in lost]
        if lost and sum(len(words) for words in excluded) < DIFF_LOST_CHARS_MAX:
            try:
                others = parse_raw(await self._listed(*_RAW, "-M", "-C", base, "--", ":(top)", *excluded))
            except WorktreeError:
                pass
            else:
                return sorted([*others, *lost], key=lambda change: change.path)
        # Equal contents are found by their names, without being read.
        return parse_raw(await self._listed(*_RAW, "-M100%", "-C100%", base))

    async def patches(
        self, changes: Sequence[Change], *, file_bytes_max: int, total_bytes_max: int
    ) -> dict[Change, Patch]:
        """The patches of changes whose content differs.

        Args:
            changes: at most 1,000.
            file_bytes_max: the text of a larger one is not kept, its statistics are.
            total_bytes_max: of all texts that are kept.

        Raises:
            WorktreeError: git fails whatever it compares.
        """
        assert len(changes) <= DIFF_BATCH_FILES, "a round takes so many and no more"
        patches: dict[Change, Patch] = {}
        waiting = _rounds(changes)
        tries = GIT_REFUSED_FILES_MAX
        while waiting:
            together = waiting.pop()
            patches |= {change: _LOST for change in together if self.is_lost(change)}
            together = [change for change in together if change not in patches]
            left_bytes = total_bytes_max - sum(patch.size_bytes for patch in patches.values() if patch.text is not None)
            try:
                patches |= await self._compare(together, file_bytes_max, left_bytes) if together else {}
            except WorktreeError as error:
                if error.trouble is not Trouble.GIT_FAILED:
                    raise
                if await self.find_lost(together, error.said):
                    waiting.append(together)
                elif len(together) > 1 and tries:
                    middle = len(together) // 2
                    waiting += [together[:middle], together[middle:]]
                else:
                    await self._compare([], 0, 0)  # fails where these changes are not the reason
                    patches |= dict.fromkeys(together, _UNREADABLE)
                tries = max(tries - 1, 0)
        return patches

    async def _compare(self, changes: list[Change], file_bytes_max: int, total_bytes_max: int) -> dict[Change, Patch]:
        """The patches of changes whose paths can be in one tree."""
        before = [(change.old_mode, change.old_oid, change.path) for change in changes if change.kind != "added"]
        after = [(change.new_mode, change.new_oid, change.path) for change in changes if change.kind != "deleted"]
        await self._fill(before)
        tree = (await self._run("write-tree", "--missing-ok")).decode().strip()
        await self._fill(after)
        stream = PatchStream(changes, file_bytes_max=file_bytes_max, total_bytes_max=total_bytes_max)
        code, error = await self._git.stream(
            *_DIFF,
            *("--numstat", "-z", "-p", "--no-renames", "--submodule=short", "-U3", tree),
            take=stream.take,
            environment=self._environment,
        )
        if code:
            raise WorktreeError(Trouble.GIT_FAILED, f"git could not compare: {last_words(error)}", said=error)
        return stream.finish()

    async def _listed(self, *arguments: str) -> bytes:
        return (await self._git.run(*arguments, environment=self._private)).output

    async def _fill(self, entries: list[tuple[str, str, bytes]]) -> None:
        """Makes an index of these entries alone."""
        for left in (self._index, self._index.with_name(f"{self._index.name}.lock")):
            left.unlink(missing_ok=True)
        lines = b"".join(b"%b %b\t%b\0" % (mode.encode(), oid.encode(), path) for mode, oid, path in entries)
        await self._run("update-index", "--add", "-z", "--index-info", stdin=lines)

    async def _run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        return (await self._git.run(*arguments, stdin=stdin, environment=self._environment)).output


def folders_of(path: bytes) -> Iterator[bytes]:
    """The folders that a path is in, from the top."""
    at = path.find(b"/")
    while at >= 0:
        yield path[:at]
        at = path.find(b"/", at + 1)


def _rounds(changes: Sequence[Change]) -> list[list[Change]]:
    """The changes, parted so that in each part no path is a folder of another's: a file may have become a folder."""
    names = {change.path for change in changes}
    if not any(folder in names for change in changes for folder in folders_of(change.path)):
        return [list(changes)]
    gone = [change for change in changes if change.kind == "deleted"]
    return [part for part in (gone, [change for change in changes if change.kind != "deleted"]) if part]
