"""What a producer writes after Redis has lost what it had confirmed, and in which order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import anyio
import pytest

from fantail.broker.limits import LEASE_BEATS
from fantail.broker.producers.writer.job_writer import Deleted, Delivered, NewJob, WriterSettings, open_job
from faults.lossy_redis import cut_file, written, written_bytes
from support.wait import eventually

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from conftest import MakeRedisServer
    from support.servers.redis_server import ServerKind


@pytest.mark.parametrize("kind", ["valkey", pytest.param("debian", marks=pytest.mark.debian_redis)])
@pytest.mark.parametrize("lost", ["the last lines", "everything"])
async def test_a_status_never_overtakes_lines_that_must_be_written_anew(
    lost: str, kind: ServerKind, make_redis_server: MakeRedisServer
) -> None:
    """Traps 1 and 40 over a loss. The writer says nothing between the crash and the end, so that is when it learns."""
    redis = make_redis_server(appendonly=True, binary=kind)
    async with open_job(redis.url, NewJob(id="42", user_id="ada")) as job:
        await job.append([f"line {number}" for number in range(500)])
        await job.settled()
        kept_bytes = 0 if lost == "everything" else written_bytes(redis)
        await job.append([f"line {number}" for number in range(500, 1000)])
        await job.settled()
        redis.kill9()
        cut_file(redis, kept_bytes)
        redis.start()
        assert await job.finish() == Delivered()
    since = written(redis)[kept_bytes:]
    assert since.count(b'"line 999"') == 1
    assert since.rindex(b'"line 999"') < since.index(b"success")
    if lost == "everything":
        written_first = since[: since.index(b"PEXPIRE")]
        assert b"job:42:lease" in written_first
        assert re.search(rb"HSET\b.*\buser_id\r\n\$3\r\nada\b", written_first, re.DOTALL)


async def test_a_change_of_a_job_that_was_deleted_does_not_bring_it_back(
    redis_url: str, redis_client: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """Half of a job would be seen without its owner, by everyone (trap 40)."""
    async with open_job(redis_url, NewJob(id="42", user_id="ada")) as job:
        await job.settled()
        await redis_client.delete("job:42")
        job.update(branch="main")
        await job.settled()
        assert await job.finish() == Deleted()
    assert not await redis_client.exists("job:42")
    assert "was deleted" in caplog.text


async def test_a_writer_that_has_ended_its_job_takes_no_lease_again(redis_url: str, redis_client: Redis) -> None:
    """Else nobody could take the job up for the lease's time."""
    settings = WriterSettings(lease_s=0.05 * LEASE_BEATS)
    async with open_job(redis_url, NewJob(id="42"), settings) as job:
        assert await job.finish() == Delivered()
        before = (await redis_client.info("commandstats"))["cmdstat_set"]["calls"]
        with anyio.move_on_after(0.3):
            await eventually(lambda: redis_client.exists("job:42:lease"))
        assert (await redis_client.info("commandstats"))["cmdstat_set"]["calls"] == before
