"""How Redis itself wakes us: invalidations of client-side caching, in broadcast mode, on one RESP3 connection.

`CLIENT TRACKING ON BCAST PREFIX job: … NOLOOP` (Redis 6 and later, Valkey) has the server push the name of every
changed, expired or evicted key under a prefix, several in one message when much happens. It keeps no table for it and
needs no configuration, unlike keyspace notifications. A push says that a key changed, never how: it only marks.

What holds: `on_mode(TRACKING)` is called after the server has confirmed, so whoever then reads everything misses
nothing; whatever ends the connection is followed by another mode first. A connection that says nothing is asked for a
sign of life and given up when none comes.

Where tracking is refused (an old server, an ACL, a proxy that does not know RESP3, also one that answers by cutting the
connection or not at all) the mode is POLLING, and we ask again once a minute.

Replies and pushes share the connection, in order: when a PING is answered, every change made before it was sent has
been pushed. `caught_up` uses that.
"""

from __future__ import annotations

import logging
from collections import deque
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import anyio
from redis.exceptions import RedisError, ResponseError

from fantail.broker.limits import OPTIONAL_CUTS_MAX, REDIS_TIMEOUT_S, TRACKING_PING_S, TRACKING_RETRY_S
from fantail.broker.sources.backoff import Backoff
from fantail.broker.sources.redis.connection import ClientName, answers, is_refusal, opened
from fantail.broker.sources.redis.replies import is_role_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis.asyncio.connection import AbstractConnection

log = logging.getLogger("fantail.sources.redis")

_PUSHED: Final = object()


class Mode(StrEnum):
    """How changes are learnt of."""

    CONNECTING = "connecting"
    TRACKING = "tracking"
    POLLING = "polling"


class TrackingRefusedError(Exception):
    """The server answers, and does not push."""


class RedisTracking:
    """Follows the changes of all keys under some prefixes.

    Args:
        url: as `RedisLink`.
        prefixes: none of them a prefix of another; one empty prefix means every key.
        on_keys: called with the names of keys that changed; None: any key may have (FLUSHALL). Must not block or raise.
        on_mode: called at each change of mode.
        timeout_s: for connecting, and for the sign of life.
    """

    def __init__(
        self,
        url: str,
        prefixes: Sequence[str],
        on_keys: Callable[[Sequence[bytes] | None], None],
        on_mode: Callable[[Mode], None],
        timeout_s: float = REDIS_TIMEOUT_S,
    ) -> None:
        self._url = url
        self._prefixes = prefixes
        self._on_keys = on_keys
        self._on_mode = on_mode
        self._timeout_s = timeout_s
        self._name = ClientName("fantail-tracking")
        self._turned_on = False
        self._cuts = 0
        self._connection: AbstractConnection | None = None
        self._pings: deque[anyio.Event] = deque()

    async def run(self) -> None:
        """Follows for ever."""
        backoff = Backoff()
        while True:
            try:
                await self._follow(backoff)
            except TrackingRefusedError as error:
                await self._poll_instead(str(error))
            except (RedisError, OSError, RuntimeError) as error:
                self._on_mode(Mode.CONNECTING)
                if await self._was_refused_by(error):
                    await self._poll_instead("it cuts the connection, or does not answer")
                else:
                    await anyio.sleep(backoff.next_s(refused=is_refusal(error)))

    async def caught_up(self) -> None:
        """Waits until every change made before this call has been pushed; not at all where nothing is pushed.

        Bounded by the time after which a silent connection is given up.
        """
        if self._connection is not None:
            try:
                answered = await self._ping(self._connection)
            except (RedisError, OSError, RuntimeError):
                return  # whoever listens finds out too, and everything is read afresh
            await answered.wait()

    async def _poll_instead(self, why: str) -> None:
        log.warning("Redis refuses client tracking (%s); polling instead", why)
        self._on_mode(Mode.POLLING)
        await anyio.sleep(TRACKING_RETRY_S)

    async def _was_refused_by(self, error: Exception) -> bool:
        """Whether a connection that was lost while tracking was turned on was lost because of that."""
        if self._turned_on or is_refusal(error) or isinstance(error, ResponseError) or not await answers(self._url):
            self._cuts = 0
            return False
        self._cuts += 1
        return self._cuts >= OPTIONAL_CUTS_MAX

    async def _follow(self, backoff: Backoff) -> None:
        self._turned_on = False
        connection: AbstractConnection | None = None
        try:
            with anyio.fail_after(self._timeout_s):
                connection = await self._turn_on()
            self._turned_on = True
            backoff.reset()
            self._on_mode(Mode.TRACKING)
            await self._listen(connection)
        finally:
            self._connection = None
            while self._pings:
                self._pings.popleft().set()
            if connection is not None:
                with anyio.CancelScope(shield=True):
                    await connection.disconnect(nowait=True)

    async def _turn_on(self) -> AbstractConnection:
        """A connection on which Redis has confirmed tracking."""
        connection: AbstractConnection | None = None
        try:
            connection = await opened(self._url, self._name, protocol=3)
            # redis-py drops invalidations unless they have a handler, and offers no public way to set one.
            parser: Any = connection._parser  # noqa: SLF001
            parser.set_invalidation_push_handler(self._take)
            words = [word for prefix in self._prefixes if prefix for word in ("PREFIX", prefix)]
            await connection.send_command("CLIENT", "TRACKING", "ON", "BCAST", *words, "NOLOOP", check_health=False)
            await connection.read_response()
        except BaseException as error:
            if connection is not None:
                with anyio.CancelScope(shield=True):
                    await connection.disconnect(nowait=True)
            if isinstance(error, ResponseError) and not is_role_error(error):
                raise TrackingRefusedError(str(error)) from error
            raise
        return connection

    async def _listen(self, connection: AbstractConnection) -> None:
        self._connection = connection
        silence_s = min(TRACKING_PING_S, self._timeout_s)
        while True:
            heard: Any = await connection.read_response(push_request=True, timeout=silence_s)
            if heard is _PUSHED:
                continue
            if heard is not None:
                self._pings.popleft().set()
            elif self._pings:
                raise TimeoutError("the tracking connection is silent")
            else:
                await self._ping(connection)

    async def _ping(self, connection: AbstractConnection) -> anyio.Event:
        answered = anyio.Event()
        self._pings.append(answered)
        await connection.send_command("PING", check_health=False)
        return answered

    async def _take(self, push: Sequence[Any]) -> object:
        self._on_keys(push[1])
        return _PUSHED
