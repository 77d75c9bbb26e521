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
    from fantail.broker.log.notify import Waiter
    from fantail.broker.log.position import Cursor
    from fantail.broker.log.segment import Encoding


class Member(Protocol):
    """A subscription, as a crowd needs it."""

    cursor: Cursor
    waiter: Waiter


class LiveGroup:
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
        self._served = job.notifier.version

    def __len__(self) -> int:
        return len(self._members)

    async def join(self, member: Member, offer: Callable[[bytes], bool]) -> None:
        """Sleeps until the member has something to do itself; meanwhile its cursor moves with what it takes.

        Args:
            member: stands at the tail; nothing has been awaited since it found that out.
            offer: takes the encoding of a batch, and must not wait; False: not now.
        """
        self._serve()
        assert member.cursor == self._cursor, "who is not at the tail reads for itself"
        self._members[member] = offer
        self._job.notifier.add(self)
        try:
            await member.waiter.sleep_until_woken()
        finally:
            self._members.pop(member, None)
            self._serve()

    def wake(self) -> None:
        """Has one member wake, who serves the others (the bell calls this)."""
        for member in self._members:
            member.waiter.wake()
            return

    def _serve(self) -> None:
        """Hands out what is new since the last time, if the bell has rung."""
        if self._served == self._job.notifier.version:
            return
        self._served = self._job.notifier.version
        if self._members:
            # A changed state may be a new owner: each member then decides for itself whether it may read on.
            if self._state != self._look() or not self._hand_out():
                self._wake_all()
            else:
                self._job.notifier.add(self)
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
            for member, offer in self._members.items():
                if offer(encoded):
                    member.cursor = outcome.next
                else:
                    refused.append(member)
            for member in refused:
                del self._members[member]
                member.waiter.wake()
            self._cursor = outcome.next
            outcome = output.read(self._cursor)
        return handed and isinstance(outcome, CaughtUp)

    def _wake_all(self) -> None:
        members, self._members = self._members, {}
        for member in members:
            member.waiter.wake()

    def _look(self) -> tuple[int, Presence]:
        return self._job.state.log.tail, self._job.presence


def live_group_of(job: Job, encoding: Encoding) -> LiveGroup:
    """The live readers of a job in one encoding."""
    group = job.live_groups.get(encoding.key)
    if not isinstance(group, LiveGroup):
        group = job.live_groups[encoding.key] = LiveGroup(job, encoding)
    return group
