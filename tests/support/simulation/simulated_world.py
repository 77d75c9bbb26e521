"""A broker over a simulated truth, with a clock that the test sets: what tests of the core start from."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from fantail.broker.broker import Broker, BrokerLimits
from fantail.broker.log.position import checksum, log_position
from fantail.broker.log.records import entry_of
from fantail.broker.readers.fanout import LiveGroup
from support.simulation.simulated_source import SimulatedSource, SimulatedTruth

if TYPE_CHECKING:
    from collections.abc import Callable

    from fantail.broker.log.position import Position

LIMITS = BrokerLimits(idle_s=60.0, linger_s=30.0)
JOB_ID = "42"


def entry(number: int, length: int = 0) -> bytes:
    """The entry whose line is `line {number}`."""
    return entry_of(number, f"line {number}".ljust(length), "stdout")


def position(number: int) -> Position:
    """The position of that entry, where it stands at that offset."""
    return log_position(number, checksum(entry(number)))


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


class SimulatedWorld:
    """A broker, its clock, and, unless it is a library, the truth it follows.

    Args:
        count: so many lines has the running job `JOB_ID` at first; 0: there is no such job.
        in_memory: whether the source takes new lines into memory; otherwise they stay in the archive.
        library: the broker has no source.
        page: how many entries the archive gives at once.
    """

    def __init__(
        self,
        count: int = 0,
        *,
        in_memory: bool = True,
        library: bool = False,
        limits: BrokerLimits = LIMITS,
        page: Callable[[], int] = lambda: 10,
    ) -> None:
        self.clock = Clock()
        self.truth = SimulatedTruth()
        self.away = False
        self.in_memory = in_memory
        self._page = page
        self.broker = Broker(None if library else self._follow, limits=limits, now_s=self.clock)
        if count:
            self.truth.put(JOB_ID, status="running")
            self.truth.push(JOB_ID, *[entry(number) for number in range(count)])

    def _follow(self, broker: Broker) -> SimulatedSource:
        self.source = SimulatedSource(
            broker, self.truth, fails=lambda: self.away, skips=lambda: not self.in_memory, page=self._page
        )
        return self.source

    def wait_s(self, seconds: float) -> None:
        """Lets time pass; nothing runs meanwhile."""
        self.clock.s += seconds

    def leaks(self) -> dict[str, object]:
        """What is still there that a reader could have left behind; nothing once nobody reads."""
        gc.collect()  # a cancellation's traceback holds its frames
        found: dict[str, object] = {"asking": self.source.asking}
        job = self.broker.find(JOB_ID)
        if job is not None:
            found |= {
                "sleepers": sum(not isinstance(one, LiveGroup) or len(one) > 0 for one in job.notifier._sleepers),
                "watchers": job.watchers,
                "subscriptions": len(job.subscriptions),
            }
        self.wait_s(1000)
        self.broker.free_what_is_over()
        found |= {"jobs": len(self.broker._jobs), "followed": len(self.source.followed)}
        return {name: count for name, count in found.items() if count}
