"""A job: what one run of a command, an agent, a build or a test has, and what its status means.

A `Job` bundles three stores: `output` (its lines), `state` (its hash: status and metadata) and `diff` (the files that
differ in its worktree). One bell rings for all three, so that one reader can follow them in order: it reads
the output until it is caught up, and looks at the state in the same step. A source writes them in that order too,
output first, so a terminal status never overtakes a line (traps 1 and 20).

This is the one place that says which status is terminal (trap 14).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Protocol
from weakref import WeakSet

from fantail.broker.documents.patch_store import PatchStore, flat_changes, held_bytes
from fantail.broker.errors import InvalidIdError
from fantail.broker.limits import DIFF_LOG_BYTES_MAX, ID_CHARS_MAX, PATCH_STORE_RECORDS_MAX
from fantail.broker.log.msg_store import MsgStore, Retention
from fantail.broker.log.notify import Notifier
from fantail.broker.published import Published
from fantail.broker.tables import owner_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping


_ID: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{ID_CHARS_MAX - 1}}}", re.ASCII)
# 15 digits are exact in JavaScript too, and fit wherever a number is sent.
_DECIMAL: Final = re.compile(r"\s*([+-]?[0-9]{1,15})(?:\.[0-9]*)?\s*", re.ASCII)


def checked_id(given: str) -> str:
    """Returns an id that is within the grammar.

    Raises:
        InvalidIdError: it is not; a colon, for one, would reach into other keys (trap 39).
    """
    if _ID.fullmatch(given) is None:
        raise InvalidIdError(given)
    return given


@dataclass(frozen=True, slots=True)
class JobKind:
    """A family of jobs: where it lives in Redis and when one of it is over.

    Attributes:
        name: for URLs and log lines.
        prefix: of its Redis keys, with the colon: hash `{prefix}{id}`, list `{prefix}{id}:output`.
        terminal: the statuses after which nothing more happens. An unknown status is not terminal.
    """

    name: str
    prefix: str
    terminal: frozenset[str]


JOB: Final = JobKind("job", "job:", frozenset({"success", "failed", "cancelled"}))
WORK_SESSION: Final = JobKind("work_session", "work_session:", frozenset({"pushed", "archived", "failed"}))


class Presence(Enum):
    """Whether the truth has the job."""

    UNKNOWN = "unknown"
    PRESENT = "present"
    ABSENT = "absent"


# Names that producers write in camelCase, and ours for them.
_SNAKE: Final = {
    "userId": "user_id",
    "providerId": "provider_id",
    "sessionId": "session_id",
    "repoUrl": "repo_url",
    "repoName": "repo_name",
    "mrUrl": "mr_url",
    "mrWarning": "mr_warning",
    "linesAdded": "lines_added",
    "linesRemoved": "lines_removed",
    "errorMessage": "error_message",
    "createdAt": "created_at",
    "startedAt": "started_at",
    "finishedAt": "finished_at",
    "exitCode": "exit_code",
}


# What something is made of; the rest of a hash is shown as it is.
KNOWN_FIELDS: Final = (
    *("id", "status", "branch", "name", "command", "prompt", "environment", "lease_s", "updated_at", "job_id"),
    *_SNAKE,
    *_SNAKE.values(),
)


def fields_of_hash(stored: Mapping[bytes, bytes]) -> dict[str, str]:
    """The members of a Redis hash as text: known camelCase names in snake_case, empty values absent, unknown kept.

    Where a name is there in both forms, the snake_case one counts: a hash has no order that could decide whose it is.
    """
    fields: dict[str, str] = {}
    for name, value in stored.items():
        if value:
            given = name.decode("utf-8", "replace")
            known = _SNAKE.get(given, given)
            if known == given or not stored.get(known.encode()):
                fields[known] = value.decode("utf-8", "replace")
    return fields


def number(text: str | None) -> int | None:
    """A decimal number of a hash, cut to a whole one; None where it is absent, no number, or of over 15 digits."""
    match = _DECIMAL.fullmatch(text or "")
    return None if match is None else int(match[1])


class Reader(Protocol):
    """A cursor into a job's output."""

    @property
    def lag(self) -> int:
        """How many records it is behind the tail."""


