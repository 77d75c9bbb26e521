"""The tables mirror the hashes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from fantail.broker import Broker
from fantail.broker.documents.patch_store import operation_of
from fantail.broker.sources.redis.keys import TablePattern, without_overlaps
from fantail.broker.sources.redis.tailer import RedisTailer
from support.clients.viewer import tailing, watching
from support.wait import eventually

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from support.servers.redis_server import RedisServer


async def test_rows_are_there_at_the_start_follow_changes_and_go_with_their_keys(
    redis: Redis, each_redis_server: RedisServer
) -> None:
    for number in range(2500):
        await redis.hset(f"job:{number}", mapping={"status": "running", "prompt": "long"})
    await redis.hset("task:7", mapping={"title": "one"})
    async with tailing(each_redis_server.url) as broker, broker.watch_tables() as tables:
        assert len(tables.rows("jobs")) == 2500
        assert tables.rows("jobs")["3"] == {"status": "running"}
        assert tables.rows("tasks") == {"7": {"title": "one"}}
        await redis.hset("task:7", mapping={"title": "two"})
        await redis.hset("task:8", mapping={"title": "three"})
        await eventually(lambda: tables.rows("tasks") == {"7": {"title": "two"}, "8": {"title": "three"}})
        await redis.delete("task:7")
        await redis.pexpire("task:8", 10)
        await eventually(lambda: tables.rows("tasks") == {})


async def test_whoever_looks_sees_what_was_written_before(redis: Redis, each_redis_server: RedisServer) -> None:
    async with tailing(each_redis_server.url) as broker:
        for number in range(100):
            await redis.hset("job:1", mapping={"status": str(number)})
            async with broker.watch_tables() as tables:
                assert tables.rows("jobs")["1"]["status"] == str(number)


async def test_whoever_looks_sees_what_was_written_before_also_of_a_watched_job(
    redis: Redis, each_redis_server: RedisServer
) -> None:
    async with tailing(each_redis_server.url) as broker:
        await redis.hset("job:1", mapping={"status": "0"})
        async with watching(broker, "1"):
            for number in range(100):
                await redis.hset("job:1", mapping={"status": str(number)})
                async with broker.watch_tables() as tables:
                    assert tables.rows("jobs")["1"]["status"] == str(number)


async def test_a_star_never_matches_a_colon_and_no_foreign_id_becomes_a_row(
    redis: Redis, each_redis_server: RedisServer
) -> None:
    """Trap 39."""
    for key in ("job:42:diff", "job:", "job:a b", "job:ü", "job:-x", "jobs:user:ada", b"job:\xff"):
        await redis.hset(key, mapping={"status": "running"})
    await redis.set("job:43", "no hash")
    await redis.hset("job:output", mapping={"status": "running"})
    async with tailing(each_redis_server.url) as broker, broker.watch_tables() as tables:
        assert list(tables.rows("jobs")) == ["output"]
        await redis.hset("job:output", mapping={"status": "success"})
        await eventually(lambda: tables.rows("jobs")["output"] == {"status": "success"})


async def test_no_row_is_ever_seen_without_the_owner_it_was_created_with(each_redis_server: RedisServer) -> None:
    """Trap 40: a reader samples every operation while jobs are created, change hands and are deleted."""
    async with tailing(each_redis_server.url) as broker, broker.watch_tables() as tables:
        first = tables.log.tail
        for number in range(50):
            await broker.ledger.create_job(str(number), {"user_id": "ada", "status": "running"})
        await eventually(lambda: len(tables.rows("jobs")) == 50)
        await broker.ledger.update_job("7", {"user_id": "bob", "secret": "his"})
        await eventually(lambda: tables.rows("jobs")["7"].get("user_id") == "bob")
        await broker.ledger.delete_job("8")
        await eventually(lambda: "8" not in tables.rows("jobs"))
        batch = tables.log.read(tables.log.start(first))
        seen_by_ada = []
        for record in batch.records():  # type: ignore[union-attr]
            operation, owner = operation_of(record)
            assert owner in {"ada", "bob"}
            if owner == "ada":
                seen_by_ada.append(operation)
        assert {"op": "remove", "path": "/jobs/7"} in seen_by_ada
        assert "his" not in str(seen_by_ada)


async def test_a_broker_without_a_table_leaves_its_rows_alone(redis: Redis, each_redis_server: RedisServer) -> None:
    await redis.hset("job:1", mapping={"status": "running"})
    await redis.hset("task:1", mapping={"title": "one"})
    broker = Broker(lambda b: RedisTailer(b, each_redis_server.url), tables=("jobs",))
    async with broker.running(), broker.watch_tables() as tables:
        assert tables.document == {"jobs": {"1": {"status": "running"}}}


async def test_a_table_is_scanned_in_steps_while_others_are_served(
    redis: Redis, each_redis_server: RedisServer
) -> None:
    async with redis.pipeline(transaction=False) as pipe:
        for number in range(20_000):
            pipe.set(f"job:{number}:noise", "x")
        await pipe.execute()
    await redis.hset("job:1", mapping={"status": "running"})
    async with tailing(each_redis_server.url) as broker, anyio.create_task_group():
        async with broker.watch("1") as job:
            assert job.status == "running"
        async with broker.watch_tables() as tables:
            assert list(tables.rows("jobs")) == ["1"]


@pytest.mark.parametrize(
    ("prefixes", "covering"),
    [
        (["job:", "work_session:", "job:", "task:"], ["job:", "task:", "work_session:"]),
        (["job:x:", "job:", "jobs:"], ["job:", "jobs:"]),
        (["", "job:"], [""]),
    ],
)
def test_prefixes_that_another_covers_are_dropped(prefixes: list[str], covering: list[str]) -> None:
    assert without_overlaps(prefixes) == covering


@pytest.mark.parametrize("pattern", ["job:", "*:*", ""])
def test_a_pattern_has_exactly_one_star(pattern: str) -> None:
    with pytest.raises(ValueError, match="exactly one"):
        TablePattern.parse("jobs", pattern)


def test_a_pattern_may_end_behind_its_star() -> None:
    pattern = TablePattern.parse("runs", "ci:*:run")
    assert pattern.id_of("ci:42:run") == "42"
    assert pattern.key_of("42") == "ci:42:run"
    assert pattern.id_of("ci:42:43:run") is None
    assert pattern.id_of("ci:run") is None
