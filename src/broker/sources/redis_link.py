"""One connection to Redis, asked in pipelined round trips.

What for: a source must know exactly how many connections it has and which commands go over each in which order.
Redis answers the commands of one connection one after another, so "hash first, then list" in one `ask` is a promise.

What holds:
  - Replies come in the order of the commands, or none of them does: after any trouble the connection is dropped, so
    that a late reply never answers a later question.
  - `ask` takes no longer than `timeout_s`, connecting included.
  - An error that concerns one key only (WRONGTYPE, NOSCRIPT) is a value among the replies. Every other means that
    Redis cannot serve us now, and raises.

redis-py makes the connection (addresses, TLS, log-in, RESP), parses it with hiredis, and retries nothing.
Decided against: its client and pool, which choose a connection for each command, retry by themselves and read every
reply under a timer of its own; MULTI, which a cluster refuses.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.exceptions import AuthenticationError, NoScriptError, RedisError, ResponseError

from broker.errors import SourceUnavailableError
from broker.limits import REDIS_CONNECT_TIMEOUT_S, REDIS_TIMEOUT_S
from broker.sources.redis_address import read_address

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger("fantail.sources.redis")

Command: TypeAlias = "tuple[str | bytes | int, ...]"


def connection_to(url: str, *, protocol: int) -> AbstractConnection:
    """An unconnected connection to an address, without any retry or time-out of its own but that for connecting.

    Raises:
        WrongRedisAddressError: the address is malformed, or has an option that is not understood.
    """
    settings: dict[str, Any] = dict(parse_url(read_address(url).url))
    kind: type[AbstractConnection] = settings.pop("connection_class", Connection)
    settings |= {
        "socket_timeout": None,
        "socket_connect_timeout": REDIS_CONNECT_TIMEOUT_S,
        "health_check_interval": 0,
        "protocol": protocol,
        "driver_info": None,
    }
    return kind(**settings)


class RedisLink:
    """One connection, made at the first `ask` and again after each trouble.

    Args:
        url: redis://, rediss:// or unix://.
        name: shown by CLIENT LIST.
        timeout_s: for one `ask`, connecting included.
        repeats: whether a question that found its old connection cut is asked once more on a new one. Only for
            commands that may be carried out twice.
    """

    def __init__(self, url: str, *, name: str, timeout_s: float = REDIS_TIMEOUT_S, repeats: bool = True) -> None:
        self._url = url
        self._name = name
        self._timeout_s = timeout_s
        self._repeats = repeats
        self._connection: AbstractConnection | None = None
        self._lock = anyio.Lock()

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Sends the commands together and returns their replies, each bytes, int, None, a list, or a ResponseError.

        A cancelled call drops the connection: its replies would answer the next one.

        Raises:
            SourceUnavailableError: Redis does not answer, or not us.
        """
        async with self._lock:
            was_open = self._connection is not None
            try:
                return await self._exchange(commands)
            except SourceUnavailableError as error:
                if not (was_open and self._repeats) or isinstance(error.__cause__, TimeoutError):
                    raise
            return await self._exchange(commands)

    async def close(self) -> None:
        """Ends the connection; the next `ask` makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with anyio.CancelScope(shield=True):
                await connection.disconnect(nowait=True)

    async def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        try:
            with anyio.fail_after(self._timeout_s):
                connection = await self._open()
                await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
                replies = [await _reply(connection) for _ in commands]
        except (RedisError, OSError, RuntimeError) as error:  # uvloop's closed transport raises a bare RuntimeError
            await self.close()
            raise unavailable() from error
        except BaseException:
            await self.close()
            raise
        for reply in replies:
            if isinstance(reply, ResponseError) and not _concerns_one_key(reply):
                raise unavailable() from reply
        return replies

    async def _open(self) -> AbstractConnection:
        if self._connection is not None:
            if not await self._connection.can_read():
                return self._connection
            await self.close()  # it was ended at the other end, or has something to say that nobody asked for
        self._connection = connection = connection_to(self._url, protocol=2)
        await open_as(connection, self._name)
        return connection


def unavailable() -> SourceUnavailableError:
    """What callers are told; the cause says what really happened."""
    return SourceUnavailableError("Redis does not answer")


def is_refusal(error: BaseException | None) -> bool:
    """Whether Redis answered and wants other credentials."""
    return isinstance(error, AuthenticationError)


async def open_as(connection: AbstractConnection, name: str) -> None:
    """Connects, logs in, and names the connection for CLIENT LIST.

    A server or an ACL that refuses the name is no trouble. Sets no bound of its own on the time after the connecting
    itself; a cancelled call leaves the connection to be disconnected.

    Raises:
        RedisError, OSError: there is no server, or it does not take us.
    """
    await connection.connect()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
    await connection.send_command("CLIENT", "SETNAME", name, check_health=False)
    await _reply(connection)


async def _reply(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response(timeout=math.inf)
    except ResponseError as error:
        return error


def _concerns_one_key(error: ResponseError) -> bool:
    # Redis 6 says it inside a sentence of its own where a script met the key.
    return isinstance(error, NoScriptError) or "WRONGTYPE" in str(error)
