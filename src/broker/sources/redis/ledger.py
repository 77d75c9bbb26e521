"""RedisLedger: writes the truth into Redis, where it comes back from like anybody's.

Each change is one script, so it happens whole or not at all and no reader sees half of it (trap 40). An append that
names the length it expects happens at most once, however often its reply is lost (trap 41): nothing here is repeated
by itself.

Creating and deleting a job take all its keys in that step, its place in its user's index (`jobs:user:*`) too. What is
left of an earlier job of the same id may be another user's, so it is deleted before the new one can be seen (trap 50).
"""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson
from redis.exceptions import NoScriptError

from fantail.broker.errors import AlreadyExistsError, LengthMismatchError, NotFoundError, SourceUnavailableError
from fantail.broker.jobs import JOB, checked_id, number
from fantail.broker.limits import JOB_TTL_S
from fantail.broker.sources.redis.connection import RedisLink, unavailable
from fantail.broker.sources.redis.keys import has_lease, index_key, output_key, parse_patterns, side_keys
from fantail.broker.sources.redis.replies import is_unsupported
from fantail.broker.sources.redis.tailer import TABLE_PATTERNS
from fantail.broker.tables import ChangeKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fantail.broker.broker import Broker
    from fantail.broker.documents.json_patch import JsonValue
    from fantail.broker.sources.redis.connection import Command
    from fantail.broker.tables import DatabaseChange


log = logging.getLogger("fantail.sources.redis")


@dataclass(frozen=True, slots=True)
class _Script:
    text: str

    @property
    def digest(self) -> str:
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


# KEYS: hash, its user's index if there is one, a job's output if it is one. ARGV: TTL in ms (0: none), the score in the
# index (empty: there is none), the id, how many further keys with content there may be, those, then names and values.
# Returns 0 where the hash exists already. (UNLINK is not the first write: after one that needs no memory, a script may
# write however full Redis is. Further keys that an ACL keeps from us stay as they are.)
_CREATE: Final = _Script("""
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local content = 2
if ARGV[2] ~= '' then
  redis.call('ZADD', KEYS[2], ARGV[2], ARGV[3])
  content = 3
end
local further = 4 + tonumber(ARGV[4])
redis.call('HSET', KEYS[1], unpack(ARGV, further + 1))
if #KEYS >= content then redis.call('UNLINK', KEYS[content]) end
for i = 5, further do redis.pcall('UNLINK', ARGV[i]) end
if ARGV[1] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 1
""")

# KEYS: hash, list. ARGV: TTL in ms, the length expected (-1: any), the created_at and the owner that the job must have,
# each behind a "=" (empty: any), the entries. Returns whether it was written, and the length before; -1 where there is
# no such job. (A job's TTL is never made shorter than it is, nor given to one without.)
_APPEND: Final = _Script("""
if redis.call('EXISTS', KEYS[1]) == 0 then return {0, -1} end
for i, names in ipairs({{'created_at', 'createdAt'}, {'user_id', 'userId'}}) do
  local found = redis.call('HMGET', KEYS[1], unpack(names))
  local value = found[1] or ''
  if value == '' then value = found[2] or '' end
  if ARGV[2 + i] ~= '' and ARGV[2 + i] ~= '=' .. value then return {0, -1} end
end
local length = redis.call('LLEN', KEYS[2])
if ARGV[2] ~= '-1' and length ~= tonumber(ARGV[2]) then return {0, length} end
if #ARGV > 4 then
  for i = 5, #ARGV, 4096 do redis.call('RPUSH', KEYS[2], unpack(ARGV, i, math.min(i + 4095, #ARGV))) end
  for i = 1, 2 do
    local left = redis.call('PTTL', KEYS[i])
    if left < tonumber(ARGV[1]) and (left >= 0 or i == 2) then redis.call('PEXPIRE', KEYS[i], ARGV[1]) end
  end
end
return {1, length}
""")

