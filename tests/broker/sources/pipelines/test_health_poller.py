"""Polling in simulated time: how often, how many at once, for whom. The backend is a table with delays."""

from __future__ import annotations

import itertools
from contextlib import ExitStack
from typing import TYPE_CHECKING

import anyio
import pytest

from fantail.broker.limits import (
    PIPELINE_LINGER_S,
    PIPELINES_MAX,
    POLL_AFTER_CHANGE_S,
    POLL_STEADY_S,
    POLLS_MAX,
    SUSPECT_POLLS_MAX,
)
from fantail.broker.log.notify import Waiter
from fantail.broker.sources.pipelines.backend import Health
from fantail.broker.sources.pipelines.health_poller import TooManyPipelinesError
from support.simulation.simulated_backend import TIMEOUT_S, Network, name, names, simulate

if TYPE_CHECKING:
    from fantail.broker.sources.pipelines.health_poller import HealthPoller


async def until_ready(poller: HealthPoller, ids: list[str]) -> float:
    """Watches until every pipeline has been asked; returns how long that took."""
    began_s = anyio.current_time()
    with poller.watch(ids) as watch:
        waiter = Waiter()
        while not watch.ready:
            await waiter.sleep(watch.notifier, watch.notifier.version)
    return anyio.current_time() - began_s


def polls_in_a_minute(viewers: int) -> int:
    async def story(poller: HealthPoller, _network: Network) -> None:
        with ExitStack() as stack:
            for viewer in range(viewers):
                assert poller.stats().watches == viewer
                stack.enter_context(poller.watch(names(10)))
            await anyio.sleep(60.0)

    return len(simulate(story).asked)


def test_two_hundred_viewers_cost_the_backend_no_more_than_one() -> None:
    one, many = polls_in_a_minute(1), polls_in_a_minute(200)
    assert abs(many - one) <= 0.1 * one
    assert 10 * 60 / POLL_STEADY_S <= one <= 10 * 60 / 2


def test_a_slow_poll_never_overlaps_the_next() -> None:
    """Trap 9."""

    async def story(poller: HealthPoller, network: Network) -> None:
        network.every_delay_s = 4.5
        with poller.watch(names(10)), poller.watch(names(10)):
            await poller.health(name(3))
            with poller.watch(names(5)):
                await anyio.sleep(60.0)

    network = simulate(story)
    assert network.overlaps == 0
    assert len(network.asked) > 50


def test_first_answers_come_together_not_one_after_another() -> None:
    """Trap 11: with one poll at a time sixty slow pipelines would take three minutes."""

    async def story(poller: HealthPoller, network: Network) -> None:
        network.every_delay_s = 2.9
        assert await until_ready(poller, names(60)) < 3.0

    simulate(story, pipelines=60)


def test_polls_under_way_are_bounded() -> None:
    async def story(poller: HealthPoller, _: Network) -> None:
        await until_ready(poller, names(500))

    assert simulate(story, pipelines=500).most_under_way == POLLS_MAX


def test_a_hundred_dead_pipelines_do_not_make_the_living_late() -> None:
    async def story(poller: HealthPoller, network: Network) -> None:
        network.delay_s = dict.fromkeys(names(100), TIMEOUT_S)
        with poller.watch(names(120)):
            await anyio.sleep(30.0)
            network.asked.clear()
            await anyio.sleep(60.0)
            assert sum(network.under_way[each] for each in names(100)) <= SUSPECT_POLLS_MAX
        for living in names(120)[100:]:
            times = network.times(living)
            assert max(later - earlier for earlier, later in itertools.pairwise(times)) < POLL_STEADY_S + 0.2

    simulate(story, pipelines=120)


def test_after_a_change_a_pipeline_is_looked_at_again_at_once() -> None:
    async def story(poller: HealthPoller, network: Network) -> None:
        with poller.watch(names(1)):
            await anyio.sleep(40.0)
            network.statuses[name(0)] = "paused"
            changed_s = anyio.current_time()
            await anyio.sleep(20.0)
        # One that was under way at the change sees it too.
        noticed_s = changed_s - network.every_delay_s
        seen, again, third = [at_s for at_s in network.times(name(0)) if at_s >= noticed_s][:3]
        assert seen - changed_s <= POLL_STEADY_S + 0.1
        assert again - seen <= POLL_AFTER_CHANGE_S + 0.1
        assert 1.5 < third - again < 2.6, "and then at the first intervals again"

    simulate(story)


