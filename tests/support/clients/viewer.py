"""A viewer of one job: what a browser tab would have on its screen, taken straight from the broker.

It follows the output and the state as a stream does: output first, and the state in the same step in which it is
caught up. Lines of a log that was written anew replace those before.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import orjson

from fantail.broker import (
    Batch,
    Broker,
    BrokerLimits,
    CaughtUp,
    Closed,
    Diverged,
    Lost,
    Presence,
    SourceUnavailableError,
)
from fantail.broker.jobs import JOB
from support.servers.redis_broker import redis_broker
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from fantail.broker.jobs import Job, JobKind
    from fantail.broker.log.position import Position


@asynccontextmanager
async def tailing(
    url: str, *, limits: BrokerLimits | None = None, ready: Callable[[Broker], bool] | None = None
) -> AsyncIterator[Broker]:
    """A running broker that follows that Redis, once it has found its way of following."""
    broker = redis_broker(url, limits=limits)
    async with broker.running():
        await eventually(lambda: (ready or is_tracking)(broker), what="a way of following")
        yield broker


def is_tracking(broker: Broker) -> bool:
    assert broker.source is not None
    return broker.source.available and broker.source.mode == "tracking"


@dataclass
class Viewer:
    """What one viewer has seen. `run` follows until the job has ended, is gone, or the viewer is cancelled."""

    broker: Broker
    job_id: str
    kind: JobKind = JOB
    pause_s: float = 0.0
    """How long it takes over each batch."""
    lines: list[str] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)
    """Each status it was shown, in order, without repetitions."""
    fields: dict[str, object] = field(default_factory=dict)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    """Offsets it was told are lost, both inclusive."""
    resets: int = 0
    position: Position | None = None
    done: bool = False
    """Whether it saw the end: a terminal status with everything before it."""
    gone: bool = False
    """Whether it was told that there is no such job."""

    async def run(self, after: Position | None = None) -> None:
        """Follows; with a position, goes on after it."""
        async with self.broker.watch(self.job_id, self.kind) as job:
            subscription = self.broker.subscribe(job)
            if after is not None and await subscription.seek(after) is not None:
                self._reset()
            while not self._over:
                try:
                    step = await subscription.next()
                except SourceUnavailableError:
                    await anyio.sleep(0.05)
                    continue
                match step:
                    case Batch():
                        self.lines += [str(orjson.loads(record.data)["line"]) for record in step.records()]
                        self.position = step.last_position()
                        await anyio.sleep(self.pause_s)
                    case Lost():
                        self.gaps.append((step.start, step.stop - 1))
                    case Diverged():
                        self._reset()
                    case CaughtUp():
                        self._look(job)
                        if not self._over:
                            await subscription.wait()
                    case Closed():
                        return

    @property
    def _over(self) -> bool:
        return self.done or self.gone

    def _look(self, job: Job) -> None:
        self.gone = job.presence is Presence.ABSENT
        self.fields = dict(job.fields)
        if not self.statuses or self.statuses[-1] != job.status:
            self.statuses.append(job.status)
        self.done = job.ended

    def _reset(self) -> None:
        self.resets += 1
        self.lines = []


@asynccontextmanager
async def watching(broker: Broker, job_id: str, **settings: object) -> AsyncIterator[Viewer]:
    """A viewer that follows while the context lasts."""
    viewer = Viewer(broker, job_id, **settings)  # type: ignore[arg-type]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(viewer.run)
        try:
            yield viewer
        finally:
            tasks.cancel_scope.cancel()


def command_calls(info: Mapping[str, Mapping[str, int]], *names: str) -> int:
    """How often the server has carried out some commands, by INFO commandstats."""
    return sum(info.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in names)
