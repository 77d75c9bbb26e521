"""What is known of one test or one run, and which of two things known is the later one. Pure.

Workers publish on channels, a database has rows, and Redis keeps the last state; the three arrive in any order and
more than once. Each becomes a `StatusState`, and `merged` decides (PROTOCOL.md, T4): terminal over running over
waiting; of two terminal ones the later `completedAt`; what adds nothing is dropped.

A test's id is used again for its next run. So a terminal state gives way to a running one that began after it ended:
by `startedAt` where it is given, else by the time at which it was heard, with a margin for late messages.

This is the one place that says which status of a test or a run is terminal (trap 14). The channel says it too: what
comes on `…:complete` is the end, whatever its word.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

import orjson

from fantail.broker.lenient_json import can_be_written, parsed_object
from fantail.broker.limits import STATUS_BYTES_MAX, STATUS_CHARS_OF_WORD_MAX, STATUS_RERUN_S
from fantail.broker.masking.foreign import masked_object

if TYPE_CHECKING:
    from collections.abc import Mapping

TERMINAL: Final = frozenset({"completed", "passed", "failed", "error", "cancelled", "blocked"})
WAITING: Final = frozenset({"waiting", "pending", "queued", "scheduled", "created", "delayed"})
# A number of this size or more is milliseconds of the epoch, a smaller one seconds (until the year 5138).
_MS_MIN: Final = 10**11
_MS_MAX: Final = 10**14
_TIME_CHARS_MAX: Final = 40
_KEPT_OF_A_LONG_ONE: Final = ("status", "startedAt", "completedAt", "duration")
_MEMBER_CHARS_MAX: Final = 256
RERUN_MS: Final = int(1000 * STATUS_RERUN_S)


@dataclass(frozen=True, slots=True)
class StatusKind:
    """A family of states.

    Attributes:
        name: in Redis' keys and for people.
        channel: what its channels begin with: `{channel}:{id}:status` and `…:complete`.
        id_field: what payloads call the id.
    """

    name: str
    channel: str
    id_field: str


RUN: Final = StatusKind("run", "job", "runId")
TEST: Final = StatusKind("test", "test", "testId")
KINDS: Final = (RUN, TEST)


class Rank(IntEnum):
    """How far something has come."""

    WAITING = 0
    RUNNING = 1
    TERMINAL = 2


@dataclass(frozen=True, slots=True)
class Subject:
    """One test or one run."""

    kind: StatusKind
    id: str

    @property
    def key(self) -> str:
        """Of its last state known, in Redis."""
        return f"fantail:status:{self.kind.name}:{self.id}"

    def channel(self, *, complete: bool) -> str:
        """Where workers publish about it."""
        return f"{self.kind.channel}:{self.id}:{'complete' if complete else 'status'}"


@dataclass(frozen=True, slots=True)
class StatusState:
    """What is known of a test or run. Times are milliseconds of the epoch, 0 where they are not known.

    Attributes:
        status: the word, in lower case.
        rank: how far it has come.
        complete: nothing more will be said of this end.
        started_ms: when it began.
        ended_ms: when it ended, by its own account.
        heard_ms: when it was said, or written.
        payload: what clients are sent, with the id in it.
    """

    status: str
    rank: Rank
    complete: bool
    started_ms: int
    ended_ms: int
    heard_ms: int
    payload: Mapping[str, Any]

    @property
    def at_ms(self) -> int:
        """When it ended if it did, for want of that when it was heard of."""
        return self.ended_ms or self.heard_ms

    @property
    def terminal(self) -> bool:
        """Whether it has ended."""
        return self.rank is Rank.TERMINAL

    def opening(self, subject: Subject) -> dict[str, Any]:
        """What a client is told first: the end as it is, else `running` or `waiting` with what is known of it."""
        if self.terminal:
            return dict(self.payload)
        known = {name: self.payload[name] for name in ("startedAt", "duration") if self.payload.get(name) is not None}
        return {"status": self.rank.name.lower(), subject.kind.id_field: subject.id, **known}


def rank_of(status: str) -> Rank:
    """How far a status has come; a word that nobody knows counts as running."""
    if status in TERMINAL:
        return Rank.TERMINAL
    return Rank.WAITING if status in WAITING else Rank.RUNNING


def waiting(subject: Subject) -> StatusState:
    """What is said of something of which nothing is known yet."""
    return state_of(subject, {"status": "waiting"}, complete=False, heard_ms=0)


def state_of(subject: Subject, said: Mapping[str, Any], *, complete: bool, heard_ms: int) -> StatusState:
    """A state from what a worker says or a database has.

    Args:
        subject: whose.
        said: its members; `status` is put in lower case, the id is put in.
        complete: whether it is said to be the end.
        heard_ms: when.
    """
    word = said.get("status")
    status = word.strip().lower()[:STATUS_CHARS_OF_WORD_MAX] if isinstance(word, str) else ""
    status = status or ("completed" if complete else "running")
    rank = Rank.TERMINAL if complete else rank_of(status)
    return StatusState(
        status=status,
        rank=rank,
        complete=complete,
        started_ms=milliseconds(said.get("startedAt")),
        ended_ms=milliseconds(said.get("completedAt")) if rank is Rank.TERMINAL else 0,
        heard_ms=heard_ms,
        payload={**said, "status": status, subject.kind.id_field: subject.id},
    )


def from_message(subject: Subject, data: bytes, *, complete: bool, heard_ms: int) -> StatusState | None:
    """A state from a message of a channel; None: it is none (no JSON object).

    What is too long, or nested too deeply to be written again, keeps what says where it stands, and `truncated`.
    """
    said = parsed_object(data)
    if said is None:
        return None
    if len(data) > STATUS_BYTES_MAX or not can_be_written(said):
        said = {name: said[name] for name in _KEPT_OF_A_LONG_ONE if _is_short(said.get(name))} | {"truncated": True}
    return state_of(subject, said, complete=complete, heard_ms=heard_ms)


def without_secrets(state: StatusState) -> StatusState:
    """The same state, the secrets in what was said masked."""
    payload = masked_object(state.payload)
    return state if payload is state.payload else replace(state, payload=payload)


def _is_short(member: object) -> bool:
    return isinstance(member, (str, int, float)) and len(str(member)) <= _MEMBER_CHARS_MAX


def to_stored(state: StatusState) -> bytes:
    """As it is kept in Redis: what the decision needs in front, in a form that a script reads safely; the payload."""
    front = (state.rank, state.complete, state.started_ms, state.ended_ms, state.heard_ms)
    return b"%d %d %d %d %d\n" % front + orjson.dumps(state.payload)


def from_stored(subject: Subject, stored: bytes) -> StatusState | None:
    """From what is kept in Redis; None: it is not ours."""
    front = _FRONT.match(stored)
    if front is None:
        return None
    return from_message(subject, stored[front.end() :], complete=front[2] == b"1", heard_ms=int(front[5]))


def merged(old: StatusState | None, new: StatusState, *, heard: bool) -> StatusState:
    """The later of two states; `old` itself where `new` adds nothing.

    Args:
        old: what was known.
        new: what has been learnt.
        heard: whether it came from a worker now, so that progress counts; what is read back does not.
    """
    if old is None or begins_again(old, new):
        return new
    if new.rank is not old.rank:
        return new if new.rank > old.rank else old
    if new.terminal:
        return replace(new, complete=new.complete or old.complete) if _later_end(old, new) else old
    return new if heard and new.payload != old.payload else old


def begins_again(old: StatusState, new: StatusState) -> bool:
    """Whether `new` speaks of the next run of what `old` saw the end of."""
    if not old.terminal or new.terminal or not old.at_ms:
        return False
    if new.started_ms:
        return new.started_ms > old.at_ms
    return new.heard_ms > old.at_ms + RERUN_MS


def _later_end(old: StatusState, new: StatusState) -> bool:
    if old.ended_ms and new.ended_ms and old.ended_ms != new.ended_ms:
        return new.ended_ms > old.ended_ms
    if new.at_ms > old.at_ms + RERUN_MS:
        return True
    return new.complete and not old.complete


# The same decision where it must be one step with the writing, in Redis. KEYS: the key. ARGV: the new state as
# `to_stored` writes it, the TTL in seconds, the margin for late messages in ms. Returns whether it was kept.
# Nothing was heard later than now by the one clock that all writers share: the end that a worker with a clock of
# tomorrow told would hide the next run's until then.
KEEP_LATER: Final = """
local FRONT = '^(%d) (%d) (%d+) (%d+) (%d+)\\n'
local function read(stored)
  local rank, complete, started, ended, heard = string.match(stored, FRONT)
  if not rank or #started > 15 or #ended > 15 or #heard > 15 then return nil end
  local s = {rank = tonumber(rank), complete = tonumber(complete), started = tonumber(started)}
  s.ended, s.heard = tonumber(ended), tonumber(heard)
  s.at = s.ended > 0 and s.ended or s.heard
  return s
