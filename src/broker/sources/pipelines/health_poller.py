"""HealthPoller: asks the backend how each pipeline is, once for all who watch.

It polls; what the answers mean is decided by `pipeline_board`, and which pipeline is next by `poll_schedule`.

What holds:
  - One poll of a pipeline at a time (trap 9), and as many polls with one viewer as with two hundred.
  - New pipelines are asked together, within the bound on polls under way (trap 11). A watch knows whose first answer
    it still waits for.
  - What nobody watches is not polled, and forgotten after a while.

An interval grows while the answer stays the same. After a change comes one quick look, not two in a row, so that a
pipeline that flaps is asked at most twice as often as any other.

Decided against: a poller per viewer (the cost grows with viewers) and a cache per process of what was last sent (the
first viewer to ask consumes the change).
"""

from __future__ import annotations

import random
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from fantail.broker.errors import BrokerError
from fantail.broker.limits import (
    HEALTH_FRESH_S,
    PIPELINE_LINGER_S,
    PIPELINES_MAX,
    POLL_AFTER_CHANGE_S,
    POLL_JITTER,
    POLL_TIMEOUT_S,
    POLLS_MAX,
    SUSPECT_POLLS_MAX,
)
from fantail.broker.log.notify import Notifier, Waiter
from fantail.broker.sources.pipelines.backend import PASSING, Cause, Health, Trouble
from fantail.broker.sources.pipelines.board import PipelineBoard
from fantail.broker.sources.pipelines.schedule import ALL_LANES, Lane, Pace, PollSchedule

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from anyio.abc import TaskGroup

    from fantail.broker.sources.pipelines.backend import Answer, PipelineBackend
    from fantail.broker.tables import Tables


class TooManyPipelinesError(BrokerError):
    """The poller is full of pipelines that are being watched."""


@dataclass(frozen=True, slots=True)
class PollerStats:
    """What the poller does now, and how often it asked so far."""

    pipelines: int
    watches: int
    polls_under_way: int
    polls_total: int
    backend_available: bool


class PipelineWatch:
    """One viewer of some pipelines.

    Attributes:
        ids: whom it watches.
        visible: whether anybody looks at the page.
        notifier: rings when there is something to tell of one of them or of the backend, and when it becomes ready.
        unanswered: those whose first answer is still out.
    """

    __slots__ = ("ids", "notifier", "unanswered", "visible")

    def __init__(self, ids: Collection[str], *, visible: bool) -> None:
        self.ids = frozenset(ids)
        self.visible = visible
        self.notifier = Notifier()
        self.unanswered: set[str] = set()

    @property
    def ready(self) -> bool:
        """Whether every pipeline has been asked since it was watched, or shortly before."""
        return not self.unanswered

    def answered(self, pipeline_id: str) -> None:
        """One of them has been asked."""
        if pipeline_id in self.unanswered:
            self.unanswered.discard(pipeline_id)
            if self.ready:
                self.notifier.notify()


@dataclass(slots=True, eq=False)
class _Pipeline:
    id: str
    watches: dict[PipelineWatch, None] = field(default_factory=dict)
    visible_watches: int = 0
    waiters: int = 0
    polling: bool = False
    awaited: bool = False
    answer: Answer | None = None
    answered_s: float = float("-inf")
    interval_s: float = 0.0
    looked_again: bool = False
    polled: Notifier = field(default_factory=Notifier)

    @property
    def wanted(self) -> bool:
        return bool(self.watches) or self.waiters > 0

    @property
    def lane(self) -> Lane:
        if isinstance(self.answer, Trouble) and self.answer.cause is Cause.SILENT:
            return Lane.SUSPECT
        return Lane.VISIBLE if self.visible_watches or self.waiters else Lane.HIDDEN

    @property
    def settled(self) -> bool:
        return not (isinstance(self.answer, Health) and self.answer.status in PASSING)


