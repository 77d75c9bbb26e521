"""What a viewer of a diff sees of the hash that is written to Redis, with either server."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from redis.asyncio import Redis

from fantail.broker.documents.diffs import files_in
from fantail.broker.sources.redis import diffs as redis_diffs
from fantail.broker.sources.redis.connection import RedisLink
from support.clients.viewer import tailing
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from fantail.broker import Broker, Job
    from fantail.broker.sources.redis.connection import Command
    from support.servers.redis_server import RedisServer


@pytest.fixture
async def redis(each_redis_server: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(each_redis_server.url, protocol=2) as client:
        await client.hset("job:1", mapping={"id": "1", "status": "running"})
        yield client


def entry(file: str, diff: str = "@@", **more: Any) -> str:
    return json.dumps({"file": file, "change": "modified", "diff": diff, "additions": 1, "deletions": 0, **more})


@asynccontextmanager
async def watching_diff(broker: Broker, job_id: str = "1") -> AsyncIterator[Job]:
    async with broker.watch(job_id) as job, broker.watch_diff(job):
        yield job


def patches(job: Job) -> dict[str, str]:
    return {file: entry["diff"] for file, entry in files_in(job.diff).items()}


async def until_patched(job: Job, diff: str) -> None:
    await eventually(lambda: patches(job).get("a") == diff)


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The steps in which the diff was read; a job's own hash is read by the same command."""
    steps: list[object] = []
    ask = RedisLink.ask

    async def noted(link: RedisLink, commands: Sequence[Command]) -> list[Any]:
        steps.extend(command for command in commands if command[0] == "HSCAN" and command[1] == b"job:1:diff")
        return await ask(link, commands)

    monkeypatch.setattr(RedisLink, "ask", noted)
    return steps


async def test_the_document_follows_the_hash(redis: Redis, each_redis_server: RedisServer) -> None:
    await redis.hset("job:1:diff", mapping={"a": entry("a"), "odd /~ name": entry("odd /~ name")})
    async with tailing(each_redis_server.url) as broker, watching_diff(broker) as job:
        assert patches(job) == {"a": "@@", "odd /~ name": "@@"}
        await redis.hset("job:1:diff", mapping={"a": entry("a", "new"), "b": entry("b", oldPath="was/b")})
        await redis.hdel("job:1:diff", "odd /~ name")
        await eventually(lambda: patches(job) == {"a": "new", "b": "@@"})
        assert files_in(job.diff)["b"]["oldPath"] == "was/b"


async def test_only_what_changed_is_logged(redis: Redis, each_redis_server: RedisServer) -> None:
    await redis.hset("job:1:diff", mapping={str(number): entry(str(number)) for number in range(300)})
    async with tailing(each_redis_server.url) as broker, watching_diff(broker) as job:
        before = job.diff.log.tail
        await redis.hset("job:1:diff", mapping={"7": entry("7", "new"), "8": entry("8")})
        await eventually(lambda: patches(job)["7"] == "new")
        assert job.diff.log.tail == before + 1


async def test_a_diff_that_nobody_watches_is_not_read(
    redis: Redis, each_redis_server: RedisServer, readings: list[object]
) -> None:
    before = len(readings)
    async with tailing(each_redis_server.url) as broker, broker.watch("1") as job:
        await redis.hset("job:1:diff", "a", entry("a"))
        await redis.rpush("job:1:output", "a line")
        await eventually(lambda: job.output.tail == 1)
        async with broker.watch_diff(job):
            assert patches(job) == {"a": "@@"}
        assert len(readings) == before + 1
        await redis.hset("job:1:diff", "b", entry("b"))
        await redis.rpush("job:1:output", "another")
        await eventually(lambda: job.output.tail == 2)
        assert len(readings) == before + 1
        async with broker.watch_diff(job):
            assert patches(job) == {"a": "@@", "b": "@@"}


async def test_ten_viewers_cost_one_reading(
    redis: Redis, each_redis_server: RedisServer, readings: list[object]
) -> None:
    """Trap 22, on the server's side."""
    before = len(readings)
    async with tailing(each_redis_server.url) as broker, AsyncExitStack() as viewers:
        jobs = [await viewers.enter_async_context(watching_diff(broker)) for _ in range(10)]
        assert len(readings) == before + 1
        await redis.hset("job:1:diff", "a", entry("a"))
        await eventually(lambda: all(patches(job) == {"a": "@@"} for job in jobs))
        assert len(readings) == before + 2


