"""StatusPubSub: follows the tests and runs that somebody watches, for the whole server.

Three things are known of each: what workers say (`status_channels`), what is kept in Redis (`status_keeper`), and what
a database has, if there is one. They are merged by rank (`status_state`), so it matters neither in which order they
come nor how often.

What holds:
  - A subject is registered before it is read, and the channels are subscribed all the time: what is said between the
    two is merged, not lost (trap 15). When the channels were cut, all that is watched is read again.
  - However many watch, one connection hears, one asks, and everything that is to be read is read together: one round
    trip to Redis and one query for up to 500 subjects.
  - Every 30 s all that is watched and has not ended is read again, sooner while the database does not answer: a
    message that nobody heard costs half a minute, not the end.
  - Neither source being away is ever told as a state (trap 17). One of them is enough to begin.
  - What nobody watches is forgotten at once.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Protocol

import anyio

from fantail.broker.errors import BrokerError, SourceUnavailableError
from fantail.broker.limits import (
    LOAD_TIMEOUT_S,
    STATUS_CHECK_RETRY_S,
    STATUS_CHECK_S,
    STATUS_PAGE,
    STATUS_TTL_S,
    STATUSES_MAX,
)
from fantail.broker.log.notify import Notifier, Waiter
from fantail.broker.sources.redis.connection import RedisLink
from fantail.broker.sources.status.channels import StatusChannels
from fantail.broker.sources.status.log import StatusLog
from fantail.broker.sources.status.state import from_message, without_secrets
from fantail.broker.sources.status.store import StatusKeeper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping

    from fantail.broker.sources.status.channels import Channel
    from fantail.broker.sources.status.state import StatusState, Subject


class TooManyStatusesError(BrokerError):
    """As many tests and runs are being watched as may be."""


class StatusReader(Protocol):
    """Where states can be read: what is kept in Redis, or a database."""

    async def read(self, subjects: Collection[Subject]) -> Mapping[Subject, StatusState]:
        """The states of those that it knows.

        Raises:
            SourceUnavailableError: it does not answer.
        """


@dataclass(frozen=True, slots=True)
class StatusStats:
    """What is followed now."""

    subjects: int
    watchers: int
    messages_total: int
    unwritten: int
    channels_available: bool | None
    database_available: bool | None


class StatusPubSub:
    """Follows what is watched. `run` must be running.

    Attributes:
        available: whether the channels are heard; None: that has not been tried.

    Args:
        url: of Redis.
        database: asked beside it; None: there is none.
        ttl_s: how long the last state known is kept in Redis.
        check_s: how often all that is watched is read again.
        masks: whether secrets are masked in what is heard and read.
        now_s: a monotonic clock, in seconds.
        wall_ms: the time, in milliseconds of the Unix epoch.
    """

    def __init__(
        self,
        url: str,
        *,
        database: StatusReader | None = None,
        ttl_s: int = STATUS_TTL_S,
        check_s: float = STATUS_CHECK_S,
        masks: bool = True,
        now_s: Callable[[], float] = time.monotonic,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.available: bool | None = None
        self._database = database
        self._database_available: bool | None = None
        self._check_s = check_s
        self._masks = masks
        self._now_s = now_s
        self._wall_ms = wall_ms
        self._link = RedisLink(url, name="fantail-status-reads")
        self._keeper = StatusKeeper(self._link, ttl_s)
        self._channels = StatusChannels(url, self._heard, self._subscribed, self._cut)
        self._logs: dict[Subject, StatusLog] = {}
        self._unread: dict[Subject, None] = {}
        self._asked = Notifier()
        self._messages_total = 0

    async def run(self) -> None:
        """Follows for ever; cancelling it closes the connections."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._channels.run)
                tasks.start_soon(self._keeper.run)
                tasks.start_soon(self._read_asked)
                tasks.start_soon(self._check)
        finally:
            await self._link.close()

    @asynccontextmanager
    async def watch(self, subject: Subject) -> AsyncIterator[StatusLog]:
        """Counts a watcher, and makes sure that what is known has been read.

        Raises:
            TooManyStatusesError: no room.
            SourceUnavailableError: neither Redis nor the database answers.
        """
        log = self._logs.get(subject)
        if log is None:
            if len(self._logs) >= STATUSES_MAX:
                raise TooManyStatusesError(f"{STATUSES_MAX} tests and runs are being watched")
            log = self._logs[subject] = StatusLog(subject)
        log.watchers += 1
        try:
            if not log.loaded:
                await self._first_read(log)
            yield log
        finally:
            log.watchers -= 1
            if log.watchers == 0:
                del self._logs[subject]
                self._unread.pop(subject, None)

    async def known(self, subject: Subject) -> StatusState | None:
        """What is known of a subject that need not be watched, without asking the database; None: nothing.

        Raises:
            SourceUnavailableError: it is not watched, and Redis does not answer.
        """
        log = self._logs.get(subject)
        if log is not None and log.loaded:
            return log.state
        state = (await self._keeper.read([subject])).get(subject)
        return self._shown(state) if state is not None else None

    def _shown(self, state: StatusState) -> StatusState:
        return without_secrets(state) if self._masks else state

    def stats(self) -> StatusStats:
        """What is followed now."""
        return StatusStats(
            subjects=len(self._logs),
            watchers=sum(log.watchers for log in self._logs.values()),
            messages_total=self._messages_total,
            unwritten=self._keeper.unwritten,
            channels_available=self.available,
            database_available=self._database_available,
        )

    # -- what is heard ----------------------------------------------------------------------------------------------

    def _heard(self, channel: Channel, data: bytes) -> None:
        subject = channel.subject
        state = from_message(subject, data, complete=channel.complete, heard_ms=self._wall_ms())
        if state is None:
            return
        state = self._shown(state)
        self._messages_total += 1
        log = self._logs.get(subject)
        if log is not None:
            log.take(state, heard=True, now_s=self._now_s())
        self._keeper.keep(subject, state)

    def _subscribed(self) -> None:
        self.available = True
        self._ask_again()
        self._ring_all()

    def _cut(self) -> None:
        if self.available is not False:
            self.available = False
            self._ring_all()

    def _ring_all(self) -> None:
        for log in self._logs.values():
            log.notifier.notify()

    # -- what is read -----------------------------------------------------------------------------------------------

    async def _first_read(self, log: StatusLog) -> None:
        failures = log.read_failures
        self._unread[log.subject] = None
        self._asked.notify()
        waiter = Waiter()
        with anyio.move_on_after(LOAD_TIMEOUT_S):
            while not log.loaded and log.read_failures == failures:
                await waiter.sleep(log.notifier, log.notifier.version)
        if not log.loaded:
            raise SourceUnavailableError("neither Redis nor the database answers")

    def _ask_again(self) -> None:
        self._unread |= {subject: None for subject, log in self._logs.items() if not log.over}
        self._asked.notify()

    async def _check(self) -> None:
        while True:
            await anyio.sleep(self._check_s)
            self._ask_again()
            while self._database_available is False:
                await anyio.sleep(min(STATUS_CHECK_RETRY_S, self._check_s))
                self._ask_again()

    async def _read_asked(self) -> None:
        waiter = Waiter()
        while True:
            version = self._asked.version
            while self._unread:
                page = list(islice(self._unread, STATUS_PAGE))
                for subject in page:
                    del self._unread[subject]
                await self._read(page)
            await waiter.sleep(self._asked, version)

    async def _read(self, subjects: Collection[Subject]) -> None:
        found: list[Mapping[Subject, StatusState]] = []

        async def ask(reader: StatusReader) -> None:
            try:
                found.append(await reader.read(subjects))
                answered = True
            except SourceUnavailableError:
                answered = False
            if reader is self._database:
                self._database_available = answered

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, self._keeper)
            if self._database is not None:
                tasks.start_soon(ask, self._database)
        for subject in subjects:
            log = self._logs.get(subject)
            if log is not None:
                self._take(log, [states[subject] for states in found if subject in states], answered=bool(found))

    def _take(self, log: StatusLog, states: Collection[StatusState], *, answered: bool) -> None:
        for state in states:
            log.take(self._shown(state), heard=False, now_s=self._now_s())
        if answered:
            log.loaded = True
        else:
            log.read_failures += 1
        log.notifier.notify()
