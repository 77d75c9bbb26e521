"""Redis that dies, hangs, refuses, or is cut off: streams stay open, and nothing is lost or seen twice."""

from __future__ import annotations

import logging
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest
from redis.asyncio import Redis

from fantail.broker import Broker, LengthMismatchError, SourceUnavailableError, entry_of
from fantail.broker.sources.redis.dirty_keys import DirtyKeys
from fantail.broker.sources.redis.ledger import RedisLedger
from fantail.broker.sources.redis.tailer import RedisTailer
from fantail.broker.sources.redis.tracking import RedisTracking
from support.clients.viewer import Viewer, is_tracking, tailing, watching
from support.servers.tcp_proxy import tcp_proxy
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from conftest import MakeRedisServer
    from support.servers.redis_server import RedisServer, ServerKind

KINDS: list[object] = ["valkey", pytest.param("debian", marks=pytest.mark.debian_redis)]
QUICK_S = 0.3
CUTS = 20
# 300 µs for each key, and a word with clients now and then.
SLOW_LOADING = {"key-load-delay": "300", "loading-process-events-interval-bytes": "1024"}


def numbered(start: int, stop: int) -> list[str]:
    return [f"line {number}" for number in range(start, stop)]


def entries(start: int, stop: int) -> list[bytes]:
    return [entry_of(1_700_000_000_000 + number, line, "stdout") for number, line in enumerate(numbered(start, stop))]


@asynccontextmanager
async def impatient(url: str, ready: Callable[[Broker], bool] = is_tracking) -> AsyncIterator[Broker]:
    """A broker that takes 0.3 s of silence for death."""
    broker = Broker(lambda b: RedisTailer(b, url, timeout_s=QUICK_S), lambda b: RedisLedger(b, url))
    async with broker.running():
        await eventually(lambda: ready(broker), what="a way of following")
        yield broker


