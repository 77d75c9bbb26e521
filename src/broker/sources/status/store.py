"""The last state known of every test and run, kept in Redis for whoever asks later: `fantail:status:{kind}:{id}`.

A message of pub/sub is gone when it has been heard. Whoever opens a page a minute later, on another node, without a
database or while it is away, is told what is kept here. It has a TTL, so nothing grows.

Every node writes what it hears; a script keeps the later state, so that their order does not matter. Writing goes
behind: what is heard is merged until Redis takes it, bounded, the oldest dropped first.
"""

from __future__ import annotations

import hashlib
import logging
from itertools import islice
from typing import TYPE_CHECKING, Final

import anyio

from fantail.broker.errors import SourceUnavailableError
from fantail.broker.limits import STATUS_PAGE, STATUS_UNWRITTEN_MAX
from fantail.broker.log.notify import Notifier, Waiter
from fantail.broker.sources.backoff import Backoff
from fantail.broker.sources.redis.replies import is_unsupported
from fantail.broker.sources.status.state import KEEP_LATER, RERUN_MS, from_stored, merged, to_stored

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from fantail.broker.sources.redis.connection import Command, RedisLink
    from fantail.broker.sources.status.state import StatusState, Subject

logger = logging.getLogger("fantail.sources.status")

SCRIPT_SHA: Final = hashlib.sha1(KEEP_LATER.encode(), usedforsecurity=False).hexdigest()


def keep_command(subject: Subject, state: StatusState, ttl_s: int, *, by_digest: bool = False) -> Command:
    """The command that keeps a state unless a later one is kept.

    Args:
        subject: whose state.
        state: what to keep.
        ttl_s: for how long.
        by_digest: name the script by its digest, which is shorter; one with its text must go before.
    """
    script = ("EVALSHA", SCRIPT_SHA) if by_digest else ("EVAL", KEEP_LATER)
    return (*script, 1, subject.key, to_stored(state), ttl_s, RERUN_MS)


class StatusKeeper:
    """Reads and writes what is kept. `run` must be running for what is written.

    Args:
        link: the connection.
        ttl_s: how long a state is kept.
    """

    def __init__(self, link: RedisLink, ttl_s: int) -> None:
        self._link = link
        self._ttl_s = ttl_s
        self._unwritten: dict[Subject, StatusState] = {}
        self._under_way = 0
        self._by_digest = True
        self._notifier = Notifier()

    @property
    def unwritten(self) -> int:
        """How many states are not known to be written."""
        return len(self._unwritten) + self._under_way

    def keep(self, subject: Subject, state: StatusState) -> None:
        """Has a state written soon; never blocks."""
        self._unwritten[subject] = merged(self._unwritten.get(subject), state, heard=True)
        if len(self._unwritten) > STATUS_UNWRITTEN_MAX:
            del self._unwritten[next(iter(self._unwritten))]
        self._notifier.notify()

    async def read(self, subjects: Collection[Subject]) -> Mapping[Subject, StatusState]:
        """What is kept of them, in one round trip.

        Raises:
            SourceUnavailableError: Redis does not answer.
        """
        replies = await self._link.ask([("GET", subject.key) for subject in subjects])
        found = {}
        for subject, reply in zip(subjects, replies, strict=True):
            state = from_stored(subject, reply) if isinstance(reply, bytes) else None
            if state is not None:
                found[subject] = state
        return found

    async def run(self) -> None:
        """Writes for ever."""
        waiter, backoff = Waiter(), Backoff()
        while True:
            version = self._notifier.version
            try:
                while self._unwritten:
                    await self._write()
                    backoff.reset()
            except SourceUnavailableError:
                await anyio.sleep(backoff.next_s())
                continue
            await waiter.sleep(self._notifier, version)

    async def _write(self) -> None:
        page = dict(islice(self._unwritten.items(), STATUS_PAGE))
        for subject in page:
            del self._unwritten[subject]
        commands = [
            keep_command(subject, state, self._ttl_s, by_digest=self._by_digest and number > 0)
            for number, (subject, state) in enumerate(page.items())
        ]
        self._under_way = len(page)
        try:
            await self._link.ask(commands)
        except BaseException as error:
            if is_unsupported(error.__cause__):
                self._by_digest = False  # it may be EVALSHA alone that this user may not send
            for subject, state in page.items():
                newer = self._unwritten.get(subject)
                self._unwritten[subject] = state if newer is None else merged(state, newer, heard=True)
            raise
        finally:
            self._under_way = 0
