"""One job's keys in Redis, as its producer writes them (PROTOCOL.md, section R).

    job:{id}           hash    metadata and status; a TTL of a day, refreshed while the job is written
    job:{id}:output    list    one entry for each line; the same TTL, set with the first entry
    job:{id}:lease     string  who writes it; gone 30 s after its writer
    jobs:user:{user}   zset    the user's jobs by their time of creation

What holds:
- A job is created by one script, whose HSET carries its owner and its status, so that no one ever sees a row that is
  nobody's (trap 40), and which deletes output and diff that an earlier job of that id left behind (trap 50). Its
  lease is taken before that, so that it is never seen without one; `lease_s` in the hash says that it had one (trap
  46).
- An append is one script: the list's end is compared and the entries are pushed in one step. The client library's own
  retry is switched off: it would push once more after a lost reply (trap 41).
- Every other write can be repeated without harm.

No function here waits longer than the time-outs of one command, and none tries again: that is the writer's business.
All raise redis-py's exceptions. A script touches the keys of one job only.

Decided against: WATCH and MULTI for the append (three round trips where this has one), and trimming `jobs:user:*`
here (other producers keep jobs in it that have no TTL).
"""

from __future__ import annotations

import hashlib
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, cast

import anyio
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from fantail.broker.errors import AlreadyExistsError
from fantail.broker.jobs import JOB, checked_id, number
from fantail.broker.limits import (
    JOB_TTL_S,
    LEASE_S,
    OPTIONAL_REPLY_S,
    REDIS_CONNECT_TIMEOUT_S,
    REDIS_TIMEOUT_S,
    TAIL_COMPARED,
)
from fantail.broker.producers.writer.append_window import Seen
from fantail.broker.sources.redis.address import read_address
from fantail.broker.sources.redis.keys import index_key, side_keys
from fantail.broker.sources.redis.replies import is_role_error, is_unsupported

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

# KEYS: the list, the hash. ARGV: the length that the list must have, the SHA-1 of the entry it must end with, its TTL
# in ms, the created_at that the hash must have (another one is another job of the same id), the entries (none: only
# compare). Returns whether the conditions held.
_APPEND: Final = """
if redis.call('HGET', KEYS[2], 'created_at') ~= ARGV[4] then return 0 end
local length = redis.call('LLEN', KEYS[1])
if length ~= tonumber(ARGV[1]) then return 0 end
if length > 0 and redis.sha1hex(redis.call('LINDEX', KEYS[1], -1)) ~= ARGV[2] then return 0 end
if #ARGV > 4 then
  redis.call('RPUSH', KEYS[1], unpack(ARGV, 5))
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return 1
"""

# KEYS: the hash, the output, the new owner's index if there is one. ARGV: the owner that the hash must name (empty:
# none), its TTL in ms, the score in the index (empty: there is none), the id, how many further keys are deleted (-1:
# neither are they nor the output), those, then names and values. Returns 0 and writes nothing where the hash names
# another owner. Content without a hash was left behind by an earlier job, maybe another user's, so it is deleted;
# further keys that an ACL keeps from this runner stay as they are.
_OPEN: Final = """
local exists = redis.call('EXISTS', KEYS[1]) == 1
if exists then
  local owners = redis.call('HMGET', KEYS[1], 'user_id', 'userId')
  local owner = owners[1] or ''
  if owner == '' then owner = owners[2] or '' end
  if owner ~= ARGV[1] then return 0 end
end
if ARGV[3] ~= '' then redis.call('ZADD', KEYS[3], ARGV[3], ARGV[4]) end
local further = tonumber(ARGV[5])
redis.call('HSET', KEYS[1], unpack(ARGV, 6 + math.max(further, 0)))
if not exists and further >= 0 then
  redis.call('UNLINK', KEYS[2])
  for i = 6, 5 + further do redis.pcall('UNLINK', ARGV[i]) end
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""

# KEYS: the hash. ARGV: the id of a server process (empty: any), the TTL in ms, the created_at that the hash must have,
# then names and values. Writes nothing and returns 0 where another process answers, where the hash is another job's, or
# there is none: half of one, without its owner, would be everyone's.
_UPDATE: Final = """
local server = redis.pcall('INFO', 'server')
if type(server) == 'string' and not string.find(server, ARGV[1], 1, true) then return 0 end
if redis.call('HGET', KEYS[1], 'created_at') ~= ARGV[3] then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""


