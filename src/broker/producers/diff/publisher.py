"""Writes a diff to Redis: one hash for each job, one field for each file (PROTOCOL.md, section R).

    job:{id}:diff    field = name of the file, value = its entry as JSON; a TTL of a day, refreshed
    job:{id}         lines_added, lines_removed: the sums over all entries

What holds:
- Whatever was written before, by this process or another, after a `publish` the hash holds the entries that were given,
  and no others. Every command may be repeated; after any doubt the whole is written again.
- What is sent is what changed, in one pipeline. It is no transaction: a reader of a half-written state sees files
  change one after the other, as they do.
- A job that was deleted stays deleted: files and sums are written only where its hash exists (trap 40: a row without an
  owner is everyone's), and its diff is deleted. If another job was created under its id, which `created_at` tells, that
  one's diff is left as it is (trap 50).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread
from redis.exceptions import RedisError

from fantail.broker.errors import SourceUnavailableError
from fantail.broker.jobs import JOB, checked_id
from fantail.broker.limits import DIFF_HSET_BYTES, DIFF_PUBLISH_TIMEOUT_S, JOB_TTL_S
from fantail.broker.masking.masker import known_rules, masked_patch, masked_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from redis.asyncio import Redis

    from fantail.broker.masking.rules import Rules
    from fantail.broker.producers.diff.entry import DiffEntry

# The first lines of each script. KEYS: the job's hash. ARGV: the created_at that it must have, if both are known.
_IF_SAME_JOB: Final = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local created_at = redis.call('HGET', KEYS[1], 'created_at') or ''
if ARGV[1] ~= '' and created_at ~= '' and created_at ~= ARGV[1] then return 0 end
"""

# ARGV: then lines added, lines removed. Returns whether it is the job.
_SUMS: Final = f"""{_IF_SAME_JOB}
redis.call('HSET', KEYS[1], 'lines_added', ARGV[2], 'lines_removed', ARGV[3])
return 1
"""

# KEYS: then the diff. ARGV: then how many fields are removed, those, and fields and values to set.
_FILES: Final = f"""{_IF_SAME_JOB}
local set = 3 + tonumber(ARGV[2])
for i = 3, set - 1, 4096 do redis.call('HDEL', KEYS[2], unpack(ARGV, i, math.min(i + 4095, set - 1))) end
for i = set, #ARGV, 4096 do redis.call('HSET', KEYS[2], unpack(ARGV, i, math.min(i + 4095, #ARGV))) end
return 1
"""

# KEYS: the job's hash, the diff, which is deleted if there is no such job.
_DROP: Final = """
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('DEL', KEYS[2]) end
"""


