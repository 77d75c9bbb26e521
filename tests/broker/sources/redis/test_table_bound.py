"""A table that is full: the newest rows are kept, the others are counted, and nothing of them is held."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fantail.broker import BrokerLimits
from support.clients.viewer import tailing
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redis.asyncio import Redis

    from fantail.broker import Tables
    from support.servers.redis_server import RedisServer

ROWS_MAX = 50


async def make(redis: Redis, numbers: list[int]) -> None:
    pipe = redis.pipeline(transaction=False)
    for number in numbers:
        pipe.hset(f"job:{number}", mapping={"created_at": str(1000 + number), "status": "success"})
    await pipe.execute()


@asynccontextmanager
async def bounded(server: RedisServer) -> AsyncIterator[Tables]:
    limits = BrokerLimits(table_rows_max=ROWS_MAX)
    async with tailing(server.url, limits=limits) as broker, broker.watch_tables() as tables:
        yield tables


def newest(first: int, last: int) -> set[str]:
    return {str(number) for number in range(first, last + 1)}


async def test_the_newest_rows_are_kept_whatever_order_they_are_read_in(
    redis: Redis, each_redis_server: RedisServer
) -> None:
    numbers = list(range(1, 201))
    random.Random(7).shuffle(numbers)
    await make(redis, numbers)
    await redis.hset("job:undated", "status", "success")
    async with bounded(each_redis_server) as tables:
        await eventually(lambda: set(tables.rows("jobs")) == newest(151, 200))
        await eventually(lambda: tables.left_out("jobs") == 151)


async def test_a_new_row_takes_the_place_of_the_oldest_and_an_old_one_takes_none(
    redis: Redis, each_redis_server: RedisServer
) -> None:
    await make(redis, list(range(1, ROWS_MAX + 1)))
    async with bounded(each_redis_server) as tables:
        await eventually(lambda: len(tables.rows("jobs")) == ROWS_MAX)
        assert tables.left_out("jobs") == 0
        for count, number in enumerate((900, 901, 902), 1):
            await make(redis, [number])
            await eventually(lambda: str(number) in tables.rows("jobs"))  # noqa: B023 - asked here
            await eventually(lambda: tables.left_out("jobs") == count)  # noqa: B023
        assert set(tables.rows("jobs")) == newest(4, ROWS_MAX) | {"900", "901", "902"}
        await redis.hset("job:1", "status", "failed")  # of a row that is left out
        await redis.hset("job:4", "status", "failed")
        await eventually(lambda: tables.rows("jobs")["4"]["status"] == "failed")
        assert "1" not in tables.rows("jobs")
        assert tables.left_out("jobs") == 3


async def test_an_old_row_that_is_made_young_comes_in(redis: Redis, each_redis_server: RedisServer) -> None:
    await make(redis, list(range(1, 2 * ROWS_MAX + 1)))
    async with bounded(each_redis_server) as tables:
        await eventually(lambda: set(tables.rows("jobs")) == newest(51, 100))
        await redis.hset("job:1", "created_at", "9000")
        await eventually(lambda: "1" in tables.rows("jobs"))
        await redis.hset("job:100", "created_at", "1")  # and one that was kept is the oldest now
        await redis.hset("job:2", "created_at", "9001")
        await eventually(lambda: "2" in tables.rows("jobs"))
        assert set(tables.rows("jobs")) == newest(52, 99) | {"1", "2"}
        await redis.hset("job:52", "created_at", "9500")  # the oldest is among the newest now
        await redis.hset("job:3", "created_at", "9002")
        await eventually(lambda: "3" in tables.rows("jobs"))
        assert set(tables.rows("jobs")) == newest(54, 99) | {"1", "2", "3", "52"}


async def test_rows_that_were_left_out_come_back_when_others_go(redis: Redis, each_redis_server: RedisServer) -> None:
    await make(redis, list(range(1, ROWS_MAX + 11)))
    async with bounded(each_redis_server) as tables:
        await eventually(lambda: tables.left_out("jobs") == 10)
        await redis.delete("job:1")  # one that is left out
        await eventually(lambda: tables.left_out("jobs") == 9)
        for number in range(51, 61):
            await redis.delete(f"job:{number}")
        await eventually(lambda: set(tables.rows("jobs")) == newest(2, 50))
        await eventually(lambda: tables.left_out("jobs") == 0)


async def test_each_table_has_its_own_bound(redis: Redis, each_redis_server: RedisServer) -> None:
    await make(redis, list(range(1, ROWS_MAX + 4)))
    for number in range(3):
        await redis.hset(f"task:{number}", "title", "t")
    async with bounded(each_redis_server) as tables:
        await eventually(lambda: tables.left_out("jobs") == 3)
        assert len(tables.rows("tasks")) == 3
        assert tables.left_out("tasks") == 0
