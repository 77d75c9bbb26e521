"""Follows the diff of one worktree, and hands it to a sink whenever it changes.

    async with watching_diff(Path("."), DiffPublisher(redis, job_id), base="main") as watcher:
        ...  # run the command
        await watcher.last_pass()

It waits until something is reported, then until it is quiet for a moment, makes one pass over what was reported
(`fantail.broker.producers.diff.worktree_diff`), and rests: passes never overlap, and a program that writes without
pause costs a fifth of one core. The sink is given the whole state; it writes what differs from what it wrote before.

What holds:
- One watcher serves all viewers (they read what the sink wrote), and one git process runs at a time for a worktree,
  also where several jobs, in several processes, each have a watcher there (trap 22; `worktree.turns`).
- After `last_pass` the sink has the worktree as it was when that was called.
- Once it runs, no trouble of the worktree, git, the system or the sink ends the caller: it is told in a notice, and
  tried again; where the worktree is gone, the last diff stays.
- Every limit shows: an entry says why its patch is left out, a notice says what is not listed (trap 33).

Decided against: one pass per event (a save is five events), and watching by the server (it may be on another machine).
"""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import anyio

from fantail.broker.errors import SourceUnavailableError
from fantail.broker.limits import (
    DIFF_DEBOUNCE_S,
    DIFF_DEBOUNCE_S_MAX,
    DIFF_LAST_FAULTS_MAX,
    DIFF_LAST_PASS_S_MAX,
    DIFF_POLL_REST_S_MAX,
    DIFF_REST_FACTOR,
    DIFF_REST_S_MAX,
    DIFF_RETRY_S_MAX,
    DIFF_RETRY_S_MIN,
    REDIS_BACKOFF_S_MAX,
    TTL_REFRESH_S,
)
from fantail.broker.producers.diff.worktree.git_process import WorktreeError
from fantail.broker.producers.diff.worktree.location import is_gone
from fantail.broker.producers.diff.worktree.pending_changes import PendingChanges, everything
from fantail.broker.producers.diff.worktree_diff import DiffLimits, Notices, WorktreeDiff, open_diff

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from fantail.broker.producers.diff.entry import DiffEntry

_log: Final = logging.getLogger(__name__)
_DOUBLINGS_MAX: Final = 16


class DiffSink(Protocol):
    """Where a diff goes."""

    async def publish(self, entries: Mapping[str, DiffEntry], *, whole: bool = False) -> None:
        """Takes all entries there are now, by file.

        Args:
            entries: the state; what is not in it no longer differs.
            whole: write all of it, whatever was written before.

        Raises:
            SourceUnavailableError: it could not be taken now; the same call may succeed later.
        """


@dataclass(frozen=True, slots=True)
class DiffStatistics:
    """What a watcher has done so far.

    Attributes:
        passes: passes made.
        git_processes: git processes started.
        patches: patches made; each is of one file.
        watches: directories that are watched.
        entries: files that differ now.
        polling: whether it looks in intervals, because watching is refused.
        base: the commit, or the empty tree, that the diff is against.
    """

    passes: int
    git_processes: int
    patches: int
    watches: int
    entries: int
    polling: bool
    base: str


@asynccontextmanager
async def watching_diff(
    worktree: Path,
    sink: DiffSink,
    *,
    base: str | None = None,
    limits: DiffLimits | None = None,
    on_notice: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[DiffWatcher]:
    """Follows a worktree for as long as the context is open; see `DiffWatcher`.

    Raises:
        WorktreeError: it is no worktree, the base ref names no commit, git is missing, or it may not be read.
    """
    watcher = DiffWatcher(worktree, sink, base=base, limits=limits, on_notice=on_notice)
    await watcher.open()
    failure: Exception | None = None
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watcher.run)
            try:
                yield watcher
            except Exception as error:  # noqa: BLE001 - raised again below, not wrapped in a group of one
                failure = error
            tasks.cancel_scope.cancel()
    finally:
        watcher.close()
    if failure is not None:
        raise failure


