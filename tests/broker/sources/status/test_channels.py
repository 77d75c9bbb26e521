"""Tests and runs followed over a real Redis: heard, kept, read again after a cut, and never told wrong."""

from __future__ import annotations

import random
import time
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import orjson
import pytest

from fantail.broker import SourceUnavailableError
from fantail.broker.limits import MESSAGES_IN_A_ROW_MAX, STATUS_TTL_S
from fantail.broker.log.notify import Waiter
from fantail.broker.producers.writer.status_publisher import StatusPublisher
from fantail.broker.sources.redis.connection import RedisLink
from fantail.broker.sources.status.pubsub import StatusPubSub
from fantail.broker.sources.status.state import (
    KEEP_LATER,
    RERUN_MS,
    RUN,
    TEST,
    StatusState,
    Subject,
    from_stored,
    iso,
    merged,
    state_of,
    to_stored,
)
from fantail.broker.sources.status.store import StatusKeeper, keep_command
from support.servers.tcp_proxy import tcp_proxy
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping

    from redis.asyncio import Redis

    from conftest import MakeRedisServer
    from fantail.broker.sources.status.log import StatusLog
    from fantail.broker.sources.status.pubsub import StatusReader
    from support.servers.redis_server import RedisServer

T = 1_700_000_000_000


@asynccontextmanager
async def following(url: str, database: StatusReader | None = None, **more: Any) -> AsyncIterator[StatusPubSub]:
    statuses = StatusPubSub(url, database=database, **more)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(statuses.run)
        await eventually(lambda: statuses.available is not None)
        yield statuses
        tasks.cancel_scope.cancel()


async def until_status(log: StatusLog, status: str, timeout_s: float = 5.0) -> None:
    waiter = Waiter()
    with anyio.fail_after(timeout_s):
        while log.known.status != status:
            await waiter.sleep(log.notifier, log.notifier.version)


async def publish(client: Redis, channel: str, **payload: Any) -> int:
    return int(await client.publish(channel, orjson.dumps(payload)))


# -- what is heard --------------------------------------------------------------------------------------------------


async def test_a_message_that_cannot_be_written_again_does_not_end_the_following(
    redis_client: Redis, redis_url: str
) -> None:
    deep = b"[" * 300 + b"]" * 300
    async with following(redis_url) as statuses, statuses.watch(Subject(RUN, "r")) as run:
        for run_id in ("r", "unwatched"):
            await redis_client.publish(f"job:{run_id}:status", b'{"status":"running","errorDetails":%b}' % deep)
        await publish(redis_client, "job:r:complete", status="passed")
        await until_status(run, "passed")
        await eventually(lambda: statuses.stats().unwritten == 0)
        assert await statuses.known(Subject(RUN, "unwatched")) is not None


async def test_a_burst_leaves_everybody_else_their_turns(redis_client: Redis, redis_url: str) -> None:
    burst, heard = 5_000, [0]
    async with following(redis_url) as statuses:
        pipeline = redis_client.pipeline(transaction=False)
        for number in range(burst):
            pipeline.publish(f"job:{number % 10}:status", b'{"status":"running"}')
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pipeline.execute)
            with anyio.fail_after(30):
                while heard[-1] < burst:
                    await anyio.lowlevel.checkpoint()
                    heard.append(statuses.stats().messages_total)
    assert max(later - sooner for sooner, later in pairwise(heard)) <= MESSAGES_IN_A_ROW_MAX


async def test_one_connection_hears_the_channels_of_all_tests_and_runs(redis_client: Redis, redis_url: str) -> None:
    async with following(redis_url) as statuses:
        async with statuses.watch(Subject(RUN, "r")) as run, statuses.watch(Subject(TEST, "t")) as test:
            await publish(redis_client, "job:r:status", status="running")
            await publish(redis_client, "test:t:complete", status="passed")
            await until_status(run, "running")
            await until_status(test, "passed")
            assert run.known.payload == {"status": "running", "runId": "r"}
            assert test.known.payload == {"status": "passed", "testId": "t"}
            clients = await redis_client.client_list()
            assert sum(client["psub"] == "4" for client in clients) == 1
        assert statuses.stats().subjects == 0, "what nobody watches is forgotten"