# KEYS: hash. ARGV: TTL in ms (0: as it is), the id of a job whose user's index is kept (empty: none is), how many
# members to set, names and values, names to remove. Returns 0 where there is no hash. (A hash whose last member is
# removed is gone, so what is to be set is set first.)
_UPDATE: Final = _Script("""
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local function owner()
  for _, name in ipairs({'user_id', 'userId'}) do
    local value = redis.call('HGET', KEYS[1], name)
    if value and value ~= '' then return value end
  end
  return ''
end
local before = owner()
local set = 2 * tonumber(ARGV[3])
if set > 0 then redis.call('HSET', KEYS[1], unpack(ARGV, 4, 3 + set)) end
if #ARGV > 3 + set then redis.call('HDEL', KEYS[1], unpack(ARGV, 4 + set)) end
local left = redis.call('PTTL', KEYS[1])
if ARGV[1] ~= '0' and left >= 0 and left < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
local after = owner()
if ARGV[2] ~= '' and after ~= before then
  local score = tonumber(redis.call('HGET', KEYS[1], 'created_at') or '') or 0
  if before ~= '' then redis.pcall('ZREM', 'jobs:user:' .. before, ARGV[2]) end
  if after ~= '' then redis.pcall('ZADD', 'jobs:user:' .. after, score, ARGV[2]) end
end
return 1
""")

# KEYS: hash, output. ARGV: the id, then the other keys of a job. Returns 0 where there was no hash; what was left is
# deleted, but for keys that an ACL keeps from us.
_DELETE: Final = _Script("""
local existed = redis.call('EXISTS', KEYS[1])
for _, owner in pairs(redis.call('HMGET', KEYS[1], 'user_id', 'userId')) do
  if owner and owner ~= '' then redis.pcall('ZREM', 'jobs:user:' .. owner, ARGV[1]) end
end
redis.call('UNLINK', unpack(KEYS))
for i = 2, #ARGV do redis.pcall('UNLINK', ARGV[i]) end
return existed
""")

_TTL_MS: Final = JOB_TTL_S * 1000
_ANY_LENGTH: Final = -1


