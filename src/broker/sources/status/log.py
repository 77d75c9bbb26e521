"""One test or run that somebody watches: its state, and the log of what was said since.

The log is an ordinary `MsgStore`: a viewer reads the state once and then follows the log from where it stood in that
very step, so nothing that is said is missed or told twice. A reader that lags gets the last state instead of the log.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import orjson

from fantail.broker.limits import STATUS_LOG_BYTES_MAX, STATUS_RECORDS_MAX
from fantail.broker.log.msg_store import MsgStore, Retention
from fantail.broker.log.notify import Notifier
from fantail.broker.log.position import Position
from fantail.broker.log.records import Record
from fantail.broker.sources.status.state import merged, waiting

if TYPE_CHECKING:
    from fantail.broker.sources.status.state import StatusState, Subject


def end_of(subject: Subject, state: StatusState) -> Position:
    """The position of the frame that tells of an end: whoever comes back with it has been told."""
    return Position(0, f"{_end_tag(subject, state):08x}", end=True)


def _end_tag(subject: Subject, state: StatusState) -> int:
    return zlib.crc32(f"{subject.key} {state.status} {state.ended_ms}".encode())


class StatusLog:
    """The state of one subject.

    Attributes:
        subject: whose.
        notifier: rings after each change, and when the channels are cut or heard again.
        log: what was said since it is watched; a record's data is the payload, its checksum that of the end, or 0.
        state: what is known; None: nothing yet.
        loaded: whether it has been read since it is watched.
        read_failures: how often nobody could be read.
        watchers: how many follow it.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.notifier = Notifier()
        self.log = MsgStore(
            Retention(bytes_max=STATUS_LOG_BYTES_MAX, records_max=STATUS_RECORDS_MAX), on_change=self.notifier.notify
        )
        self.state: StatusState | None = None
        self.loaded = False
        self.read_failures = 0
        self.watchers = 0

    @property
    def known(self) -> StatusState:
        """What is known, if only that it waits."""
        return self.state or waiting(self.subject)

    @property
    def over(self) -> bool:
        """Whether it has ended and nothing more will be said of that."""
        return self.state is not None and self.state.complete

    def take(self, new: StatusState, *, heard: bool, now_s: float) -> None:
        """Merges what has been learnt into what is known; what differs for clients goes to the log."""
        before, after = self.state, merged(self.state, new, heard=heard)
        if after is before:
            return
        self.state = after
        if before is None or before.payload != after.payload:
            crc = _end_tag(self.subject, after) if after.terminal else 0
            self.log.append([Record(orjson.dumps(after.payload), crc)], now_s)
        else:
            self.notifier.notify()