async def test_a_redis_that_dies_before_it_pushes_is_noticed_though_nobody_asks_anything(
    make_redis_server: MakeRedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_redis_server()
    dead = anyio.Event()

    async def cannot(*_: object) -> None:
        await dead.wait()
        raise ConnectionError("refused")

    monkeypatch.setattr(RedisTracking, "_turn_on", cannot)
    broker = Broker(lambda b: RedisTailer(b, server.url, timeout_s=30.0))
    async with broker.running():
        await eventually(lambda: broker.source_available)
        server.kill9()
        dead.set()
        await eventually(lambda: not broker.source_available)


async def append_once(broker: Broker, job_id: str, lines_count: int, step: int = 100) -> None:
    """Appends numbered lines, each exactly once, whatever happens to Redis."""
    start = 0
    while start < lines_count:
        stop = min(start + step, lines_count)
        try:
            await broker.ledger.append_output(job_id, entries(start, stop), expected=start)
        except LengthMismatchError as error:
            if error.length != stop:
                raise  # not a lost reply: Redis lost lines
        except SourceUnavailableError:
            await anyio.sleep(0.02)
            continue
        start = stop


async def end(broker: Broker, job_id: str) -> None:
    while True:
        try:
            await broker.ledger.update_job(job_id, {"status": "success"})
        except SourceUnavailableError:
            await anyio.sleep(0.02)
        else:
            return


@pytest.mark.parametrize("kind", KINDS)
async def test_readers_follow_through_kill_and_restart_of_redis(
    make_redis_server: MakeRedisServer, kind: ServerKind
) -> None:
    server = make_redis_server(appendonly=True, binary=kind)
    async with tailing(server.url) as broker:
        await broker.ledger.create_job("1", {"status": "running"})
        viewers = [Viewer(broker, "1"), Viewer(broker, "1", pause_s=0.005), Viewer(broker, "1")]
        async with anyio.create_task_group() as tasks:
            for viewer in viewers:
                tasks.start_soon(viewer.run)
            tasks.start_soon(kill_and_start, server, viewers[0])
            await append_once(broker, "1", 20_000)
            await end(broker, "1")
        for viewer in viewers:
            assert viewer.lines == numbered(0, 20_000)
            assert (viewer.resets, viewer.gaps) == (0, [])


async def kill_and_start(server: RedisServer, viewer: Viewer) -> None:
    for reached in (3000, 8000, 13_000):
        await eventually(lambda: len(viewer.lines) > reached, timeout_s=20)  # noqa: B023
        server.kill9()
        await anyio.sleep(random.random() * 0.2)
        await anyio.to_thread.run_sync(server.start)


async def test_readers_follow_through_cuts_at_any_byte(redis_server: RedisServer, redis_client: Redis) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    await redis_client.hset("job:1", mapping={"status": "running"})
    async with (
        tcp_proxy(redis_server.port) as proxy,
        tailing(redis_server.url) as writing,
        impatient(proxy.url) as broker,
    ):
        viewers = [Viewer(broker, "1"), Viewer(broker, "1", pause_s=0.003)]
        written = 0
        async with anyio.create_task_group() as tasks:
            for viewer in viewers:
                tasks.start_soon(viewer.run)
            with anyio.fail_after(40):
                while proxy.cuts_total < CUTS:
                    if proxy.replies.cut_after_bytes is None:
                        proxy.cut_after_reply_bytes(chance.randrange(20_000))
                    await writing.ledger.append_output("1", entries(written, written + 50), expected=written)
                    written += 50
                    await anyio.sleep(0.001)
            proxy.forward()
            await end(writing, "1")
        for viewer in viewers:
            assert viewer.lines == numbered(0, written), seed
            assert (viewer.resets, viewer.gaps) == (0, []), seed


async def test_a_killed_tracking_connection_costs_nothing_but_a_moment(
    redis_server: RedisServer, redis_client: Redis
) -> None:
    await redis_client.hset("job:1", mapping={"status": "running"})
    async with tailing(redis_server.url) as broker, watching(broker, "1") as viewer:
        await eventually(lambda: viewer.statuses)
        for number in range(20):
            await kill(redis_client, "fantail-tracking")
            await redis_client.rpush("job:1:output", *entries(number, number + 1))
            await eventually(lambda: len(viewer.lines) == number + 1)  # noqa: B023
        await eventually(lambda: is_tracking(broker))
        for name in ("fantail-rounds", "fantail-archive"):
            await kill(redis_client, name)
        await redis_client.rpush("job:1:output", *entries(20, 21))
        await eventually(lambda: len(viewer.lines) == 21)
        assert viewer.lines == numbered(0, 21)


async def kill(redis: Redis, name: str) -> None:
    for client in await redis.client_list():
        if client["name"] == name:
            await redis.client_kill_filter(_id=client["id"])


@pytest.mark.parametrize("kind", KINDS)
async def test_where_tracking_is_refused_we_poll(
    make_redis_server: MakeRedisServer, kind: ServerKind, caplog: pytest.LogCaptureFixture
) -> None:
    server = make_redis_server(binary=kind)
    server.command("ACL", "SETUSER", "plain", "on", ">secret", "~*", "&*", "+@all", "-client|tracking")
    url = server.tcp_url.replace("redis://", "redis://plain:secret@")
    async with Redis.from_url(server.url) as redis:
        await redis.hset("job:1", mapping={"status": "running"})
        async with tailing(url, ready=is_polling) as broker, watching(broker, "1") as viewer:
            assert "refuses client tracking" in caplog.text
            await redis.rpush("job:1:output", *entries(0, 3000))
            await eventually(lambda: viewer.lines == numbered(0, 3000))
            await redis.hset("job:2", mapping={"status": "running"})
            async with broker.watch_tables() as tables:
                assert set(tables.rows("jobs")) == {"1", "2"}
                await redis.delete("job:2")
                await eventually(lambda: set(tables.rows("jobs")) == {"1"})
            await redis.hset("job:1", "status", "success")
            await eventually(lambda: viewer.done)


def is_polling(broker: Broker) -> bool:
    assert broker.source is not None
    return broker.source.available and broker.source.mode == "polling"


async def test_a_lost_push_costs_seconds_and_no_data(
    redis_server: RedisServer, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fantail.broker.sources.redis.tailer.RECONCILE_S", 0.2)
    await redis_client.hset("job:1", mapping={"status": "running"})
    async with tailing(redis_server.url) as broker, watching(broker, "1") as viewer:
        await eventually(lambda: viewer.statuses)
        monkeypatch.setattr(DirtyKeys, "_mark_key", lambda *_: None)
        await redis_client.rpush("job:1:output", *entries(0, 5))
        await eventually(lambda: viewer.lines == numbered(0, 5))


async def test_a_frozen_redis_is_noticed_and_followed_again(make_redis_server: MakeRedisServer) -> None:
    server = make_redis_server()
    async with Redis.from_url(server.url) as redis, impatient(server.url) as broker:
        await redis.hset("job:1", mapping={"status": "running"})
        await redis.rpush("job:1:output", *entries(0, 10))
        async with watching(broker, "1") as viewer:
            await eventually(lambda: len(viewer.lines) == 10)
            version = broker.job("1").notifier.version
            server.pause()
            await eventually(lambda: not broker.source_available, timeout_s=10)
            assert broker.job("1").notifier.version > version
            assert viewer.lines == numbered(0, 10)
            with pytest.raises(SourceUnavailableError):
                await first_look(broker, "2")
            server.resume()
            await redis.rpush("job:1:output", *entries(10, 20))
            await eventually(lambda: broker.source_available)
            await eventually(lambda: viewer.lines == numbered(0, 20))
            await eventually(lambda: is_tracking(broker), timeout_s=10)


async def first_look(broker: Broker, job_id: str) -> None:
    async with broker.watch(job_id):
        pass


async def test_a_black_hole_is_noticed_and_followed_through(redis_server: RedisServer, redis_client: Redis) -> None:
    await redis_client.hset("job:1", mapping={"status": "running"})
    async with (
        tcp_proxy(redis_server.port) as proxy,
        impatient(proxy.url) as broker,
        watching(broker, "1") as viewer,
    ):
        await eventually(lambda: viewer.statuses)
        proxy.black_hole()
        await redis_client.rpush("job:1:output", *entries(0, 10))
        await eventually(lambda: not broker.source_available, timeout_s=10)
        proxy.forward()
        await eventually(lambda: viewer.lines == numbered(0, 10), timeout_s=10)
        await eventually(lambda: is_tracking(broker), timeout_s=10)


async def test_redis_may_come_after_us(make_redis_server: MakeRedisServer) -> None:
    server = make_redis_server()
    server.stop()
    async with impatient(server.url, lambda broker: not broker.source_available) as broker:
        with anyio.fail_after(5), pytest.raises(SourceUnavailableError):
            await first_look(broker, "1")
        with anyio.fail_after(1), pytest.raises(SourceUnavailableError):
            async with broker.watch_tables():
                pass
        server.start()
        await eventually(lambda: is_tracking(broker), timeout_s=10)
        await broker.ledger.create_job("1", {"status": "success"})
        await broker.ledger.append_output("1", entries(0, 5))
        viewer = Viewer(broker, "1")
        await viewer.run()
        assert viewer.lines == numbered(0, 5)


async def test_a_job_in_memory_is_shown_as_it_was_while_redis_is_away(make_redis_server: MakeRedisServer) -> None:
    server = make_redis_server()
    async with impatient(server.url) as broker:
        await broker.ledger.create_job("1", {"status": "success"})
        await broker.ledger.append_output("1", entries(0, 5))
        await Viewer(broker, "1").run()
        async with broker.watch_tables():
            pass
        server.stop()
        again = Viewer(broker, "1")
        await again.run()
        assert again.lines == numbered(0, 5)
        async with broker.watch_tables() as tables:
            assert list(tables.rows("jobs")) == ["1"]


async def test_a_wrong_password_is_logged_once_and_tried_again_slowly(
    make_redis_server: MakeRedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_redis_server()
    server.command("CONFIG", "SET", "requirepass", "right")
    with caplog.at_level(logging.INFO):
        async with impatient(server.url, lambda _: "Redis does not answer" in caplog.text) as broker:
            assert not broker.source_available
            with pytest.raises(SourceUnavailableError):
                await first_look(broker, "1")
    assert caplog.text.count("Redis does not answer") == 1
    assert "Authentication required" in caplog.text
    assert "right" not in caplog.text
    monkeypatch.setattr("fantail.broker.sources.backoff.REFUSED_RETRY_S", 0.1)
    url = server.tcp_url.replace("redis://", "redis://:wrong@")
    async with impatient(url, lambda broker: not broker.source_available) as broker:
        async with Redis.from_url(server.tcp_url.replace("redis://", "redis://:right@")) as redis:
            await redis.config_set("requirepass", "wrong")
        await eventually(lambda: is_tracking(broker))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_that_is_still_loading_is_waited_for(
    make_redis_server: MakeRedisServer, kind: ServerKind, caplog: pytest.LogCaptureFixture
) -> None:
    server = make_redis_server(binary=kind, appendonly=True, config=SLOW_LOADING)
    async with impatient(server.url) as broker:
        await broker.ledger.create_job("1", {"status": "running"})
        async with Redis.from_url(server.url) as redis, redis.pipeline(transaction=False) as pipe:
            for number in range(2000):
                pipe.set(f"other:{number}", "x")
            await pipe.execute()
            await redis.bgrewriteaof()
            await eventually(lambda: "terminated with success" in server.log, timeout_s=10)
        async with watching(broker, "1") as viewer:
            await eventually(lambda: viewer.statuses)
            server.kill9()
            await anyio.to_thread.run_sync(server.start)
            assert "loading" in caplog.text.lower()
            await append_once(broker, "1", 10)
            await eventually(lambda: viewer.lines == numbered(0, 10), timeout_s=10)
            assert not viewer.gone
            assert viewer.resets == 0


async def test_a_busy_script_is_trouble_that_passes(make_redis_server: MakeRedisServer) -> None:
    server = make_redis_server(config={"lua-time-limit": "50"})
    async with Redis.from_url(server.url) as redis, impatient(server.url) as broker, anyio.create_task_group() as tasks:
        await redis.hset("job:1", mapping={"status": "running"})
        async with watching(broker, "1") as viewer:
            await eventually(lambda: viewer.statuses)
            tasks.start_soon(run_for_ever, server)
            await eventually(lambda: not broker.source_available, timeout_s=10)
            await eventually(lambda: server.command("SCRIPT", "KILL").startswith(b"+OK"))
            await eventually(lambda: server.command("PING").startswith(b"+PONG"))
            await redis.hset("job:1", "status", "success")
            await eventually(lambda: viewer.done)


async def run_for_ever(server: RedisServer) -> None:
    async with Redis.from_url(server.url) as redis:
        with pytest.raises(Exception, match=r"(?i)killed"):
            await redis.eval("while true do end", 0)
