"""A worktree as it was last looked at, in an index and an object store that are ours.

Every file that differs from the user's index, untracked ones included, is staged into a private copy of that index.
From then on the diff is one between what git has by name: nothing is read twice, renames of untracked files are found
like any others (trap 36), and a change is known by the two contents it lies between, so a patch made once is right
for as long as the change is there.

    survey    what differs from the private index: one `git status`, over all files
    ignored   which of some paths git ignores
    stage     takes paths into the private index as they are now
    changes   the private index against the base, renames and copies found: `git diff-index --raw`
    patches   the lines of change, of the files that are asked for

The number of processes is bounded whatever changes: a survey is one, staging at most four, `changes` one, patches four
for each 1,000 files (eight where a file has become a folder, or a folder a file).

To make the patch of a renamed file, its old content is put under its new name: two private trees are compared in which
every path is the new one. So a patch never depends on which others are made with it, as it would if git looked for the
rename among the paths that it is given.

What is written is ours: the index and new objects in the scratch directory; git reads the repository's objects behind
them (and may note there that one is in use, by its time). Clean filters run as they do for `git add`.

Decided against: comparing the worktree itself with `git diff` (each pass would hash every new file anew to look for
renames, and what is listed and what is compared are two moments), `git add --intent-to-add` for new files (the same),
and writing to the user's index or objects.
"""
# ruff: noqa: PTH118, PTH120 - paths are bytes here, which pathlib does not have

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import anyio.to_thread

from broker.limits import DIFF_BATCH_FILES, DIFF_IGNORED_NAMES_MAX, DIFF_RENAME_FILES_MAX, GIT_REFUSED_FILES_MAX
from broker.producers.worktree.git_process import Git, Trouble, WorktreeError, last_words
from broker.producers.worktree.patch_stream import Patch, PatchStream
from broker.producers.worktree.raw_diff import Change, parse_raw
from broker.producers.worktree.staging import Sorted, sort_paths

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from broker.producers.worktree.location import Location
    from broker.producers.worktree.scratch import Scratch

# Settings of the user that would change our files, or what we print.
_SETTINGS: Final = (
    "core.fsync=none",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.splitIndex=false",
    "index.sparse=false",
    "core.looseCompression=0",
    "core.safecrlf=false",
    "core.protectNTFS=false",
    "core.protectHFS=false",
    "core.quotePath=true",
    "diff.suppressBlankEmpty=false",
    "gc.auto=0",
)
_DIFF: Final = ("diff-index", "--cached", "--no-abbrev", "--ignore-submodules=dirty", "--no-ext-diff", "--no-textconv")
# A tree of a few files, on disk.
_TREE_BYTES: Final = 4096
_REFUSAL: Final = "fatal: Unable to process path "


class Signature(NamedTuple):
    """By what a file is known to be as it was."""

    ctime_ns: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Survey:
    """What a look at all files found; paths are relative to the worktree.

    Attributes:
        dirty: what differs from the private index.
        ignored: what is ignored; directories end with a slash.
    """

    dirty: set[bytes]
    ignored: set[bytes]


@dataclass(frozen=True, slots=True)
class Staged:
    """What could not be taken as it is.

    Attributes:
        unreadable: paths that may not be read; their entries stay as they were.
        too_large: paths listed without having been read.
    """

    unreadable: list[bytes]
    too_large: list[bytes]