class Job:
    """One job's stores, and who watches them.

    Attributes:
        kind: its family.
        id: within the family.
        notifier: rings after every change of any of the stores, of presence, and of the source's health.
        output: the lines.
        state: the hash, as a flat JSON object of strings; `stale` and `output_expired` are true where they hold.
        diff: the files that differ, `{"files": {path: {...}}}`; see `fantail.broker.documents.diffs`.
        presence: whether the truth has it.
        loaded: whether a source has read it at least once.
        diff_loaded: whether a source has read its diff since somebody began to watch that.
        state_bytes: what its fields take.
        diff_bytes: what the files of its diff take, as they are stored.
        watchers: how many follow it now.
        diff_watchers: how many of them watch its diff.
        subscriptions: the cursors into its output, for the largest lag.
        live_groups: its live readers by encoding, see `fantail.broker.readers.fanout.crowd_of`.
        unwatched_since_s: when the last watcher left; None while there is one.
        ended_since_s: when it was first seen terminal and drained; None before.
    """

    def __init__(
        self,
        kind: JobKind,
        job_id: str,
        *,
        epoch: str,
        archived: bool,
        retention: Retention | None = None,
        uses: Iterator[int] | None = None,
    ) -> None:
        self.kind = kind
        self.id = checked_id(job_id)
        self.notifier = Notifier()
        self.output = MsgStore(retention, archived=archived, on_change=self.notifier.notify, uses=uses)
        self.state = PatchStore(epoch, on_change=self.notifier.notify, uses=uses)
        kept = Retention(bytes_max=DIFF_LOG_BYTES_MAX, records_max=PATCH_STORE_RECORDS_MAX)
        self.diff = PatchStore(epoch, retention=kept, on_change=self.notifier.notify, uses=uses)
        self.presence = Presence.UNKNOWN
        self.loaded = False
        self.diff_loaded = False
        self.state_bytes = 0
        self.diff_bytes = 0
        self.watchers = 0
        self.diff_watchers = 0
        self.subscriptions: WeakSet[Reader] = WeakSet()
        self.live_groups: dict[Hashable, object] = {}
        self.unwatched_since_s: float | None = None
        self.ended_since_s: float | None = None

    @property
    def key(self) -> str:
        """Its hash in Redis."""
        return f"{self.kind.prefix}{self.id}"

    @property
    def fields(self) -> Mapping[str, Any]:
        """Its metadata as it is now."""
        return self.state.document

    @property
    def status(self) -> str:
        """Its status, empty where there is none."""
        return str(self.fields.get("status", ""))

    @property
    def ended(self) -> bool:
        """Whether its status is terminal. What was written before that status is in `output` already."""
        return self.presence is Presence.PRESENT and self.status in self.kind.terminal

    @property
    def owner(self) -> str | None:
        """Whose it is; None: everyone's."""
        return owner_of(self.fields)

    @property
    def retained_bytes(self) -> int:
        """What its stores hold in memory: logs, documents, snapshots."""
        logs = sum(log.retained_bytes for log in self.stores())
        return logs + self.state_bytes + self.diff_bytes + self.state.snapshot_bytes + self.diff.snapshot_bytes

    @property
    def published(self) -> Published:
        """How much of it was taken in since it is in memory."""
        return Published(self.output.appended_total, self.state.log.appended_total + self.diff.log.appended_total)

    def forget_old_snapshots(self) -> None:
        """Gives up what nobody is given any more."""
        self.state.forget_old_snapshots()
        self.diff.forget_old_snapshots()

    def set_fields(self, fields: Mapping[str, Any] | None, now_s: float) -> None:
        """Takes the hash as it was just read; None: there is none. Append the output read with it first."""
        if fields is not None:
            self.state.append(flat_changes((), self.fields, fields), now_s)
            self.state_bytes = held_bytes(self.fields)
        before = self.presence
        self.presence = Presence.ABSENT if fields is None else Presence.PRESENT
        self.loaded = True
        if not self.ended:
            self.ended_since_s = None
        elif self.ended_since_s is None:
            self.ended_since_s = now_s
        if before is not self.presence:
            self.notifier.notify()

    def stores(self) -> tuple[MsgStore, MsgStore, MsgStore]:
        """Its logs, for accounting and eviction."""
        return (self.output, self.state.log, self.diff.log)

    def close(self) -> None:
        """Ends its logs: whoever still reads finds the end."""
        for log in self.stores():
            log.close()
        self.live_groups.clear()  # each refers to the job, and the cycle would keep its lines in memory