async def test_what_is_said_while_the_state_is_read_is_not_lost(redis_client: Redis, redis_url: str) -> None:
    """Trap 15: it is subscribed before it is read, and what was read does not undo what was heard."""
    reading, go_on = anyio.Event(), anyio.Event()

    class SlowDatabase:
        async def read(self, subjects: Collection[Subject]) -> Mapping[Subject, StatusState]:
            reading.set()
            await go_on.wait()
            return {each: state_of(each, {"status": "running"}, complete=False, heard_ms=T) for each in subjects}

    async with following(redis_url, SlowDatabase()) as statuses, anyio.create_task_group() as tasks:

        async def say_the_end() -> None:
            await reading.wait()
            await publish(redis_client, "job:r:complete", status="failed", completedAt=iso(T))
            await eventually(lambda: statuses.stats().messages_total == 1)
            go_on.set()

        tasks.start_soon(say_the_end)
        async with statuses.watch(Subject(RUN, "r")) as log:
            assert log.known.status == "failed"
            assert log.over


async def test_the_last_state_is_kept_in_redis_for_who_comes_later(redis_client: Redis, redis_url: str) -> None:
    async with following(redis_url) as statuses:
        await publish(redis_client, "job:r:status", status="running", startedAt=iso(T))
        await publish(redis_client, "test:t:complete", status="failed")
        await eventually(lambda: redis_client.exists("fantail:status:run:r", "fantail:status:test:t"))
        await eventually(lambda: statuses.stats().unwritten == 0)
        assert STATUS_TTL_S - 10 <= await redis_client.ttl("fantail:status:run:r") <= STATUS_TTL_S
    async with following(redis_url, ttl_s=5) as another_node:
        async with another_node.watch(Subject(RUN, "r")) as log:
            assert log.known.payload == {"status": "running", "startedAt": iso(T), "runId": "r"}
        async with another_node.watch(Subject(TEST, "t")) as log:
            assert log.over
        assert (await another_node.known(Subject(TEST, "t"))) is not None
        assert await another_node.known(Subject(TEST, "nobody")) is None


async def test_messages_of_all_sorts_do_not_stop_it(redis_client: Redis, redis_url: str) -> None:
    async with following(redis_url) as statuses, statuses.watch(Subject(RUN, "r")) as log:
        for data in (b"", b"\xff\xfe", b"{", b"[]", b"1" * 1_000_000, b"[" * 100_000):
            await redis_client.publish("job:r:status", data)
            await redis_client.publish("job:a:b:c:status", data)
        await redis_client.set("fantail:status:run:other", b"not ours")
        await redis_client.lpush("fantail:status:run:listed", b"not ours")
        await publish(redis_client, "job:listed:status", status="running")
        await publish(redis_client, "job:r:complete", status="passed", errorDetails="x" * 1_000_000)
        await until_status(log, "passed")
        assert log.known.payload["truncated"] is True
        async with statuses.watch(Subject(RUN, "other")) as other, statuses.watch(Subject(RUN, "listed")) as listed:
            assert other.known.status == "waiting"
            assert listed.known.status == "waiting"
        await eventually(lambda: redis_client.exists("fantail:status:run:r"))


async def test_a_thousand_watches_are_read_in_few_round_trips(redis_client: Redis, redis_url: str) -> None:
    async with following(redis_url) as statuses:
        before = (await redis_client.info("commandstats")).get("cmdstat_get", {"calls": 0})["calls"]
        asked = statuses._link
        round_trips = 0
        ask = asked.ask

        async def counted(commands: Any) -> Any:
            nonlocal round_trips
            round_trips += 1
            return await ask(commands)

        asked.ask = counted  # type: ignore[method-assign]

        async def watch(number: int) -> None:
            async with statuses.watch(Subject(RUN, f"r{number}")):
                pass

        async with anyio.create_task_group() as tasks:
            for number in range(1000):
                tasks.start_soon(watch, number)
        after = (await redis_client.info("commandstats"))["cmdstat_get"]["calls"]
        assert after - before == 1000
        assert round_trips <= 5
        assert statuses.stats().subjects == 0