class Snapshot:
    """The private index of one worktree and what can be asked of it."""

    def __init__(
        self, git: Git, location: Location, scratch: Scratch, *, source_bytes_max: int, store_bytes_max: int
    ) -> None:
        """Starts with no index; the first survey takes the user's.

        Args:
            git: of the worktree.
            location: of the worktree.
            scratch: where our files are.
            source_bytes_max: larger files are not read.
            store_bytes_max: how many bytes of changed files may be copied.
        """
        self._git = git
        self._location = location
        self._scratch = scratch
        self._root = os.fsencode(location.root)
        self._source_bytes_max = source_bytes_max
        self._store_bytes_max = store_bytes_max
        self._stored_bytes = 0
        self._sweep_at_bytes = store_bytes_max // 4
        self._large: dict[bytes, Signature | None] = {}
        # What git tracks and ignores, once deleted here, would be taken for ignored when it is back.
        self._removed: set[bytes] = set()
        self._refused: dict[bytes, Signature] = {}
        self._stand_ins: set[str] = set()
        self._environment = {
            "GIT_INDEX_FILE": os.fspath(scratch.index),
            "GIT_OBJECT_DIRECTORY": os.fspath(scratch.objects),
        }

    async def survey(self, *, fresh: bool) -> Survey:
        """Compares all files with the private index.

        Args:
            fresh: begin with a copy of the user's index as it is now. What was staged before is staged anew.
        """
        if fresh:
            await anyio.to_thread.run_sync(self._copy_index)
            self._large.clear()
            self._removed.clear()
            self._stored_bytes, self._sweep_at_bytes = 0, 0  # what is still needed is staged, and counted, again
        finished = await self._run(
            "status",
            "--porcelain",
            "-z",
            "--untracked-files=all",
            "--ignored=matching",
            "--no-renames",
            "--ignore-submodules=dirty",
        )
        dirty = {path for path, before in self._large.items() if self._signature(path) != before}
        ignored = set()
        for record in finished.split(b"\0"):
            state, path = record[:2], record[3:]
            if state == b"!!":
                ignored.add(path)
            elif path and (state[1:] != b" " or state[:1] == b"U"):
                dirty.add(path.rstrip(b"/"))
        dirty.update(
            path for path in self._removed if path in ignored or any(f + b"/" in ignored for f in _folders(path))
        )
        return Survey(dirty, ignored)

    async def ignored(self, paths: Iterable[bytes]) -> set[bytes] | None:
        """Those of the paths that git ignores; None where it cannot say: one lies beyond a symlink by now.

        A tracked file is never ignored.
        """
        asked = b"".join(path + b"\0" for path in paths)
        if not asked:
            return set()
        finished = await self._git.run(
            *_configured("check-ignore", "-z", "--stdin"),
            stdin=asked,  # with the user's index: ours no longer has what was deleted for a moment
            accepted=(0, 1, 128),
        )
        return None if finished.code > 1 else set(finished.output.split(b"\0")) - {b""}

    async def stage(self, paths: Collection[bytes]) -> Staged:
        """Takes paths into the private index as they are now."""
        if not paths:
            return Staged([], [])
        found = await anyio.to_thread.run_sync(self._sort, list(paths))
        await self._place(found)
        refused = await self._add(found.present)
        self._stored_bytes += sum(found.present_bytes)
        return Staged([*found.unreadable, *refused], list(found.large))

    async def changes(self, base: str) -> list[Change]:
        """What differs from the base, by new path; a rename or a copy is one change."""
        output = await self._run(
            *_DIFF, "--raw", "-z", "-M", "-C", f"-l{DIFF_RENAME_FILES_MAX}", "--no-rename-empty", base
        )
        changes = parse_raw(output)
        if self._stored_bytes >= self._sweep_at_bytes:
            live = {change.new_oid for change in changes}
            self._stored_bytes = await anyio.to_thread.run_sync(self._scratch.sweep, live)
            self._sweep_at_bytes = self._stored_bytes + self._store_bytes_max // 4
        return changes

    def is_stand_in(self, change: Change) -> bool:
        """Whether the new content is too large to be read, so that no lines can be compared."""
        return change.new_oid in self._stand_ins

    async def patches(
        self, changes: Sequence[Change], *, file_bytes_max: int, total_bytes_max: int
    ) -> dict[Change, Patch]:
        """The patches of changes whose content differs.

        Args:
            changes: at most 1,000.
            file_bytes_max: the text of a larger one is not kept, its statistics are.
            total_bytes_max: of all texts that are kept.
        """
        assert len(changes) <= DIFF_BATCH_FILES, "a round takes so many and no more"
        patches: dict[Change, Patch] = {}
        for together in _rounds(changes):
            left_bytes = total_bytes_max - sum(patch.size_bytes for patch in patches.values() if patch.text is not None)
            patches |= await self._compare(together, file_bytes_max, left_bytes)
        return patches

    def _copy_index(self) -> None:
        try:
            # With its time: git distrusts entries that are as young as the index.
            shutil.copy2(self._location.index, self._scratch.index)
        except FileNotFoundError:
            self._scratch.index.unlink(missing_ok=True)

    def _sort(self, paths: list[bytes]) -> Sorted:
        tried = [path for path in paths if path not in self._refused or self._refused[path] != self._signature(path)]
        return sort_paths(
            self._root,
            tried,
            file_bytes_max=self._source_bytes_max,
            total_bytes_max=max(self._store_bytes_max - self._stored_bytes, 0),
        )

    def _signature(self, path: bytes) -> Signature | None:
        try:
            status = os.lstat(os.path.join(self._root, path))
        except OSError:
            return None
        return Signature(status.st_ctime_ns, status.st_size)

    async def _place(self, found: Sorted) -> None:
        """Takes what is gone out of the index, and puts stand-ins for what is too large into it."""
        small_again = [path for path in found.present if path in self._large]  # git would take them for unchanged
        gone = [*found.gone, *small_again]
        if not gone and not found.large:
            return
        oids = await self._stand_in_oids(found)
        none = b"0" * self._location.oid_chars
        lines = [b"0 %b\t%b\0" % (none, path) for path in gone]
        for path, oid in zip(found.large, oids, strict=True):
            mode = b"100755" if found.large[path].st_mode & 0o100 else b"100644"
            lines.append(b"%b %b\t%b\0" % (mode, oid.encode(), path))
        await self._run("update-index", "--add", "--replace", "-z", "--index-info", stdin=b"".join(lines))
        if len(self._removed) > DIFF_IGNORED_NAMES_MAX:
            self._removed.clear()
        self._removed.update(found.gone)
        for path in gone:
            self._large.pop(path, None)
        if found.large:
            # Else git would read them at each survey, to compare them with what stands for them.
            names = b"".join(path + b"\0" for path in found.large)
            await self._run("update-index", "--assume-unchanged", "-z", "--stdin", stdin=names)
            self._large |= {path: self._signature(path) for path in found.large}

    async def _stand_in_oids(self, found: Sorted) -> list[str]:
        """Contents that stand for those of large files: another one whenever such a file changes."""
        if not found.large:
            return []
        folder = self._scratch.directory / "stand-ins"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for number, status in enumerate(found.large.values()):
            text = f"{status.st_size} bytes, changed at {status.st_mtime_ns}, file {status.st_ino}\n"
            (folder / str(number)).write_text(text, encoding="ascii")
        names = "".join(f"{folder / str(number)}\n" for number in range(len(found.large)))
        output = await self._run("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=os.fsencode(names))
        oids = output.decode().split()
        self._stand_ins.update(oids)
        return oids

    async def _add(self, present: list[bytes]) -> list[bytes]:
        """Has git read files. One that it refuses is left out, and the rest is tried again; returns those."""
        left = list(present)
        refused: list[bytes] = []
        while left:
            arguments = _configured("update-index", "--add", "--remove", "--replace", "-z", "--stdin")
            stdin = b"".join(path + b"\0" for path in left)
            finished = await self._git.run(*arguments, stdin=stdin, environment=self._environment, accepted=(0, 128))
            if finished.code == 0:
                break
            culprit = _refused_path(finished.error, left)
            if culprit is None or len(refused) >= GIT_REFUSED_FILES_MAX:
                reason = last_words(finished.error)
                raise WorktreeError(Trouble.GIT_FAILED, f"git could not read the changed files: {reason}")
            left.remove(culprit)
            refused.append(culprit)
            signature = self._signature(culprit)
            if signature is not None:
                self._refused[culprit] = signature
        return refused

    async def _compare(self, changes: list[Change], file_bytes_max: int, total_bytes_max: int) -> dict[Change, Patch]:
        """The patches of changes whose paths can be in one tree."""
        environment = {"GIT_INDEX_FILE": os.fspath(self._scratch.pair_index)}
        self._stored_bytes += _TREE_BYTES * len({os.path.dirname(change.path) for change in changes})
        before = [(change.old_mode, change.old_oid, change.path) for change in changes if change.kind != "added"]
        after = [(change.new_mode, change.new_oid, change.path) for change in changes if change.kind != "deleted"]
        await self._fill(before, environment)
        tree = (await self._run("write-tree", "--missing-ok", environment=environment)).decode().strip()
        await self._fill(after, environment)
        stream = PatchStream(changes, file_bytes_max=file_bytes_max, total_bytes_max=total_bytes_max)
        code, error = await self._git.stream(
            *_configured(*_DIFF, "--numstat", "-z", "-p", "--no-renames", "--submodule=short", "-U3", tree),
            take=stream.take,
            environment={**self._environment, **environment},
        )
        if code:
            raise WorktreeError(Trouble.GIT_FAILED, f"git could not compare: {last_words(error)}")
        return stream.finish()

    async def _fill(self, entries: list[tuple[str, str, bytes]], environment: dict[str, str]) -> None:
        """Makes an index of these entries alone."""
        self._scratch.pair_index.unlink(missing_ok=True)
        lines = b"".join(b"%b %b\t%b\0" % (mode.encode(), oid.encode(), path) for mode, oid, path in entries)
        await self._run("update-index", "--add", "-z", "--index-info", stdin=lines, environment=environment)

    async def _run(self, *arguments: str, stdin: bytes = b"", environment: dict[str, str] | None = None) -> bytes:
        finished = await self._git.run(
            *_configured(*arguments), stdin=stdin, environment={**self._environment, **(environment or {})}
        )
        return finished.output


def _configured(*arguments: str) -> list[str]:
    return [word for setting in _SETTINGS for word in ("-c", setting)] + list(arguments)


def _refused_path(error: str, paths: list[bytes]) -> bytes | None:
    """The path that git complains of: the longest that its last words end with."""
    said = error[error.rfind(_REFUSAL) :].removesuffix("\n") if _REFUSAL in error else ""
    ends = [path for path in paths if said == _REFUSAL + path.decode("utf-8", "replace")]
    return max(ends, key=len, default=None)


def _rounds(changes: Sequence[Change]) -> list[list[Change]]:
    """The changes, parted so that in each part no path is a folder of another's: a file may have become a folder."""
    names = {change.path for change in changes}
    if not any(folder in names for change in changes for folder in _folders(change.path)):
        return [list(changes)]
    gone = [change for change in changes if change.kind == "deleted"]
    return [part for part in (gone, [change for change in changes if change.kind != "deleted"]) if part]


def _folders(path: bytes) -> Iterator[bytes]:
    at = path.find(b"/")
    while at >= 0:
        yield path[:at]
        at = path.find(b"/", at + 1)
