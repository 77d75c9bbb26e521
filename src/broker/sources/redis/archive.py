"""The archive: pages of output lists, for readers behind the window in memory.

Readers ask for one offset; what is loaded is a page around it, cut at the same places for everybody, read once whoever
waits for it, and kept in the job's log, where all share it. One reader after the other thus costs Redis one reading.

Every page is proven: the last known entries of the list are read behind it in the same round trip. If they stand in
their place then, the page was that of the list we know. If they stand further to the front, the list's front was
trimmed, the floor rises, and the page is read again; if nowhere, the job is read afresh, which may start its log anew.

Pages are read by tasks of this archive, not of their readers: a reader that is cut takes nobody's page with it, and no
connection. A reader in sequence has the next page asked for while it is served this one, so that Redis and we work at
the same time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from fantail.broker.errors import SourceUnavailableError
from fantail.broker.limits import (
    KEY_BLOCK_LINES_MAX,
    LIVE_PAGE_RECORDS_MAX,
    PAGE_BYTES,
    PAGE_RECORDS_MAX,
    PAGE_TRIES_MAX,
    SEARCH_RECORDS_MAX,
)
from fantail.broker.log.outcomes import Behind
from fantail.broker.log.position import Cursor, checksum, log_tag
from fantail.broker.log.records import Records
from fantail.broker.masking.foreign import EntryMasker, needs_before
from fantail.broker.sources.redis.connection import unavailable
from fantail.broker.sources.redis.tail_proof import find_run, has_time

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from anyio.abc import TaskGroup

    from fantail.broker.jobs import Job
    from fantail.broker.log.position import Position
    from fantail.broker.sources.redis.connection import Command, RedisLink
    from fantail.broker.sources.redis.follower import JobFollower

# A page of more than a part of what a log may hold would push out what its reader has not seen yet.
_PAGES_IN_WINDOW_MIN = 4


@dataclass(eq=False, slots=True)
class _Page:
    """One page that is being read."""

    first: int
    stop: int
    done: anyio.Event = field(default_factory=anyio.Event)
    failed: bool = False


@dataclass(eq=False, slots=True)
class _Reply:
    """What one round trip brought."""

    done: anyio.Event = field(default_factory=anyio.Event)
    pages: list[list[bytes]] | None = None  # None, done: Redis does not answer


class RedisArchive:
    """Reads pages of the lists of followed jobs.

    Args:
        links: connections to read over; that many pages are read at the same time.
        refresh: reads a job afresh.
        now_s: a monotonic clock.
    """

    def __init__(
        self, links: Sequence[RedisLink], refresh: Callable[[Job], Awaitable[None]], now_s: Callable[[], float]
    ) -> None:
        self._idle = list(links)
        self._free = anyio.Semaphore(len(links))
        self._refresh = refresh
        self._now_s = now_s
        self._tasks: TaskGroup | None = None
        self._pages: dict[tuple[bytes, int, int], _Page] = {}
        self._last_stop: dict[bytes, int] = {}
        self._replies: set[_Reply] = set()

    async def run(self) -> None:
        """Lets pages be read, until cancelled."""
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                await anyio.sleep_forever()
        finally:
            self._tasks = None
            for page in self._pages.values():
                page.failed = True
                page.done.set()
            self._pages.clear()
            for reply in self._replies:
                reply.done.set()
            self._replies.clear()

    def forget(self, follower: JobFollower) -> None:
        """The job is no longer followed."""
        self._last_stop.pop(follower.key, None)

    # -- for readers in sequence ------------------------------------------------------------------------------------

    async def fill(self, follower: JobFollower, offset: int) -> None:
        """Loads the page around an offset into the job's log; does nothing where it is there already.

        Raises:
            SourceUnavailableError: Redis does not answer.
        """
        page = self._page(follower, offset)
        if page is None:
            return
        if self._last_stop.get(follower.key) == page.first:
            self._page(follower, page.stop)
        self._last_stop[follower.key] = page.stop
        await page.done.wait()
        if page.failed:
            raise unavailable()

    def _page(self, follower: JobFollower, offset: int) -> _Page | None:
        """The page around an offset, being read; None where there is nothing to read."""
        log = follower.tail.log
        hole = log.read(Cursor(log.generation, offset))
        if not isinstance(hole, Behind):
            return None
        if self._tasks is None:
            raise unavailable()
        bytes_max = min(PAGE_BYTES, log.retention.bytes_max // _PAGES_IN_WINDOW_MIN)
        unit = follower.tail.pages.unit(bytes_max, PAGE_RECORDS_MAX)
        aligned = offset - offset % unit
        first, stop = max(aligned, hole.start), min(aligned + unit, hole.stop)
        key = (follower.key, log.generation, first)
        page = self._pages.get(key)
        if page is None or page.stop <= offset:
            page = self._pages[key] = _Page(first, stop)
            self._tasks.start_soon(self._load, follower, page, key)
        return page

    async def _load(self, follower: JobFollower, page: _Page, key: tuple[bytes, int, int]) -> None:
        try:
            entries = await self._proven(follower, page.first, page.stop)
            masker = await self._masker_for(follower, page.first, entries)
            await self._keep(follower, page.first, entries, key[1], masker)
        except SourceUnavailableError:
            page.failed = True
        finally:
            if self._pages.get(key) is page:
                del self._pages[key]
            page.done.set()

    async def _masker_for(self, follower: JobFollower, first: int, entries: Sequence[bytes]) -> EntryMasker | None:
        """A masker that knows whether a page begins in the middle of a private key; None: nothing is masked."""
        if follower.tail.masker is None:
            return None
        masker = EntryMasker()
        if first > follower.tail.log.floor and needs_before(entries):
            before = max(follower.tail.log.floor, first - KEY_BLOCK_LINES_MAX)
            masker.mask(await self._proven(follower, before, first))
        return masker

    async def _keep(
        self,
        follower: JobFollower,
        first: int,
        entries: Sequence[bytes],
        generation: int,
        masker: EntryMasker | None,
    ) -> None:
        """Takes a page into memory; looks at its entries in slices, so that nobody waits long for the event loop."""
        log = follower.tail.log
        created_ms = follower.created_ms
        follower.tail.pages.seen(entries)
        page = Records.of([])
        for at in range(0, len(entries), LIVE_PAGE_RECORDS_MAX):
            page.extend(follower.tail.records(entries[at : at + LIVE_PAGE_RECORDS_MAX], created_ms, masker))
            await anyio.lowlevel.checkpoint()
        if log.generation == generation:
            log.fill(first, page, self._now_s())

    # -- pages as they are stored -----------------------------------------------------------------------------------

    async def entries(self, follower: JobFollower, start: int, stop: int) -> Sequence[bytes]:
        """Entries, uncut and masked, from `start` on, up to a page of them; none where there are none any more.

        Raises:
            SourceUnavailableError: Redis does not answer.
        """
        tail = follower.tail
        if not tail.log.floor <= start < min(stop, tail.log.tail):
            return []
        count = tail.pages.records(PAGE_BYTES, PAGE_RECORDS_MAX)
        entries = await self._proven(follower, start, min(stop, tail.log.tail, start + count))
        tail.pages.seen(entries)
        masker = await self._masker_for(follower, start, entries)
        return entries if masker is None else masker.mask(entries)

    async def relocate(self, follower: JobFollower, position: Position) -> Cursor | None:
        """Finds a position that no longer fits because the list's front was trimmed before we knew the list.

        Returns:
            Where its reader goes on, if its very entry stands further to the front, once, and carries a time, which
            no other entry shares. None: it is not among the last 16,384 before that place.

        Raises:
            SourceUnavailableError: Redis does not answer.
        """
        log = follower.tail.log
        generation, floor = log.generation, log.floor
        stop = min(position.offset, log.tail)
        lowest = max(floor, stop - SEARCH_RECORDS_MAX)
        found: list[int] = []
        while stop > lowest:
            count = follower.tail.pages.records(PAGE_BYTES, PAGE_RECORDS_MAX)
            start = max(lowest, stop - count)
            entries = await self._proven(follower, start, stop)
            if log.generation != generation or len(entries) != stop - start:
                return None
            follower.tail.pages.seen(entries)
            found += [
                start + at
                for at, entry in enumerate(entries)
                if log_tag(checksum(entry)) == position.tag and has_time(entry)
            ]
            stop = start
        return Cursor(generation, found[0] + 1) if len(found) == 1 else None

    # -- the proof --------------------------------------------------------------------------------------------------

    async def _proven(self, follower: JobFollower, first: int, stop: int) -> Sequence[bytes]:
        """The entries `first <= offset < stop` of the list we know; none where it has turned out to be another."""
        tail = follower.tail
        generation = tail.log.generation
        for _ in range(PAGE_TRIES_MAX):
            floor = tail.log.floor
            if first < floor:
                return []
            end = tail.log.tail - floor
            run = tail.proof.run(end)
            start = max(0, end - len(run) - tail.slack)
            page, proof = await self._ask(
                [
                    ("LRANGE", tail.key, first - floor, stop - floor - 1),
                    ("LRANGE", tail.key, start, end - 1),
                ]
            )
            if tail.log.generation != generation:
                return []
            expected = end - len(run) - start
            found = find_run(run, proof, expected) if run and isinstance(proof, list) else None
            if found == expected and len(page) == stop - first:
                return page
            if found is not None and found < expected:
                tail.trimmed(floor, expected - found)
            else:
                break
        await self._refresh(follower.job)
        return []

    async def _ask(self, commands: Sequence[Command]) -> list[list[bytes]]:
        """Asks in a task of the archive: a reader that leaves would drop the connection with a reply on its way."""
        if self._tasks is None:
            raise unavailable()
        reply = _Reply()
        self._replies.add(reply)
        self._tasks.start_soon(self._exchange, commands, reply)
        await reply.done.wait()
        if reply.pages is None:
            raise unavailable()
        return reply.pages

    async def _exchange(self, commands: Sequence[Command], reply: _Reply) -> None:
        try:
            async with self._free:
                link = self._idle.pop()
                try:
                    reply.pages = await link.ask(commands)
                except SourceUnavailableError:
                    return
                finally:
                    self._idle.append(link)
        finally:
            self._replies.discard(reply)
            reply.done.set()
