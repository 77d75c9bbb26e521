"""A replica is promoted and the old primary becomes its replica, while connections to it stay open.

The address is the same before and after; only new connections reach the new primary.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import httpx
import orjson
import pytest
from redis._parsers.base import BaseParser
from redis.asyncio import Redis

from fantail.broker import Broker, LengthMismatchError, SourceUnavailableError, entry_of
from fantail.broker.producers.diff.entry import DiffEntry
from fantail.broker.producers.diff.publisher import DiffPublisher
from fantail.broker.producers.writer.job_writer import Delivered, NewJob, WriterSettings, open_job
from fantail.broker.producers.writer.redis_job import connected
from fantail.broker.producers.writer.status_publisher import StatusPublisher
from fantail.broker.sources.redis.connection import RedisLink
from fantail.broker.sources.redis.replies import is_role_error
from support.clients.viewer import Viewer, tailing
from support.redis_pair import RedisPair, redis_pair
from support.servers.fantail_process import fantail_process
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conftest import MakeRedisServer

NEW = NewJob(id="1", user_id="ada")
QUICK = WriterSettings(timeout_s=1.0)
LINES = 4000


def numbered(stop: int) -> list[str]:
    return [f"line {number}" for number in range(stop)]


async def stored(pair: RedisPair) -> list[str]:
    async with Redis.from_url(pair.primary.url) as client:
        return [orjson.loads(entry)["line"] for entry in await client.lrange("job:1:output", 0, -1)]


@asynccontextmanager
async def changing(pair: RedisPair, viewer: Viewer, *reached: int) -> AsyncIterator[None]:
    """Changes the roles each time the viewer has that many lines."""

    async def change() -> None:
        for count in reached:
            await eventually(lambda: len(viewer.lines) >= count, 30.0, f"{count} lines are seen")  # noqa: B023
            await pair.fail_over()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(change)
        yield


async def test_ingest_and_readers_go_on_at_the_new_primary(make_redis_server: MakeRedisServer) -> None:
    async with redis_pair(make_redis_server) as pair, tailing(pair.url) as broker:
        await broker.ledger.create_job("1", {"status": "running", "user_id": "ada"})
        viewers = [Viewer(broker, "1"), Viewer(broker, "1", pause_s=0.002)]
        async with anyio.create_task_group() as tasks:
            for viewer in viewers:
                tasks.start_soon(viewer.run)
            async with changing(pair, viewers[0], 500, 2000):
                await ingest(broker)
        assert await stored(pair) == numbered(LINES)
        for viewer in viewers:
            assert (viewer.lines, viewer.gaps) == (numbered(LINES), [])


async def ingest(broker: Broker) -> None:
    """Appends every line once, as an HTTP client that knows its offset does, and ends the job."""
    done = 0
    while done < LINES:
        batch = [entry_of(1, line, "stdout") for line in numbered(LINES)[done : done + 20]]
        try:
            await broker.ledger.append_output("1", batch, expected=done)
            done += len(batch)
        except LengthMismatchError as error:
            done = error.length
        except SourceUnavailableError:
            await anyio.sleep(0.01)
    while True:
        try:
            await broker.ledger.update_job("1", {"status": "success"})
        except SourceUnavailableError:
            await anyio.sleep(0.01)
        else:
            return


async def test_a_producer_goes_on_at_the_new_primary(make_redis_server: MakeRedisServer) -> None:
    async with redis_pair(make_redis_server) as pair, tailing(pair.url) as broker:
        viewer = Viewer(broker, "1")
        async with open_job(pair.url, NEW, QUICK) as job, anyio.create_task_group() as tasks:
            tasks.start_soon(viewer.run)
            async with changing(pair, viewer, 500, 2000):
                for start in range(0, LINES, 20):
                    await job.append(numbered(LINES)[start : start + 20])
                    await anyio.sleep(0.001)
            assert await job.finish() == Delivered()
        assert await stored(pair) == numbered(LINES)
        assert (viewer.lines, viewer.gaps, viewer.statuses[-1]) == (numbered(LINES), [], "success")


async def test_what_was_confirmed_and_not_replicated_is_written_anew(make_redis_server: MakeRedisServer) -> None:
    async with redis_pair(make_redis_server) as pair:
        async with open_job(pair.url, NEW, QUICK) as job:
            await job.append(numbered(100))
            await job.settled()
            await pair.promote()
            await job.append(numbered(200)[100:])  # to the old primary, over the open connection
            await job.settled()
            await pair.demote()
            await job.append(numbered(300)[200:])
            assert await job.finish(flush_s=20) == Delivered()
        assert await stored(pair) == numbered(300)


async def test_a_demoted_server_without_its_primary_is_left_by_readers(make_redis_server: MakeRedisServer) -> None:
    """MASTERDOWN: the old primary serves no stale data and finds no new primary."""
    async with redis_pair(make_redis_server, **{"replica-serve-stale-data": "no"}) as pair:
        with fantail_process("--redis-url", pair.url) as server:
            async with httpx.AsyncClient(base_url=server.url) as http:
                assert (await http.post("/api/jobs", json={"id": "1"})).status_code == 201
                await append(http, 0, 100)
                await pair.in_step()
                await pair.promote()
                await pair.demote(port=1)  # where nobody is
                await append(http, 100, 100)
                await eventually(lambda: is_ready(http), 10.0, "the server is ready")
                output = (await http.get("/api/jobs/1/output")).json()["output"]
                assert [entry["line"] for entry in output] == numbered(200)


async def append(http: httpx.AsyncClient, first: int, count: int) -> None:
    text = {"Content-Type": "text/plain"}
    body = "".join(f"{line}\n" for line in numbered(first + count)[first:])
    answer = await http.post(f"/api/jobs/1/output?from={first}", content=body, headers=text)
    assert answer.status_code == 200, answer.text


async def is_ready(http: httpx.AsyncClient) -> bool:
    return (await http.get("/readyz")).status_code == 200


async def test_a_request_right_after_the_change_is_served(make_redis_server: MakeRedisServer) -> None:
    async with redis_pair(make_redis_server) as pair:
        with fantail_process("--redis-url", pair.url) as server:
            async with httpx.AsyncClient(base_url=server.url) as http:
                assert (await http.post("/api/jobs", json={"id": "1"})).status_code == 201
                await append(http, 0, 10)
                await pair.fail_over()
                await append(http, 10, 10)
                assert (await http.patch("/api/jobs/1", json={"status": "success"})).status_code == 200
                row = {"operation": "insert", "id": "7", "data": {"name": "x"}}
                assert (await http.post("/api/tables/tasks", json=row)).status_code == 200
                assert await is_ready(http)
                assert (await http.delete("/api/jobs/1")).status_code == 204


async def test_a_diff_is_published_at_the_new_primary(make_redis_server: MakeRedisServer) -> None:
    async with redis_pair(make_redis_server) as pair, connected(pair.url) as client:
        await client.hset("job:1", "id", "1")
        publisher = DiffPublisher(client, "1")
        entries = {"a": DiffEntry("a", "added", "x", 1, 0)}
        await publisher.publish(entries)
        await pair.fail_over()

        async def published() -> bool:
            try:
                await publisher.publish({**entries, "b": DiffEntry("b", "added", "y", 1, 0)})
            except SourceUnavailableError:
                return False
            return True

        await eventually(published, what="the diff is published")
        async with Redis.from_url(pair.primary.url) as primary:
            assert sorted(await primary.hkeys("job:1:diff")) == [b"a", b"b"]


async def test_statuses_are_published_and_heard_at_the_new_primary(make_redis_server: MakeRedisServer) -> None:
    async with redis_pair(make_redis_server) as pair, StatusPublisher(pair.url) as publisher:
        await publisher.run("7", "running")
        await pair.fail_over()
        await publisher.run("7", "passed")
        link = RedisLink(pair.primary.url, name="test")
        (kept,) = await link.ask([("GET", "fantail:status:run:7")])
        await link.close()
        assert b"passed" in kept


def parsed(said: str) -> Exception:
    """The exception that redis-py makes of an error reply."""
    error: Exception = BaseParser.parse_error(said)  # type: ignore[no-untyped-call]
    return error


@pytest.mark.parametrize(
    "said",
    [
        "READONLY You can't write against a read only replica.",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "LOADING Redis is loading the dataset in memory",
        "CLUSTERDOWN The cluster is down",
        "NOREPLICAS Not enough good replicas to write.",
        "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
        "ERR Error running script (call to f_1): @user_script:6: -READONLY You can't write here.",
    ],
)
def test_these_replies_are_about_the_server(said: str) -> None:
    assert is_role_error(parsed(said))


@pytest.mark.parametrize(
    "said",
    [
        "OOM command not allowed when used memory > 'maxmemory'.",
        "NOPERM User ada has no permissions to run the 'set' command",
        "WRONGTYPE Operation against a key holding the wrong kind of value",
        "BUSYGROUP Consumer Group name already exists",
        "NOSCRIPT No matching script.",
        "ERR unknown command 'READONLY'",
    ],
)
def test_these_are_about_the_command(said: str) -> None:
    assert not is_role_error(parsed(said))
