"""Five hundred pipelines and two hundred viewers, in simulated time: what it costs the backend, and who sees what."""

from __future__ import annotations

import random
from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING

import anyio
import orjson
import pytest

from fantail.broker.limits import POLL_STEADY_S
from fantail.broker.log.notify import Waiter
from fantail.web.streams.pipeline_frames import PipelineFollower, SharedFrames
from support.simulation.simulated_backend import Network, name, names, simulate

if TYPE_CHECKING:
    from fantail.broker.sources.pipelines.health_poller import HealthPoller

pytestmark = pytest.mark.slow

PIPELINES = 500
CHANGES = 1_000
STATUSES = ("active", "pausing", "paused", "resuming", "stopping", "stopped", "starting", "failed")

Changes = dict[str, list[tuple[str, str]]]


class Story:
    """A run of random changes, each made when the one before it has been seen, and what every viewer was told."""

    def __init__(self, viewers: int) -> None:
        self.chance = random.Random(8)
        self.made: Changes = defaultdict(list)
        self.seen: list[Changes] = [defaultdict(list) for _ in range(viewers)]
        self.unready = viewers
        self.ready = anyio.Event()
        self.polls = 0
        self.took_s = 0.0

    async def __call__(self, poller: HealthPoller, network: Network) -> None:
        frames = SharedFrames(poller.board.store)
        async with anyio.create_task_group() as tasks:
            for seen in self.seen:
                tasks.start_soon(self.view, poller, frames, seen)
            await self.ready.wait()
            began_s, polls = anyio.current_time(), len(network.asked)
            await self.change(poller, network)
            self.took_s, self.polls = anyio.current_time() - began_s, len(network.asked) - polls
            await anyio.sleep(2 * POLL_STEADY_S)
            tasks.cancel_scope.cancel()

    async def view(self, poller: HealthPoller, frames: SharedFrames, seen: Changes) -> None:
        with poller.watch(names(PIPELINES)) as watch:
            follower, waiter = PipelineFollower(poller.board.store, frames, watch, None), Waiter()
            while not follower.closed:
                version = watch.notifier.version
                for told in events(follower.news(waited=False)):
                    if told["type"] == "batch_update":
                        assert len(told["updates"]) == PIPELINES
                        self.unready -= 1
                        if self.unready == 0:
                            self.ready.set()
                    else:
                        seen[told["pipelineId"]].append((told["previousStatus"], told["status"]))
                await waiter.sleep(watch.notifier, version)

    async def change(self, poller: HealthPoller, network: Network) -> None:
        for _ in range(CHANGES):
            chosen = name(self.chance.randrange(PIPELINES))
            while poller.board.rows[chosen]["status"] != network.statuses[chosen]:
                chosen = name(self.chance.randrange(PIPELINES))
            before = network.statuses[chosen]
            after = self.chance.choice([status for status in STATUSES if status != before])
            network.statuses[chosen] = after
            self.made[chosen].append((before, after))
            await anyio.sleep(self.chance.uniform(0.0, 0.1))


@cache
def events(told: bytes) -> list[dict[str, str]]:
    return [orjson.loads(line.removeprefix(b"data: ")) for line in told.split(b"\n") if line.startswith(b"data: ")]


def played(viewers: int) -> tuple[Story, Network]:
    story = Story(viewers)
    return story, simulate(story, pipelines=PIPELINES)


def test_each_of_200_viewers_of_500_pipelines_sees_each_of_1000_changes_for_the_polls_of_one_viewer() -> None:
    alone, _ = played(1)
    many, network = played(200)
    assert sum(map(len, many.made.values())) == CHANGES
    for seen in many.seen:
        assert seen == many.made
    assert network.overlaps == 0
    rate, rate_alone = many.polls / many.took_s, alone.polls / alone.took_s
    assert abs(rate - rate_alone) <= 0.05 * rate_alone, f"{rate:.1f} polls a second against {rate_alone:.1f}"
