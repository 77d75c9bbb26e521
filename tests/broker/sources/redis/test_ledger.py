"""RedisLedger: each change whole or not at all, and an append exactly once."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest
from redis.asyncio import Redis

from fantail.broker import (
    AlreadyExistsError,
    Broker,
    DatabaseChange,
    InvalidIdError,
    LengthMismatchError,
    NotFoundError,
    SourceUnavailableError,
    entry_of,
)
from fantail.broker.sources.redis.ledger import RedisLedger
from fantail.broker.tables import ChangeKind
from support.servers.tcp_proxy import tcp_proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conftest import MakeRedisServer
    from fantail.broker.documents.json_patch import JsonValue
    from support.servers.redis_server import RedisServer

DAY_MS = 24 * 3600 * 1000


@pytest.fixture
async def redis(each_redis_server: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(each_redis_server.url, decode_responses=True) as client:
        yield client


@asynccontextmanager
async def ledger_at(url: str) -> AsyncIterator[RedisLedger]:
    ledger = RedisLedger(Broker(), url)
    try:
        yield ledger
    finally:
        await ledger.aclose()


@pytest.fixture
async def ledger(each_redis_server: RedisServer) -> AsyncIterator[RedisLedger]:
    async with ledger_at(each_redis_server.url) as ledger:
        yield ledger


def entries(start: int, stop: int) -> list[bytes]:
    return [entry_of(number, f"line {number}", "stdout") for number in range(start, stop)]


async def test_a_job_is_created_whole_once(redis: Redis, ledger: RedisLedger) -> None:
    await ledger.create_job("1", {"status": "running", "user_id": "ada", "created_at": "5", "id": "another"})
    assert await redis.hgetall("job:1") == {"id": "1", "status": "running", "user_id": "ada", "created_at": "5"}
    assert 0 < await redis.pttl("job:1") <= DAY_MS
    assert await redis.zrange("jobs:user:ada", 0, -1, withscores=True) in ([("1", 5.0)], [["1", 5.0]])
    with pytest.raises(AlreadyExistsError):
        await ledger.create_job("1", {"status": "failed"})
    assert await redis.hget("job:1", "status") == "running"


async def test_a_job_without_a_time_gets_one(redis: Redis, ledger: RedisLedger) -> None:
    await ledger.create_job("1", {})
    assert int(await redis.hget("job:1", "created_at") or 0) > 1_700_000_000_000


async def test_no_sample_of_a_job_in_creation_is_without_its_owner(redis: Redis, ledger: RedisLedger) -> None:
    """Trap 40: a reader samples the hash as fast as it can while it is created."""
    samples = []

    async def sample() -> None:
        while True:
            samples.append(await redis.hgetall(f"job:{len(created)}"))

    created: list[str] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sample)
        for number in range(200):
            await ledger.create_job(str(number), {"status": "running", "user_id": "ada"})
            await anyio.lowlevel.checkpoint()
            created.append(str(number))
        tasks.cancel_scope.cancel()
    seen = [sample for sample in samples if sample]
    assert seen
    assert all(sample["user_id"] == "ada" for sample in seen)


async def test_an_append_tells_its_offset_and_keeps_the_job(redis: Redis, ledger: RedisLedger) -> None:
    await ledger.create_job("1", {})
    await redis.pexpire("job:1", 1_000_000)
    assert await ledger.append_output("1", entries(0, 3)) == 0
    assert await ledger.append_output("1", entries(3, 5)) == 3
    assert await ledger.append_output("1", []) == 5
    assert await redis.lrange("job:1:output", 0, -1) == [entry.decode() for entry in entries(0, 5)]
    assert await redis.pttl("job:1") > 80_000_000
    assert await redis.pttl("job:1:output") > 80_000_000


async def test_an_append_of_very_many_lines_is_one_step(redis: Redis, ledger: RedisLedger) -> None:
    await ledger.create_job("1", {})
    assert await ledger.append_output("1", entries(0, 20_000), expected=0) == 0
    assert await redis.llen("job:1:output") == 20_000
    assert await redis.lindex("job:1:output", 12_345) == entries(12_345, 12_346)[0].decode()


async def test_an_append_at_another_length_writes_nothing(redis: Redis, ledger: RedisLedger) -> None:
    await ledger.create_job("1", {})
    await ledger.append_output("1", entries(0, 3), expected=0)
    with pytest.raises(LengthMismatchError) as caught:
        await ledger.append_output("1", entries(0, 3), expected=0)
    assert caught.value.length == 3
    with pytest.raises(LengthMismatchError):
        await ledger.append_output("1", entries(0, 3), expected=4)
    assert await redis.llen("job:1:output") == 3


async def test_of_two_appends_at_one_offset_one_wins(redis: Redis, each_redis_server: RedisServer) -> None:
    won: list[int] = []

    async def append(ledger: RedisLedger) -> None:
        for number in range(100):
            try:
                await ledger.append_output("1", entries(number, number + 1), expected=number)
            except LengthMismatchError:
                continue
            won.append(number)

    async with AsyncExitStack() as stack:
        ledgers = [await stack.enter_async_context(ledger_at(each_redis_server.url)) for _ in range(5)]
        await ledgers[0].create_job("1", {})
        async with anyio.create_task_group() as tasks:
            for ledger in ledgers:
                tasks.start_soon(append, ledger)
    assert won == sorted(set(won))
    assert await redis.llen("job:1:output") == len(won)


async def test_an_append_whose_reply_was_lost_is_never_repeated_by_itself(
    redis_server: RedisServer, redis_client: Redis
) -> None:
    """Trap 41: the caller learns that it is not known, asks again with the same offset, and learns that it was done."""
    async with tcp_proxy(redis_server.port) as proxy, ledger_at(proxy.url) as ledger:
        await ledger.create_job("1", {})
        await ledger.append_output("1", entries(0, 1), expected=0)
        proxy.cut_after_reply_bytes(0)
        with pytest.raises(SourceUnavailableError):
            await ledger.append_output("1", entries(1, 3), expected=1)
        assert await redis_client.llen("job:1:output") == 3
        with pytest.raises(LengthMismatchError) as caught:
            await ledger.append_output("1", entries(1, 3), expected=1)
        assert caught.value.length == 3
        assert await redis_client.llen("job:1:output") == 3


async def test_a_restarted_redis_is_written_to_without_a_fault(make_redis_server: MakeRedisServer) -> None:
    server = make_redis_server(appendonly=True)
    async with ledger_at(server.url) as ledger:
        await ledger.create_job("1", {})
        server.kill9()
        server.start()
        await anyio.lowlevel.checkpoint()  # the event loop sees that the old connection has ended
        assert await ledger.append_output("1", entries(0, 1)) == 0


async def test_fields_are_set_and_removed_together(redis: Redis, ledger: RedisLedger) -> None:
    await ledger.create_job("1", {"status": "running", "branch": "main"})
    await ledger.update_job("1", {"status": "failed", "error_message": "no", "branch": None})
    stored = await redis.hgetall("job:1")
    assert (stored["status"], stored["error_message"]) == ("failed", "no")
    assert "branch" not in stored
    await ledger.update_job("1", {})


async def test_what_is_not_there_cannot_be_changed(redis: Redis, ledger: RedisLedger) -> None:
    for attempt in (
        ledger.append_output("no", entries(0, 1)),
        ledger.append_output("no", entries(0, 1), expected=0),
        ledger.update_job("no", {"status": "failed"}),
        ledger.delete_job("no"),
        ledger.change_table(DatabaseChange("tasks", ChangeKind.UPDATE, "no", {"a": 1})),
        ledger.change_table(DatabaseChange("tasks", ChangeKind.DELETE, "no")),
        ledger.change_table(DatabaseChange("nothing", ChangeKind.INSERT, "1", {})),
    ):
        with pytest.raises(NotFoundError):
            await attempt
    assert await redis.dbsize() == 0


async def test_an_id_with_a_colon_writes_no_other_key(redis: Redis, ledger: RedisLedger) -> None:
    """Trap 39."""
    await ledger.create_job("1", {})
    for attempt in (
        ledger.create_job("1:lease", {}),
        ledger.append_output("1:output", entries(0, 1)),
        ledger.update_job("1:diff", {"a": "b"}),
        ledger.delete_job("1:output"),
        ledger.change_table(DatabaseChange("jobs", ChangeKind.INSERT, "1:diff", {})),
    ):
        with pytest.raises(InvalidIdError):
            await attempt
    assert await redis.dbsize() == 1


async def test_a_deleted_job_leaves_nothing(redis: Redis, ledger: RedisLedger) -> None:
    await ledger.create_job("1", {"user_id": "ada"})
    await ledger.append_output("1", entries(0, 1))
    await redis.hset("job:1:diff", "a.py", "{}")
    await redis.set("job:1:lease", "somebody")
    await ledger.delete_job("1")
    assert await redis.dbsize() == 0


async def test_rows_are_inserted_updated_and_deleted(redis: Redis, ledger: RedisLedger) -> None:
    data: dict[str, JsonValue] = {"title": "one", "number": 5, "done": False, "tags": ["a"], "nothing": None}
    await ledger.change_table(DatabaseChange("tasks", ChangeKind.INSERT, "7", data))
    assert await redis.hgetall("task:7") == {
        "id": "7",
        "title": "one",
        "number": "5",
        "done": "false",
        "tags": '["a"]',
    }
    with pytest.raises(AlreadyExistsError):
        await ledger.change_table(DatabaseChange("tasks", ChangeKind.INSERT, "7", {}))
    await ledger.change_table(DatabaseChange("tasks", ChangeKind.UPDATE, "7", {"title": "two", "tags": None}))
    assert await redis.hmget("task:7", "title", "tags") == ["two", None]
    await ledger.change_table(DatabaseChange("tasks", ChangeKind.DELETE, "7"))
    assert await redis.dbsize() == 0


async def test_a_server_that_takes_no_writes_is_unavailable_and_the_log_says_why(
    make_redis_server: MakeRedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server = make_redis_server(config={"maxmemory": "1", "maxmemory-policy": "noeviction"})
    async with ledger_at(server.url) as ledger:
        for _ in range(2):
            with pytest.raises(SourceUnavailableError):
                await ledger.create_job("1", {})
        (refused,) = caplog.messages
        assert "does not take what is written" in refused
        assert "maxmemory" in refused
        server.command("CONFIG", "SET", "maxmemory", "0")
        await ledger.create_job("1", {})
        assert caplog.messages[1:] == ["Redis takes what is written again"]
        server.command("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(SourceUnavailableError):
            await ledger.update_job("1", {"status": "failed"})
