"""RedisTracking: which changes are pushed, by either server."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from fantail.broker.sources.redis.tracking import Mode, RedisTracking
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from redis.asyncio import Redis

    from support.servers.redis_server import RedisServer


class Heard:
    def __init__(self, url: str, prefixes: Sequence[str]) -> None:
        self.keys: list[bytes | None] = []
        self.pushes = 0
        self.modes: list[Mode] = []
        self.tracking = RedisTracking(url, prefixes, self._on_keys, self.modes.append)

    def _on_keys(self, keys: Sequence[bytes] | None) -> None:
        self.pushes += 1
        self.keys += [None] if keys is None else keys


@asynccontextmanager
async def listening(server: RedisServer, *prefixes: str) -> AsyncIterator[Heard]:
    heard = Heard(server.url, prefixes)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(heard.tracking.run)
        await eventually(lambda: heard.modes == [Mode.TRACKING])
        yield heard
        tasks.cancel_scope.cancel()


async def test_changed_expired_and_deleted_keys_under_the_prefixes_are_named(
    redis: Redis, each_redis_server: RedisServer
) -> None:
    async with listening(each_redis_server, "job:", "task:") as heard:
        await redis.set("other", "1")
        await redis.rpush("job:1:output", "x")
        await redis.hset("task:1", "a", "b")
        await redis.set("job:1:lease", "x", px=20)
        await heard.tracking.caught_up()
        assert set(heard.keys) == {b"job:1:output", b"task:1", b"job:1:lease"}
        await eventually(lambda: heard.keys.count(b"job:1:lease") >= 2, what="the expiry")
        heard.keys.clear()
        await redis.delete("job:1:output")
        await redis.rename("task:1", "task:2")
        await heard.tracking.caught_up()
        assert set(heard.keys) == {b"job:1:output", b"task:1", b"task:2"}


async def test_a_flush_names_no_key(redis: Redis, each_redis_server: RedisServer) -> None:
    async with listening(each_redis_server, "job:") as heard:
        await redis.flushall()
        await heard.tracking.caught_up()
        assert heard.keys == [None]
        await redis.flushdb()
        await heard.tracking.caught_up()
        assert heard.keys == [None, None]


async def test_one_empty_prefix_means_every_key(redis: Redis, each_redis_server: RedisServer) -> None:
    async with listening(each_redis_server, "") as heard:
        await redis.set("anything", "1")
        await heard.tracking.caught_up()
        assert heard.keys == [b"anything"]


async def test_many_changes_at_once_are_few_pushes(redis: Redis, each_redis_server: RedisServer) -> None:
    async with listening(each_redis_server, "job:") as heard:
        async with redis.pipeline(transaction=False) as pipe:
            for _ in range(10_000):
                pipe.rpush("job:1:output", "x")
            await pipe.execute()
        await heard.tracking.caught_up()
        assert set(heard.keys) == {b"job:1:output"}
        assert heard.pushes < 1000


async def test_a_cut_connection_is_made_again_and_said_so(redis: Redis, each_redis_server: RedisServer) -> None:
    async with listening(each_redis_server, "job:") as heard:
        (connection,) = [client for client in await redis.client_list() if client["name"] == "fantail-tracking"]
        await redis.client_kill_filter(_id=connection["id"])
        await eventually(lambda: heard.modes == [Mode.TRACKING, Mode.CONNECTING, Mode.TRACKING])
        await redis.set("job:1", "x")
        await heard.tracking.caught_up()
        assert heard.keys[-1] == b"job:1"


async def test_nothing_is_left_open_when_it_is_cancelled(redis: Redis, each_redis_server: RedisServer) -> None:
    for _ in range(20):
        async with listening(each_redis_server, "job:"):
            pass

    async def nobody_is_left() -> bool:
        return all(client["name"] != "fantail-tracking" for client in await redis.client_list())

    await eventually(nobody_is_left)


async def test_catching_up_while_the_connection_goes_ends_all_the_same(
    redis: Redis, each_redis_server: RedisServer
) -> None:
    async with listening(each_redis_server, "job:") as heard:
        (connection,) = [client for client in await redis.client_list() if client["name"] == "fantail-tracking"]
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(heard.tracking.caught_up)
            await redis.client_kill_filter(_id=connection["id"])
