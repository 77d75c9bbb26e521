"""One followed job: what to ask Redis next about its hash, lease and list, and what the answer means.

A follower decides and never waits: `plan` gives commands, `take` gets their replies and changes the job's stores in one
synchronous step. Whoever runs it puts many followers' commands into one round trip.

The order makes the promise (traps 1, 18 and 20): hash first, then list, on one connection; and a terminal status is
shown only when the list, read behind it, has been drained, and the diff, where somebody watches it, has been read
behind it too (`redis_diffs`): its last pass is written before the status.

A job's owner is read once more after its list, because a job may change hands between the two reads. Entries are taken
in only if the owner is still the one that the hash named; otherwise both are read again. So no entry is shown under an
owner who had lost the job before the entry was written. A change of owner is shown at once, also while a terminal
status is held back.

An id may come to mean another job: the hash was gone, or has another `created_at`, or another owner while the list is
gone. Output and diff in memory are then those of the job before, which the new owner must not see (trap 50).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from fantail.broker.jobs import Presence, number
from fantail.broker.limits import JOB_TTL_S
from fantail.broker.log.notify import Notifier
from fantail.broker.sources.redis.diffs import DiffTail
from fantail.broker.sources.redis.hash_reading import hash_commands, owner_command, owner_in, taken_hash
from fantail.broker.sources.redis.keys import LEASE, OUTPUT
from fantail.broker.sources.redis.list_tail import ListTail
from fantail.broker.tables import OWNER, owner_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fantail.broker.jobs import Job
    from fantail.broker.sources.redis.connection import Command
    from fantail.broker.sources.redis.hash_reading import Fields, HashReading
    from fantail.broker.sources.redis.leases import Leases


class JobFollower:
    """Follows one job.

    Attributes:
        job: the job.
        key: its hash.
        tail: the end of its list.
        diff: its diff.
        fields: its hash as it was last shown; None: not read yet, or there is none.
        answered: the number of the last `ask` that was answered.
        answers: rings when `answered` changes.

    Args:
        job: the job.
        leases: what is known of all leases.
        line_bytes_max: a longer line is cut for viewers.
        now_s: a monotonic clock.
        masks: whether secrets are masked.
        checks_owner: whether the owner is read again after the list; it costs one command per reading of a list.
    """

    def __init__(
        self,
        job: Job,
        leases: Leases,
        line_bytes_max: int,
        now_s: Callable[[], float],
        *,
        masks: bool = True,
        checks_owner: bool,
    ) -> None:
        self.job = job
        self.key: Final = job.key.encode()
        self.tail = ListTail(job.output, self.key + b":" + OUTPUT, line_bytes_max, now_s, masks=masks)
        self.diff = DiffTail(job, masks=masks)
        self._masks: Final = masks
        self.fields: Fields | None = None
        self.answered = 0
        self.answers = Notifier()
        self._lease_key: Final = self.key + b":" + LEASE
        self._leases = leases
        self._now_s = now_s
        self._checks_owner = checks_owner
        self._asked = 0
        self._identity: tuple[str | None, str | None] | None = None
        self._hash_dirty = self._lease_dirty = True
        self._huge = False
        self._held: tuple[Fields | None, int] | None = None
        self._diff_awaited: int | None = None
        self._planned = (False, False, 0, 0)

    # -- what is to be read -----------------------------------------------------------------------------------------

    @property
    def dirty(self) -> bool:
        """Whether there is something to read."""
        return self._hash_dirty or self._lease_dirty or self.tail.dirty

    @property
    def hash_dirty(self) -> bool:
        """Whether the hash is to be read."""
        return self._hash_dirty

    def ask(self) -> int:
        """Asks for a reading of everything that starts after this call; returns its number."""
        self._asked += 1
        self.mark()
        return self._asked

    def mark(self) -> None:
        """The hash, or anything, may have changed."""
        self._hash_dirty = self._lease_dirty = self.tail.dirty = True

    def mark_list(self) -> None:
        """The list has changed."""
        self.tail.dirty = True

    def mark_lease(self) -> None:
        """The lease has changed."""
        self._lease_dirty = True

    def start_over(self) -> None:
        """The replies to the last plan will not come."""
        self.tail.start_over()
        self._held = self._diff_awaited = None
        self.mark()

    # -- asking -----------------------------------------------------------------------------------------------------

    def plan(self) -> list[Command]:
        """The commands to send next, all on one connection and in this order."""
        with_hash = self._hash_dirty
        with_lease = with_hash or self._lease_dirty
        commands: list[Command] = []
        if with_hash:
            commands += hash_commands(self.key, huge=self._huge)
        if with_lease:
            commands.append(("EXISTS", self._lease_key))
        listed = self.tail.plan() if with_hash or self.tail.dirty else []
        self._planned = (with_hash, with_lease, len(listed), self._asked)
        self._hash_dirty = self._lease_dirty = False
        commands += listed
        if listed and self._checks_owner:
            commands.append(owner_command(self.key))
        return commands

    # -- answers ----------------------------------------------------------------------------------------------------

    def take(self, replies: Iterator[Any]) -> tuple[bool, bool]:
        """Takes the replies to the last plan; says whether the hash and the lease were among them."""
        with_hash, with_lease, listed, asked = self._planned
        if with_hash:
            with_hash = self._take_hash(taken_hash(replies, huge=self._huge, masks=self._masks), asked)
        if with_lease:
            self._leases.learn(self.key, exists=next(replies) == 1)
        list_replies = [next(replies) for _ in range(listed)]
        same_owner = self._is_owner(next(replies)) if listed and self._checks_owner else True
        was_missing, drained = self.tail.missing, False
        if not same_owner:
            self.tail.start_over()
            self._hash_dirty = True
        elif self._is_another_job(list_replies):
            self._begin_anew()
        elif list_replies and self.newest_fields is not None:
            drained = self.tail.take(list_replies, self.created_ms)
        if self.job.state.log.closed:
            return with_hash, with_lease
        if self._held is not None:
            self._show_held(drained=drained)
        elif with_lease or self.tail.missing is not was_missing:
            self._show(self.fields)
        return with_hash, with_lease

    def _take_hash(self, reading: HashReading, asked: int) -> bool:
        """Whether the hash was read; else it is to be read again, in another way."""
        self._huge = reading.huge
        if reading.again:
            self._hash_dirty = True
        else:
            self._held = (reading.fields, asked)
        return not reading.again

    def _is_another_job(self, list_replies: list[Any]) -> bool:
        """Whether the id means another job than the one whose output and diff are in memory."""
        newest, before = self.newest_fields, self._identity
        self._identity = now = None if newest is None else (newest.get("created_at"), owner_of(newest))
        if before is None or before == now:
            return False
        if now is None or (before[0] and now[0] and before[0] != now[0]):
            return True
        return before[1] != now[1] and not self.tail.proves(list_replies)

    def _begin_anew(self) -> None:
        self.tail.restart()
        self.tail.dirty = self.newest_fields is not None
        self.job.diff_loaded = False
        if self.diff.wanted:
            self.diff.ask()

    @property
    def newest_fields(self) -> Fields | None:
        """The hash as it was last read, shown or not."""
        return self.fields if self._held is None else self._held[0]

    @property
    def created_ms(self) -> int:
        """The time given to entries that have none."""
        newest = self.newest_fields
        return number(newest.get("created_at")) or 0 if newest else 0

    def _show_held(self, *, drained: bool) -> None:
        assert self._held is not None
        fields, asked = self._held
        if fields is not None and self._is_over(fields) and not (drained and self._diff_is_out()):
            self._show_owner(owner_of(fields))
            return
        self._diff_awaited = None
        self.fields = fields
        self._show(fields)
        if drained or fields is None:
            self._held = None
            self.answered = asked
            self.answers.notify()

    @property
    def awaits_diff(self) -> bool:
        """Whether a terminal status is held back for the diff."""
        return self._diff_awaited is not None

    def _diff_is_out(self) -> bool:
        """Whether the diff has been read behind the terminal status that is held, as far as anybody watches it."""
        if not self.diff.wanted or (self.fields is not None and self._is_over(self.fields)):
            return True
        if self._diff_awaited is None:
            self._diff_awaited = self.diff.ask()
        return self.diff.answered >= self._diff_awaited

    def _show(self, fields: Fields | None) -> None:
        if fields is None:
            self._leases.forget(self.key)
            if self.job.presence is not Presence.ABSENT or not self.job.loaded:
                self.job.set_fields(None, self._now_s())
            return
        shown: dict[str, Any] = dict(fields)
        over = self._is_over(fields)
        if not over and self._leases.lost(self.key, fields):
            shown["stale"] = True
        if self.tail.missing and (self.tail.log.tail > 0 or (over and not _too_young(fields))):
            shown["output_expired"] = True
        self.job.set_fields(shown, self._now_s())

    def _show_owner(self, owner: str | None) -> None:
        """Shows a new owner of fields that are held back, so that the entries read with them are theirs alone."""
        if self.fields is None or owner_of(self.fields) == owner:
            return
        kept = {name: value for name, value in self.fields.items() if name != OWNER}
        self.fields = kept if owner is None else {**kept, OWNER: owner}
        self._show(self.fields)

    def _is_owner(self, reply: Any) -> bool:
        """Whether a reply to `owner_command` names the owner that the hash named when it was last read."""
        newest = self.newest_fields
        return newest is None or owner_in(reply) == owner_of(newest)

    def _is_over(self, fields: Fields) -> bool:
        return fields.get("status") in self.job.kind.terminal


def _too_young(fields: Fields) -> bool:
    """Whether a list that the job had could not have expired yet: so it never had one, and printed nothing."""
    created_ms = number(fields.get("created_at"))
    return created_ms is not None and time.time() * 1000 - created_ms < JOB_TTL_S * 1000
