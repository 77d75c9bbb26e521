"""What differs between a worktree and its base, brought up to date on demand.

`update` is one pass: find the base if a ref moved; survey all files, or look at those that were reported; stage them;
list the changes; make the patches of those that are new. When to do that is the watcher's business.

Decided against: asking git only for what lies below the reported paths. A rename has two ends, and one of them may be
elsewhere.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from fantail.broker.limits import (
    DIFF_FILE_BYTES_MAX,
    DIFF_FILES_MAX,
    DIFF_RENAME_FILES_MAX,
    DIFF_SOURCE_BYTES_MAX,
    DIFF_STORE_BYTES_MAX,
    DIFF_SUBMODULES_MAX,
    DIFF_TOTAL_BYTES_MAX,
)
from fantail.broker.producers.diff.patches import DiffPatches
from fantail.broker.producers.diff.worktree.fair_share import folder_words
from fantail.broker.producers.diff.worktree.git_process import Git, Trouble, WorktreeError
from fantail.broker.producers.diff.worktree.inotify import WatchesUsedUpError
from fantail.broker.producers.diff.worktree.location import Base, Location, find_base, is_partial, locate
from fantail.broker.producers.diff.worktree.pending_changes import RULES, PendingChanges
from fantail.broker.producers.diff.worktree.private_index import PrivateIndex
from fantail.broker.producers.diff.worktree.raw_diff import file_name
from fantail.broker.producers.diff.worktree.snapshot import Snapshot, Staged
from fantail.broker.producers.diff.worktree.tree_watch import PollingTree, TreeWatch, watch_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from fantail.broker.producers.diff.entry import DiffEntry
    from fantail.broker.producers.diff.worktree.raw_diff import Change

_log: Final = logging.getLogger(__name__)
_NAMES_SHOWN: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffLimits:
    """The bounds of one diff, in bytes and files; past each an entry or a notice says so.

    Attributes:
        file_bytes: of one file's patch.
        total_bytes: of all patches.
        source_bytes: of a file that is read.
        store_bytes: of the copies of changed files in the temporary directory.
        files: how many entries there are.
    """

    file_bytes: int = DIFF_FILE_BYTES_MAX
    total_bytes: int = DIFF_TOTAL_BYTES_MAX
    source_bytes: int = DIFF_SOURCE_BYTES_MAX
    store_bytes: int = DIFF_STORE_BYTES_MAX
    files: int = DIFF_FILES_MAX


class Notices:
    """Sentences for a user: each is told once until it is another."""

    def __init__(self, on_notice: Callable[[str], None]) -> None:
        """Takes who is told."""
        self._on_notice = on_notice
        self._told: dict[str, str] = {}

    def tell(self, topic: str, text: str, once: str | None = None) -> None:
        """Tells it, if it was not what was told last about this topic.

        Args:
            topic: what it is about.
            text: the sentence.
            once: what must differ from the last time; None: the text.
        """
        key = text if once is None else once
        if self._told.get(topic) != key:
            self._told[topic] = key
            _log.warning("%s", text)
            self._on_notice(text)

    def settle(self, topic: str) -> None:
        """The topic is in order again: what is told of it next is news."""
        self._told.pop(topic, None)


class WorktreeDiff:
    """One worktree, its base, and the entries between them.

    Attributes:
        git: through which all is asked.
        location: where it is.
        tree: what watches it.
        base: what it is compared with.
        patches: the patches that are kept.
        entries: the files that differ, by name, as of the last update.
    """

    def __init__(
        self,
        git: Git,
        location: Location,
        base: Base,
        private_index: PrivateIndex,
        *,
        asked_base: str | None,
        limits: DiffLimits,
        notices: Notices,
    ) -> None:
        """Puts the parts together; see `open_diff`."""
        self.git = git
        self.location = location
        self.base = base
        self.entries: Mapping[str, DiffEntry] = {}
        self._private_index = private_index
        self._asked_base = asked_base
        self._limits = limits
        self._notices = notices
        self._snapshot = Snapshot(
            git,
            location,
            private_index,
            source_bytes_max=limits.source_bytes,
            store_bytes_max=limits.store_bytes,
            files_max=limits.files,
        )
        self._snapshot.point_at(_commit_of(base))
        self.patches = DiffPatches(self._snapshot, file_bytes_max=limits.file_bytes, total_bytes_max=limits.total_bytes)
        self._checked_base: Base | None = None
        self._ignored: set[bytes] | None = None
        self.tree = self._watched()

    @property
    def polling(self) -> bool:
        """Whether it is looked at in intervals, because watching is refused."""
        return isinstance(self.tree, PollingTree)

    async def update(self, pending: PendingChanges, *, cover: bool = True) -> PendingChanges:
        """Brings `entries` up to date.

        Args:
            pending: what must be looked at.
            cover: watch new directories; not where nothing follows.

        Returns:
            What must be looked at next, because it may have changed before it was watched.

        Raises:
            WorktreeError: git failed; the entries are as they were.
            OSError: the temporary directory cannot be written.
        """
        if pending.base:
            await self._follow_base()
        owed = PendingChanges()
        paths = await self._reported(pending)
        surveyed = paths is None
        if paths is None:
            paths = await self._surveyed(pending, owed, cover=cover)
        elif not paths and not pending.base:
            return owed
        staged = await self._snapshot.stage(paths, surveyed=surveyed)
        if staged.new_folders and not pending.fresh:
            # Part of such a folder is in the private index already.
            pending.fresh = True
            staged = await self._snapshot.stage(await self._surveyed(pending, owed, cover=cover))
        self._tell_of(staged)
        if pending.forget:
            self.patches.forget()
        if pending.fresh or pending.base:
            self._snapshot.forget_lost()
            self.patches.forget_lost()
        changes = await self._snapshot.changes(self.base.tree)
        listed, left_out = await self._snapshot.listed(changes, self._limits.files)
        self._tell_of_limits(changes, len(listed), self._snapshot.left_out | left_out)
        self.entries = await self.patches.entries(listed)
        return owed

    def tell_of_turns(self) -> None:
        """Tells where git may have run beside another's."""
        if trouble := self.git.turns.trouble:
            self._notices.tell("turns", trouble)
        else:
            self._notices.settle("turns")

    def close(self) -> None:
        """Ends the watching and removes what was written. May be called twice."""
        self.tree.close()
        self._snapshot.close()
        self._private_index.close()

    async def _follow_base(self) -> None:
        try:
            base = await find_base(self.git, self._asked_base, self.base)
        except WorktreeError as error:
            if error.trouble is not Trouble.NO_SUCH_BASE:
                raise
            self._notices.tell("base", f"{error}; the last base stays")
        else:
            self._notices.settle("base")
            if base is not self._checked_base:
                base = self._checked_base = await self._readable(base)
            self.base = base
            self._snapshot.point_at(_commit_of(self.base))

    async def _readable(self, base: Base) -> Base:
        """The base; in a partial clone that lacks the base's trees, HEAD, which was checked out and so is there."""
        if base.head in {None, base.tree} or not is_partial(self.location) or await self._snapshot.has_trees(base.tree):
            return base
        text = f"the folders of {base.ref} are not in this partial clone: what differs from HEAD is shown instead"
        self._notices.tell("trees", text)
        return replace(base, tree=base.head or base.tree)

    async def _reported(self, pending: PendingChanges) -> set[bytes] | None:
        """The paths that were reported, without the ignored ones; None where all files must be surveyed."""
        if pending.survey:
            return None
        ignored = await self._snapshot.ignored(pending.paths | pending.directories)
        if ignored is None or not pending.directories <= ignored:
            return None
        self.tree.meaning.learn_ignored(ignored)
        return pending.paths - ignored

    async def _surveyed(self, pending: PendingChanges, owed: PendingChanges, *, cover: bool) -> set[bytes]:
        survey = await self._snapshot.survey(fresh=pending.fresh)
        if not pending.fresh and any(path.rpartition(b"/")[2] in RULES for path in survey.dirty):
            pending.fresh = pending.forget = True
            survey = await self._snapshot.survey(fresh=True)
        self.tree.meaning.links = self._snapshot.links
        directories = {path for path in survey.ignored if path.endswith(b"/")}
        if cover and (pending.cover or pending.directories or directories != self._ignored):
            owed.survey = await self._covered(directories)
        self.tree.meaning.forget_ignored(survey.ignored - directories)
        return survey.dirty

    async def _covered(self, ignored: set[bytes]) -> bool:
        """Watches the directories there are; whether some were not watched before."""
        try:
            new = await self.tree.cover(ignored)
        except WatchesUsedUpError:
            self.tree.close()
            self.tree = self._polled("the system's inotify watches are used up (fs.inotify.max_user_watches)")
            return True
        self._ignored = ignored
        return new

    def _watched(self) -> TreeWatch:
        try:
            return watch_tree(self.location)
        except OSError as error:
            return self._polled(str(error))

    def _polled(self, reason: str) -> PollingTree:
        self._notices.tell("polling", f"{reason}; the worktree is looked at every few seconds instead")
        return PollingTree(self.location)

    def _tell_of(self, staged: Staged) -> None:
        if staged.unreadable:
            names = _names(staged.unreadable)
            self._notices.tell("unreadable", f"left out of the diff, as they may not be read: {names}")
        if staged.too_large:
            self._notices.tell("large", f"too large to be compared: {_names(staged.too_large)}")
        if staged.worktrees:
            text = f"left out of the diff, as they are worktrees of their own: {_names(staged.worktrees)}"
            self._notices.tell("worktrees", text)
        if staged.filtered:
            names = _names(staged.filtered)
            self._notices.tell("filtered", f"not compared, as a filter program would have to convert them: {names}")
        if staged.unconverted:
            names = _names(staged.unconverted)
            self._notices.tell("unconverted", f"not compared, as git cannot convert their encoding: {names}")

    def _tell_of_limits(self, changes: Sequence[Change], listed: int, left_out: Mapping[bytes, str]) -> None:
        if left_out:
            # Folders are told of once, not whenever they grow.
            text = f"left out of the diff, as too much is new: {folder_words(left_out)}"
            self._notices.tell("folders", text, once=repr(sorted(left_out)))
        if left_links := self._snapshot.links_left_out:
            text = (
                f"edits inside {left_links:,} submodules are not shown: the first {DIFF_SUBMODULES_MAX} are looked into"
            )
            self._notices.tell("submodules", text)
        if listed == self._limits.files < len(changes):
            text = f"{len(changes):,} files differ, the first {self._limits.files:,} are listed; see `git diff`"
            self._notices.tell("files", text)
        new = sum(change.kind in {"added", "copied", "renamed"} for change in changes)
        if new * (len(changes) - new) > DIFF_RENAME_FILES_MAX**2:
            text = "so many files differ that renames with edits are not looked for: they show as deleted and added"
            self._notices.tell("renames", text)


async def open_diff(worktree: Path, *, asked_base: str | None, limits: DiffLimits, notices: Notices) -> WorktreeDiff:
    """Finds the worktree that a directory is in, and its base; some 20 ms.

    Raises:
        WorktreeError: it is no worktree, the base ref names no commit, git is missing, or it may not be read.
    """
    git = Git(worktree)
    location = await locate(git)
    base = await find_base(git, asked_base, None)
    try:
        private_index = PrivateIndex(location)
    except OSError as error:
        raise WorktreeError(Trouble.NOT_ALLOWED, f"no temporary directory can be made: {error}") from error
    return WorktreeDiff(git, location, base, private_index, asked_base=asked_base, limits=limits, notices=notices)


def _commit_of(base: Base) -> str | None:
    return base.tree if base.ref else None


def _names(paths: Sequence[bytes]) -> str:
    shown = ", ".join(file_name(path) for path in paths[:_NAMES_SHOWN])
    more = len(paths) - _NAMES_SHOWN
    return f"{shown} and {more:,} more" if more > 0 else shown
