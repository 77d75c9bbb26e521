"""One connection to Redis, asked in pipelined round trips.

What for: a source must know exactly how many connections it has and which commands go over each in which order.
Redis answers the commands of one connection one after another, so "hash first, then list" in one `ask` is a promise.

What holds:
  - Replies come in the order of the commands, or none of them does: after any trouble the connection is dropped, so
    that a late reply never answers a later question.
  - `ask` takes no longer than `timeout_s`, connecting included.
  - An error that concerns one key only (WRONGTYPE, NOSCRIPT) is a value among the replies. Every other means that
    Redis cannot serve us now, and raises.
  - An error that speaks of the server's role or state (READONLY, MASTERDOWN, …) also closes the connection, and the
    question is asked once more on a new one: the address may lead to another server by now.

redis-py makes the connection (addresses, TLS, log-in, RESP), parses it with hiredis, and retries nothing.
Decided against: its client and pool, which choose a connection for each command, retry by themselves and read every
reply under a timer of its own; MULTI, which a cluster refuses.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.exceptions import AuthenticationError, NoScriptError, RedisError, ResponseError

from fantail.broker.errors import SourceUnavailableError
from fantail.broker.limits import OPTIONAL_CUTS_MAX, OPTIONAL_REPLY_S, REDIS_CONNECT_TIMEOUT_S, REDIS_TIMEOUT_S
from fantail.broker.sources.redis.address import read_address
from fantail.broker.sources.redis.replies import is_role_error

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
        self._name = ClientName(name)
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
                if not was_open or not self._may_repeat(commands, error.__cause__):
                    raise
            return await self._exchange(commands)

    async def close(self) -> None:
        """Ends the connection; the next `ask` makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await _ended(connection)

    def _may_repeat(self, commands: Sequence[Command], cause: BaseException | None) -> bool:
        if self._repeats:
            return not isinstance(cause, TimeoutError)
        return len(commands) == 1 and is_role_error(cause)  # which says that it was not carried out

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
        errors = [reply for reply in replies if isinstance(reply, ResponseError) and not _concerns_one_key(reply)]
        if not errors:
            return replies
        role_error = next(filter(is_role_error, errors), None)
        if role_error is not None:
            await self.close()
        raise unavailable() from (role_error or errors[0])

    async def _open(self) -> AbstractConnection:
        if self._connection is not None:
            if not await self._connection.can_read():
                return self._connection
            await self.close()  # it was ended at the other end, or has something to say that nobody asked for
        self._connection = await opened(self._url, self._name, protocol=2)
        return self._connection


def unavailable() -> SourceUnavailableError:
    """What callers are told; the cause says what really happened."""
    return SourceUnavailableError("Redis does not answer")


def is_refusal(error: BaseException | None) -> bool:
    """Whether Redis answered and wants other credentials."""
    return isinstance(error, AuthenticationError)


@dataclass(slots=True)
class ClientName:
    """The name of connections in CLIENT LIST, and whether the server cuts those that ask for one."""

    text: str
    refused: bool = False


async def opened(url: str, name: ClientName, *, protocol: int) -> AbstractConnection:
    """A new connection: logged in, and named for CLIENT LIST.

    The name is optional. A server or proxy may refuse it by an error, by silence or by cutting the connection; in the
    latter cases, a cut being tried twice, another connection is made without it. If that one answers, `name.refused` is
    set and no later connection asks. Sets no other bound on time after the connecting itself.

    Raises:
        ValueError: see `connection_to`.
        RedisError, OSError, RuntimeError: there is no server, or it does not take us.
    """
    for _ in range(0 if name.refused else OPTIONAL_CUTS_MAX):
        connection = await _connected(url, protocol)
        try:
            with anyio.fail_after(OPTIONAL_REPLY_S):
                await _asked(connection, "CLIENT", "SETNAME", name.text)
        except BaseException as error:
            await _ended(connection)
            if not isinstance(error, RedisError | OSError | RuntimeError):
                raise
            if isinstance(error, TimeoutError):
                break
        else:
            return connection
    connection = await _connected(url, protocol)
    if not name.refused:
        try:
            await _asked(connection, "PING")
        except BaseException:
            await _ended(connection)
            raise
        name.refused = True
        log.info("Redis takes no names of connections; they go without")
    return connection


async def answers(url: str) -> bool:
    """Whether a plain connection can be made to a server, and is answered; within `REDIS_CONNECT_TIMEOUT_S`."""
    try:
        with anyio.fail_after(REDIS_CONNECT_TIMEOUT_S):
            connection = await _connected(url, 2)
            try:
                return not isinstance(await _asked(connection, "PING"), ResponseError)
            finally:
                await _ended(connection)
    except (RedisError, OSError, RuntimeError):
        return False


async def _connected(url: str, protocol: int) -> AbstractConnection:
    connection = connection_to(url, protocol=protocol)
    try:
        await connection.connect()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
    except BaseException:
        await _ended(connection)
        raise
    return connection


async def _ended(connection: AbstractConnection) -> None:
    with anyio.CancelScope(shield=True):
        await connection.disconnect(nowait=True)


async def _asked(connection: AbstractConnection, *words: str) -> Any:
    await connection.send_command(*words, check_health=False)
    return await _reply(connection)


async def _reply(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response(timeout=math.inf)
    except ResponseError as error:
        return error


def _concerns_one_key(error: ResponseError) -> bool:
    # Redis 6 says it inside a sentence of its own where a script met the key.
    return isinstance(error, NoScriptError) or "WRONGTYPE" in str(error)