class DiffWatcher:
    """The diff of one worktree. `open`, then `run` in a task, then `last_pass`, then `close`."""

    def __init__(
        self,
        worktree: Path,
        sink: DiffSink,
        *,
        base: str | None = None,
        limits: DiffLimits | None = None,
        on_notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Does nothing yet.

        Args:
            worktree: any directory of it; the whole worktree is followed.
            sink: where the diff goes.
            base: a ref; the diff is against its merge base with HEAD. None: origin/HEAD, main or master, whichever is
                there first, else HEAD.
            limits: of size.
            on_notice: is told, in a sentence, what a user should know: each thing once until it has changed. It must
                not raise.
        """
        self._worktree = worktree
        self._sink = sink
        self._asked_base = base
        self._limits = limits or DiffLimits()
        self._notices = Notices(on_notice)
        self._opened: WorktreeDiff | None = None
        self._passing = anyio.Lock()
        self._ending = anyio.Event()
        self._lost = False
        self._pending = everything()
        self._unpublished = True
        self._pass_s = 0.0
        self._failures = 0
        self._passes = 0

    @property
    def entries(self) -> Mapping[str, DiffEntry]:
        """The files that differ, by name, as of the last pass."""
        return self._diff.entries

    @property
    def ended(self) -> bool:
        """Whether it follows no longer: after `last_pass`, or because the worktree is gone."""
        return self._ending.is_set()

    @property
    def lost(self) -> bool:
        """Whether it ended by itself, which was told: the worktree is gone, or a fault of ours ended it."""
        return self._lost

    def statistics(self) -> DiffStatistics:
        """What it has done so far."""
        return DiffStatistics(
            passes=self._passes,
            git_processes=self._diff.git.processes,
            patches=self._diff.patches.made,
            watches=self._diff.tree.watches,
            entries=len(self._diff.entries),
            polling=self._diff.polling,
            base=self._diff.base.tree,
        )

    async def open(self) -> None:
        """Finds the worktree and the base; some 20 ms.

        Raises:
            WorktreeError: it is no worktree, the base ref names no commit, git is missing, or it may not be read.
        """
        self._opened = await open_diff(
            self._worktree, asked_base=self._asked_base, limits=self._limits, notices=self._notices
        )

    def close(self) -> None:
        """Gives everything back, after `run` has ended. May be called twice."""
        self._ending.set()
        if self._opened is not None:
            self._opened.close()

    async def run(self) -> None:
        """Follows the worktree until `last_pass`, or until it is gone. Cancel it at any time."""
        try:
            while not self.ended:
                async with self._passing:
                    if not self.ended:
                        await self._passed()
                await self._rest()
                await self._wake()
        except Exception as error:  # noqa: BLE001 - a diff must never end the job that it shows
            _log.debug("the diff of a worktree ended", exc_info=error)
            self._lose(f"the diff is no longer followed: {error!r}")

    async def last_pass(self) -> bool:
        """Looks at everything once more, publishes all of it, and ends `run`.

        Takes as long as git and the sink take, at most a minute.

        Returns:
            Whether the sink has the worktree as it is.
        """
        done = False
        with anyio.move_on_after(DIFF_LAST_PASS_S_MAX):
            async with self._passing:
                self._pending.add(everything())
                self._unpublished = True
                done = await self._passed_at_last()
        self._ending.set()
        return done

    @property
    def _diff(self) -> WorktreeDiff:
        assert self._opened is not None, "open comes first"
        return self._opened

    async def _passed_at_last(self) -> bool:
        """Tries until the sink has all; gives up early where git fails: that is seldom a matter of time."""
        faults = 0
        while not self.ended and faults < DIFF_LAST_FAULTS_MAX:
            if await self._passed(last=True):
                return True
            faults += bool(self._pending)
            # How often git failed before says nothing of how long to wait now.
            await anyio.sleep(DIFF_RETRY_S_MIN if self._pending else self._retry_s())
        return False

    # -- when ----------------------------------------------------------------------------------------------------

    async def _rest(self) -> None:
        """Leaves the machine alone: after a pass for some times its length, after a fault until the next try."""
        longest_s = DIFF_POLL_REST_S_MAX if self._diff.polling else DIFF_REST_S_MAX
        rest_s = self._retry_s() if self._failures else min(self._pass_s * DIFF_REST_FACTOR, longest_s)
        with anyio.move_on_after(rest_s):
            await self._ending.wait()

    async def _wake(self) -> None:
        """Returns when there is something to do, and it has been quiet for a moment."""
        with anyio.move_on_after(TTL_REFRESH_S) as scope:
            while not (self.ended or self._pending or self._failures):
                await self._reported()
        if scope.cancelled_caught:
            self._unpublished = True  # nothing happened for long: keep alive what is published
            return
        with anyio.move_on_after(DIFF_DEBOUNCE_S_MAX):
            restless = bool(self._pending)
            while restless and not self.ended:
                await anyio.sleep(DIFF_DEBOUNCE_S)
                restless = self._drain()

    async def _reported(self) -> None:
        """Returns when the worktree has something to say, or when this ends."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._until_ended, tasks.cancel_scope)
            await self._diff.tree.wait()
            tasks.cancel_scope.cancel()
        self._drain()

    async def _until_ended(self, scope: anyio.CancelScope) -> None:
        await self._ending.wait()
        scope.cancel()

    def _drain(self) -> bool:
        """Takes what was reported; whether that was anything."""
        pending = self._diff.tree.drain()
        self._pending.add(pending)
        return bool(pending)

    def _retry_s(self) -> float:
        longest_s = DIFF_RETRY_S_MAX if self._pending else REDIS_BACKOFF_S_MAX
        return min(DIFF_RETRY_S_MIN * 2.0 ** min(self._failures, _DOUBLINGS_MAX), longest_s)

    # -- one pass ------------------------------------------------------------------------------------------------

    async def _passed(self, *, last: bool = False) -> bool:
        """Makes one pass; False where something failed, which is told and done again."""
        started_s = anyio.current_time()
        pending, self._pending = self._pending, PendingChanges()
        try:
            if pending:
                await self._update(pending, last=last)
            if self._unpublished:
                await self._sink.publish(self._diff.entries, whole=last)
                self._unpublished = False
        except SourceUnavailableError as error:
            _log.warning("the diff waits to be published: %s", error)
        except (WorktreeError, OSError, ValueError) as error:
            self._pending.add(everything())
            self._tell_of(error)
        else:
            self._failures = 0
            self._notices.settle("failed")
            self._passes += 1
            self._pass_s = anyio.current_time() - started_s
            return True
        self._failures += 1
        return False

    async def _update(self, pending: PendingChanges, *, last: bool) -> None:
        before = self._diff.entries
        try:
            self._pending.add(await self._diff.update(pending, cover=not last))
        finally:
            self._diff.tell_of_turns()
        self._unpublished = self._unpublished or self._diff.entries != before

    def _tell_of(self, error: Exception) -> None:
        root = self._diff.location.root
        if is_gone(root):
            self._lose(f"the worktree {root} is gone; its last diff stays")
        else:
            self._notices.tell("failed", f"the diff is not up to date: {error}")

    def _lose(self, text: str) -> None:
        self._notices.tell("ended", text)
        self._lost = True
        self._ending.set()
