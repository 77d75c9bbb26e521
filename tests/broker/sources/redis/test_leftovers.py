"""What an earlier job of an id left behind (trap 50): read by nobody but admins, and given to no later owner."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import anyio
import orjson
import pytest

from fantail.broker import DatabaseChange, entry_of
from fantail.broker.producers.writer.job_writer import NewJob, open_job
from fantail.broker.sources.redis.ledger import RedisLedger
from fantail.broker.sources.status.state import RUN, Subject
from fantail.broker.tables import ChangeKind
from support.servers.redis_broker import redis_broker
from support.servers.web_client import web_client
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from redis.asyncio import Redis

    from support.servers.redis_server import RedisServer
    from support.servers.web_client import WebClient

SECRET = "only ada may read this"
DOORS = [
    "/jobs/42",
    "/api/jobs/42",
    "/api/jobs/42/diff",
    "/api/jobs/42/output",
    "/api/jobs/42/output?download=1",
    "/api/jobs/42/output/outline",
    "/api/jobs/42/output/search?q=a",
    "/api/jobs/42/stream",
    "/api/events/processes/42/logs",
    "/api/events/processes/p1/logs",
    "/api/events/task-attempts/42/diff",
    "/api/events/task-attempts/a1/diff",
]


async def leave_behind(redis: Redis) -> None:
    """All that a job of ada's may have beside its hash, which is gone."""
    await redis.rpush("job:42:output", entry_of(1, SECRET, "stdout"), entry_of(2, f"error: {SECRET}", "stderr"))
    await redis.hset("job:42:diff", "a.py", orjson.dumps({"file": "a.py", "change": "modified", "diff": SECRET}))
    await redis.set("job:42:open", SECRET)
    await redis.set(Subject(RUN, "42").key, SECRET)
    await redis.hset("process:p1", "job_id", "42")
    await redis.hset("task_attempt:a1", "job_id", "42")


@asynccontextmanager
async def client_at(url: str) -> AsyncIterator[WebClient]:
    async with web_client(redis_broker(url), jwt=True) as client:
        yield client


async def create_by_http(url: str) -> None:
    async with client_at(url) as client:
        assert (await client.http.post("/api/jobs", json={"id": "42"}, headers=client.bearer("bob"))).status_code == 201


async def create_by_table(url: str) -> None:
    async with client_at(url) as client:
        row = {"operation": "insert", "id": "42", "data": {"status": "running", "user_id": "bob", "created_at": "5"}}
        answer = await client.http.post("/api/tables/jobs", json=row, headers=client.bearer("root", admin=True))
        assert answer.status_code == 200


async def create_by_runner(url: str) -> None:
    async with open_job(url, NewJob(id="42", user_id="bob")):
        pass


@pytest.mark.parametrize("create", [create_by_http, create_by_table, create_by_runner])
async def test_whoever_creates_a_job_of_that_id_gets_nothing_of_it(
    redis: Redis, each_redis_server: RedisServer, create: Callable[[str], Awaitable[None]]
) -> None:
    await leave_behind(redis)
    await create(each_redis_server.url)
    assert sorted(await redis.keys("*42*")) == [b"job:42"]
    assert await redis.zrange("jobs:user:bob", 0, -1) == [b"42"]


@pytest.mark.parametrize("door", DOORS)
async def test_without_its_hash_nobody_reads_what_is_left(
    redis: Redis, each_redis_server: RedisServer, door: str
) -> None:
    await leave_behind(redis)
    async with client_at(each_redis_server.url) as client:
        for name in ("ada", "bob"):
            answer = await client.http.get(door, headers=client.bearer(name))
            assert answer.status_code == 404
            assert SECRET not in answer.text