# -- cuts -----------------------------------------------------------------------------------------------------------


async def test_what_was_said_while_the_connection_was_cut_is_read_when_it_is_back(
    make_redis_server: MakeRedisServer,
) -> None:
    server = make_redis_server()
    async with tcp_proxy(server.port) as proxy, following(proxy.url) as statuses:
        async with statuses.watch(Subject(RUN, "r")) as log, StatusPublisher(server.url) as worker:
            await worker.run("r", "running")
            await until_status(log, "running")
            proxy.refuse()
            await eventually(lambda: statuses.available is False)
            await worker.run("r", "passed")
            assert log.known.status == "running"
            proxy.forward()
            await until_status(log, "passed")
            assert statuses.available
            assert log.over
        await eventually(lambda: proxy.connections_open <= 2)


async def test_a_connection_that_falls_silent_is_given_up(
    make_redis_server: MakeRedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fantail.broker.sources.status.channels.PUBSUB_PING_S", 0.2)
    server = make_redis_server()
    async with tcp_proxy(server.port) as proxy, following(proxy.url) as statuses:
        proxy.black_hole()
        await eventually(lambda: statuses.available is False)
        proxy.forward()
        await eventually(lambda: statuses.available is True, timeout_s=10.0)


async def test_redis_killed_and_brought_back_costs_no_end_and_no_connection(
    make_redis_server: MakeRedisServer,
) -> None:
    server = make_redis_server(appendonly=True)
    async with (
        following(server.url) as statuses,
        StatusPublisher(server.url) as worker,
        statuses.watch(Subject(RUN, "a")) as a,
        statuses.watch(Subject(RUN, "b")) as b,
    ):
        await worker.run("a", "running")
        await until_status(a, "running")
        before = _ours(server)
        assert before == ["fantail-publisher", "fantail-status", "fantail-status-reads"]
        for _ in range(3):
            server.kill9()
            await eventually(lambda: statuses.available is False)
            assert a.known.status == "running", "no false failure"
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(worker.run, "b", "running")  # it waits for Redis
                server.start()
            await eventually(lambda: statuses.available is True, timeout_s=10.0)
        await worker.run("a", "failed")
        await until_status(a, "failed")
        await until_status(b, "running")
        await eventually(lambda: statuses.stats().unwritten == 0)
        assert _ours(server) == before
    await eventually(lambda: _ours(server) == [])


def _ours(server: RedisServer) -> list[str]:
    listed = server.command("CLIENT", "LIST").decode(errors="replace")
    return sorted(word.removeprefix("name=") for word in listed.split() if word.startswith("name=fantail"))


async def test_with_redis_away_and_no_database_a_watch_is_refused_for_now(make_redis_server: MakeRedisServer) -> None:
    server = make_redis_server()
    server.stop()
    async with following(server.url) as statuses:
        with pytest.raises(SourceUnavailableError):
            async with statuses.watch(Subject(RUN, "r")):
                pass
        assert statuses.stats().subjects == 0
        server.start()
        await eventually(lambda: statuses.available is True, timeout_s=10.0)
        async with statuses.watch(Subject(RUN, "r")) as log:
            assert log.known.status == "waiting"


# -- what is kept ---------------------------------------------------------------------------------------------------


def random_state(chance: random.Random, subject: Subject) -> StatusState:
    payload: dict[str, Any] = {"status": chance.choice(["waiting", "running", "passed", "failed", "retrying"])}
    for member in ("startedAt", "completedAt"):
        if chance.random() < 0.5:
            payload[member] = T + chance.choice([-20_000, -1, 0, 1, 5_000, 30_000])
    heard_ms = T + chance.choice([0, 1, RERUN_MS - 1, RERUN_MS + 1, 40_000])
    return state_of(subject, payload, complete=chance.random() < 0.3, heard_ms=heard_ms)


async def test_the_script_decides_as_the_code_does(each_redis_server: RedisServer) -> None:
    chance = random.Random(15)
    link = RedisLink(each_redis_server.url, name="test")
    subject = Subject(RUN, "r")
    await link.ask([("SCRIPT", "LOAD", KEEP_LATER)])
    for _ in range(1_500):
        old, new = random_state(chance, subject), random_state(chance, subject)
        _, kept, found = await link.ask(
            [("SET", subject.key, to_stored(old)), keep_command(subject, new, 60), ("GET", subject.key)]
        )
        expected = merged(old, new, heard=True)
        state = from_stored(subject, found)
        assert state is not None
        if expected is old:
            # A repetition may be written again; it is the same then.
            assert state in (old, new)
            assert state == old or (old.rank is new.rank and old.payload == new.payload), (old, new)
        else:
            assert kept == 1, (old, new)
            assert state.payload == expected.payload
    await link.close()


async def test_what_waits_to_be_written_is_bounded_and_written_when_redis_is_back(
    make_redis_server: MakeRedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fantail.broker.sources.status.store.STATUS_UNWRITTEN_MAX", 100)
    server = make_redis_server()
    server.stop()
    keeper = StatusKeeper(RedisLink(server.url, name="test"), 60)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keeper.run)
        for number in range(1_000):
            subject = Subject(RUN, f"r{number}")
            keeper.keep(subject, state_of(subject, {"status": "running"}, complete=False, heard_ms=T))
        assert keeper.unwritten == 100
        server.start()
        await eventually(lambda: keeper.unwritten == 0, timeout_s=10.0)
        assert server.command("DBSIZE") == b":100\r\n"
        tasks.cancel_scope.cancel()
    await keeper._link.close()


# -- the publisher --------------------------------------------------------------------------------------------------


async def test_a_worker_says_how_a_test_and_a_run_stand(redis_client: Redis, redis_url: str) -> None:
    async with redis_client.pubsub() as listener, StatusPublisher(redis_url, ttl_s=60) as worker:
        await listener.psubscribe("*:complete", "*:status")
        for _ in range(2):
            await listener.get_message(timeout=5.0)
        assert await worker.publish("run", "r", "running", {"startedAt": iso(T)}) == 1
        await worker.test("t", "passed", reportPath="/r")
        heard: list[Any] = []
        while len(heard) < 2:
            message = await listener.get_message(timeout=5.0)
            assert message is not None
            heard.append((message["channel"], orjson.loads(message["data"])))
        assert heard == [
            (b"job:r:status", {"status": "running", "startedAt": iso(T), "runId": "r"}),
            (b"test:t:complete", {"status": "passed", "reportPath": "/r", "testId": "t"}),
        ]
        assert 50 <= await redis_client.ttl("fantail:status:test:t") <= 60


async def test_a_worker_gives_up_in_the_end_and_says_so(make_redis_server: MakeRedisServer) -> None:
    server = make_redis_server()
    server.stop()
    async with StatusPublisher(server.url, patience_s=0.2) as worker:
        with pytest.raises(SourceUnavailableError):
            await worker.run("r", "passed")
        with pytest.raises(ValueError, match="not a valid id"):
            await worker.run("a:b", "passed")


async def test_what_a_worker_with_a_clock_of_tomorrow_says_is_kept_as_said_now(redis_url: str) -> None:
    """Else its end would hide the next run of the same test until tomorrow."""
    subject, now_ms = Subject(TEST, "t"), time.time_ns() // 10**6
    state = state_of(subject, {"status": "passed"}, complete=True, heard_ms=now_ms + 86_400_000)
    link = RedisLink(redis_url, name="test")
    await link.ask([keep_command(subject, state, 60)])
    (stored,) = await link.ask([("GET", subject.key)])
    await link.close()
    kept = from_stored(subject, stored)
    assert kept is not None
    assert (kept.payload, kept.complete) == (state.payload, True)
    assert abs(kept.heard_ms - now_ms) < 60_000
