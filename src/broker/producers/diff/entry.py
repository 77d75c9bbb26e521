"""One file of a worktree's diff, as it is published; and which of them are published whole.

An entry is the value of one field in the hash `job:{id}:diff` (PROTOCOL.md, section R):

    {"file", "oldPath"?, "change", "diff", "additions", "deletions", "omitted"?, "masked"?}

- `diff` is the file's whole patch with git's header, so that renames and modes are in it, and all entries joined are
  one patch that `git apply` takes on the base. It is empty where it is left out, and then `omitted` says why.
- `masked` is true where secrets were masked in the patch or in a name: `git apply` would write the masks.
- `change` is added, modified, deleted, renamed or copied; a change of mode or type is `modified`, and its patch says
  which.
- `file` and `oldPath` are names as `file_name` writes them: the few that are no UTF-8 in git's quotes.
- `additions` and `deletions` are right whether the patch is left out for its size or its encoding, or not. They are 0
  for what git calls binary, and for what is not read or cannot be: files of more than 32 MiB, files of a filter.

Which patches fit is a function of what differs now, and of nothing else: smallest first, as many as the total takes.
So a patch that was left out comes back when it, or the others, have shrunk, and being sent again costs nothing (trap
23). Decided against: first come, first served (what is shown would depend on the order of saves), and a cut patch (no
program takes it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import orjson

from fantail.broker.producers.diff.worktree.patch_stream import Unreadable
from fantail.broker.producers.diff.worktree.raw_diff import file_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fantail.broker.producers.diff.worktree.patch_stream import Patch
    from fantail.broker.producers.diff.worktree.raw_diff import Change, Kind

T = TypeVar("T")

Omitted = Literal["size"] | Unreadable


@dataclass(frozen=True, slots=True)
class DiffEntry:
    """One file that differs from the base.

    Attributes:
        file: its name, the new one.
        change: what happened to it.
        diff: its patch, empty where it is left out.
        additions: lines added.
        deletions: lines removed.
        old_path: where it was, for a rename or a copy.
        omitted: why the patch is left out; None where it is there.
        masked: whether secrets were masked in it.
    """

    file: str
    change: Kind
    diff: str
    additions: int
    deletions: int
    old_path: str | None = None
    omitted: Omitted | None = None
    masked: bool = False

    def encode(self) -> bytes:
        """The JSON that is stored."""
        value: dict[str, Any] = {"file": self.file}
        if self.old_path is not None:
            value["oldPath"] = self.old_path
        value |= {
            "change": self.change,
            "diff": self.diff,
            "additions": self.additions,
            "deletions": self.deletions,
        }
        if self.omitted is not None:
            value["omitted"] = self.omitted
        if self.masked:
            value["masked"] = True
        return orjson.dumps(value)


def entry_of(change: Change, patch: Patch) -> DiffEntry:
    """The entry of one change; its patch is left out for its size where it has no text and no other reason is known."""
    omitted: Omitted | None = None if patch.text is not None else patch.unreadable or "size"
    return DiffEntry(
        file=file_name(change.path),
        change=change.kind,
        diff=patch.text or "",
        additions=patch.additions,
        deletions=patch.deletions,
        old_path=None if change.similarity is None else file_name(change.old_path),
        omitted=omitted,
    )


def fitting(sizes: Mapping[T, int], *, file_bytes_max: int, total_bytes_max: int) -> set[T]:
    """Those whose patches are published: smallest first, while the sum stays within the total.

    Args:
        sizes: of all patches there are now, in an order that settles ties.
        file_bytes_max: a larger one is never published.
        total_bytes_max: of all that are.
    """
    chosen: set[T] = set()
    left_bytes = total_bytes_max
    for one, size_bytes in sorted(sizes.items(), key=lambda item: item[1]):
        if size_bytes > min(left_bytes, file_bytes_max):
            break
        chosen.add(one)
        left_bytes -= size_bytes
    return chosen
