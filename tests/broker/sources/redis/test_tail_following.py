"""What a viewer sees of a job that is written to Redis, with either server."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio
import pytest
from redis.asyncio import Redis

from fantail.broker import BrokerLimits, InvalidIdError, Presence, entry_of
from fantail.broker.jobs import JOB, WORK_SESSION, Job
from fantail.broker.sources.redis.connection import RedisLink
from fantail.broker.sources.redis.follower import JobFollower
from fantail.broker.sources.redis.leases import Leases
from support.clients.viewer import Viewer, tailing, watching
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.servers.redis_server import RedisServer


@pytest.fixture
async def redis(each_redis_server: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(each_redis_server.url, protocol=2) as client:
        yield client


@pytest.fixture
async def link(each_redis_server: RedisServer) -> AsyncIterator[RedisLink]:
    link = RedisLink(each_redis_server.url, name="test")
    yield link
    await link.close()


def entries(*lines: str) -> list[bytes]:
    return [entry_of(1_700_000_000_000, line, "stdout") for line in lines]


def numbered(start: int, stop: int) -> list[str]:
    return [f"line {number}" for number in range(start, stop)]


async def put_job(redis: Redis, job_id: str, lines: list[str], **fields: str) -> None:
    words = [word for item in {"id": job_id, "status": "running", **fields}.items() for word in item]
    await redis.hset(f"job:{job_id}", items=list(words))
    for start in range(0, len(lines), 1000):
        await redis.rpush(f"job:{job_id}:output", *entries(*lines[start : start + 1000]))


@pytest.mark.parametrize("checks_owner", [False, True])
@pytest.mark.parametrize("moment", range(6))
async def test_output_pushed_before_a_terminal_status_is_read_before_it(
    redis: Redis, link: RedisLink, moment: int, *, checks_owner: bool
) -> None:
    """Trap 1: whatever the moment, between any two of our commands, at which the job writes its last line and ends."""
    await put_job(redis, "1", ["first"])
    job = Job(JOB, "1", epoch="e", archived=True)
    follower = JobFollower(job, Leases(), 1_000_000, float, checks_owner=checks_owner)
    commands_sent = 0
    for _ in range(5):
        follower.mark()
        replies = []
        for command in follower.plan():
            if commands_sent == moment:
                await redis.rpush("job:1:output", *entries("last"))
                await redis.hset("job:1", "status", "success")
            commands_sent += 1
            replies += await link.ask([command])
        follower.take(iter(replies))
        if job.ended:
            assert job.output.tail == 2
    assert job.ended


async def test_a_terminal_status_waits_for_all_pages_before_it(redis: Redis, each_redis_server: RedisServer) -> None:
    """Trap 20."""
    async with tailing(each_redis_server.url) as broker:
        await put_job(redis, "1", ["first"])
        async with watching(broker, "1") as viewer:
            await eventually(lambda: viewer.lines == ["first"])
            lines = numbered(0, 30_000)
            async with redis.pipeline(transaction=True) as pipe:
                for start in range(0, len(lines), 1000):
                    pipe.rpush("job:1:output", *entries(*lines[start : start + 1000]))
                pipe.hset("job:1", "status", "failed")
                await pipe.execute()
            await eventually(lambda: viewer.done)
        assert viewer.lines == ["first", *lines]
        assert viewer.statuses == ["running", "failed"]


async def test_viewers_that_come_at_any_time_see_every_line_once_in_order(
    redis: Redis, each_redis_server: RedisServer
) -> None:
    """Trap 18: history and live are one read."""
    lines = numbered(0, 5_000)
    viewers: list[Viewer] = []
    async with tailing(each_redis_server.url) as broker, anyio.create_task_group() as tasks:
        await put_job(redis, "1", [])
        for start in range(0, len(lines), 100):
            viewers.append(Viewer(broker, "1"))
            tasks.start_soon(viewers[-1].run)
            await redis.rpush("job:1:output", *entries(*lines[start : start + 100]))
        await redis.hset("job:1", "status", "success")
        await eventually(lambda: all(viewer.done for viewer in viewers))
    assert all(viewer.lines == lines for viewer in viewers)


async def test_a_job_deleted_while_watched_is_told_at_once(redis: Redis, each_redis_server: RedisServer) -> None:
    """Trap 5."""
    async with tailing(each_redis_server.url) as broker:
        await put_job(redis, "1", ["a line"])
        async with watching(broker, "1") as viewer:
            await eventually(lambda: viewer.lines)
            await redis.delete("job:1")
            await eventually(lambda: viewer.gone, timeout_s=1.0)


async def test_a_job_that_expires_while_watched_is_told(redis: Redis, each_redis_server: RedisServer) -> None:
    async with tailing(each_redis_server.url) as broker:
        await put_job(redis, "1", ["a line"])
        async with watching(broker, "1") as viewer:
            await eventually(lambda: viewer.lines)
            await redis.pexpire("job:1", 20)
            await eventually(lambda: viewer.gone)


async def test_a_change_of_any_field_is_seen(redis: Redis, each_redis_server: RedisServer) -> None:
    """Trap 6."""
    async with tailing(each_redis_server.url) as broker:
        await put_job(redis, "1", [], linesAdded="1")
        async with watching(broker, "1") as viewer:
            await eventually(lambda: viewer.fields.get("lines_added") == "1")
            await redis.hset("job:1", mapping={"mr_url": "https://example.org/1", "anything": "else"})
            await eventually(lambda: viewer.fields.get("anything") == "else")
            assert viewer.fields["mr_url"] == "https://example.org/1"
            await redis.hdel("job:1", "anything")
            await eventually(lambda: "anything" not in viewer.fields)


async def test_an_entry_of_any_shape_is_one_line_and_the_stream_goes_on(
    redis: Redis, each_redis_server: RedisServer
) -> None:
    """Trap 7."""
    strange = [b"no JSON", b"\xff\xfe\x00", b"[1,2]", b'{"line":5}', b"", b"\r\n", b'{"timestamp":1,"line":"a\\ud800"']
    async with tailing(each_redis_server.url) as broker:
        await put_job(redis, "1", ["before"])
        async with watching(broker, "1") as viewer:
            await redis.rpush("job:1:output", *strange, *entries("after"))
            await eventually(lambda: viewer.lines[-1:] == ["after"])
        assert len(viewer.lines) == len(strange) + 2


async def test_keys_of_another_type_are_no_output_and_no_job(redis: Redis, each_redis_server: RedisServer) -> None:
    async with tailing(each_redis_server.url) as broker:
        await put_job(redis, "1", [])
        await redis.set("job:1:output", "a string")
        await redis.set("job:2", "another")
        async with watching(broker, "1") as viewer, watching(broker, "2") as other:
            await eventually(lambda: viewer.statuses == ["running"])
            await eventually(lambda: other.gone)
            await redis.delete("job:1:output")
            await redis.rpush("job:1:output", *entries("a line"))
            await eventually(lambda: viewer.lines == ["a line"])
        assert broker.source_available


async def test_a_job_whose_viewers_were_away_is_read_afresh(redis: Redis, each_redis_server: RedisServer) -> None:
    """Trap 38: what was written in between is neither missed nor shown late."""
    async with tailing(each_redis_server.url) as broker:
        await put_job(redis, "1", ["one"])
        async with watching(broker, "1") as viewer:
            await eventually(lambda: viewer.lines)
        await redis.rpush("job:1:output", *entries("two", "three"))
        await redis.hset("job:1", mapping={"status": "success", "user_id": "ada"})
        async with broker.watch("1") as job:
            assert job.ended
            assert job.owner == "ada"
            assert job.output.tail == 3
        back = Viewer(broker, "1")
        await back.run(after=viewer.position)
        assert back.lines == ["two", "three"]
        assert back.done


async def test_a_finished_job_that_runs_again_is_seen_running(redis: Redis, each_redis_server: RedisServer) -> None:
    async with tailing(each_redis_server.url) as broker:
        await put_job(redis, "1", ["one"], status="failed")
        first = Viewer(broker, "1")
        await first.run()
        await redis.hset("job:1", "status", "running")
        await redis.rpush("job:1:output", *entries("two"))
        async with watching(broker, "1") as viewer:
            await eventually(lambda: viewer.statuses != [])
            assert viewer.lines == ["one", "two"]
            assert viewer.statuses == ["running"]
            await redis.hset("job:1", "status", "success")
            await eventually(lambda: viewer.done)


async def test_a_slow_reader_with_hardly_any_memory_misses_nothing(
    redis: Redis, each_redis_server: RedisServer
) -> None:
    """Trap 19: behind the window it reads the archive, and delays nobody."""
    limits = BrokerLimits(store_bytes_max=100_000, total_bytes_max=200_000)
    async with tailing(each_redis_server.url, limits=limits) as broker:
        await put_job(redis, "1", [])
        async with watching(broker, "1", pause_s=0.01) as slow, watching(broker, "1") as quick:
            lines = numbered(0, 20_000)
            for start in range(0, len(lines), 500):
                await redis.rpush("job:1:output", *entries(*lines[start : start + 500]))
            await redis.hset("job:1", "status", "success")
            await eventually(lambda: quick.done)
            await eventually(lambda: slow.done, timeout_s=20)
            assert broker.stats().total_bytes < 1_000_000
        assert slow.lines == quick.lines == lines
        assert slow.gaps == []


async def test_a_work_session_is_followed_under_its_own_prefix(redis: Redis, each_redis_server: RedisServer) -> None:
    async with tailing(each_redis_server.url) as broker:
        await redis.hset("work_session:1", mapping={"status": "ready"})
        await redis.rpush("work_session:1:output", *entries("hello"))
        async with watching(broker, "1", kind=WORK_SESSION) as viewer:
            await eventually(lambda: viewer.lines == ["hello"])
            await redis.hset("work_session:1", "status", "pushed")
            await eventually(lambda: viewer.done)


async def test_an_id_with_a_colon_reaches_no_other_key(redis: Redis, each_redis_server: RedisServer) -> None:
    """Trap 39."""
    async with tailing(each_redis_server.url) as broker:
        await put_job(redis, "42", [], user_id="ada")
        await redis.hset("job:42:diff", mapping={"a.py": "{}"})
        for hostile in ("42:diff", "42\n", "../42", "", "*"):
            with pytest.raises(InvalidIdError):
                async with broker.watch(hostile):
                    raise AssertionError(hostile)
        await eventually(lambda: broker.tables.rows("jobs"))
        assert list(broker.tables.rows("jobs")) == ["42"]


async def test_a_running_job_that_lost_its_lease_is_stale_until_it_is_back(
    redis: Redis, each_redis_server: RedisServer
) -> None:
    """Trap 46: a status of `running` for ever says nothing."""
    async with tailing(each_redis_server.url) as broker:
        await put_job(redis, "1", [])
        await redis.set("job:1:lease", "somebody")
        async with watching(broker, "1") as viewer, broker.watch_tables() as tables:
            await eventually(lambda: viewer.statuses)
            assert "stale" not in viewer.fields
            await redis.pexpire("job:1:lease", 10)
            await eventually(lambda: viewer.fields.get("stale") is True)
            assert viewer.fields["status"] == "running"
            await eventually(lambda: tables.rows("jobs")["1"].get("stale") is True)
            await redis.set("job:1:lease", "somebody")
            await eventually(lambda: "stale" not in viewer.fields)
            await eventually(lambda: "stale" not in tables.rows("jobs")["1"])
            await redis.hset("job:1", "status", "success")
            await redis.delete("job:1:lease")
            await eventually(lambda: viewer.done)
            assert "stale" not in viewer.fields


async def test_a_job_whose_runner_died_before_we_started_is_stale(redis: Redis, each_redis_server: RedisServer) -> None:
    """Trap 46 on a fresh node: the hash says that there was a lease."""
    await put_job(redis, "1", [], lease_s="30")
    await put_job(redis, "2", [], lease_s="30")
    await redis.set("job:2:lease", "somebody")
    async with tailing(each_redis_server.url) as broker:
        async with broker.watch_tables() as tables:
            await eventually(lambda: tables.rows("jobs")["1"].get("stale") is True)
            assert "stale" not in tables.rows("jobs")["2"]
        async with broker.watch("1") as job, broker.watch("2") as other:
            assert job.fields["stale"] is True
            assert "stale" not in other.fields


async def test_a_finished_job_without_its_list_says_that_the_output_expired(
    redis: Redis, each_redis_server: RedisServer
) -> None:
    async with tailing(each_redis_server.url) as broker:
        await put_job(redis, "1", numbered(0, 10))
        async with watching(broker, "1") as viewer:
            await eventually(lambda: len(viewer.lines) == 10)
            assert "output_expired" not in viewer.fields
            await redis.pexpire("job:1:output", 10)
            await eventually(lambda: viewer.fields.get("output_expired") is True)
            assert len(viewer.lines) == 10
            assert viewer.resets == 0
        await redis.hset("job:1", "status", "success")
    async with tailing(each_redis_server.url) as fresh, fresh.watch("1") as job:
        assert job.fields["output_expired"] is True
        assert job.ended


async def test_a_finished_job_that_printed_nothing_does_not_say_that_its_output_expired(
    redis: Redis, each_redis_server: RedisServer
) -> None:
    await put_job(redis, "1", [], status="success", created_at=str(time.time_ns() // 1_000_000))
    await put_job(redis, "2", [], status="success", created_at="1700000000000")
    async with tailing(each_redis_server.url) as broker:
        async with broker.watch("1") as young:
            assert "output_expired" not in young.fields
        async with broker.watch("2") as old:
            assert old.fields["output_expired"] is True


async def test_an_unknown_job_is_absent_and_leaves_nothing_behind(each_redis_server: RedisServer) -> None:
    async with tailing(each_redis_server.url) as broker:
        async with broker.watch("nobody") as job:
            assert job.presence is Presence.ABSENT
        assert broker.stats().jobs == ()
