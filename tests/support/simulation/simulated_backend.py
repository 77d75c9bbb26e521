"""A pipeline backend in simulated time, and a poller of it: for stories of hours that take milliseconds."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from fantail.broker.sources.pipelines.backend import Cause, Health, PipelineBackend, Trouble, Unknown
from fantail.broker.sources.pipelines.health_poller import HealthPoller
from support.simulation.virtual_time import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from fantail.broker.sources.pipelines.backend import Answer

TIMEOUT_S = 5.0


class Network(PipelineBackend):
    """A backend in simulated time."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:1")
        self.statuses: dict[str, str] = {}
        self.delay_s: dict[str, float] = {}
        self.every_delay_s = 0.05
        self.asked: list[tuple[float, str]] = []
        self.under_way: dict[str, int] = {}
        self.most_under_way = 0
        self.overlaps = 0

    async def health(self, pipeline_id: str) -> Answer:
        self.asked.append((anyio.current_time(), pipeline_id))
        self.overlaps += self.under_way.get(pipeline_id, 0)
        self.under_way[pipeline_id] = self.under_way.get(pipeline_id, 0) + 1
        self.most_under_way = max(self.most_under_way, sum(self.under_way.values()))
        delay_s = self.delay_s.get(pipeline_id, self.every_delay_s)
        try:
            await anyio.sleep(min(delay_s, TIMEOUT_S))
        finally:
            self.under_way[pipeline_id] -= 1
        if delay_s >= TIMEOUT_S:
            return Trouble(Cause.SILENT, "simulated")
        status = self.statuses.get(pipeline_id)
        return Unknown() if status is None else Health(status, {"overall_status": status})

    def times(self, pipeline_id: str) -> list[float]:
        return [at_s for at_s, asked in self.asked if asked == pipeline_id]


@asynccontextmanager
async def polling(network: Network) -> AsyncIterator[HealthPoller]:
    poller = HealthPoller(network, now_s=anyio.current_time, wall_ms=lambda: 0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(poller.run)
        yield poller
        tasks.cancel_scope.cancel()


def simulate(body: Callable[[HealthPoller, Network], Awaitable[None]], pipelines: int = 10) -> Network:
    """Runs a story over a backend with so many pipelines, all active."""

    async def main() -> Network:
        network = Network()
        network.statuses = {name(number): "active" for number in range(pipelines)}
        async with polling(network) as poller:
            await body(poller, network)
        return network

    return run(main)


def name(number: int) -> str:
    return f"pipeline-{number}"


def names(count: int) -> list[str]:
    return [name(number) for number in range(count)]
