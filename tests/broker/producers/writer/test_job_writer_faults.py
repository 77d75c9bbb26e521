"""What a producer leaves in Redis when connections are cut and servers die under it."""

from __future__ import annotations

import logging
import random
import re
from typing import TYPE_CHECKING

import anyio
import orjson
import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from fantail.broker.log.records import entry_of
from fantail.broker.producers.writer.job_writer import (
    Delivered,
    JobWriter,
    NewJob,
    Undelivered,
    WriterSettings,
    open_job,
)
from fantail.broker.producers.writer.redis_job import RedisJob, connected
from support.servers.tcp_proxy import tcp_proxy
from support.wait import eventually

if TYPE_CHECKING:
    from conftest import MakeRedisServer
    from support.servers.redis_server import RedisServer

IMPATIENT = WriterSettings(timeout_s=0.5)
NEW = NewJob(id="42", user_id="ada", name="nightly")


async def lines(url: str) -> list[str]:
    async with Redis.from_url(url) as client:
        return [orjson.loads(entry)["line"] for entry in await client.lrange("job:42:output", 0, -1)]


async def status(url: str) -> str:
    async with Redis.from_url(url, decode_responses=True) as client:
        return str(await client.hget("job:42", "status"))


def numbered(first: int, end: int) -> list[str]:
    return [f"line {number}" for number in range(first, end)]


async def append_numbered(job: JobWriter, first: int, end: int, step: int = 100) -> None:
    for start in range(first, end, step):
        await job.append(numbered(start, min(start + step, end)))
        await anyio.lowlevel.checkpoint()


async def _moved(job: JobWriter) -> None:
    before = job.statistics()
    await eventually(lambda: job.statistics() != before, what="the writer goes on")


async def test_a_lost_reply_does_not_double_the_lines(redis_server: RedisServer, redis_url: str) -> None:
    async with tcp_proxy(redis_server.port) as proxy, open_job(proxy.url, NEW, IMPATIENT) as job:
        await job.append(["one"])
        await job.settled()
        proxy.cut_after_reply_bytes(0)
        await job.append(["two", "three"])
        await job.settled()
        assert proxy.cuts_total == 1
        await job.append(["four"])
        assert await job.finish() == Delivered()
    assert await lines(redis_url) == ["one", "two", "three", "four"]


async def test_connections_cut_anywhere_lose_nothing_and_double_nothing(
    redis_server: RedisServer, redis_url: str
) -> None:
    chance = random.Random(41)
    async with tcp_proxy(redis_server.port) as proxy, open_job(proxy.url, NEW, IMPATIENT) as job:
        for round_ in range(40):
            if chance.random() < 0.5:
                proxy.cut_after_reply_bytes(chance.randrange(60))
            else:
                proxy.cut_after_request_bytes(chance.randrange(20_000))
            await append_numbered(job, round_ * 500, round_ * 500 + 500)
            await job.settled()
        assert proxy.cuts_total > 30
        proxy.forward()
        assert await job.finish() == Delivered()
    assert await lines(redis_url) == numbered(0, 20_000)


async def test_the_client_library_repeats_nothing_by_itself(redis_server: RedisServer, redis_client: Redis) -> None:
    async with tcp_proxy(redis_server.port) as proxy, connected(proxy.url) as client:
        await client.ping()
        proxy.cut_after_reply_bytes(0)
        with pytest.raises(RedisConnectionError):
            await client.incr("carried out")
    assert await redis_client.get("carried out") == b"1"


async def test_an_append_is_carried_out_once_however_often_it_arrives(redis_url: str) -> None:
    async with connected(redis_url) as client:
        job = RedisJob(client, "42")
        assert await job.open("", {"created_at": "1"})
        first, second = (entry_of(1, line, "stdout") for line in ("one", "two"))
        assert await job.append(0, b"", [first])
        assert not await job.append(0, b"", [first])
        assert not await job.append(1, b"another", [second])
        assert await job.append(1, first, [second])
        assert not await job.append(0, b"", [first, second])
        assert await job.append(2, second, [])
    assert await lines(redis_url) == ["one", "two"]


