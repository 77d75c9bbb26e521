"""Five hundred pipelines and two hundred viewers, in simulated time: what it costs the backend, and who sees what."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import anyio
import pytest

from fantail.broker.limits import PIPELINES_PER_STREAM_MAX, POLL_STEADY_S
from fantail.broker.log.notify import Waiter
from fantail.web.streams.pipeline_frames import PipelineFollower, SharedFrames
from support.clients.sse_client import EventParser
from support.simulation.simulated_backend import Network, names, simulate

if TYPE_CHECKING:
    from fantail.broker.sources.pipelines.health_poller import HealthPoller

pytestmark = pytest.mark.slow

STATUSES = ("active", "paused", "stopped", "failed", "starting")
CHANGES = 1_000
VIEWERS = 200
PIPELINES = 500

Seen = dict[str, list[str]]


async def follow(poller: HealthPoller, frames: SharedFrames, ids: list[str], seen: Seen, lag_s: float) -> None:
    """One viewer: what its screen shows, pipeline by pipeline. It looks up only every `lag_s`, as a slow one does."""
    parser = EventParser()
    with poller.watch(ids) as watch:
        follower = PipelineFollower(poller.board.store, frames, watch, None)
        waiter = Waiter()
        while True:
            version = watch.notifier.version
            for event in parser.feed(follower.news(waited=False)):
                shown = event.json
                if event.name == "batch_update":
                    for update in shown["updates"]:
                        seen[update["pipelineId"]].append(update["status"])
                elif event.name == "status_update":
                    assert seen[shown["pipelineId"]][-1] == shown["previousStatus"], "no change was left out"
                    seen[shown["pipelineId"]].append(shown["status"])
            await anyio.sleep(lag_s)
            await waiter.sleep(watch.notifier, version)


def crowd(viewers: int, seed: int) -> tuple[Network, list[Seen], Seen, list[float]]:
    """Runs a thousand random changes; returns the backend, what each viewer saw, what happened, and the delays."""
    chance = random.Random(seed)
    truth: Seen = {each: ["active"] for each in names(PIPELINES)}
    screens: list[Seen] = []
    delays_s: list[float] = []

    async def story(poller: HealthPoller, network: Network) -> None:
        frames = SharedFrames(poller.board.store)
        async with anyio.create_task_group() as tasks:
            for number in range(viewers):
                ids = names(PIPELINES) if number == 0 else chance.sample(names(PIPELINES), PIPELINES_PER_STREAM_MAX)
                screens.append({each: [] for each in ids})
                tasks.start_soon(follow, poller, frames, ids, screens[-1], chance.choice([0.0, 0.0, 0.5, 7.0]))
            await anyio.sleep(20.0)
            changed_s: dict[str, float] = {}
            rows = poller.board.rows
            while sum(len(each) - 1 for each in truth.values()) < CHANGES:
                for pipeline_id in chance.sample(names(PIPELINES), 20):
                    if rows[pipeline_id]["status"] == truth[pipeline_id][-1]:  # the last one has been noticed
                        status = chance.choice([each for each in STATUSES if each != truth[pipeline_id][-1]])
                        truth[pipeline_id].append(status)
                        network.statuses[pipeline_id] = status
                        changed_s[pipeline_id] = anyio.current_time()
                await anyio.sleep(0.5)
                noticed = [each for each in changed_s if rows[each]["status"] == truth[each][-1]]
                delays_s.extend(anyio.current_time() - changed_s.pop(each) for each in noticed)
            await anyio.sleep(20.0)
            tasks.cancel_scope.cancel()

    return simulate(story, pipelines=PIPELINES), screens, truth, delays_s


def test_every_viewer_sees_every_change_of_a_thousand_and_the_backend_does_not_notice_how_many_watch() -> None:
    network, screens, truth, delays_s = crowd(VIEWERS, seed=7)
    assert len(screens) == VIEWERS
    for screen in screens:
        assert screen == {each: truth[each] for each in screen}
    assert network.overlaps == 0
    assert max(delays_s) <= POLL_STEADY_S + 1.0
    alone, *_ = crowd(1, seed=7)
    seconds = network.asked[-1][0], alone.asked[-1][0]
    many_per_s, one_per_s = len(network.asked) / seconds[0], len(alone.asked) / seconds[1]
    assert abs(many_per_s - one_per_s) < 0.05 * one_per_s
