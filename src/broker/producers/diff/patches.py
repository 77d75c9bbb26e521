"""The patches of a diff, kept from pass to pass, and the entries made of them.

A change is known by the two contents it lies between, so a patch made once holds for as long as the change is there:
what is computed again is what changed. Texts that do not fit are dropped and their sizes kept; when there is room
again, they are made once more (trap 23).

At no time is there more text in memory than twice the total's bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fantail.broker.limits import DIFF_BATCH_FILES
from fantail.broker.producers.diff.entry import DiffEntry, entry_of, fitting
from fantail.broker.producers.diff.worktree.patch_stream import Patch, without_lines
from fantail.broker.producers.diff.worktree.raw_diff import file_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fantail.broker.producers.diff.worktree.raw_diff import Change
    from fantail.broker.producers.diff.worktree.snapshot import Snapshot


class DiffPatches:
    """The patches of the changes there are now.

    Attributes:
        made: how many patches were made so far, of one file each.
    """

    def __init__(self, snapshot: Snapshot, *, file_bytes_max: int, total_bytes_max: int) -> None:
        """Takes where patches come from, and the bounds of their texts."""
        self.made = 0
        self._snapshot = snapshot
        self._file_bytes_max = file_bytes_max
        self._total_bytes_max = total_bytes_max
        self._patches: dict[Change, Patch] = {}

    def forget(self) -> None:
        """Drops all: git would make them differently now."""
        self._patches.clear()

    def forget_lost(self) -> None:
        """Drops those without a text because a content could not be read: it may be there now."""
        self._patches = {
            change: patch
            for change, patch in self._patches.items()
            if patch.unreadable not in {"missing", "unreadable"}
        }

    async def entries(self, changes: Sequence[Change]) -> dict[str, DiffEntry]:
        """The entries of these changes, by file; makes the patches that are missing, and drops those of others."""
        kept = {change: self._patches[change] for change in changes if change in self._patches}
        self._patches = kept | {change: patch for change in changes if (patch := self._without_git(change)) is not None}
        await self._make([change for change in changes if change not in self._patches])
        chosen = self._choose()
        await self._make([change for change in changes if change in chosen and self._lacks_text(change)])
        return {file_name(change.path): entry_of(change, self._patches[change]) for change in changes}

    def _without_git(self, change: Change) -> Patch | None:
        """The patch of a change that no lines must be compared for."""
        reason = self._snapshot.reason_for(change)
        if reason == "size":
            return Patch(0, 0, self._file_bytes_max + 1, None)
        if reason is not None:
            return Patch(0, 0, 0, None, reason)
        return without_lines(change) if change.same_content else None

    async def _make(self, changes: Sequence[Change]) -> None:
        for start in range(0, len(changes), DIFF_BATCH_FILES):
            made = await self._snapshot.patches(
                changes[start : start + DIFF_BATCH_FILES],
                file_bytes_max=self._file_bytes_max,
                total_bytes_max=self._total_bytes_max,
            )
            self.made += len(made)
            self._patches |= made
            self._choose()

    def _choose(self) -> set[Change]:
        """Drops the texts that do not fit, and returns the changes whose texts do, whether they are there or not."""
        sizes = {change: patch.size_bytes for change, patch in self._patches.items() if patch.unreadable is None}
        chosen = fitting(sizes, file_bytes_max=self._file_bytes_max, total_bytes_max=self._total_bytes_max)
        for change, patch in self._patches.items():
            if patch.text is not None and change not in chosen:
                self._patches[change] = patch.without_text()
        return chosen

    def _lacks_text(self, change: Change) -> bool:
        patch = self._patches[change]
        return patch.text is None and patch.unreadable is None
