"""How many jobs run and wait: told at first, when a number changes, and not more often than people can read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from fantail.broker.limits import QUEUE_STATS_INTERVAL_S
from support.clients.sse_client import open_stream
from support.servers.served_status import served_status
from support.supercheck_board import dashboard, shown

if TYPE_CHECKING:
    from redis.asyncio import Redis


async def test_the_queue_is_told_at_first_and_when_a_number_changes(redis_url: str, redis_client: Redis) -> None:
    await redis_client.hset("job:1", mapping={"id": "1", "status": "running"})
    await redis_client.hset("job:2", mapping={"id": "2", "status": "pending"})
    async with (
        dashboard(redis_url, tailed=True, running_capacity=3, queued_capacity=9) as board,
        open_stream(f"{board.served.url}/api/queue-stats/sse") as stream,
    ):
        assert await shown(stream) == {"running": 1, "runningCapacity": 3, "queued": 1, "queuedCapacity": 9}
        await redis_client.hset("job:1", "name", "no number of the queue changes")
        await redis_client.hset("job:2", "status", "running")
        assert await shown(stream) == {"running": 2, "runningCapacity": 3, "queued": 0, "queuedCapacity": 9}
        await redis_client.delete("job:1")
        assert (await shown(stream))["running"] == 1


async def test_a_storm_of_changes_is_told_a_few_times_a_second() -> None:
    async with served_status() as served, open_stream(f"{served.url}/api/queue-stats/sse") as stream:
        await shown(stream)
        began_s = anyio.current_time()
        for number in range(500):
            await served.broker.create_job(f"j{number}")
            await anyio.lowlevel.checkpoint()
        frames = 0
        running = 0
        while running < 500:
            running = (await shown(stream))["running"]
            frames += 1
        lasted_s = anyio.current_time() - began_s
        assert frames <= 2 + lasted_s / QUEUE_STATS_INTERVAL_S