# KEYS: the list. ARGV: how many of its last entries. Returns its length and those, as they are in one moment.
_LOOK: Final = """
return {redis.call('LLEN', KEYS[1]), redis.call('LRANGE', KEYS[1], -tonumber(ARGV[1]), -1)}
"""


class Script:
    """A script, called by its digest where the server lets us, and by its text otherwise."""

    def __init__(self, client: Redis, text: str) -> None:
        self._client = client
        self._text = text
        self._digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self._by_text = False

    async def __call__(self, keys: Sequence[str], *arguments: str | bytes | int) -> Any:
        """Runs it."""
        rest = (*keys, *arguments)
        if not self._by_text:
            try:
                return await _reply(self._client.evalsha(self._digest, len(keys), *rest))
            except NoScriptError:
                pass
            except ResponseError as error:
                if not is_unsupported(error):
                    raise
                self._by_text = True
        return await _reply(self._client.eval(self._text, len(keys), *rest))


class JobTakenError(AlreadyExistsError):
    """Another producer writes this job, or it belongs to another user."""


class _NoRetry(Retry):
    """Repeats nothing, and closes a connection whose server says that it is not the one to write to now."""

    async def call_with_retry(self, do: Any, fail: Any, *_: Any, with_failure_count: bool = False, **__: Any) -> Any:
        try:
            return await do()
        except (RedisConnectionError, RedisTimeoutError, ResponseError) as error:
            if not isinstance(error, ResponseError) or is_role_error(error):
                await (fail(error, 1) if with_failure_count else fail(error))
            raise


@asynccontextmanager
async def connected(url: str, *, timeout_s: float = REDIS_TIMEOUT_S) -> AsyncIterator[Redis]:
    """A client that never repeats a command by itself; closed at the end, after a cancellation too.

    Args:
        url: redis://, rediss:// or unix://.
        timeout_s: after so many seconds without a reply the connection is given up.

    Raises:
        WrongRedisAddressError: the address is malformed, or has an option that is not understood.
    """
    client = Redis.from_url(
        read_address(url).url,
        retry=_NoRetry(NoBackoff(), 0),
        socket_timeout=timeout_s,
        socket_connect_timeout=min(timeout_s, REDIS_CONNECT_TIMEOUT_S),
        driver_info=None,  # CLIENT SETINFO, for which a proxy may cut the connection
        protocol=2,  # replies alone; pushes are for those who follow
    )
    try:
        yield client
    finally:
        with anyio.move_on_after(timeout_s, shield=True):
            await client.aclose()