async def test_an_append_that_arrives_after_its_time_is_refused(make_redis_server: MakeRedisServer) -> None:
    server = make_redis_server()
    async with open_job(server.tcp_url, NEW, IMPATIENT) as job:
        await append_numbered(job, 0, 300)
        await job.settled()
        server.pause()
        await append_numbered(job, 300, 2000)
        await eventually(lambda: job.statistics().away)
        server.resume()
        assert await job.finish() == Delivered()
    assert await lines(server.url) == numbered(0, 2000)


async def test_a_server_killed_and_started_again_has_every_line_once(make_redis_server: MakeRedisServer) -> None:
    server = make_redis_server(appendonly=True)
    written, enough = 0, False

    async def write_on(job: JobWriter) -> None:
        nonlocal written
        while not enough:
            await job.append(numbered(written, written + 100))
            written += 100
            await anyio.sleep(0.002)

    async with open_job(server.url, NEW, IMPATIENT) as job, anyio.create_task_group() as tasks:
        tasks.start_soon(write_on, job)
        for _ in range(3):
            await _moved(job)
            await anyio.to_thread.run_sync(server.kill9)
            await anyio.to_thread.run_sync(server.start)
        enough = True
    assert await lines(server.url) == numbered(0, written)
    assert await status(server.url) == "success"


async def test_a_tail_that_the_server_lost_is_written_anew(make_redis_server: MakeRedisServer) -> None:
    server = make_redis_server()
    async with open_job(server.url, NEW, IMPATIENT) as job:
        await append_numbered(job, 0, 1000)
        await job.settled()
        assert server.command("SAVE").startswith(b"+OK")
        await append_numbered(job, 1000, 3000)
        job.update(branch="main")
        await job.settled()
        server.kill9()
        server.start()
        assert len(await lines(server.url)) == 1000
        await job.append(["the last"])
        assert await job.finish() == Delivered()
    assert await lines(server.url) == [*numbered(0, 3000), "the last"]
    async with Redis.from_url(server.url) as client:
        assert await client.hget("job:42", "branch") == b"main"


async def test_a_server_that_lost_everything_is_given_the_job_again(make_redis_server: MakeRedisServer) -> None:
    server = make_redis_server()
    async with open_job(server.url, NEW, IMPATIENT) as job:
        await append_numbered(job, 0, 1000)
        await job.settled()
        server.kill9()
        server.start()
        await job.append(["the last"])
        await job.settled()
        async with Redis.from_url(server.url) as client:
            restored = await client.hgetall("job:42")
            assert restored[b"user_id"] == b"ada"
            assert restored[b"status"] == b"running"
            assert await client.zscore("jobs:user:ada", "42") is not None
            assert await client.exists("job:42:lease")
            assert await client.ttl("job:42:output") > 0
    assert await lines(server.url) == [*numbered(0, 1000), "the last"]


async def test_a_silent_job_is_given_again_too(make_redis_server: MakeRedisServer) -> None:
    server = make_redis_server()
    async with open_job(server.url, NEW, WriterSettings(lease_s=0.3, timeout_s=0.5)) as job:
        await append_numbered(job, 0, 100)
        await job.settled()
        server.kill9()
        server.start()

        async def restored() -> bool:
            return await lines(server.url) == numbered(0, 100)

        await eventually(restored)


