"""A worktree as it was last looked at, in an index and an object store that are ours.

Every file that differs from the user's index, untracked ones included, is staged into a private copy of that index.
From then on the diff is one between what git has by name: nothing is read twice, renames of untracked files are found
like any others (trap 36), and a change is known by the two contents it lies between, so a patch made once is right
for as long as the change is there.

    survey    what differs from the private index: one `git status`, over all files (`status.py`)
    ignored   which of some paths git ignores
    stage     takes paths into the private index as they are now
    changes   the private index against the base, renames and copies found: `git diff-index --raw`
    patches   the lines of change, of the files that are asked for

The number of processes is bounded whatever changes: a survey is one, or two where it is fresh; staging is at most four,
`changes` one, patches four for each 1,000 files (eight where a file has become a folder, or a folder a file). Filters,
skipped or refused files, and lost contents cost some more.

What is written is ours: the index and new objects in the scratch directory; git reads the repository's objects behind
them (and may note there that one is in use, by its time). It runs with a git directory of ours, so it starts no program
of the user's (`private_git`).

What holds: a file that cannot be taken as it is takes nothing else away. One that is too large, that a filter would
have to convert, or whose encoding git refuses is represented by a stand-in: a content of ours that is another one
whenever the file changes. Its entry is listed, and its patch left out with the reason.

Decided against: comparing the worktree itself with `git diff` (each pass would hash every new file anew to look for
renames, and what is listed and what is compared are two moments), `git add --intent-to-add` for new files (the same),
and writing to the user's index or objects.
"""
# ruff: noqa: PTH114, PTH118 - paths are bytes here, which pathlib does not have

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import anyio.to_thread

from fantail.broker.limits import DIFF_IGNORED_NAMES_MAX, DIFF_SUBMODULES_MAX
from fantail.broker.producers.diff.worktree.comparison import Comparison, folders_of
from fantail.broker.producers.diff.worktree.fair_share import fair_share, tracked_folders
from fantail.broker.producers.diff.worktree.filtered_files import FilteredFiles
from fantail.broker.producers.diff.worktree.index_update import Sorted, sort_paths
from fantail.broker.producers.diff.worktree.index_writer import IndexWriter, Reason, StandIn, stand_in
from fantail.broker.producers.diff.worktree.private_git import read_settings
from fantail.broker.producers.diff.worktree.raw_diff import GITLINK_MODE, Change
from fantail.broker.producers.diff.worktree.status import Status
from fantail.broker.producers.diff.worktree.submodules import Inside, Submodules, common_dir_of, git_dir_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from fantail.broker.producers.diff.worktree.git_process import Git
    from fantail.broker.producers.diff.worktree.location import Location
    from fantail.broker.producers.diff.worktree.patch_stream import Patch
    from fantail.broker.producers.diff.worktree.private_git import Settings
    from fantail.broker.producers.diff.worktree.private_index import PrivateIndex

_SHA256_CHARS: Final = 64
_LINK: Final = re.compile(rb"\x00160000 [0-9a-f]+ \d\t([^\x00]+)")


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


@dataclass(slots=True)
class Staged:
    """What could not be taken as it is.

    Attributes:
        unreadable: paths that may not be read; their entries stay as they were.
        too_large: paths listed without having been read.
        filtered: paths listed without their patch, as a program of the user's would have to convert them.
        unconverted: paths listed without their patch, as git cannot convert their encoding.
        new_folders: whether folders are left out that were not before.
        worktrees: paths left out, as they are other worktrees of the same repository.
    """

    unreadable: list[bytes] = field(default_factory=list)
    too_large: list[bytes] = field(default_factory=list)
    filtered: list[bytes] = field(default_factory=list)
    unconverted: list[bytes] = field(default_factory=list)
    new_folders: bool = False
    worktrees: list[bytes] = field(default_factory=list)


