"""Live readers of one job in one wire format, served together: whoever wakes first hands the new records to all.

A line that a thousand people watch would otherwise wake a thousand tasks, each to read the same record at the same
offset and to write the same bytes. In a crowd one of them wakes, reads once, and gives the bytes to every member's
`take`; the others sleep on and only their cursors move (measured: half of the processor's time for a message to 1,000,
bench: time-to-all).

Nothing else changes. A member stands at the tail, like everybody in the crowd; that is what a crowd is. Whoever cannot
take (a slow client) is woken and reads for itself, from its own cursor and at its own pace, and comes back when it has
caught up. Whatever is not a record (a change of state, a log written anew, its end, the source gone) wakes all, and
each deals with it itself, in the step in which it finds its log read to the end.

Invariants: after each hand-out every member's cursor is the crowd's, and the crowd's is the tail; a crowd with members
is at the bell, or one of its members has been poked and not run yet. A hand-out has no await in it.

Decided against: a task for each crowd (it would need a parent that outlives the readers, and this needs none), and
writing from within `Bell.ring` (a producer that appends line by line would pay for all readers at every line; now what
comes in one turn of the event loop goes out as one batch).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from fantail.broker.log.msg_store import Batch
from fantail.broker.log.outcomes import CaughtUp

if TYPE_CHECKING:
    from collections.abc import Callable

    from fantail.broker.jobs import Job, Presence
    from fantail.broker.log.notify import Waker
    from fantail.broker.log.position import Cursor
    from fantail.broker.log.segment import Encoding


class Member(Protocol):
    """A subscription, as a crowd needs it."""

    cursor: Cursor
    waker: Waker


class Crowd:
    """The live readers of a job's output in one encoding.

    Args:
        job: whose output.
        encoding: what is made of its records.
    """

    def __init__(self, job: Job, encoding: Encoding) -> None:
        self.retired = False
        self._job = job
        self._encoding = encoding
        self._members: dict[Member, Callable[[bytes], bool]] = {}
        self._cursor = job.output.start(job.output.tail)
        self._state = self._look()
        self._served = job.bell.rung

    def __len__(self) -> int:
        return len(self._members)

    async def stay(self, member: Member, take: Callable[[bytes], bool]) -> None:
        """Sleeps until the member has something to do itself; meanwhile its cursor moves with what it takes.

        Args:
            member: stands at the tail; nothing has been awaited since it found that out.
            take: takes the encoding of a batch, and must not wait; False: not now.
        """
        self._serve()
        assert member.cursor == self._cursor, "who is not at the tail reads for itself"
        self._members[member] = take
        self._job.bell.add(self)
        try:
            await member.waker.sleep_until_poked()
        finally:
            self._members.pop(member, None)
            self._serve()

    def poke(self) -> None:
        """Has one member wake, who serves the others (the bell calls this)."""
        for member in self._members:
            member.waker.poke()
            return

    def _serve(self) -> None:
        """Hands out what is new since the last time, if the bell has rung."""
        if self._served == self._job.bell.rung:
            return
        self._served = self._job.bell.rung
        if self._members:
            # A changed state may be a new owner: each member then decides for itself whether it may read on.
            if self._state != self._look() or not self._hand_out():
                self._wake_all()
            else:
                self._job.bell.add(self)
        self._state = self._look()
        self._cursor = self._job.output.start(self._job.output.tail)

    def _hand_out(self) -> bool:
        """Gives all new records to all members; says whether there were some, and nothing else happened to the log."""
        output = self._job.output
        outcome = output.read(self._cursor)
        handed = False
        while isinstance(outcome, Batch) and self._members:
            handed = True
            encoded = outcome.encoded(self._encoding)
            refused = []
            for member, take in self._members.items():
                if take(encoded):
                    member.cursor = outcome.next
                else:
                    refused.append(member)
            for member in refused:
                del self._members[member]
                member.waker.poke()
            self._cursor = outcome.next
            outcome = output.read(self._cursor)
        return handed and isinstance(outcome, CaughtUp)

    def _wake_all(self) -> None:
        members, self._members = self._members, {}
        for member in members:
            member.waker.poke()

    def _look(self) -> tuple[int, Presence]:
        return self._job.state.log.tail, self._job.presence


def crowd_of(job: Job, encoding: Encoding) -> Crowd:
    """The live readers of a job in one encoding."""
    crowd = job.crowds.get(encoding.key)
    if not isinstance(crowd, Crowd):
        crowd = job.crowds[encoding.key] = Crowd(job, encoding)
    return crowd