class HealthPoller:
    """Polls pipelines that somebody watches. `run` must be running.

    Attributes:
        board: what is known; its log has every change.

    Args:
        backend: whom to ask; it is closed when `run` ends.
        tables: gets a row per pipeline, if it has a table `pipelines`.
        pace: the intervals.
        now_s: a monotonic clock, in seconds.
        wall_ms: the time for people, in milliseconds of the Unix epoch.
    """

    def __init__(
        self,
        backend: PipelineBackend,
        *,
        tables: Tables | None = None,
        pace: Pace | None = None,
        now_s: Callable[[], float] = time.monotonic,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._backend = backend
        self._pace = pace or Pace()
        self._now_s = now_s
        self._pipelines: dict[str, _Pipeline] = {}
        self._idle_since_s: dict[str, float] = {}
        self._watches: dict[PipelineWatch, None] = {}
        self._schedule = PollSchedule()
        self._under_way = dict.fromkeys(Lane, 0)
        self._polls_total = 0
        self._notifier = Notifier()
        self.board = PipelineBoard(tables, self._tell, now_s, wall_ms)

    # -- who watches ------------------------------------------------------------------------------------------------

    @contextmanager
    def watch(self, ids: Collection[str], *, visible: bool = True) -> Iterator[PipelineWatch]:
        """Counts a viewer of these pipelines while the block lasts; they are asked at once if they have not just been.

        Raises:
            TooManyPipelinesError: no room for all of them.
        """
        watch = PipelineWatch(ids, visible=visible)
        self._watches[watch] = None
        try:
            for pipeline_id in watch.ids:
                self._join(watch, self._registered(pipeline_id))
            self._notifier.notify()
            yield watch
        finally:
            del self._watches[watch]
            for pipeline_id in watch.ids:
                if (pipeline := self._pipelines.get(pipeline_id)) and watch in pipeline.watches:
                    self._leave(watch, pipeline)

    async def health(self, pipeline_id: str) -> Answer:
        """The answer of the last poll if it is fresh, else of the next: one poll for all who ask at the same time.

        Raises:
            TooManyPipelinesError: no room for another pipeline.
        """
        pipeline = self._registered(pipeline_id)
        if self._age_s(pipeline) > HEALTH_FRESH_S:
            await self._until_polled(pipeline)
        if pipeline.answer is None or self._age_s(pipeline) > HEALTH_FRESH_S:
            return Trouble(Cause.SILENT, "no poll in time")
        return pipeline.answer

    def stats(self) -> PollerStats:
        """What it does now."""
        return PollerStats(
            pipelines=len(self._pipelines),
            watches=len(self._watches),
            polls_under_way=sum(self._under_way.values()),
            polls_total=self._polls_total,
            backend_available=self.board.available,
        )

    def _registered(self, pipeline_id: str) -> _Pipeline:
        pipeline = self._pipelines.get(pipeline_id)
        if pipeline is None:
            if len(self._pipelines) >= PIPELINES_MAX and not self._forget_one():
                raise TooManyPipelinesError(f"{PIPELINES_MAX} pipelines are being watched")
            pipeline = self._pipelines[pipeline_id] = _Pipeline(pipeline_id)
            self.board.add(pipeline_id)
            self._idle_since_s[pipeline_id] = self._now_s()
        return pipeline

    def _join(self, watch: PipelineWatch, pipeline: _Pipeline) -> None:
        self._idle_since_s.pop(pipeline.id, None)
        pipeline.watches[watch] = None
        pipeline.visible_watches += watch.visible
        fresh = self._age_s(pipeline) <= self._pace.steady_s
        if not fresh:
            pipeline.awaited = True
            watch.unanswered.add(pipeline.id)
        if not pipeline.polling:
            due_s = pipeline.answered_s + min(pipeline.interval_s, self._pace.steady_s)
            self._put(pipeline, due_s if fresh else self._now_s())

    def _leave(self, watch: PipelineWatch, pipeline: _Pipeline) -> None:
        del pipeline.watches[watch]
        pipeline.visible_watches -= watch.visible
        due_s = self._schedule.due_s(pipeline.id)
        if due_s is not None:
            self._put(pipeline, due_s)  # in another lane, perhaps
        self._idle_if_unwanted(pipeline)

    async def _until_polled(self, pipeline: _Pipeline) -> None:
        self._idle_since_s.pop(pipeline.id, None)
        pipeline.waiters += 1
        waiter = Waiter()
        version = pipeline.polled.version
        try:
            if not pipeline.polling:
                self._put(pipeline, self._now_s())
                self._notifier.notify()
            with anyio.move_on_after(2 * POLL_TIMEOUT_S):
                while pipeline.polled.version == version:
                    await waiter.sleep(pipeline.polled, version)
        finally:
            pipeline.waiters -= 1
            self._idle_if_unwanted(pipeline)

    def _idle_if_unwanted(self, pipeline: _Pipeline) -> None:
        if not pipeline.wanted and not pipeline.polling:
            self._schedule.drop(pipeline.id)
            self._idle_since_s.pop(pipeline.id, None)
            self._idle_since_s[pipeline.id] = self._now_s()

    def _put(self, pipeline: _Pipeline, due_s: float) -> None:
        noted_s = self._schedule.due_s(pipeline.id)
        self._schedule.put(pipeline.id, due_s if noted_s is None else min(due_s, noted_s), pipeline.lane)

    def _age_s(self, pipeline: _Pipeline) -> float:
        return self._now_s() - pipeline.answered_s

    def _tell(self, pipeline_id: str | None) -> None:
        watches = self._watches if pipeline_id is None else self._pipelines[pipeline_id].watches
        for watch in watches:
            watch.notifier.notify()

    # -- polling ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Polls for ever. Cancelling it gives up the polls under way, closes the connections, and ends the log."""
        try:
            async with self._backend, anyio.create_task_group() as tasks:
                await self._start_polls(tasks)
        finally:
            self.board.store.log.close()
            self._tell(None)

    async def _start_polls(self, tasks: TaskGroup) -> None:
        waiter = Waiter()
        while True:
            version = self._notifier.version
            self._start_due(tasks)
            self._forget_idle()
            with anyio.move_on_after(self._wait_s()):
                await waiter.sleep(self._notifier, version)

    def _start_due(self, tasks: TaskGroup) -> None:
        now_s = self._now_s()
        while (pipeline_id := self._schedule.take(now_s, self._open_lanes())) is not None:
            pipeline = self._pipelines[pipeline_id]
            pipeline.polling = True
            self._polls_total += 1
            self._under_way[pipeline.lane] += 1
            tasks.start_soon(self._poll, pipeline, pipeline.lane)

    def _open_lanes(self) -> Collection[Lane]:
        if sum(self._under_way.values()) >= POLLS_MAX:
            return ()
        if self._under_way[Lane.SUSPECT] >= SUSPECT_POLLS_MAX:
            return (Lane.VISIBLE, Lane.HIDDEN)
        return ALL_LANES

    def _wait_s(self) -> float | None:
        """Seconds to the next poll or the next pipeline to forget; None: until the bell rings."""
        next_due_s, next_forget_s = self._schedule.next_due_s(self._open_lanes()), self._next_forget_s()
        dues = [due_s for due_s in (next_due_s, next_forget_s) if due_s is not None]
        return max(0.0, min(dues) - self._now_s()) if dues else None

    async def _poll(self, pipeline: _Pipeline, lane: Lane) -> None:
        spoken_before = self.board.spoken
        try:
            answer = await self._backend.health(pipeline.id)
        finally:
            pipeline.polling = False
            self._under_way[lane] -= 1
        look_again = self.board.take(pipeline.id, answer, alone=self.board.spoken == spoken_before)
        pipeline.answer = answer
        pipeline.answered_s = self._now_s()
        pipeline.polled.notify()
        if pipeline.awaited:
            pipeline.awaited = False
            for watch in pipeline.watches:
                watch.answered(pipeline.id)
        if pipeline.watches:
            self._plan(pipeline, look_again=look_again)
        self._idle_if_unwanted(pipeline)
        self._notifier.notify()

    def _plan(self, pipeline: _Pipeline, *, look_again: bool) -> None:
        pipeline.interval_s = self._pace.next_s(
            pipeline.interval_s, visible=pipeline.visible_watches > 0, settled=pipeline.settled and not look_again
        )
        pipeline.looked_again = look_again and not pipeline.looked_again
        wait_s = min(POLL_AFTER_CHANGE_S, pipeline.interval_s) if pipeline.looked_again else pipeline.interval_s
        wait_s *= random.uniform(1.0 - POLL_JITTER, 1.0)  # noqa: S311 - jitter, no secret
        self._put(pipeline, self._now_s() + wait_s)

    # -- what nobody watches ----------------------------------------------------------------------------------------

    def _next_forget_s(self) -> float | None:
        since_s = next(iter(self._idle_since_s.values()), None)
        return None if since_s is None else since_s + PIPELINE_LINGER_S

    def _forget_idle(self) -> None:
        while (due_s := self._next_forget_s()) is not None and due_s <= self._now_s():
            self._forget_one()

    def _forget_one(self) -> bool:
        """Forgets the pipeline that has been idle longest; says whether there was one."""
        pipeline_id = next(iter(self._idle_since_s), None)
        if pipeline_id is None:
            return False
        del self._idle_since_s[pipeline_id], self._pipelines[pipeline_id]
        self.board.remove(pipeline_id)
        return True
