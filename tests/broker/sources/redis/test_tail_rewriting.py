"""Lists that change under their readers: trimmed, deleted, written anew, cut short. Nobody sees a mixture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
from redis import Redis as SyncRedis

from fantail.broker import Batch, entry_of
from fantail.broker.log.position import checksum, log_position
from fantail.broker.sources.redis.dirty_keys import DirtyKeys
from support.clients.viewer import Viewer, tailing, watching
from support.servers.redis_broker import redis_broker
from support.wait import eventually

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from support.servers.redis_server import RedisServer

OUTPUT = "job:1:output"


@pytest.fixture
async def redis(redis: Redis) -> Redis:
    """One that holds a job that runs."""
    await redis.hset("job:1", mapping={"status": "running"})
    return redis


def entries(name: str, start: int, stop: int) -> list[bytes]:
    return [entry_of(1_700_000_000_000 + number, f"{name} {number}", "stdout") for number in range(start, stop)]


def lines(name: str, start: int, stop: int) -> list[str]:
    return [f"{name} {number}" for number in range(start, stop)]


async def test_a_list_deleted_and_written_anew_is_a_reset(redis: Redis, each_redis_server: RedisServer) -> None:
    """Trap 34, for who watches: the new list is longer than the old one, and is shown from its beginning."""
    async with tailing(each_redis_server.url) as broker, watching(broker, "1") as viewer:
        await redis.rpush(OUTPUT, *entries("old", 0, 20))
        await eventually(lambda: viewer.lines == lines("old", 0, 20))
        async with redis.pipeline(transaction=True) as pipe:
            pipe.delete(OUTPUT)
            pipe.rpush(OUTPUT, *entries("new", 0, 50))
            await pipe.execute()
        await eventually(lambda: viewer.lines == lines("new", 0, 50))
        assert viewer.resets == 1


@pytest.mark.parametrize("fresh_node", [False, True])
async def test_an_old_position_does_not_point_into_a_list_written_anew(
    redis: Redis, each_redis_server: RedisServer, *, fresh_node: bool
) -> None:
    """Trap 34, for who comes back, to the same node or to another."""
    async with tailing(each_redis_server.url) as broker:
        async with watching(broker, "1") as viewer:
            await redis.rpush(OUTPUT, *entries("old", 0, 20))
            await eventually(lambda: len(viewer.lines) == 20)
        await redis.delete(OUTPUT)
        await redis.rpush(OUTPUT, *entries("new", 0, 50))
        await redis.hset("job:1", "status", "success")
        if not fresh_node:
            await check_reset(Viewer(broker, "1"), viewer)
    if fresh_node:
        async with tailing(each_redis_server.url) as fresh:
            await check_reset(Viewer(fresh, "1"), viewer)


async def check_reset(back: Viewer, before: Viewer) -> None:
    await back.run(after=before.position)
    assert back.resets == 1
    assert back.lines == lines("new", 0, 50)


async def test_a_lost_tail_that_is_written_anew_with_other_lines_is_a_reset(
    redis: Redis, each_redis_server: RedisServer
) -> None:
    """Trap 47: the list is as long as it was, and its end is another."""
    async with tailing(each_redis_server.url) as broker, watching(broker, "1") as viewer:
        await redis.rpush(OUTPUT, *entries("line", 0, 20))
        await eventually(lambda: len(viewer.lines) == 20)
        async with redis.pipeline(transaction=True) as pipe:
            pipe.ltrim(OUTPUT, 0, 14)
            pipe.rpush(OUTPUT, *entries("other", 15, 30))
            await pipe.execute()
        await eventually(lambda: viewer.lines == lines("line", 0, 15) + lines("other", 15, 30))
        assert viewer.resets == 1
        await redis.rpush(OUTPUT, *entries("more", 0, 5))
        await eventually(lambda: viewer.lines[-5:] == lines("more", 0, 5))
        assert viewer.resets == 1


async def test_a_position_in_a_lost_tail_is_refused_and_one_before_it_is_not(
    redis: Redis, each_redis_server: RedisServer
) -> None:
    """Trap 47, for who comes back to a fresh node."""
    await redis.rpush(OUTPUT, *entries("line", 0, 15), *entries("other", 15, 30))
    await redis.hset("job:1", "status", "success")
    lost, kept = entries("line", 19, 20)[0], entries("line", 14, 15)[0]
    async with tailing(each_redis_server.url) as broker:
        from_lost = Viewer(broker, "1")
        await from_lost.run(after=log_position(19, checksum(lost)))
        assert from_lost.resets == 1
        assert from_lost.lines == lines("line", 0, 15) + lines("other", 15, 30)
        from_kept = Viewer(broker, "1")
        await from_kept.run(after=log_position(14, checksum(kept)))
        assert from_kept.resets == 0
        assert from_kept.lines == lines("other", 15, 30)


async def test_flushall_is_told_at_once_and_what_is_written_after_it_is_seen(
    redis: Redis, each_redis_server: RedisServer
) -> None:
    async with tailing(each_redis_server.url) as broker:
        await redis.rpush(OUTPUT, *entries("old", 0, 20))
        await eventually(lambda: "1" in broker.tables.rows("jobs"))
        async with watching(broker, "1") as viewer:
            await eventually(lambda: len(viewer.lines) == 20)
            await redis.flushall()
            await eventually(lambda: viewer.gone, timeout_s=1.0)
            await eventually(lambda: broker.tables.rows("jobs") == {})
        await redis.rpush(OUTPUT, *entries("new", 0, 5))
        await redis.hset("job:1", mapping={"status": "success"})
        back = Viewer(broker, "1")
        await back.run(after=viewer.position)
        assert back.lines == lines("new", 0, 5)
        assert back.resets == 1


async def test_a_capped_list_is_followed_live_without_loss(redis: Redis, each_redis_server: RedisServer) -> None:
    """RPUSH and LTRIM at every step: what the viewer has seen may go, what it has not is never skipped."""
    async with tailing(each_redis_server.url) as broker, watching(broker, "1") as viewer:
        for start in range(0, 20_000, 50):
            async with redis.pipeline(transaction=True) as pipe:
                pipe.rpush(OUTPUT, *entries("line", start, start + 50))
                pipe.ltrim(OUTPUT, -1000, -1)
                await pipe.execute()
            await eventually(lambda: len(viewer.lines) > start - 400)  # noqa: B023
        await redis.hset("job:1", "status", "success")
        await eventually(lambda: viewer.done)
        assert viewer.lines == lines("line", 0, 20_000)
        assert (viewer.resets, viewer.gaps) == (0, [])


async def test_a_list_trimmed_to_less_than_its_proof_is_followed_without_a_reset(
    redis: Redis, each_redis_server: RedisServer
) -> None:
    async with tailing(each_redis_server.url) as broker, watching(broker, "1") as viewer:
        await redis.rpush(OUTPUT, *entries("line", 0, 50))
        await eventually(lambda: len(viewer.lines) == 50)
        await redis.ltrim(OUTPUT, 48, -1)
        await redis.rpush(OUTPUT, *entries("line", 50, 55))
        await redis.hset("job:1", "status", "success")
        await eventually(lambda: viewer.done)
        assert viewer.lines == lines("line", 0, 55)
        assert (viewer.resets, viewer.gaps) == (0, [])


async def test_a_reader_behind_a_capped_list_is_told_of_the_gap(redis: Redis, each_redis_server: RedisServer) -> None:
    async with tailing(each_redis_server.url) as broker:
        await redis.rpush(OUTPUT, *entries("line", 0, 3000))
        async with broker.watch("1") as job:
            subscription = broker.subscribe(job)  # stands at 0; most of what follows is not in memory
            await redis.rpush(OUTPUT, *entries("line", 3000, 3010))
            await redis.ltrim(OUTPUT, 2000, -1)
            await redis.hset("job:1", "status", "success")
            await eventually(lambda: job.output.floor == 2000)
            viewer = Viewer(broker, "1")
            await viewer.run()
            assert subscription.cursor.offset == 0
        assert viewer.resets == 0
        (gap,) = viewer.gaps
        assert gap[1] == 1999
        assert viewer.lines == lines("line", 0, gap[0]) + lines("line", 2000, 3010)


async def test_a_position_survives_a_trim_that_a_fresh_node_knows_nothing_of(
    redis: Redis, each_redis_server: RedisServer
) -> None:
    await redis.rpush(OUTPUT, *entries("line", 0, 3000))
    await redis.hset("job:1", "status", "success")
    async with tailing(each_redis_server.url) as broker:
        first = Viewer(broker, "1")
        await first.run()
        position = log_position(2499, checksum(entries("line", 2499, 2500)[0]))
    await redis.ltrim(OUTPUT, 1000, -1)
    async with tailing(each_redis_server.url) as fresh:
        back = Viewer(fresh, "1")
        await back.run(after=position)
        assert (back.resets, back.gaps) == (0, [])
        assert back.lines == lines("line", 2500, 3000)
        at_end = Viewer(fresh, "1")
        await at_end.run(after=first.position)
        assert (at_end.resets, at_end.lines) == (0, [])


async def test_a_position_whose_entry_was_trimmed_away_is_a_reset(redis: Redis, each_redis_server: RedisServer) -> None:
    await redis.rpush(OUTPUT, *entries("line", 0, 3000))
    await redis.hset("job:1", "status", "success")
    await redis.ltrim(OUTPUT, 1000, -1)
    async with tailing(each_redis_server.url) as fresh:
        back = Viewer(fresh, "1")
        await back.run(after=log_position(10, checksum(entries("line", 10, 11)[0])))
        assert back.resets == 1
        assert back.lines == lines("line", 1000, 3000)


async def test_a_page_of_a_list_written_anew_unnoticed_is_not_taken(
    redis: Redis, each_redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await redis.rpush(OUTPUT, *entries("old", 0, 3000))
    async with tailing(each_redis_server.url) as broker, broker.watch("1") as job:
        monkeypatch.setattr(DirtyKeys, "_mark_key", lambda *_: None)  # as if the pushes were still under way
        monkeypatch.setattr(broker.source, "_mark_what_is_due", lambda: None)
        async with redis.pipeline(transaction=True) as pipe:
            pipe.delete(OUTPUT)
            pipe.rpush(OUTPUT, *entries("new", 0, 4000))
            await pipe.execute()
        assert job.output.tail == 3000
        async with watching(broker, "1") as viewer:
            await eventually(lambda: viewer.lines == lines("new", 0, 4000))
            assert viewer.resets == 1


async def test_a_reader_behind_the_window_never_mixes_two_lists(redis: Redis, each_redis_server: RedisServer) -> None:
    """Pages of the archive are proven: the list is written anew, again and again, while it is being paged in."""
    async with tailing(each_redis_server.url) as broker:
        await redis.rpush(OUTPUT, *entries("list 0 line", 0, 5000))
        async with anyio.create_task_group() as tasks:
            viewers = [Viewer(broker, "1", pause_s=0.001) for _ in range(3)]
            for viewer in viewers:
                tasks.start_soon(viewer.run)
            for life in range(1, 8):
                await eventually(lambda: all(viewer.lines for viewer in viewers))
                async with redis.pipeline(transaction=True) as pipe:
                    pipe.delete(OUTPUT)
                    pipe.rpush(OUTPUT, *entries(f"list {life} line", 0, 5000 + life))
                    await pipe.execute()
            await redis.hset("job:1", "status", "success")
        for viewer in viewers:
            assert viewer.lines == lines("list 7 line", 0, 5007)


async def test_a_page_of_a_job_that_was_deleted_and_let_go_meanwhile_harms_nobody(redis_url: str) -> None:  # trap 47
    writer = SyncRedis.from_url(redis_url)
    for job_id in ("1", "2"):
        writer.hset(f"job:{job_id}", "status", "success")
        writer.rpush(f"job:{job_id}:output", *[f"line {number}" for number in range(20_000)])
    async with redis_broker(redis_url).running() as broker:
        async with broker.watch("1") as job:
            reader = broker.subscribe(job)
            reader.cursor = job.output.start(10_000)
            writer.delete("job:1", "job:1:output")  # not noticed before the page has been asked for
            with anyio.CancelScope() as leaving:
                leaving.cancel()
                await reader.next()
        broker.forget_if_unwatched(job)
        async with broker.watch("2") as other:
            assert isinstance(await broker.subscribe(other).next(), Batch)
        assert broker.find("1") is None
    writer.close()
