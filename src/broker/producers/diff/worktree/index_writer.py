"""Puts files into the private index: as git reads them, or by a stand-in of ours.

`git update-index` ends at the first path that it cannot take, and then has taken none. So a refused path is left out
and the others are tried again; where git does not name the path, the paths are halved. Many may be refused of two
kinds: files that git converts from another encoding, and repositories without a commit. Both are tried after, and apart
from, all others.
"""
# ruff: noqa: PTH112, PTH114, PTH118 - paths are bytes here, which pathlib does not have

from __future__ import annotations

import os
import re
import shutil
import stat
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from fantail.broker.limits import GIT_REFUSED_FILES_MAX
from fantail.broker.producers.diff.worktree.content_filters import parse_conversions
from fantail.broker.producers.diff.worktree.git_process import ANY_CODE, Git, Trouble, WorktreeError, last_words
from fantail.broker.producers.diff.worktree.raw_diff import GITLINK_MODE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from fantail.broker.producers.diff.worktree.private_index import PrivateIndex

Reason = Literal["size", "filter", "encoding"]

_REFUSAL: Final = "fatal: Unable to process path "
_NO_ROOM: Final = re.compile(
    rf"^(?:error|fatal): (?!{_REFUSAL.removeprefix('fatal: ')}).*: (?:No space left on device|Disk quota exceeded)$"
    r"|^fatal: Unable to create '.*index[.]lock'",
    re.MULTILINE,
)
"""What git says where no file can be added. A file's own name does not match it."""
_CHECK_ATTR: Final = ("check-attr", "-z", "--stdin", "filter", "working-tree-encoding")


class StandIn(NamedTuple):
    """What is put into the index for a file that git does not read.

    Attributes:
        mode: of the entry, in octal digits.
        content: of the blob.
        reason: why the patch is left out; None where this is what git would have made of the file.
    """

    mode: bytes
    content: bytes
    reason: Reason | None


def stand_in(status: os.stat_result, reason: Reason | None, content: bytes | None = None) -> StandIn:
    """Represents a file by a content; without one, by a content that is another one whenever the file changes."""
    mode = b"100755" if status.st_mode & stat.S_IXUSR else b"100644"
    if content is None:
        content = b"%d bytes, changed at %d, file %d\n" % (status.st_size, status.st_mtime_ns, status.st_ino)
    return StandIn(mode, content, reason)


