"""The diffs of followed jobs: each a hash in Redis, read while somebody watches it and not otherwise.

A reading goes through the whole hash in pages (HSCAN), tells by a digest of each value what is new, and puts that into
the job's document, some at a time. It has a connection and a task of its own: a diff may be 16 MiB, and lines must not
wait for it. What is read is what was marked, by the same invalidations as everything.

What holds:
  - One reading at a time, whoever many watch. A reading that took t is followed by a rest of four times t, and at least
    a tenth of a second, so a worktree that changes all the time costs Redis and us a bounded part of our time. The
    first change after a rest is read at once, and so is what somebody waits for.
  - Whoever asks (`DiffTail.ask`) is answered by a reading that began after the question. So a terminal status is held
    back until the diff has been read behind it (`redis_follower`), and a viewer's snapshot is never older than the
    viewer.
  - HSCAN returns every field that is there from its begin to its end; one that changes meanwhile marks the job again.
  - A job's owner is read again after its diff. A reading is applied only if the owner is the one that is shown, so no
    reader sees a file that changed after they lost the job.
  - A document has a bound: past it files keep their statistics, and say that their patch is left out for its size.

Decided against: HGETALL (one reply of 16 MiB, for which everybody else on that Redis waits), and a script that compares
on the server (it would hash 16 MiB there, blocking it for longer than sending takes).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from fantail.broker.documents.diffs import (
    FILES,
    file_changes,
    files_in,
    masked_entry,
    opening,
    stored_entry,
    without_patch,
)
from fantail.broker.errors import SourceUnavailableError
from fantail.broker.jobs import Presence
from fantail.broker.limits import (
    DIFF_APPLY_BYTES,
    DIFF_DOCUMENT_BYTES_MAX,
    DIFF_OWNER_WAIT_S,
    DIFF_READ_REST_FACTOR,
    DIFF_READ_REST_S_MAX,
    DIFF_READ_REST_S_MIN,
    DIFF_SCAN_COUNT,
)
from fantail.broker.log.notify import Notifier, Waiter
from fantail.broker.masking.masker import masked_text
from fantail.broker.sources.backoff import Backoff
from fantail.broker.sources.redis.hash_reading import owner_command, owner_in
from fantail.broker.sources.redis.keys import DIFF

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fantail.broker.documents.diffs import Entry
    from fantail.broker.documents.json_patch import Operation
    from fantail.broker.jobs import Job
    from fantail.broker.sources.redis.connection import RedisLink


class DiffTail:
    """One job's diff, and what of its hash has been taken in. It decides and never waits.

    Attributes:
        job: the job.
        key: the hash.
        dirty: whether it may have changed since the last reading began.
        answered: the number of the last `ask` that was answered.
        answers: rings when `answered` changes.
        due_s: it rests until then.
    """

    def __init__(self, job: Job, *, masks: bool = True) -> None:
        self.job = job
        self._masks = masks
        self.key = job.key.encode() + b":" + DIFF
        self.dirty = True
        self.answered = 0
        self.answers = Notifier()
        self.due_s = 0.0
        self.read_s = 0.0
        self._asked = 0
        self._number = 0
        self._seen: dict[bytes, int] = {}
        self._found: dict[bytes, int] = {}
        self._changed: dict[str, Entry] = {}
        self._bytes = 0

    @property
    def wanted(self) -> bool:
        """Whether somebody watches it."""
        return self.job.diff_watchers > 0 and not self.job.diff.log.closed

    @property
    def urgent(self) -> bool:
        """Whether somebody waits for a reading."""
        return self.answered < self._asked

    def ask(self) -> int:
        """Asks for a reading that begins after this call; returns its number."""
        self._asked += 1
        self.dirty = True
        return self._asked

    def begin(self) -> None:
        """A reading begins."""
        self.dirty = False
        self._number = self._asked
        self._found, self._changed, self._bytes = {}, {}, 0

    def take(self, page: Sequence[bytes]) -> None:
        """Takes fields and values in turn, as HSCAN gives them; a field may come twice."""
        for field, value in zip(page[::2], page[1::2], strict=True):
            self._bytes += 0 if field in self._found else len(value)
            fits = self._bytes <= DIFF_DOCUMENT_BYTES_MAX
            digest = hash((value, fits))
            self._found[field] = digest
            if self._seen.get(field) != digest:
                entry = stored_entry(field, value)
                if self._masks:
                    entry = masked_entry(entry)
                self._changed[str(entry["file"])] = entry if fits else without_patch(entry)

    def changes(self) -> Iterator[list[Operation]]:
        """What the reading, now complete, changes in the document: in portions, each to be applied before the next."""
        diff = self.job.diff
        if FILES not in diff.document:
            yield opening()
        known = files_in(diff)
        there = {field.decode("utf-8", "replace") for field in self._found}
        if self._masks:
            there = {masked_text(file) for file in there}
        portion: list[Operation] = []
        held = 0
        for operation, size in file_changes(known, self._changed, [file for file in known if file not in there]):
            portion.append(operation)
            held += size
            if held >= DIFF_APPLY_BYTES:
                yield portion
                portion, held = [], 0
        yield portion

    def end(self) -> None:
        """All changes are applied."""
        self._seen, self._found, self._changed = self._found, {}, {}
        self.job.diff_bytes = self._bytes
        self.job.diff_loaded = True
        self.answered = self._number
        self.answers.notify()


class RedisDiffs:
    """Reads the diffs that are marked and watched.

    Args:
        link: a connection of its own.
        now_s: a monotonic clock.
        again_s: after so many seconds a diff that is watched is read again, marked or not.
        on_read: called after each reading.
        on_new_owner: called where a reading found another owner than the job's; None: owners are not compared.
    """

    def __init__(
        self,
        link: RedisLink,
        now_s: Callable[[], float],
        again_s: Callable[[], float],
        on_read: Callable[[Job], None],
        on_new_owner: Callable[[Job], None] | None,
    ) -> None:
        self._link = link
        self._now_s = now_s
        self._again_s = again_s
        self._on_read = on_read
        self._on_new_owner = on_new_owner
        self._watched: dict[DiffTail, None] = {}
        self._work = Notifier()

    def mark(self, tail: DiffTail) -> None:
        """The diff may have changed, or somebody asks for it."""
        tail.dirty = True
        if tail.wanted:
            self._watched[tail] = None
            self._work.notify()

    async def run(self) -> None:
        """Reads, until cancelled."""
        backoff, waiter = Backoff(), Waiter()
        try:
            while True:
                version = self._work.version
                tail = self._next()
                if tail is None:
                    with anyio.move_on_after(self._pause_s()):
                        await waiter.sleep(self._work, version)
                    continue
                try:
                    applied = await self._read(tail)
                except SourceUnavailableError:
                    tail.dirty = True
                    await anyio.sleep(backoff.next_s(refused=False))
                else:
                    backoff.reset()
                    if applied:
                        self._on_read(tail.job)
                    else:
                        tail.dirty = True
                        await anyio.sleep(DIFF_OWNER_WAIT_S)
        finally:
            await self._link.close()

    # -- which ------------------------------------------------------------------------------------------------------

    def _next(self) -> DiffTail | None:
        now_s = self._now_s()
        for tail in list(self._watched):
            if not tail.wanted:
                del self._watched[tail]
            elif self._due_s(tail) <= now_s:
                # To the end of the row: whoever is read all the time keeps nobody from being read.
                del self._watched[tail]
                self._watched[tail] = None
                return tail
        return None

    def _due_s(self, tail: DiffTail) -> float:
        if tail.urgent:
            return 0.0
        return tail.due_s if tail.dirty else max(tail.due_s, tail.read_s + self._again_s())

    def _pause_s(self) -> float | None:
        due = [self._due_s(tail) for tail in self._watched]
        return max(0.0, min(due) - self._now_s()) if due else None

    # -- one reading ------------------------------------------------------------------------------------------------

    async def _read(self, tail: DiffTail) -> bool:
        """Reads a diff and applies what has changed; returns False where it must be read again for its owner."""
        started_s = self._now_s()
        tail.begin()
        cursor: Any = 0
        owner_key = tail.job.key.encode()
        while True:
            reply, owner = await self._link.ask(
                [("HSCAN", tail.key, cursor, "COUNT", DIFF_SCAN_COUNT), owner_command(owner_key)]
            )
            if not isinstance(reply, list):
                break  # another type of key: nothing that could be shown
            cursor = int(reply[0])
            tail.take(reply[1])
            if not cursor:
                break
        if self._has_new_owner(tail.job, owner):
            return False
        for operations in tail.changes():
            if tail.job.diff.log.closed:
                return True
            tail.job.diff.append(operations, self._now_s())
            await anyio.lowlevel.checkpoint()
        tail.end()
        tail.read_s = self._now_s()
        rest_s = (tail.read_s - started_s) * DIFF_READ_REST_FACTOR
        tail.due_s = tail.read_s + min(max(rest_s, DIFF_READ_REST_S_MIN), DIFF_READ_REST_S_MAX)
        return True

    def _has_new_owner(self, job: Job, reply: Any) -> bool:
        if self._on_new_owner is None or job.presence is not Presence.PRESENT or owner_in(reply) == job.owner:
            return False
        self._on_new_owner(job)
        return True