def test_a_pipeline_that_flaps_is_asked_at_most_twice_as_often() -> None:
    async def story(poller: HealthPoller, network: Network) -> None:
        with poller.watch(names(1)):
            for _ in range(600):
                network.statuses[name(0)] = "paused" if network.statuses[name(0)] == "active" else "active"
                await anyio.sleep(0.1)

    assert len(simulate(story).asked) <= 2 * 60 / 1.8


def test_hidden_pages_are_polled_for_less_often_until_somebody_looks() -> None:
    async def story(poller: HealthPoller, network: Network) -> None:
        with poller.watch(names(1), visible=False):
            await anyio.sleep(300.0)
            network.asked.clear()
            await anyio.sleep(120.0)
            assert 4 <= len(network.asked) <= 5, "every 30 s, less some jitter"
            await anyio.sleep(10.0 if anyio.current_time() - network.asked[-1][0] < 10.0 else 0.0)
            looked_s = anyio.current_time()
            with poller.watch(names(1)) as watch:
                await anyio.sleep(0.1)
                assert watch.ready, "a status older than five seconds is asked for at once"
                assert network.asked[-1][0] == pytest.approx(looked_s, abs=0.01)
                network.asked.clear()
                await anyio.sleep(60.0)
                assert len(network.asked) >= 60 / POLL_STEADY_S

    simulate(story)


def test_what_nobody_watches_is_not_polled_and_forgotten_after_a_while() -> None:
    async def story(poller: HealthPoller, network: Network) -> None:
        with poller.watch(names(10)):
            await anyio.sleep(10.0)
        asked = len(network.asked)
        await anyio.sleep(PIPELINE_LINGER_S - 1.0)
        assert len(network.asked) == asked
        assert poller.stats().pipelines == 10
        await anyio.sleep(2.0)
        assert poller.stats().pipelines == 0
        assert poller.board.rows == {}
        assert poller.stats().watches == 0

    simulate(story)


def test_whoever_comes_back_soon_finds_the_status_at_once() -> None:
    async def story(poller: HealthPoller, network: Network) -> None:
        await until_ready(poller, names(10))
        asked = len(network.asked)
        assert await until_ready(poller, names(10)) == 0.0
        assert len(network.asked) == asked

    simulate(story)


def test_fifty_clients_that_poll_are_given_one_poll() -> None:
    async def story(poller: HealthPoller, network: Network) -> None:
        found = []

        async def ask() -> None:
            found.append(await poller.health(name(0)))

        for _ in range(2):
            async with anyio.create_task_group() as tasks:
                for _ in range(50):
                    tasks.start_soon(ask)
        assert len(network.asked) == 1, "the second fifty find a fresh one"
        assert found == [Health("active", {"overall_status": "active"})] * 100
        await anyio.sleep(30.0)
        assert len(network.asked) == 1, "asking once is not watching"

    simulate(story)


def test_a_client_that_gives_up_leaves_nothing_behind() -> None:
    async def story(poller: HealthPoller, network: Network) -> None:
        network.every_delay_s = 1.0
        with anyio.move_on_after(0.5):
            await poller.health(name(0))
        await anyio.sleep(PIPELINE_LINGER_S + 5.0)
        assert poller.stats().pipelines == 0
        assert len(network.asked) == 1

    simulate(story)


def test_a_full_poller_forgets_the_idle_and_refuses_when_all_are_watched() -> None:
    async def story(poller: HealthPoller, _: Network) -> None:
        ids = [f"x{number}x" for number in range(PIPELINES_MAX)]
        with poller.watch(ids[: PIPELINES_MAX // 2]):
            pass
        with poller.watch(ids):
            with pytest.raises(TooManyPipelinesError), poller.watch(["another-one"]):
                pass
            with pytest.raises(TooManyPipelinesError):
                await poller.health("another-one")
        with poller.watch(["another-one"]):
            assert poller.stats().pipelines == PIPELINES_MAX
        assert poller.stats().watches == 0

    simulate(story, pipelines=0)