class IndexWriter:
    """Writes the private index.

    Attributes:
        reasons: of stand-ins whose patch is left out, by git's name for their content.
        links: commits of submodules that are modified inside, by the name that stands for that.
    """

    def __init__(self, git: Git, private_index: PrivateIndex, oid_chars: int) -> None:
        """Takes git, where the index is, and the length of names of objects."""
        self.reasons: dict[str, Reason] = {}
        self.links: dict[str, str] = {}
        self._git = git
        self._private = private_index.private
        self._environment = private_index.private.environment
        self._folder = private_index.directory / "stand-ins"
        self._no_oid = b"0" * oid_chars

    async def place(self, gone: Collection[bytes], stand_ins: Mapping[bytes, StandIn]) -> None:
        """Takes what is gone out of the index, and puts stand-ins into it."""
        if not gone and not stand_ins:
            return
        oids = await self._stored([one.content for one in stand_ins.values()])
        modes = await self._modes(stand_ins) if self._private.settings.ignores_modes else {}
        lines = [b"0 %b\t%b\0" % (self._no_oid, path) for path in gone]
        for (path, one), oid in zip(stand_ins.items(), oids, strict=True):
            is_link = one.mode == GITLINK_MODE.encode()
            mode = one.mode if is_link else modes.get(path, one.mode)
            lines.append(b"%b %b\t%b\0" % (mode, oid.encode(), path))
            if is_link:
                self.links[oid] = one.content.decode()
            elif one.reason is not None:
                self.reasons[oid] = one.reason
        await self._run("--add", "--replace", "-z", "--index-info", stdin=b"".join(lines))
        await self.hold(stand_ins)

    async def _modes(self, paths: Collection[bytes]) -> dict[bytes, bytes]:
        """The modes that files have in the index: executable where they are so there, whatever the disk says."""
        finished = await self._git.run("ls-files", "-z", "--stage", environment=self._environment)
        known = (line.partition(b"\t") for line in finished.output.split(b"\0") if line.startswith(b"100755"))
        executable = {path for _, _, path in known}
        return {path: b"100755" if path in executable else b"100644" for path in paths}

    async def hold(self, paths: Collection[bytes]) -> None:
        """Keeps `git status` from reading files, to compare them with what the index has for them."""
        if paths:
            await self._run("--assume-unchanged", "-z", "--stdin", stdin=_listed(paths))

    async def add(self, paths: list[bytes]) -> dict[bytes, bool]:
        """Has git read files.

        Returns:
            The paths that it refuses, and whether that is a matter of their encoding.

        Raises:
            WorktreeError: it can write nothing, whatever the files.
        """
        refused: dict[bytes, bool] = {}
        waiting, tries = [paths] if paths else [], GIT_REFUSED_FILES_MAX
        encoded: set[bytes] | None = None
        while waiting:
            group = waiting.pop()
            error = await self._refusal_of(group)
            if error is None:
                continue
            if encoded is None:
                encoded = await self._encoded(group)
                apart = encoded.union(path for path in group if self._is_directory(path))
                parts = [[path for path in group if (path in apart) is side] for side in (True, False)]
                if all(parts):
                    waiting += parts
                    continue
            tries -= 1
            culprit = _refused_path(error, group)
            rest = [path for path in group if path != culprit]
            if tries <= 0 or not rest:
                refused |= {path: path in encoded for path in group}
            elif culprit is not None:
                refused[culprit] = culprit in encoded
                waiting.append(rest)
            else:
                waiting += [group[: len(group) // 2], group[len(group) // 2 :]]
        return refused

    async def _refusal_of(self, paths: list[bytes]) -> str | None:
        """Adds paths; what git says where it refuses, None where it does not."""
        finished = await self._git.run(
            # Without `--ignore-…`, `--remove` removes entries that have the bit skip-worktree, files or not.
            *("update-index", "--add", "--remove", "--ignore-skip-worktree-entries", "--replace", "-z", "--stdin"),
            stdin=_listed(paths),
            environment=self._environment,
            accepted=ANY_CODE,  # a signal too: a file that shrinks while it is mapped into memory
        )
        if finished.code == 0:
            return None
        self._private.remove_lock()
        if _NO_ROOM.search(finished.error):
            reason = last_words(finished.error)
            raise WorktreeError(Trouble.GIT_FAILED, f"git could not take the changed files: {reason}")
        return finished.error

    def _is_directory(self, path: bytes) -> bool:
        place = os.path.join(os.fsencode(self._environment["GIT_WORK_TREE"]), path)
        return os.path.isdir(place) and not os.path.islink(place)

    async def _encoded(self, paths: list[bytes]) -> set[bytes]:
        finished = await self._git.run(*_CHECK_ATTR, stdin=_listed(paths), environment=self._environment)
        return {path for path, conversion in parse_conversions(finished.output).items() if conversion.encoding}

    async def _stored(self, contents: list[bytes]) -> list[str]:
        """Writes contents as they are; git's names for them."""
        if not contents:
            return []
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        for number, content in enumerate(contents):
            (self._folder / str(number)).write_bytes(content)
        names = "".join(f"{self._folder / str(number)}\n" for number in range(len(contents)))
        finished = await self._git.run(
            *("hash-object", "-w", "--no-filters", "--stdin-paths"),
            stdin=os.fsencode(names),
            environment=self._environment,
        )
        return finished.output.decode().split()

    async def _run(self, *arguments: str, stdin: bytes) -> None:
        await self._git.run("update-index", *arguments, stdin=stdin, environment=self._environment)


def _listed(paths: Collection[bytes]) -> bytes:
    return b"".join(path + b"\0" for path in paths)


def _refused_path(error: str, paths: list[bytes]) -> bytes | None:
    """The path that git complains of: the longest that its last words end with."""
    said = error[error.rfind(_REFUSAL) :].removesuffix("\n") if _REFUSAL in error else ""
    ends = [path for path in paths if said == _REFUSAL + path.decode("utf-8", "replace")]
    return max(ends, key=len, default=None)