class DiffPublisher:
    """The diff of one job."""

    def __init__(
        self,
        client: Redis,
        job_id: str,
        *,
        key_prefix: str = JOB.prefix,
        ttl_s: float = JOB_TTL_S,
        rules: Rules | None = None,
    ) -> None:
        """Writes nothing yet.

        Args:
            client: of the Redis that has the job; replies as bytes. It stays the caller's.
            job_id: the job.
            key_prefix: of the job's keys.
            ttl_s: how long the diff stays after the last write.
            rules: what is masked in the patches; None: what looks like a secret by itself.

        Raises:
            InvalidIdError: the id is outside the grammar.
        """
        self._client = client
        self._job = f"{key_prefix}{checked_id(job_id)}"
        self._key = f"{self._job}:diff"
        self._ttl_ms = int(ttl_s * 1000)
        self._rules = rules or known_rules()
        self._masked: dict[str, tuple[DiffEntry, DiffEntry]] = {}
        self._written: dict[str, DiffEntry] | None = None
        self.job_gone = False
        """Whether the job's hash was missing, or another job's, when it was last looked for."""
        self._created_at = b""

    async def publish(self, entries: Mapping[str, DiffEntry], *, whole: bool = False) -> None:
        """Makes the hash hold these entries.

        Args:
            entries: by file.
            whole: write all of them, whatever was written before.

        Raises:
            SourceUnavailableError: Redis did not answer, or refused; nothing is known of what it holds now.
        """
        shown = await self._without_secrets(entries)
        try:
            with anyio.fail_after(DIFF_PUBLISH_TIMEOUT_S):
                await self._publish(shown, None if whole else self._written)
        except (RedisError, OSError, TimeoutError) as error:
            self._written = None
            raise SourceUnavailableError(f"Redis did not take the diff: {error}") from error

    async def _without_secrets(self, entries: Mapping[str, DiffEntry]) -> dict[str, DiffEntry]:
        """The entries as they are published; those that are as they were are not looked at again."""
        new = [entry for file, entry in entries.items() if self._masked.get(file, (None,))[0] != entry]
        if new:  # up to 16 MiB of patches: not on the event loop
            masked = await anyio.to_thread.run_sync(lambda: [masked_entry(entry, self._rules) for entry in new])
            self._masked |= {entry.file: (entry, shown) for entry, shown in zip(new, masked, strict=True)}
        self._masked = {file: self._masked[file] for file in entries}
        shown = {}
        for _, entry in self._masked.values():
            name = entry.file
            while name in shown:  # names that differ in their secrets alone
                name += "'"
            shown[name] = entry if name == entry.file else replace(entry, file=name)
        return shown

    async def _publish(self, entries: Mapping[str, DiffEntry], written: Mapping[str, DiffEntry] | None) -> None:
        self._written = None  # until it is known to be otherwise, also if this is cancelled
        if not self._created_at:
            self._created_at = await _reply(self._client.hget(self._job, "created_at")) or b""
        if written is None:
            there = set(await _reply(self._client.hkeys(self._key)))
            gone = there - {file.encode() for file in entries}
            changed = dict(entries)
        else:
            gone = {file.encode() for file in written.keys() - entries.keys()}
            changed = {file: entry for file, entry in entries.items() if written.get(file) != entry}
        kept, has_job = await self._send(entries, changed, gone)
        self.job_gone = not has_job
        if not has_job:
            await _reply(self._client.eval(_DROP, 2, self._job, self._key))
            return
        if written and not kept:
            await self._publish(entries, None)  # it had expired, or was lost
            return
        self._written = dict(entries)

    async def _send(
        self, entries: Mapping[str, DiffEntry], changed: Mapping[str, DiffEntry], gone: set[bytes]
    ) -> tuple[bool, bool]:
        """Sends one pipeline; whether the hash was there before, and whether the job is there."""
        added = sum(entry.additions for entry in entries.values())
        removed = sum(entry.deletions for entry in entries.values())
        keys = (self._job, self._key)
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.pexpire(self._key, self._ttl_ms)
            if gone:
                pipe.eval(_FILES, 2, *keys, self._created_at, len(gone), *gone)
            for some in _portions(changed):
                pipe.eval(_FILES, 2, *keys, self._created_at, 0, *some)
            pipe.pexpire(self._key, self._ttl_ms)
            pipe.eval(_SUMS, 1, self._job, self._created_at, added, removed)
            replies = await pipe.execute()
        return bool(replies[0]), bool(replies[-1])


def masked_entry(entry: DiffEntry, rules: Rules) -> DiffEntry:
    """An entry without secrets; it says so where its patch or a name is not the original one."""
    old_path = None if entry.old_path is None else masked_text(entry.old_path, rules)
    shown = replace(entry, file=masked_text(entry.file, rules), old_path=old_path, diff=masked_patch(entry.diff, rules))
    return entry if shown == entry else replace(shown, masked=True)


def _portions(entries: Mapping[str, DiffEntry]) -> Iterator[list[str | bytes]]:
    """The entries as fields and values in turn, in portions for one command each."""
    some: list[str | bytes] = []
    some_bytes = 0
    for file, entry in entries.items():
        value = entry.encode()
        if some and some_bytes + len(value) > DIFF_HSET_BYTES:
            yield some
            some, some_bytes = [], 0
        some += [file, value]
        some_bytes += len(value)
    if some:
        yield some


async def _reply(pending: Any) -> Any:
    """redis-py types some replies as plain or awaitable, for both of its clients; this one awaits."""
    return await pending