class RedisLedger:
    """A `Ledger` whose truth is in Redis.

    Args:
        broker: not used; ledgers are made with one.
        url: as `RedisTailer`.
        table_patterns: as `RedisTailer`.

    Raises:
        ValueError: a pattern is malformed.
    """

    def __init__(self, broker: Broker, url: str, table_patterns: Mapping[str, str] = TABLE_PATTERNS) -> None:
        del broker
        self._link = RedisLink(url, name="fantail-ledger", repeats=False)
        self._by_digest = True
        self._told: type[BaseException] | None = None
        self._patterns = {pattern.table: pattern for pattern in parse_patterns(table_patterns)}

    async def aclose(self) -> None:
        """See `Ledger`."""
        await self._link.close()

    async def create_job(self, job_id: str, fields: Mapping[str, str]) -> None:
        """See `Ledger`."""
        key = JOB.prefix + checked_id(job_id)
        stored = {"created_at": str(time.time_ns() // 1_000_000), **fields}
        if not await self._create(key, job_id, stored, _TTL_MS):
            raise AlreadyExistsError(f"job {job_id}")

    async def append_output(
        self,
        job_id: str,
        entries: Sequence[bytes],
        expected: int | None = None,
        *,
        where: Mapping[str, str] | None = None,
    ) -> int:
        """See `Ledger`. Redis serves nobody else meanwhile, so more than a few thousand entries are better cut up."""
        key = JOB.prefix + checked_id(job_id)
        conditions = {} if where is None else {name: f"={value}" for name, value in where.items()}
        arguments: list[str | bytes | int] = [
            _TTL_MS,
            _ANY_LENGTH if expected is None else expected,
            conditions.get("created_at", ""),
            conditions.get("user_id", ""),
            *entries,
        ]
        written, length = await self._run(_APPEND, [key, f"{key}:output"], arguments)
        if length < 0:
            raise NotFoundError(f"job {job_id}")
        if not written:
            raise LengthMismatchError(expected or 0, length)
        return int(length)

    async def update_job(self, job_id: str, fields: Mapping[str, str | None]) -> None:
        """See `Ledger`."""
        if not await self._update(JOB.prefix + checked_id(job_id), job_id, fields, _TTL_MS):
            raise NotFoundError(f"job {job_id}")

    async def delete_job(self, job_id: str) -> None:
        """See `Ledger`."""
        if not await self._delete(JOB.prefix + checked_id(job_id), job_id):
            raise NotFoundError(f"job {job_id}")

    async def change_table(self, change: DatabaseChange) -> None:
        """See `Ledger`."""
        pattern = self._patterns.get(change.table)
        if pattern is None:
            raise NotFoundError(f"table {change.table}")
        key = pattern.key_of(checked_id(change.id))
        data = {name: None if value is None else _text(value) for name, value in (change.data or {}).items()}
        match change.operation:
            case ChangeKind.INSERT:
                row = {name: value for name, value in data.items() if value is not None}
                if not await self._create(key, change.id, row, 0):
                    raise AlreadyExistsError(f"row {change.id}")
            case ChangeKind.UPDATE:
                if not await self._update(key, change.id, data, 0):
                    raise NotFoundError(f"row {change.id}")
            case ChangeKind.DELETE:
                if not await (self._delete(key, change.id) if has_lease(key) else self._ask(("UNLINK", key))):
                    raise NotFoundError(f"row {change.id}")

    async def _create(self, key: str, row_id: str, fields: Mapping[str, str], ttl_ms: int) -> bool:
        """Creates a row, and with a job's row its place in its user's index; returns False where there is one."""
        user, score = fields.get("user_id"), ""
        keys, further = [key], []
        if user and key.startswith(JOB.prefix):
            keys.append(index_key(user))
            score = str(number(fields.get("created_at")) or 0)
        if has_lease(key):
            keys.append(output_key(key))
            further = side_keys(key)
        values = _flat({**fields, "id": row_id})
        return bool(await self._run(_CREATE, keys, [ttl_ms, score, row_id, len(further), *further, *values]))

    async def _delete(self, key: str, job_id: str) -> bool:
        """Deletes all keys of a job; returns whether there was a job."""
        return bool(await self._run(_DELETE, [key, output_key(key)], [job_id, *side_keys(key), f"{key}:lease"]))

    async def _update(self, key: str, row_id: str, fields: Mapping[str, str | None], ttl_ms: int) -> bool:
        kept = {name: value for name, value in fields.items() if value is not None}
        removed = [name for name, value in fields.items() if value is None]
        indexed = row_id if key.startswith(JOB.prefix) else ""
        return bool(await self._run(_UPDATE, [key], [ttl_ms, indexed, len(kept), *_flat(kept), *removed]))

    async def _run(self, script: _Script, keys: Sequence[str], arguments: Sequence[str | bytes | int]) -> Any:
        rest = (len(keys), *keys, *arguments)
        if self._by_digest:
            try:
                reply = await self._ask(("EVALSHA", script.digest, *rest))
            except SourceUnavailableError as error:
                if not is_unsupported(error.__cause__):
                    raise
                self._by_digest = False  # it may be EVALSHA alone that this user may not send
            else:
                if not isinstance(reply, NoScriptError):
                    return reply
        return await self._ask(("EVAL", script.text, *rest))

    async def _ask(self, command: Command) -> Any:
        try:
            (reply,) = await self._link.ask([command])
            if isinstance(reply, Exception) and not isinstance(reply, NoScriptError):
                raise unavailable() from reply
        except SourceUnavailableError as error:
            self._tell(error.__cause__ or error)
            raise
        if self._told is not None:
            self._told = None
            log.info("Redis takes what is written again")
        return reply

    def _tell(self, cause: BaseException) -> None:
        """Once for each kind of trouble: reading may go on well where writing is refused, so nobody else says it."""
        if self._told is not type(cause):
            self._told = type(cause)
            # What Redis says of a command that it does not know ends with the first of its arguments.
            said = str(cause).partition(", with args")[0]
            log.warning("Redis does not take what is written (%s)", said or "no reply in time")


def _flat(fields: Mapping[str, str]) -> list[str]:
    return [word for item in fields.items() for word in item]


def _text(value: JsonValue) -> str:
    """A member of a row as a hash has it: text, or the JSON of what is none."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