end
local function later(old, new, margin)
  if old.rank == 2 and new.rank < 2 and old.at > 0 then
    if new.started > 0 then return new.started > old.at end
    return new.heard > old.at + margin
  end
  if new.rank ~= old.rank then return new.rank > old.rank end
  if new.rank < 2 then return true end
  if old.ended > 0 and new.ended > 0 and old.ended ~= new.ended then return new.ended > old.ended end
  if new.at > old.at + margin then return true end
  return new.complete > old.complete
end
local was, said = redis.call('GET', KEYS[1]), ARGV[1]
local old, new = was and read(was), read(said)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if new and new.heard > now then
  new.heard, new.at = now, new.ended > 0 and new.ended or now
  said = string.gsub(said, '(%d+)\\n', string.format('%.0f', now) .. '\\n', 1)
end
if old and new and not later(old, new, tonumber(ARGV[3])) then return 0 end
redis.call('SET', KEYS[1], said, 'EX', ARGV[2])
return 1
"""
_FRONT: Final = re.compile(rb"(\d) (\d) (\d{1,15}) (\d{1,15}) (\d{1,15})\n")


def milliseconds(time: object) -> int:
    """A point in time as milliseconds of the epoch: ISO 8601, a number of s or ms, or a datetime; 0: it is none.

    One without a zone is UTC.
    """
    found_ms = 0.0
    match time:
        case bool():
            pass
        case int() | float():
            found_ms = time if time >= _MS_MIN else 1000 * time
        case str() if time.isascii() and time.isdigit() and len(time) <= _TIME_CHARS_MAX:
            return milliseconds(int(time))
        case str():
            with suppress(ValueError):
                return milliseconds(datetime.fromisoformat(time[:_TIME_CHARS_MAX]))
        case datetime():
            zoned = time if time.tzinfo else time.replace(tzinfo=UTC)
            found_ms = zoned.timestamp() * 1000
    return round(found_ms) if 0 < found_ms < _MS_MAX else 0


def iso(time: object) -> str | None:
    """A point in time as JavaScript writes it (`2026-01-31T12:00:00.000Z`); None: it is none."""
    time_ms = milliseconds(time)
    if not time_ms:
        return None
    seconds, rest_ms = divmod(time_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ms:03d}Z"
