"""One Redis connection that hears what workers publish about any test or run.

It subscribes to the four patterns once, for the whole server and for ever, however many watch what: a connection per
stream is what leaks one per stream as soon as one path forgets to close it (trap 16).

What holds: `on_subscribed` is called when the server has confirmed all patterns, so whatever is read from then on
cannot miss a message that comes after (trap 15); `on_cut` when that is no longer so. A connection that
says nothing is asked for a sign of life and given up when none comes. Reconnects back off with jitter.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import anyio
import anyio.lowlevel
from redis.exceptions import RedisError

from fantail.broker.errors import InvalidIdError
from fantail.broker.jobs import checked_id
from fantail.broker.limits import MESSAGES_IN_A_ROW_MAX, PUBSUB_PING_S, REDIS_TIMEOUT_S
from fantail.broker.sources.backoff import Backoff
from fantail.broker.sources.redis.connection import ClientName, is_refusal, opened
from fantail.broker.sources.status.state import KINDS, Subject

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.asyncio.connection import AbstractConnection

logger = logging.getLogger("fantail.sources.status")

PATTERNS: Final = tuple(f"{kind.channel}:*:{word}" for kind in KINDS for word in ("status", "complete"))
_KIND_OF: Final = {kind.channel.encode(): kind for kind in KINDS}
_COMPLETE: Final = {b"status": False, b"complete": True}


class Channel(NamedTuple):
    """Whom a channel is about, and whether it is the one for the end."""

    subject: Subject
    complete: bool


def channel_of(name: bytes) -> Channel | None:
    """What a channel's name says; None: it is none of ours."""
    parts = name.split(b":")
    if len(parts) != 3 or parts[0] not in _KIND_OF or parts[2] not in _COMPLETE:  # noqa: PLR2004 - kind, id, word
        return None
    try:
        return Channel(Subject(_KIND_OF[parts[0]], checked_id(parts[1].decode())), _COMPLETE[parts[2]])
    except (InvalidIdError, UnicodeDecodeError):
        return None


class StatusChannels:
    """Hears every message.

    Args:
        url: redis://, rediss:// or unix://.
        on_message: called with the channel and what was said; must not block.
        on_subscribed: called when every message is heard from now on.
        on_cut: called when that is not so: it has ended, or could not begin.
    """

    def __init__(
        self,
        url: str,
        on_message: Callable[[Channel, bytes], None],
        on_subscribed: Callable[[], None],
        on_cut: Callable[[], None],
    ) -> None:
        self._url = url
        self._on_message = on_message
        self._on_subscribed = on_subscribed
        self._on_cut = on_cut
        self._name = ClientName("fantail-status")
        self._asked = False
        self._told = ""

    async def run(self) -> None:
        """Listens for ever."""
        backoff = Backoff()
        while True:
            try:
                await self._listen(backoff)
            except (RedisError, OSError, RuntimeError) as error:  # uvloop's closed transport raises a bare RuntimeError
                cause = str(error) or type(error).__name__
                if cause != self._told:  # each cause once, not at every attempt
                    self._told = cause
                    logger.warning("the status channels are cut: %s", cause)
                self._on_cut()
                await anyio.sleep(backoff.next_s(refused=is_refusal(error)))

    async def _listen(self, backoff: Backoff) -> None:
        connection: AbstractConnection | None = None
        try:
            with anyio.fail_after(REDIS_TIMEOUT_S):
                connection = await opened(self._url, self._name, protocol=2)
                await self._subscribe(connection)
            backoff.reset()
            if self._told:
                self._told = ""
                logger.info("the status channels are heard again")
            self._on_subscribed()
            self._asked = False
            while True:
                for _ in range(MESSAGES_IN_A_ROW_MAX):
                    await self._hear(connection)
                await anyio.lowlevel.checkpoint()  # what has arrived already is heard without any wait
        finally:
            if connection is not None:
                with anyio.CancelScope(shield=True):
                    await connection.disconnect(nowait=True)

    async def _subscribe(self, connection: AbstractConnection) -> None:
        await connection.send_command("PSUBSCRIBE", *PATTERNS, check_health=False)
        for _ in PATTERNS:
            await connection.read_response()

    async def _hear(self, connection: AbstractConnection) -> None:
        heard: Any = await connection.read_response(timeout=PUBSUB_PING_S)
        if heard is None:
            if self._asked:
                raise TimeoutError("no sign of life")
            self._asked = True
            await connection.send_command("PING", check_health=False)
            return
        self._asked = False
        if heard[0] == b"pmessage":
            channel = channel_of(heard[2])
            if channel is not None:
                self._on_message(channel, heard[3])