async def test_the_last_pass_is_out_before_the_terminal_status(redis: Redis, each_redis_server: RedisServer) -> None:
    """Trap 20, for the diff: it is written before the status, and rests between two readings."""
    async with tailing(each_redis_server.url) as broker:
        for number in range(5):
            await redis.hset("job:1", "status", "running")
            async with watching_diff(broker) as job:
                await eventually(lambda: not job.ended)
                await redis.hset("job:1:diff", "a", entry("a", f"first {number}"))
                await until_patched(job, f"first {number}")  # and now it rests
                await redis.hset("job:1:diff", "a", entry("a", f"last {number}"))
                await redis.hset("job:1", "status", "success")
                await eventually(lambda: job.ended)
                assert patches(job)["a"] == f"last {number}"


async def test_a_status_that_waits_for_the_diff_is_shown_when_its_watcher_leaves(
    redis: Redis, each_redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> None:
        await anyio.sleep_forever()

    async with tailing(each_redis_server.url) as broker, broker.watch("1") as job:
        async with broker.watch_diff(job):
            monkeypatch.setattr(redis_diffs.RedisDiffs, "_read", never)
            await redis.hset("job:1", "status", "success")
            await redis.rpush("job:1:output", "after")
            await eventually(lambda: job.output.tail == 1)
            assert not job.ended
        await eventually(lambda: job.ended, timeout_s=2.0)


async def test_a_diff_that_changes_all_the_time_is_read_ten_times_a_second_at_most(
    redis: Redis, each_redis_server: RedisServer, readings: list[object]
) -> None:
    async with tailing(each_redis_server.url) as broker, watching_diff(broker) as job:
        before, started_s = len(readings), anyio.current_time()
        for number in range(300):
            await redis.hset("job:1:diff", "a", entry("a", str(number)))
        await eventually(lambda: patches(job).get("a") == "299")
        took_s = anyio.current_time() - started_s
        assert len(readings) - before <= took_s / 0.1 + 2


@pytest.mark.parametrize("value", [b"", b"no json", b"[1]", b"\xff\xfe", b'{"diff": "\\ud800"}'])
async def test_a_field_of_any_content_is_one_file(redis: Redis, each_redis_server: RedisServer, value: bytes) -> None:
    """Trap 7, for the diff."""
    await redis.hset("job:1:diff", mapping={b"a": value, b"b": entry("b"), b"\xff": entry("c")})
    async with tailing(each_redis_server.url) as broker, watching_diff(broker) as job:
        assert patches(job) == {"a": "", "b": "@@", "�": "@@"}
        assert files_in(job.diff)["a"]["omitted"] == "encoding"


async def test_a_key_of_another_type_is_no_diff(redis: Redis, each_redis_server: RedisServer) -> None:
    await redis.set("job:1:diff", "text")
    async with tailing(each_redis_server.url) as broker, watching_diff(broker) as job:
        assert patches(job) == {}
        await redis.hset("job:1", "status", "failed")
        await eventually(lambda: job.ended)


async def test_past_the_bound_files_keep_their_statistics_and_come_back(
    redis: Redis, each_redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traps 23 and 33: what is counted is what is there now, and the limit is visible."""
    monkeypatch.setattr(redis_diffs, "DIFF_DOCUMENT_BYTES_MAX", 3_000)
    await redis.hset("job:1:diff", mapping={"a": entry("a", "a" * 2_000), "b": entry("b", "b" * 2_000)})
    async with tailing(each_redis_server.url) as broker, watching_diff(broker) as job:
        left_out = [entry for entry in files_in(job.diff).values() if entry.get("omitted") == "size"]
        assert [(entry["diff"], entry["additions"]) for entry in left_out] == [("", 1)]
        for number in range(20):  # sent again and again, it counts once
            await redis.hset("job:1:diff", "a", entry("a", "a" * number))
        await eventually(lambda: patches(job) == {"a": "a" * 19, "b": "b" * 2_000})
        assert not any("omitted" in entry for entry in files_in(job.diff).values())


async def test_a_diff_is_made_whole_after_redis_was_away(redis: Redis, each_redis_server: RedisServer) -> None:
    async with tailing(each_redis_server.url) as broker, watching_diff(broker) as job:
        await redis.hset("job:1:diff", "a", entry("a"))
        await eventually(lambda: "a" in patches(job))
        for client in await redis.client_list():
            if str(client["name"]).startswith("fantail"):
                await redis.client_kill_filter(client["id"])
        await redis.hset("job:1:diff", "b", entry("b"))
        await eventually(lambda: "b" in patches(job))


async def test_a_job_that_is_let_go_and_comes_back_counts_in_another_epoch(
    redis: Redis, each_redis_server: RedisServer
) -> None:
    """Its operations count from 0 again: an old position would point into the middle of others."""
    await redis.hset("job:1:diff", mapping={"a": entry("a"), "b": entry("b")})
    async with tailing(each_redis_server.url) as broker:
        async with watching_diff(broker) as job:
            before = job.diff.position()
        broker.forget_if_unwatched(job)
        async with watching_diff(broker) as anew:
            assert anew is not job
            assert anew.diff.position().offset == before.offset
            assert anew.diff.position().tag != before.tag