class RedisJob:
    """The commands about one job; holds no state but its names."""

    def __init__(
        self,
        client: Redis,
        job_id: str,
        *,
        key_prefix: str = JOB.prefix,
        ttl_s: float = JOB_TTL_S,
        lease_s: float = LEASE_S,
    ) -> None:
        """Names a job.

        Raises:
            InvalidIdError: the id is outside the grammar.
        """
        self.id = checked_id(job_id)
        self.lease_s = lease_s
        self._client = client
        self._ttl_ms = int(ttl_s * 1000)
        self._hash = f"{key_prefix}{self.id}"
        self._output = f"{self._hash}:output"
        self._lease = f"{self._hash}:lease"
        self._created_at = ""
        self._append = Script(client, _APPEND)
        self._update = Script(client, _UPDATE)
        self._open = Script(client, _OPEN)
        self._look = Script(client, _LOOK)
        self._info_was_cut = False
        self._tells = True

    async def claim(self, writer: str) -> None:
        """Takes the lease, or keeps it where this writer has it already.

        Raises:
            JobTakenError: another writer has it; it is free `lease_s` after that one's end.
        """
        if await self._client.set(self._lease, writer, nx=True, px=self._lease_ms):
            return
        if await self._client.get(self._lease) == writer.encode():
            return
        raise JobTakenError(f"a running writer of job {self.id}")

    async def keep_lease(self, writer: str) -> None:
        """Refreshes the lease."""
        await self._client.set(self._lease, writer, px=self._lease_ms)

    async def release(self) -> None:
        """Gives the lease back. After the status is terminal: before, it would say that the writer died."""
        await self._client.delete(self._lease)

    async def fields(self) -> dict[str, str]:
        """The hash; empty where there is none."""
        stored = cast("Mapping[bytes, bytes]", await _reply(self._client.hgetall(self._hash)))
        return {name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, value in stored.items()}

    async def exists(self) -> bool:
        """Whether the hash exists, be it of another job of the same id."""
        return bool(await self._client.exists(self._hash))

    async def is_another(self) -> bool:
        """Whether the hash is that of a job that was created under this id after the job that `open` opened."""
        created_at = await _reply(self._client.hget(self._hash, "created_at"))
        return created_at is not None and created_at.decode("utf-8", "replace") != self._created_at

    async def open(self, owner: str, fields: Mapping[str, str], *, keep_content: bool = False) -> bool:
        """Creates the job, or takes it up, in one step, with its place in its user's index; refreshes its TTL.

        Args:
            owner: the user that the hash must name, if there is a hash; empty: it must name nobody.
            fields: names and values to set; `created_at` tells this job from others of the same id.
            keep_content: whether output and diff are kept if there is no hash. By default they are deleted: an earlier
                job of this id left them behind.

        Returns:
            Whether the owner was that one; if not, nothing was written.
        """
        self._created_at = fields["created_at"]
        pairs = [text for pair in fields.items() for text in pair]
        user = fields.get("user_id")
        index = [index_key(user)] if user else []
        score = str(number(self._created_at) or now_ms()) if user else ""
        further = [] if keep_content else side_keys(self._hash)
        conditions: list[str | int] = [owner, self._ttl_ms, score, self.id, -1 if keep_content else len(further)]
        return bool(await self._open([self._hash, self._output, *index], *conditions, *further, *pairs))

    async def update(self, fields: Mapping[str, str], server: str) -> bool:
        """Sets fields of the job that `open` opened, if it still exists, and refreshes the TTL.

        Args:
            fields: names and values.
            server: what `server` returned; another server process may have lost what that one confirmed.

        Returns:
            Whether it was so; if not, nothing was written.
        """
        pairs = [text for pair in fields.items() for text in pair]
        return bool(await self._update([self._hash], server, self._ttl_ms, self._created_at, *pairs))

    async def keep(self) -> None:
        """Refreshes the TTL of hash and output."""
        await self._client.pexpire(self._hash, self._ttl_ms)
        await self._client.pexpire(self._output, self._ttl_ms)

    async def append(self, length: int, last: bytes, entries: Sequence[bytes]) -> bool:
        """Pushes the entries if the list has that length and ends with that entry; without entries only compares.

        Returns:
            Whether it was so, and the hash is that of the job that `open` opened; if not, nothing was pushed.
        """
        ends_with = hashlib.sha1(last, usedforsecurity=False).hexdigest()
        conditions: list[str | bytes | int] = [length, ends_with, self._ttl_ms, self._created_at]
        return bool(await self._append([self._output, self._hash], *conditions, *entries))

    async def look(self, count: int = TAIL_COMPARED) -> Seen:
        """Reads the list's length and its last entries, in one step."""
        length, tail = await self._look([self._output], count)
        return Seen(int(length), list(tail))

    async def server(self) -> str:
        """The id of the server process that answers; another one may have lost what the last one confirmed.

        Empty where the server does not tell. Proxies that do not know INFO cut the connection, or say nothing: the
        second time in a row, if the server answers otherwise, that is taken for a refusal.
        """
        if not self._tells:
            return ""
        try:
            with anyio.fail_after(OPTIONAL_REPLY_S):
                info = cast("Mapping[str, Any]", await self._client.info("server"))
        except ResponseError as error:
            if is_role_error(error):
                raise
            return ""
        except (RedisConnectionError, RedisTimeoutError, TimeoutError):
            if not self._info_was_cut:
                self._info_was_cut = True
                raise
            await self.exists()  # raises where the server answers nothing at all
            self._tells = False
            return ""
        self._info_was_cut = False
        return str(info.get("run_id", ""))

    @property
    def _lease_ms(self) -> int:
        return int(self.lease_s * 1000)


def now_ms() -> int:
    """The time that goes into entries and fields: milliseconds since 1970 (UTC)."""
    return time.time_ns() // 1_000_000


async def _reply(pending: Any) -> Any:
    """redis-py types some replies as plain or awaitable, for both of its clients; this one awaits."""
    return await pending
