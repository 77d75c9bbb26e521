"""What following costs Redis: commands, connections, and pages read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from fantail.broker import Presence, entry_of
from support.clients.viewer import Viewer, tailing
from support.wait import eventually

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from support.servers.redis_server import RedisServer


def entries(start: int, stop: int) -> list[bytes]:
    return [entry_of(1_700_000_000_000 + number, f"line {number}", "stdout") for number in range(start, stop)]


async def calls(redis: Redis, *names: str) -> int:
    """How often the server has carried out commands since the statistics were reset; without names: all but ours."""
    stats: dict[str, Any] = await redis.info("commandstats")
    found = {name.removeprefix("cmdstat_"): int(stat["calls"]) for name, stat in stats.items()}
    if names:
        return sum(found.get(name, 0) for name in names)
    return sum(count for name, count in found.items() if name not in {"info", "config|resetstat"})


async def ours(redis: Redis) -> int:
    return sum(client["name"].startswith("fantail") for client in await redis.client_list())


async def test_ten_viewers_of_a_finished_job_read_its_list_once(redis: Redis, each_redis_server: RedisServer) -> None:
    await redis.hset("job:1", mapping={"status": "success"})
    for start in range(0, 100_000, 10_000):
        await redis.rpush("job:1:output", *entries(start, start + 10_000))
    async with tailing(each_redis_server.url) as broker:
        await redis.config_resetstat()
        viewers = [Viewer(broker, "1") for _ in range(10)]
        async with anyio.create_task_group() as tasks:
            for viewer in viewers:
                tasks.start_soon(viewer.run)
        assert all(len(viewer.lines) == 100_000 and viewer.gaps == [] for viewer in viewers)
        # Pages of 4,096 entries at most, each with its proof, and the few of the first reading.
        assert await calls(redis, "lrange") <= 2 * 100_000 / 4096 + 30


async def test_connections_stay_the_same_over_a_thousand_subscriptions(
    redis: Redis, each_redis_server: RedisServer
) -> None:
    """Trap 16."""
    for number in range(50):
        await redis.hset(f"job:{number}", mapping={"status": "running"})
        await redis.rpush(f"job:{number}:output", *entries(0, 200))
    async with tailing(each_redis_server.url) as broker:

        async def cut(viewer: Viewer, after: int) -> None:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(viewer.run)
                    for _ in range(after):
                        await anyio.lowlevel.checkpoint()
                    scope.cancel()

        for some in range(0, 1000, 100):
            async with anyio.create_task_group() as tasks:
                for number in range(some, some + 100):
                    tasks.start_soon(cut, Viewer(broker, str(number % 50)), number % 37)
        assert await ours(redis) <= 4
        assert all(job.watchers == 0 for job in broker.stats().jobs)


@pytest.mark.parametrize("busy", [False, True])
async def test_viewers_cost_no_commands(redis: Redis, each_redis_server: RedisServer, *, busy: bool) -> None:
    async def cost(viewers_count: int) -> int:
        await redis.flushall()
        await redis.hset("job:1", mapping={"status": "running"})
        async with tailing(each_redis_server.url) as broker, anyio.create_task_group() as tasks:
            viewers = [Viewer(broker, "1") for _ in range(viewers_count)]
            for viewer in viewers:
                tasks.start_soon(viewer.run)
            await eventually(lambda: all(viewer.statuses for viewer in viewers))
            await redis.config_resetstat()
            for number in range(50 if busy else 0):
                await redis.rpush("job:1:output", *entries(number, number + 1))
                await eventually(lambda: all(len(viewer.lines) > number for viewer in viewers))  # noqa: B023
            if not busy:
                await anyio.sleep(1.0)  # how much is done in a second is the question itself
            spent = await calls(redis)
            tasks.cancel_scope.cancel()
        return spent

    one, many = await cost(1), await cost(500)
    assert abs(many - one) <= 5 + one // 10


async def test_an_idle_server_sends_next_to_nothing(redis: Redis, each_redis_server: RedisServer) -> None:
    for number in range(20):
        await redis.hset(f"job:{number}", mapping={"status": "running"})
    async with tailing(each_redis_server.url) as broker:
        await eventually(lambda: len(broker.tables.rows("jobs")) == 20)
        async with broker.watch("1") as job:
            assert job.presence is Presence.PRESENT
        await redis.config_resetstat()
        for number in range(20):
            await redis.rpush(f"job:{number}:output", *entries(0, 100))
        await anyio.sleep(2.0)  # how much is done in two seconds is the question itself
        assert await calls(redis) - 20 <= 2


async def test_a_burst_of_changes_to_one_hash_is_read_a_few_times(redis: Redis, each_redis_server: RedisServer) -> None:
    async with tailing(each_redis_server.url) as broker:
        await redis.hset("job:1", mapping={"status": "running"})
        await eventually(lambda: "1" in broker.tables.rows("jobs"))
        await redis.config_resetstat()
        for number in range(500):
            await redis.hset("job:1", "progress", str(number))
        await eventually(lambda: broker.tables.rows("jobs")["1"].get("progress") == "499")
        assert await calls(redis, "hscan") < 100
