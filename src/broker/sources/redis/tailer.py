"""RedisTailer: follows all watched jobs and all tables in one Redis, for the whole server.

Not one poller per viewer, nor one per job. Redis wakes us (`redis_tracking`); a wake-up marks keys; one pipelined round
trip reads everything that is marked and of interest; the answers change the stores in one synchronous step. What is
decided is decided by parts that never wait: `redis_follower` for a job, `table_mirror` for the tables. This file runs
them.

Connections, all made once and for ever: one for tracking, one for rounds, two for pages of the archive, one for diffs.

What holds:
  - A job without watchers costs no command; its marks are kept for the next watcher. A viewer more costs none either.
  - Rounds do not overlap, so each job's list and hash are read in order.
  - SCAN has a round trip of its own: a user who may not scan still reads jobs, and the tables say what they lack.
  - Marks outlive trouble: whatever was asked and not answered is asked again, and after any doubt (a new tracking
    connection, FLUSHALL, an answer after none) everything of interest is read.
  - `available` says whether the last round was answered. When it changes, every watched job's bell rings.

Decided against: keyspace notifications (need configuration), blocking reads (a connection per job), MULTI (a cluster
refuses it). For a cluster there would be one tracking connection and one for rounds per primary, a hash's answer
awaited before its list is asked for.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import anyio
from redis.exceptions import ResponseError

from fantail.broker.errors import SourceUnavailableError
from fantail.broker.limits import (
    ARCHIVE_LINKS,
    AWAY_WAIT_S,
    DIFF_RECONCILE_S,
    LOAD_TIMEOUT_S,
    POLL_S,
    RECONCILE_JOBS_MAX,
    RECONCILE_S,
    REDIS_TIMEOUT_S,
    ROUND_JOBS_MAX,
    ROWS_INTERVAL_S,
    TABLES_POLL_S,
    TABLES_RECONCILE_S,
)
from fantail.broker.log.notify import Notifier, Waiter
from fantail.broker.sources.backoff import Backoff
from fantail.broker.sources.redis.archive import RedisArchive
from fantail.broker.sources.redis.connection import RedisLink, is_refusal, unavailable
from fantail.broker.sources.redis.diffs import RedisDiffs
from fantail.broker.sources.redis.dirty_keys import DirtyKeys
from fantail.broker.sources.redis.keys import KINDS, parse_patterns, without_overlaps
from fantail.broker.sources.redis.leases import Leases
from fantail.broker.sources.redis.replies import is_role_error, is_unsupported
from fantail.broker.sources.redis.table_mirror import TableMirror
from fantail.broker.sources.redis.tracking import Mode, RedisTracking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from fantail.broker.broker import Broker
    from fantail.broker.jobs import Job
    from fantail.broker.log.position import Cursor, Position
    from fantail.broker.sources.redis.connection import Command
    from fantail.broker.sources.redis.follower import JobFollower

log = logging.getLogger("fantail.sources.redis")

TABLE_PATTERNS: Final = {"jobs": "job:*", "tasks": "task:*"}


class RedisTailer:
    """A `Source` over one Redis or Valkey.

    Attributes:
        available: whether Redis answered last time.
        mode: `tracking`, `polling` or `connecting`.

    Args:
        broker: what it feeds.
        url: redis://, rediss:// or unix://, as redis-py reads it.
        table_patterns: which hashes are the rows of which table; those of tables that the broker does not have are
            left alone.
        timeout_s: Redis that says nothing for so long is away.
        checks_owner: whether what is read of a job is taken in only if its owner is the same after the reading. It
            costs one command for each reading; without it a reader may see lines written just after they lost the job.

    Raises:
        ValueError: a pattern is malformed.
    """

    def __init__(
        self,
        broker: Broker,
        url: str,
        table_patterns: Mapping[str, str] = TABLE_PATTERNS,
        *,
        timeout_s: float = REDIS_TIMEOUT_S,
        checks_owner: bool = True,
    ) -> None:
        self.available = False
        self.mode: str = Mode.CONNECTING
        self._broker = broker
        self._now_s = broker.now_s
        patterns = [pattern for pattern in parse_patterns(table_patterns) if pattern.table in broker.tables.names]
        prefixes = without_overlaps([kind.prefix for kind in KINDS] + [pattern.prefix for pattern in patterns])
        self._link = RedisLink(url, name="fantail-rounds", timeout_s=timeout_s)
        self._archive_links = [
            RedisLink(url, name="fantail-archive", timeout_s=timeout_s) for _ in range(ARCHIVE_LINKS)
        ]
        self._archive = RedisArchive(self._archive_links, self.refresh, self._now_s)
        diff_link = RedisLink(url, name="fantail-diffs", timeout_s=timeout_s)
        self._diffs = RedisDiffs(
            diff_link, self._now_s, self._diff_again_s, self._on_diff, self._on_new_owner if checks_owner else None
        )
        self._leases = Leases()
        self._mirror = TableMirror(
            broker.tables,
            patterns,
            self._leases,
            self._now_s,
            rows_max=broker.limits.table_rows_max,
            masks=broker.masks_secrets,
        )
        self._tables_wanted = 0
        self._marks = DirtyKeys(
            self._mirror,
            self._leases,
            self._diffs.mark,
            broker.line_bytes_max,
            self._now_s,
            masks=broker.masks_secrets,
            checks_owner=checks_owner,
        )
        self._tracking = RedisTracking(url, prefixes, self._marks.mark_keys, self._on_mode, timeout_s)
        self._probe = True
        self._away_since_s = self._now_s()
        self._told: type[BaseException] | None = None
        self._jobs_due_s = self._rows_due_s = 0.0
        self._scan_due_s = 0.0
        self._mirror.scan(reread=True)

    @property
    def tables_lack(self) -> str:
        """See `Source`."""
        return self._mirror.lacks

    # -- the Source -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follows for ever; reconnects by itself."""
        self._away_since_s = self._now_s()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._tracking.run)
                tasks.start_soon(self._archive.run)
                tasks.start_soon(self._diffs.run)
                tasks.start_soon(self._read_rounds)
        finally:
            self.available = False
            for link in (self._link, *self._archive_links):
                await link.close()

    def watch(self, job: Job) -> None:
        """Starts to follow a job, or to follow it again."""
        self._marks.follow(job)

    def unwatch(self, job: Job) -> None:
        """Stops following it."""
        follower = self._marks.unfollow(job)
        if follower is not None:
            self._archive.forget(follower)

    async def refresh(self, job: Job) -> None:
        """Reads a watched job afresh, all of it.

        Raises:
            SourceUnavailableError: Redis has not answered in time, or the job was let go meanwhile: a page of the
                archive may be on its way longer than its readers stay.
        """
        follower = self._marks.find(job)
        if follower is None:
            raise unavailable()
        number = follower.ask()
        self._marks.put(follower)
        await self._until(lambda: follower.answered >= number, follower.answers)

    async def refresh_diff(self, job: Job) -> None:
        """See `Source`."""
        diff = self._marks.of(job).diff
        number = diff.ask()
        self._diffs.mark(diff)
        await self._until(lambda: diff.answered >= number, diff.answers)

    async def fill(self, job: Job, offset: int) -> None:
        """See `Archive`."""
        await self._archive.fill(self._marks.of(job), offset)

    async def relocate(self, job: Job, position: Position) -> Cursor | None:
        """See `Archive`."""
        return await self._archive.relocate(self._marks.of(job), position)

    async def entries(self, job: Job, start: int, stop: int) -> Sequence[bytes]:
        """See `Source`."""
        return await self._archive.entries(self._marks.of(job), start, stop)

    async def job_id_of(self, kind: str, alias: str) -> str | None:
        """See `Source`."""
        (found,) = await self._archive_links[0].ask([("HGET", f"{kind}:{alias}", "job_id")])
        return found.decode("utf-8", "replace") if isinstance(found, bytes) and found else None

    async def refresh_tables(self) -> None:
        """Makes sure that the tables show what Redis had when this was called.

        With tracking that takes one PING, as a rule, and nothing is read. Where Redis does not answer in time, they
        stay as they were last read.

        Raises:
            SourceUnavailableError: they have never been read.
        """
        await self._tracking.caught_up()
        number = self._mirror.ask() if self.mode == Mode.TRACKING else self._mirror.scan(reread=True)
        with self._wanting_tables():
            self._marks.work.notify()
            try:
                await self._until(lambda: self._mirror.has_read(number), self._mirror.progress)
            except SourceUnavailableError:
                if not self._mirror.complete:
                    raise

    # -- what happens ------------------------------------------------------------------------------------------------

    def _on_diff(self, job: Job) -> None:
        follower = self._marks.find(job)
        if follower is not None and follower.awaits_diff:
            follower.mark()
            self._marks.put(follower)

    def _on_new_owner(self, job: Job) -> None:
        """A reading of the diff found another owner than the one that is known: reads the hash."""
        follower = self._marks.find(job)
        if follower is not None:
            follower.mark()
            self._marks.put(follower)

    def _diff_again_s(self) -> float:
        return DIFF_RECONCILE_S if self.mode == Mode.TRACKING else POLL_S

    def _on_mode(self, mode: Mode) -> None:
        before, self.mode = self.mode, mode
        if mode is Mode.TRACKING:
            self._marks.mark_everything()
        if mode != before:
            log.info("following Redis by %s", mode)
            self._jobs_due_s = 0.0
        if mode != before or mode is Mode.CONNECTING:
            # A connection that could not be made tells as much as one that was lost, and nobody else may be asking.
            self._probe = True
            self._marks.work.notify()

    # -- rounds -----------------------------------------------------------------------------------------------------

    async def _read_rounds(self) -> None:
        backoff, waiter = Backoff(), Waiter()
        while True:
            version = self._marks.work.version
            self._mark_what_is_due()
            followers, commands, scan = self._plan()
            if not commands and scan is None:
                with anyio.move_on_after(self._pause_s()):
                    await waiter.sleep(self._marks.work, version)
                continue
            try:
                if commands:
                    replies = iter(await self._link.ask(commands))
                    self._take(followers, replies)
                    self._on_answer()
                    followers = []
                if scan is not None:
                    await self._read_scan(scan)
                    self._on_answer()
            except SourceUnavailableError as error:
                self._on_trouble(error, followers)
                await anyio.sleep(backoff.next_s(refused=is_refusal(error.__cause__)))
            else:
                backoff.reset()

    async def _read_scan(self, scan: Command) -> None:
        try:
            (reply,) = await self._link.ask([scan])
        except SourceUnavailableError as error:
            cause = error.__cause__
            if is_unsupported(cause):
                self._mirror.refuse_scan(str(cause).partition(", with args")[0])
                return
            if is_role_error(cause) or isinstance(cause, ResponseError):
                raise
            # Cut, or no reply: a server that then answers has refused it in that way.
            await self._link.ask([("PING",)])
            self._mirror.refuse_scan("by cutting the connection, or by no reply")
        else:
            self._mirror.take_scan(reply)

    def _plan(self) -> tuple[list[JobFollower], list[Command], Command | None]:
        rows, scan = self._plan_tables()
        followers = self._marks.take(ROUND_JOBS_MAX)
        commands = [command for follower in followers for command in follower.plan()] + rows
        if self._probe and not commands:
            commands.append(("PING",))
        self._probe = False
        return followers, commands, scan

    def _plan_tables(self) -> tuple[list[Command], Command | None]:
        now_s, mirror = self._now_s(), self._mirror
        if not mirror.has_work(leases=self._leases_wanted) or (now_s < self._rows_due_s and not self._in_a_hurry):
            return [], None
        self._rows_due_s = now_s + ROWS_INTERVAL_S
        return mirror.plan(leases=self._leases_wanted, elsewhere=self._marks.hashes()), mirror.plan_scan()

    def _take(self, followers: Sequence[JobFollower], replies: Iterator[object]) -> None:
        for follower in followers:
            with_hash, with_lease = follower.take(replies)
            if with_hash:
                self._mirror.put(follower.key, follower.newest_fields)
            elif with_lease:
                self._mirror.show_lease(follower.key)
            if follower.dirty:
                self._marks.put(follower)
            if follower.diff.urgent:
                self._diffs.mark(follower.diff)
        self._mirror.take(replies)

    # -- time -------------------------------------------------------------------------------------------------------

    @property
    def _leases_wanted(self) -> bool:
        return bool(self._broker.tables_watchers or self._tables_wanted)

    @property
    def _in_a_hurry(self) -> bool:
        """Whether rows are read without a pause: somebody waits for them, or there are many."""
        return bool(self._tables_wanted) or self._mirror.has_much_work

    def _mark_what_is_due(self) -> None:
        now_s = self._now_s()
        tracking = self.mode == Mode.TRACKING
        if now_s >= self._jobs_due_s:
            self._jobs_due_s = now_s + (RECONCILE_S if tracking else POLL_S)
            self._marks.mark_in_turn(RECONCILE_JOBS_MAX if tracking else len(self._marks))
        if now_s >= self._scan_due_s and self._leases_wanted:
            self._scan_due_s = now_s + (TABLES_RECONCILE_S if tracking else TABLES_POLL_S)
            self._mirror.scan(reread=not tracking)

    def _pause_s(self) -> float | None:
        """How long there is nothing to do by the clock; None: for ever."""
        due = []
        if self._marks.anybody_watches:
            due.append(self._jobs_due_s)
        if self._leases_wanted:
            due.append(self._scan_due_s)
        if self._mirror.has_work(leases=self._leases_wanted):
            due.append(0.0 if self._in_a_hurry else self._rows_due_s)
        return max(0.0, min(due) - self._now_s()) if due else None

    # -- trouble ----------------------------------------------------------------------------------------------------

    def _on_trouble(self, error: SourceUnavailableError, followers: Sequence[JobFollower]) -> None:
        for follower in followers:
            follower.start_over()
        cause = error.__cause__ or error
        if self._told is not type(cause):
            self._told = type(cause)
            log.warning("Redis does not answer (%s)", str(cause) or "no reply in time")
        self._probe = True
        was_available, self.available = self.available, False
        if was_available:
            self._away_since_s = self._now_s()
            self._ring_all()
        self._marks.mark_everything()

    def _on_answer(self) -> None:
        if self.available:
            return
        self.available = True
        if self._told is not None:
            log.info("Redis answers again")
        self._told = None
        self._ring_all()

    def _ring_all(self) -> None:
        for follower in self._marks:
            follower.job.notifier.notify()
            follower.answers.notify()
            follower.diff.answers.notify()
        self._mirror.progress.notify()

    # -- waiting ----------------------------------------------------------------------------------------------------

    async def _until(self, holds: Callable[[], bool], notifier: Notifier) -> None:
        waiter = Waiter()
        asked_s = self._now_s()
        version = notifier.version
        while not holds():
            until_s = asked_s + LOAD_TIMEOUT_S if self.available else self._away_since_s + AWAY_WAIT_S
            left_s = until_s - self._now_s()
            if left_s <= 0:
                raise unavailable()
            with anyio.move_on_after(left_s):
                await waiter.sleep(notifier, version)
            version = notifier.version

    @contextmanager
    def _wanting_tables(self) -> Iterator[None]:
        self._tables_wanted += 1
        try:
            yield
        finally:
            self._tables_wanted -= 1
