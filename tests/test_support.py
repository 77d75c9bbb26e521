"""The tests' own tools do what they promise: otherwise every fault test would be worth nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio
import pytest
import redis.exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from support.servers.tcp_proxy import TcpProxy, tcp_proxy
from support.wait import eventually

if TYPE_CHECKING:
    from conftest import MakeRedisServer
    from support.servers.redis_server import RedisServer


def unforgiving(proxy: TcpProxy) -> Redis:
    return Redis.from_url(proxy.url, retry=Retry(NoBackoff(), 0), socket_timeout=0.3)


async def test_each_test_starts_with_an_empty_server(redis_client: Redis) -> None:
    assert await redis_client.dbsize() == 0
    await redis_client.set("left", "behind")


async def test_each_test_starts_with_an_empty_server_again(redis_client: Redis) -> None:
    assert await redis_client.dbsize() == 0


async def test_both_kinds_answer_on_both_addresses(each_redis_server: RedisServer) -> None:
    for url in (each_redis_server.url, each_redis_server.tcp_url):
        async with Redis.from_url(url) as client:
            assert await client.ping()


@pytest.mark.debian_redis
async def test_a_private_server_keeps_its_data_over_kill_and_start(
    make_redis_server: MakeRedisServer,
) -> None:
    server = make_redis_server(appendonly=True, binary="debian", config={"appendfsync": "always"})
    port = server.port
    async with Redis.from_url(server.tcp_url) as client:
        await client.rpush("list", "one")
    server.kill9()
    assert not server.running
    server.start()
    assert server.port == port
    async with Redis.from_url(server.tcp_url) as client:
        assert await client.lrange("list", 0, -1) == [b"one"]


async def test_a_paused_server_is_silent_and_then_goes_on(make_redis_server: MakeRedisServer) -> None:
    server = make_redis_server()
    async with Redis.from_url(server.tcp_url) as client:
        await client.ping()
        server.pause()
        with anyio.move_on_after(0.1) as scope:
            await client.ping()
        assert scope.cancelled_caught
        server.resume()
    async with Redis.from_url(server.tcp_url) as client:
        assert await client.ping()


async def test_the_proxy_forwards_and_counts(redis_server: RedisServer) -> None:
    async with tcp_proxy(redis_server.port) as proxy, Redis.from_url(proxy.url) as client:
        value = b"x" * 300_000
        await client.set("big", value)
        assert await client.get("big") == value
        assert proxy.connections_total == proxy.connections_open == 1
        assert proxy.requests.total_bytes > 300_000
        assert proxy.replies.total_bytes > 300_000


async def test_a_reply_lost_whole_leaves_the_command_done(redis_server: RedisServer, redis_client: Redis) -> None:
    async with tcp_proxy(redis_server.port) as proxy, unforgiving(proxy) as client:
        await client.ping()
        proxy.cut_after_reply_bytes(0)
        with pytest.raises(redis.exceptions.ConnectionError):
            await client.rpush("list", "one")
        assert proxy.cuts_total == 1
        assert await redis_client.llen("list") == 1
        assert await client.ping()


async def test_a_request_cut_in_its_middle_is_never_carried_out(redis_server: RedisServer, redis_client: Redis) -> None:
    async with tcp_proxy(redis_server.port) as proxy, unforgiving(proxy) as client:
        await client.ping()
        proxy.cut_after_request_bytes(10)
        with pytest.raises(redis.exceptions.ConnectionError):
            await client.rpush("list", "one")
        assert await redis_client.llen("list") == 0


async def test_a_black_hole_holds_what_was_sent_until_it_forwards_again(redis_server: RedisServer) -> None:
    async with tcp_proxy(redis_server.port) as proxy, unforgiving(proxy) as client:
        await client.ping()
        proxy.black_hole()
        with pytest.raises(redis.exceptions.TimeoutError):
            await client.ping()
        proxy.forward()
        assert await client.ping()


async def test_a_refusing_proxy_cuts_old_and_new_connections(redis_server: RedisServer) -> None:
    async with tcp_proxy(redis_server.port) as proxy, unforgiving(proxy) as client:
        await client.ping()
        proxy.refuse()
        await eventually(lambda: proxy.connections_open == 0)
        # uvloop's closed transport answers a write of redis-py with a bare RuntimeError.
        with pytest.raises((redis.exceptions.ConnectionError, RuntimeError)):
            await client.ping()
        proxy.forward()
        assert await client.ping()


async def test_a_delay_is_paid_in_each_direction(redis_server: RedisServer) -> None:
    async with tcp_proxy(redis_server.port) as proxy, unforgiving(proxy) as client:
        await client.ping()
        proxy.delay_s = 0.02
        before = time.monotonic()
        await client.ping()
        assert time.monotonic() - before >= 0.035  # timers may fire a millisecond early


async def test_eventually_returns_the_answer_and_fails_with_the_last_one() -> None:
    answers = iter([0, 0, 7])
    assert await eventually(lambda: next(answers)) == 7
    with pytest.raises(AssertionError, match=r"a seven; the last answer was 0"):
        await eventually(lambda: 0, timeout_s=0.01, what="a seven")
