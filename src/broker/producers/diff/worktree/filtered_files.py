"""Finds the changed files that a filter of the user's would have to convert, and what represents each in the index."""
# ruff: noqa: PTH118 - paths are bytes here, which pathlib does not have

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio.to_thread

from fantail.broker.limits import DIFF_BATCH_FILES, DIFF_IGNORED_NAMES_MAX, DIFF_LFS_BYTES_MAX
from fantail.broker.producers.diff.worktree.content_filters import LFS, lfs_content, parse_conversions, unchanged
from fantail.broker.producers.diff.worktree.index_writer import StandIn, stand_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fantail.broker.producers.diff.worktree.git_process import Git
    from fantail.broker.producers.diff.worktree.location import Location
    from fantail.broker.producers.diff.worktree.private_git import PrivateGit


@dataclass(slots=True)
class Filtered:
    """The files that have a filter.

    Attributes:
        stand_ins: what represents those that changed.
        same: those that are as the user's index has noted them.
        unreadable: those that cannot be read.
    """

    stand_ins: dict[bytes, StandIn] = field(default_factory=dict)
    same: set[bytes] = field(default_factory=set)
    unreadable: list[bytes] = field(default_factory=list)

    @property
    def paths(self) -> set[bytes]:
        """All of them."""
        return self.same.union(self.stand_ins, self.unreadable)


class FilteredFiles:
    """Knows which files of one worktree have a filter."""

    def __init__(self, git: Git, location: Location, private: PrivateGit) -> None:
        """Takes git, the worktree, and the private git directory with the user's settings."""
        self._git = git
        self._private = private
        self._root = os.fsencode(location.root)
        self._users_index = {**private.environment, "GIT_INDEX_FILE": os.fspath(location.index)}
        self._filters: dict[bytes, bytes] = {}

    def forget(self) -> None:
        """Asks anew for each path: attributes, or what is tracked, may have changed."""
        self._filters.clear()

    async def find(self, files: Mapping[bytes, os.stat_result]) -> Filtered:
        """Takes changed files, with their states."""
        filtered = Filtered()
        if not self._private.settings.filters:
            return filtered
        await self._learn(path for path in files if path not in self._filters)
        drivers = {path: driver for path in files if (driver := self._filters[path]) in self._private.settings.filters}
        if drivers:
            filtered.same = await self._same({path: files[path] for path in drivers})
            changed = {path: driver for path, driver in drivers.items() if path not in filtered.same}
            await anyio.to_thread.run_sync(self._represent, filtered, changed, files)
        return filtered

    async def _learn(self, paths: Iterable[bytes]) -> None:
        asked = list(paths)
        if not asked:
            return
        if len(self._filters) + len(asked) > DIFF_IGNORED_NAMES_MAX:
            self._filters.clear()
        finished = await self._git.run(
            *("check-attr", "-z", "--stdin", "filter"),
            stdin=b"".join(path + b"\0" for path in asked),
            environment=self._private.environment,
        )
        found = parse_conversions(finished.output)
        self._filters.update({path: found[path].filter if path in found else b"" for path in asked})

    async def _same(self, files: Mapping[bytes, os.stat_result]) -> set[bytes]:
        """Those that are as the user's index has noted them."""
        same: set[bytes] = set()
        listed = list(files.items())
        for start in range(0, len(listed), DIFF_BATCH_FILES):
            some = listed[start : start + DIFF_BATCH_FILES]
            finished = await self._git.run(
                *("--literal-pathspecs", "ls-files", "-z", "--debug", "--"),
                *(os.fsdecode(path) for path, _ in some),
                environment=self._users_index,
            )
            same |= unchanged(finished.output, some)
        return same

    def _represent(
        self, filtered: Filtered, drivers: Mapping[bytes, bytes], files: Mapping[bytes, os.stat_result]
    ) -> None:
        for path, driver in drivers.items():
            status = files[path]
            if driver != LFS or self._private.settings.lfs_extensions:
                filtered.stand_ins[path] = stand_in(status, "filter")
            elif status.st_size > DIFF_LFS_BYTES_MAX:
                filtered.stand_ins[path] = stand_in(status, "size")
            else:
                try:
                    content = lfs_content(os.path.join(self._root, path))
                except OSError:
                    filtered.unreadable.append(path)
                else:
                    filtered.stand_ins[path] = stand_in(status, None, content)