@pytest.mark.parametrize("door", DOORS)
async def test_a_reader_of_the_new_job_sees_nothing_of_the_old_one_in_a_server_that_knew_it(
    redis: Redis, each_redis_server: RedisServer, door: str
) -> None:
    """An admin watches all the while, so nothing is forgotten in between; bob reads in the moment of the creation."""
    await redis.hset("job:42", mapping={"status": "running", "user_id": "ada", "created_at": "1"})
    await leave_behind(redis)
    async with (
        client_at(each_redis_server.url) as client,
        client.broker.watch("42") as job,
        client.broker.watch_diff(job) as diff,
    ):
        await eventually(lambda: job.output.tail == 2 and "a.py" in diff.document["files"])
        await redis.delete("job:42")
        await create_by_runner(each_redis_server.url)
        with anyio.fail_after(10):
            answer = await client.http.get(door, headers=client.bearer("bob"))
        assert answer.status_code == 200
        assert SECRET not in answer.text


async def test_a_users_index_is_changed_in_the_same_step(redis: Redis, each_redis_server: RedisServer) -> None:
    """MONITOR shows one command of a client for each change, and beneath it what its script did."""
    url = each_redis_server.url
    ledger = RedisLedger(cast("Any", None), url)
    changes: list[Callable[[], Awaitable[None]]] = [
        lambda: ledger.create_job("42", {"user_id": "ada"}),
        lambda: ledger.update_job("42", {"user_id": "bob"}),
        lambda: ledger.change_table(DatabaseChange("jobs", ChangeKind.UPDATE, "42", {"user_id": "eve"})),
        lambda: ledger.delete_job("42"),
        lambda: ledger.change_table(DatabaseChange("jobs", ChangeKind.INSERT, "42", {"user_id": "eve"})),
        lambda: ledger.change_table(DatabaseChange("jobs", ChangeKind.DELETE, "42")),
    ]
    owners = ["ada", "bob", "eve", None, "eve", None]
    for change, owner in zip(changes, owners, strict=True):
        await redis.config_resetstat()
        await change()
        stats = {name.removeprefix("cmdstat_") for name in await redis.info("commandstats")}
        assert stats & {"evalsha", "eval"}
        members = {user: await redis.zrange(f"jobs:user:{user}", 0, -1) for user in ("ada", "bob", "eve")}
        assert members == {user: [b"42"] if user == owner else [] for user in members}
    await ledger.aclose()
    assert await redis.dbsize() == 0


@pytest.mark.parametrize("kind", ["job", "work_session"])
async def test_deleting_a_row_takes_all_keys_of_what_it_is_of(
    redis: Redis, each_redis_server: RedisServer, kind: str
) -> None:
    for part in ("output", "jobs"):
        await redis.rpush(f"{kind}:42:{part}", "x")
    for part in ("open", "lease"):
        await redis.set(f"{kind}:42:{part}", "x")
    await redis.hset(f"{kind}:42:diff", "a.py", "{}")
    ledger = RedisLedger(cast("Any", None), each_redis_server.url, {"sessions": f"{kind}:*"})
    await redis.hset(f"{kind}:42", "status", "running")
    await ledger.change_table(DatabaseChange("sessions", ChangeKind.DELETE, "42"))
    assert await redis.keys("*42*") == []
    await redis.rpush(f"{kind}:42:output", SECRET)
    await redis.rpush(f"{kind}:42:jobs", SECRET)
    await ledger.change_table(DatabaseChange("sessions", ChangeKind.INSERT, "42", {"user_id": "bob"}))
    assert [key for key in await redis.keys("*42*") if b"user" not in key] == [f"{kind}:42".encode()]
    await ledger.aclose()


async def test_a_full_redis_refuses_a_job_and_deletes_nothing(redis: Redis, each_redis_server: RedisServer) -> None:
    """A script whose first write needs no memory may write however full Redis is."""
    await leave_behind(redis)
    await redis.config_set("maxmemory", 1)
    try:
        async with client_at(each_redis_server.url) as client:
            answer = await client.http.post("/api/jobs", json={"id": "42"}, headers=client.bearer("bob"))
            assert answer.status_code == 503
    finally:
        await redis.config_set("maxmemory", 0)
    assert await redis.exists("job:42") == 0
    assert await redis.llen("job:42:output") == 2
