"""What reading a log can find: a closed set of values, to be matched with `match` and `assert_never`.

None of these is an error. A reader that fell behind, or whose log was written anew, is the ordinary business of a
broker, so each case is a value with what the reader needs to go on.

    Batch      here are records; read on at `batch.next`
    CaughtUp   nothing new yet; wait for a wake-up
    Behind     these records are not in memory, the archive has them; load, then read again
    Lost       these records are nowhere any more; say so, then read on after them
    Diverged   the log is another one than the cursor's; tell the client, start over
    Closed     nothing more, ever
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fantail.broker.log.position import Cursor


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """The cursor stands at the tail."""


@dataclass(frozen=True, slots=True)
class Behind:
    """The records `start <= offset < stop` are not in memory, but the archive has them."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Lost:
    """The records `start <= offset < stop` are neither in memory nor in an archive."""

    start: int
    stop: int


class Reason(StrEnum):
    """Why a position no longer fits; the words travel in the `reset` event."""

    TAG = "tag"
    OFFSET = "offset"


@dataclass(frozen=True, slots=True)
class Diverged:
    """The log no longer is the one that the reader knew."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Closed:
    """The cursor stands at the tail of a log that has ended."""


@dataclass(frozen=True, slots=True)
class Located:
    """A position was found to be true; the reader goes on at `cursor`."""

    cursor: Cursor