class Snapshot:
    """The private index of one worktree and what can be asked of it.

    Attributes:
        left_out: folders without tracked files that do not fit, and how large they are, in words.
        links: the submodules whose files are compared.
        links_left_out: how many more submodules there are.
    """

    def __init__(
        self,
        git: Git,
        location: Location,
        private_index: PrivateIndex,
        *,
        source_bytes_max: int,
        store_bytes_max: int,
        files_max: int,
    ) -> None:
        """Starts with no index; the first survey takes the user's.

        Args:
            git: of the worktree.
            location: of the worktree.
            private_index: where our files are.
            source_bytes_max: larger files are not read.
            store_bytes_max: how many bytes of changed files may be copied.
            files_max: how many untracked files are taken.
        """
        self.left_out: dict[bytes, str] = {}
        self.links: set[bytes] = set()
        self.links_left_out = 0
        self._git = git
        self._location = location
        self._private_index = private_index
        self._private = private_index.private
        self._root = os.fsencode(location.root)
        self._source_bytes_max = source_bytes_max
        self._store_bytes_max = store_bytes_max
        self._files_max = files_max
        self._stored_bytes = 0
        self._sweep_at_bytes = store_bytes_max // 4
        self._held: dict[bytes, Signature | None] = {}
        # What git tracks and ignores, once deleted here, would be taken for ignored when it is back.
        self._removed: set[bytes] = set()
        self._refused: dict[bytes, Signature] = {}
        self._tracked: set[bytes] | None = None
        self._writer = IndexWriter(git, private_index, location.oid_chars)
        self._filtered = FilteredFiles(git, location, private_index.private)
        self._status = Status(git, private_index.private)
        self._comparison = Comparison(git, self._private.environment, private_index.pair_index)
        self._submodules = Submodules(git, location.root, self._of_submodule)
        self._inside: dict[bytes, Inside] = {}

    async def inside(self, commit: str) -> tuple[bool, Iterable[bytes]]:
        """Whether any tracked file differs from a commit, and which paths are ignored."""
        self.point_at(commit)
        survey = await self.survey(fresh=True)
        await self.stage(await self.tracked(survey.dirty))
        return bool(await self.changes(commit)), survey.ignored

    async def survey(self, *, fresh: bool) -> Survey:
        """Compares all files with the private index.

        Args:
            fresh: begin with the user's index and settings as they are now. What was staged before is staged anew.
        """
        if fresh:
            await self._start_anew()
        dirty, ignored = await self._status.look()
        dirty.update(path for path, before in self._held.items() if self._signature(path) != before)
        for link in sorted(self.links):
            self._inside[link] = await self._submodules.look(link)
            ignored |= self._inside[link].ignored
        dirty |= self.links
        dirty.update(
            path for path in self._removed if path in ignored or any(f + b"/" in ignored for f in folders_of(path))
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
            *("check-ignore", "-z", "--stdin"),
            stdin=asked,
            environment=self._with_users_index(),  # ours no longer has what was deleted for a moment
            accepted=(0, 1, 128),
        )
        return None if finished.code > 1 else set(finished.output.split(b"\0")) - {b""}

    async def stage(self, paths: Collection[bytes], *, surveyed: bool = True) -> Staged:
        """Takes paths into the private index as they are now.

        Args:
            paths: relative to the worktree.
            surveyed: they are all that a survey found; otherwise what lies in folders that are left out is passed over.
        """
        staged = Staged()
        left_out_before = self.left_out
        if surveyed:
            self.left_out = {}
        asked = [path for path in paths if not any(f + b"/" in self.left_out for f in folders_of(path))]
        if not asked:
            return staged
        if not surveyed:
            for link in self.links.intersection(asked):
                self._inside[link] = await self._submodules.look(link)
        found = await anyio.to_thread.run_sync(self._sort, asked)
        if not surveyed:
            await self._drop_skipped(found)
        modified = self._take_modified(found)
        staged.worktrees = self._take_worktrees(found)
        filtered = await self._filtered.find(found.files | found.large)
        for path in filtered.paths:
            found.files.pop(path, None)
            found.large.pop(path, None)
        await self._choose(found)
        staged.new_folders = not self.left_out.keys() <= left_out_before.keys()
        stand_ins = {path: stand_in(status, "size") for path, status in found.large.items()}
        stand_ins |= filtered.stand_ins | modified
        # Git would take them for unchanged.
        small_again = [path for path in (*found.files, *found.others) if path in self._held]
        await self._writer.place([*found.gone, *small_again], stand_ins)
        await self._writer.hold(filtered.same)
        refused = await self._writer.add([*found.files, *found.others])
        unconverted = {
            path: stand_in(found.files[path], "encoding") for path in refused if path in found.files and refused[path]
        }
        await self._writer.place([], unconverted)
        self._note(found, held=[*stand_ins, *unconverted, *filtered.same], refused=refused.keys() - unconverted.keys())
        staged.unreadable = [*found.unreadable, *filtered.unreadable, *(refused.keys() - unconverted.keys())]
        staged.too_large = list(found.large)
        staged.filtered = [path for path, one in filtered.stand_ins.items() if one.reason == "filter"]
        staged.unconverted = list(unconverted)
        return staged

    async def changes(self, base: str) -> list[Change]:
        """What differs from the base, by new path; a rename or a copy is one change."""
        changes = await self._comparison.changes(base)
        if self._stored_bytes >= self._sweep_at_bytes:
            live = {change.new_oid for change in changes}
            self._stored_bytes = await anyio.to_thread.run_sync(self._private_index.sweep, live)
            self._sweep_at_bytes = self._stored_bytes + self._store_bytes_max // 4
        return changes

    async def listed(self, changes: Sequence[Change], files_max: int) -> tuple[list[Change], dict[bytes, str]]:
        """Chooses the changes that are listed: of tracked files first, then new files by folder.

        Returns:
            The changes, and the folders that are left out, with how large they are.
        """
        if len(changes) <= files_max:
            return list(changes), {}
        tracked = await self._tracked_paths()
        known = [one for one in changes if one.kind not in {"added", "copied"} or one.path in tracked][:files_max]
        paths = {one.path for one in known}
        new = {one.path: 0 for one in changes if one.path not in paths}
        room = files_max - len(known)
        share = fair_share(new, tracked_folders(tracked), files_max=room, bytes_max=0)
        paths |= set([path for path in new if path in share.taken][:room])
        return [one for one in changes if one.path in paths], share.left_out

    def reason_for(self, change: Change) -> Reason | None:
        """Why no lines of this change can be compared; None where they can."""
        return self._writer.reasons.get(change.new_oid)

    def forget_lost(self) -> None:
        """Tries contents again that were not in the repository."""
        self._comparison.forget_lost()

    async def patches(
        self, changes: Sequence[Change], *, file_bytes_max: int, total_bytes_max: int
    ) -> dict[Change, Patch]:
        """The patches of changes whose content differs; see `Comparison.patches`."""
        patches = await self._comparison.patches(
            changes, file_bytes_max=file_bytes_max, total_bytes_max=total_bytes_max
        )
        return {change: self._with_commit(change, patch) for change, patch in patches.items()}

    async def has_trees(self, commit: str) -> bool:
        """Whether all folders of a commit are in the repository; the files need not be."""
        code, _ = await self._git.stream(
            *("ls-tree", "-r", "-t", "--name-only", commit), take=lambda _: None, environment=self._private.environment
        )
        return code == 0

    async def tracked(self, paths: Collection[bytes]) -> set[bytes]:
        """Those of the paths that the user's index has."""
        return (await self._tracked_paths()).intersection(paths) if paths else set()

    def close(self) -> None:
        """Removes what was written for submodules."""
        self._submodules.close()

    def point_at(self, base: str | None) -> None:
        """Takes the commit that the diff is against; None for the empty tree."""
        self._private.point_at(base)

    async def _start_anew(self) -> None:
        settings = await read_settings(self._git)
        await anyio.to_thread.run_sync(self._follow_user, settings)
        self._held.clear()
        self._removed.clear()
        self._filtered.forget()
        self._tracked = None
        self._stored_bytes, self._sweep_at_bytes = 0, 0  # what is still needed is staged, and counted, again
        await self._find_links()

    async def _find_links(self) -> None:
        self.links, self.links_left_out, self._inside = set(), 0, {}
        if await anyio.to_thread.run_sync(self._private.may_have_links):
            links = _LINK.findall(b"\0" + await self._run("ls-files", "-z", "--stage"))
            self.links = set(sorted(links)[:DIFF_SUBMODULES_MAX])
            self.links_left_out = len(links) - len(self.links)
        self._submodules.keep(self.links)

    def _of_submodule(self, git: Git, location: Location, private_index: PrivateIndex) -> Snapshot:
        return Snapshot(
            git,
            location,
            private_index,
            source_bytes_max=self._source_bytes_max,
            store_bytes_max=self._store_bytes_max,
            files_max=self._files_max,
        )

    def _take_modified(self, found: Sorted) -> dict[bytes, StandIn]:
        """Takes out the submodules that are modified inside; what represents them."""
        inside = {path: self._inside[path] for path in found.others if path in self._inside}
        modified = {path: one.commit for path, one in inside.items() if one.modified and one.commit}
        found.others[:] = [path for path in found.others if path not in modified]
        return {path: StandIn(GITLINK_MODE.encode(), commit.encode(), None) for path, commit in modified.items()}

    async def _drop_skipped(self, found: Sorted) -> None:
        """Takes out what is gone and has the bit skip-worktree: by it, git takes such a file for unchanged."""
        if not found.gone:
            return
        if await anyio.to_thread.run_sync(self._private.may_have_skipped):
            listed = (await self._run("ls-files", "-z", "-t")).split(b"\0")
            skipped = {line[2:] for line in listed if line.startswith(b"S ")}
            found.gone[:] = [path for path in found.gone if path not in skipped]

    def _take_worktrees(self, found: Sorted) -> list[bytes]:
        """Takes out the worktrees of this repository that lie within this one."""
        worktrees = [path for path in found.others if path not in self.links and self._is_worktree(path)]
        found.others[:] = [path for path in found.others if path not in worktrees]
        return worktrees

    def _is_worktree(self, path: bytes) -> bool:
        place = os.path.join(self._root, path)
        git_dir = None if os.path.islink(place) else git_dir_of(place)
        return git_dir is not None and common_dir_of(Path(os.fsdecode(git_dir))) == self._location.common_dir

    def _with_commit(self, change: Change, patch: Patch) -> Patch:
        """Names the commit of a submodule, as `git diff` does, in place of what stands for one modified inside."""
        commit = self._writer.links.get(change.new_oid)
        if commit is None or patch.text is None:
            return patch
        text = patch.text.replace(f"Subproject commit {change.new_oid}", f"Subproject commit {commit}-dirty")
        text = text.replace(change.new_oid, commit)
        return replace(patch, text=text, size_bytes=len(text.encode()))

    def _follow_user(self, settings: Settings) -> None:
        self._private.follow(settings, sha256=self._location.oid_chars == _SHA256_CHARS)
        self._private.copy_index(self._location.index)

    def _sort(self, paths: list[bytes]) -> Sorted:
        tried = [path for path in paths if path not in self._refused or self._refused[path] != self._signature(path)]
        return sort_paths(self._root, tried, file_bytes_max=self._source_bytes_max)

    async def _choose(self, found: Sorted) -> None:
        """Moves files that do not fit to `large`, or to `left_out` by folder."""
        room_bytes = max(self._store_bytes_max - self._stored_bytes, 0)
        # So much is kept for tracked files, whatever is new.
        kept_bytes = self._store_bytes_max // 4
        total_bytes = sum(status.st_size for status in found.files.values())
        if total_bytes <= room_bytes - kept_bytes and len(found.files) + len(found.large) <= self._files_max:
            return
        tracked = await self._tracked_paths()
        for path in sorted(found.files.keys() & tracked, key=lambda path: found.files[path].st_size):
            if found.files[path].st_size > room_bytes:
                found.large[path] = found.files.pop(path)
            else:
                room_bytes -= found.files[path].st_size
        new = {path: status.st_size for path, status in found.files.items() if path not in tracked}
        new |= dict.fromkeys(found.large.keys() - tracked, 0)
        share = fair_share(
            new, tracked_folders(tracked), files_max=self._files_max, bytes_max=max(room_bytes - kept_bytes, 0)
        )
        self.left_out = self.left_out | share.left_out
        for path in new.keys() - share.taken:
            status = found.files.pop(path, None) or found.large.pop(path)
            if path in share.single:
                found.large[path] = status

    def _note(self, found: Sorted, *, held: Collection[bytes], refused: Collection[bytes]) -> None:
        if len(self._removed) > DIFF_IGNORED_NAMES_MAX:
            self._removed.clear()
        self._removed.update(found.gone)
        for path in (*found.gone, *found.files, *found.others):
            self._held.pop(path, None)
        self._held |= {path: self._signature(path) for path in held}
        for path in refused:
            if (signature := self._signature(path)) is not None:
                self._refused[path] = signature
        self._stored_bytes += sum(status.st_size for status in found.files.values())

    def _signature(self, path: bytes) -> Signature | None:
        try:
            status = os.lstat(os.path.join(self._root, path))
        except OSError:
            return None
        return Signature(status.st_ctime_ns, status.st_size)

    async def _tracked_paths(self) -> set[bytes]:
        """What the user's index has."""
        if self._tracked is None:
            finished = await self._git.run("ls-files", "-z", environment=self._with_users_index())
            self._tracked = set(finished.output.split(b"\0")) - {b""}
        return self._tracked

    def _with_users_index(self) -> Mapping[str, str]:
        return {**self._private.environment, "GIT_INDEX_FILE": os.fspath(self._location.index)}

    async def _run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        finished = await self._git.run(*arguments, stdin=stdin, environment=self._private.environment)
        return finished.output