async def test_what_was_lost_for_good_is_told_where_it_is_missing(
    make_redis_server: MakeRedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    server = make_redis_server()
    async with open_job(server.url, NEW, WriterSettings(timeout_s=0.5, rewrite_bytes_max=5000)) as job:
        await append_numbered(job, 0, 1000)
        await job.settled()
        server.kill9()
        server.start()
        await job.append(["the last"])
    gap, *rest = await lines(server.url)
    told = re.fullmatch(r"(\d+) lines are missing here: Redis lost them.*", gap)
    assert told is not None
    lost = int(told[1])
    assert rest == [*numbered(lost, 1000), "the last"]
    assert f"lost {lost} lines" in caplog.text


async def test_output_waits_on_disk_while_redis_is_away(make_redis_server: MakeRedisServer) -> None:
    server = make_redis_server(appendonly=True)
    async with open_job(server.url, NEW, IMPATIENT) as job:
        await append_numbered(job, 0, 100)
        await job.settled()
        server.kill9()
        await append_numbered(job, 100, 50_000)
        job.update(branch="main")
        now = job.statistics()
        assert now.away
        assert now.spooled > 40_000
        assert now.dropped == 0
        server.start()
        assert await job.finish() == Delivered()
    assert await lines(server.url) == numbered(0, 50_000)
    assert await status(server.url) == "success"


@pytest.mark.parametrize("spool_bytes_max", [0, 20_000])
async def test_what_the_spool_cannot_hold_is_counted_where_it_is_missing(
    make_redis_server: MakeRedisServer, spool_bytes_max: int
) -> None:
    server = make_redis_server(appendonly=True)
    settings = WriterSettings(timeout_s=0.5, spool_bytes_max=spool_bytes_max)
    async with open_job(server.url, NEW, settings) as job:
        await append_numbered(job, 0, 100)
        await job.settled()
        server.kill9()
        await job.append(["noticed"])
        await eventually(lambda: job.statistics().away)
        await append_numbered(job, 100, 2000)
        dropped = job.statistics().dropped
        assert dropped > 1000
        server.start()
        await eventually(lambda: not job.statistics().away)
        await job.append(["the last"])
        assert await job.finish() == Undelivered(dropped, dropped=dropped)
    stored = await lines(server.url)
    kept = 1900 - dropped
    assert stored[: 101 + kept] == [*numbered(0, 100), "noticed", *numbered(100, 100 + kept)]
    assert re.fullmatch(rf"{dropped:,} lines \([\d,]+ bytes\) are missing here: Redis was away.*", stored[101 + kept])
    assert stored[102 + kept :] == ["the last"]


async def test_a_redis_without_memory_is_one_that_is_away(make_redis_server: MakeRedisServer) -> None:
    server = make_redis_server()
    async with open_job(server.url, NEW, IMPATIENT) as job:
        await job.append(["one"])
        await job.settled()
        server.command("CONFIG", "SET", "maxmemory", "1")
        await append_numbered(job, 0, 1000)
        await eventually(lambda: job.statistics().away)
        server.command("CONFIG", "SET", "maxmemory", "0")
        assert await job.finish() == Delivered()
    assert await lines(server.url) == ["one", *numbered(0, 1000)]


async def test_the_last_of_many_changes_holds_whatever_became_of_the_others(
    redis_server: RedisServer, redis_url: str, redis_client: Redis
) -> None:
    async with tcp_proxy(redis_server.port) as proxy, open_job(proxy.url, NEW, IMPATIENT) as job:
        proxy.refuse()
        for count in range(200):
            job.update(lines_added=count, **{f"field_{count % 7}": count})
        proxy.forward()
        assert await job.finish() == Delivered()
    stored = await redis_client.hmget("job:42", "lines_added", "field_3", "field_4", "status")
    assert stored == [b"199", b"199", b"193", b"success"]
    assert await lines(redis_url) == []


async def test_a_redis_that_never_comes_back_is_given_up_in_time(make_redis_server: MakeRedisServer) -> None:
    server = make_redis_server()
    async with open_job(server.url, NEW, IMPATIENT) as job:
        await job.append(["one"])
        await job.settled()
        server.kill9()
        await job.append(["two", "three"])
        assert await job.finish(flush_s=0.3) == Undelivered(2, first=1, status=True)


async def test_the_last_status_is_written_after_the_last_line(
    redis_server: RedisServer, redis_url: str, redis_client: Redis
) -> None:
    async with tcp_proxy(redis_server.port) as proxy, open_job(proxy.url, NEW, IMPATIENT) as job:
        await job.append(["one"])
        await job.settled()
        proxy.refuse()
        await append_numbered(job, 0, 5000)
        async with redis_client.monitor() as monitor, anyio.create_task_group() as tasks:
            tasks.start_soon(job.finish)
            proxy.forward()
            pushed_at = ended_at = count = 0
            async for seen in monitor.listen():
                count += 1
                if seen["command"].startswith("RPUSH job:42:output"):
                    pushed_at = count
                if " status success" in seen["command"]:
                    ended_at = count
                    break
        assert pushed_at
        assert ended_at > pushed_at
    assert await lines(redis_url) == ["one", *numbered(0, 5000)]
