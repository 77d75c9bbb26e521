"""What a producer leaves in Redis, read back with a plain client."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

import anyio
import orjson
import pytest
from redis.asyncio import Redis

from fantail.broker.errors import InvalidIdError, SourceUnavailableError
from fantail.broker.jobs import checked_id
from fantail.broker.producers.writer import job_writer
from fantail.broker.producers.writer.job_writer import (
    Deleted,
    Delivered,
    JobTakenError,
    NewJob,
    WriterSettings,
    new_job_id,
    open_job,
)
from support.wait import eventually

if TYPE_CHECKING:
    from support.servers.redis_server import RedisServer


async def output(client: Redis, job_id: str) -> list[dict[str, object]]:
    return [orjson.loads(entry) for entry in await client.lrange(f"job:{job_id}:output", 0, -1)]


async def lines(client: Redis, job_id: str) -> list[object]:
    return [entry["line"] for entry in await output(client, job_id)]


async def fields(client: Redis, job_id: str) -> dict[str, str]:
    stored = cast("dict[bytes, bytes]", await client.hgetall(f"job:{job_id}"))
    return {name.decode(): value.decode() for name, value in stored.items()}


async def test_a_job_is_written_from_its_start_to_its_end(each_redis_server: RedisServer) -> None:
    new = NewJob(id="42", user_id="ada", name="nightly", command="make", fields={"branch": "main"})
    async with Redis.from_url(each_redis_server.url) as client, open_job(each_redis_server.url, new) as job:
        running = await fields(client, "42")
        created = running.pop("created_at")
        assert running.pop("started_at") == created
        assert running == {
            "id": "42",
            "user_id": "ada",
            "status": "running",
            "name": "nightly",
            "command": "make",
            "branch": "main",
            "lease_s": "30",
        }
        assert await client.zscore("jobs:user:ada", "42") == int(created)
        await job.append(["one", "two"], timestamp_ms=7)
        await job.append(["three"], "stderr", source="agent", timestamp_ms=8)
        job.update(mr_url="https://example.org/1", lines_added=3)
        assert await job.finish(exit_code=3) == Delivered()
        assert await output(client, "42") == [
            {"timestamp": 7, "line": "one", "stream": "stdout"},
            {"timestamp": 7, "line": "two", "stream": "stdout"},
            {"timestamp": 8, "line": "three", "stream": "stderr", "source": "agent"},
        ]
        ended = await fields(client, "42")
        assert ended["status"] == "failed"
        assert ended["exit_code"] == "3"
        assert ended["mr_url"] == "https://example.org/1"
        assert ended["lines_added"] == "3"
        assert int(ended["finished_at"]) >= int(created)
        for key in ("job:42", "job:42:output"):
            assert 86_000 < await client.ttl(key) <= 86_400
        assert not await client.exists("job:42:lease")


async def test_lines_come_whole_whatever_is_in_them(redis_url: str, redis_client: Redis) -> None:
    strange = ["", "\x00\r\n\u2028", "lone \ud800 surrogate", "\ud83d\ude00", "é" * 100_000]
    async with open_job(redis_url, NewJob(id="x")) as job:
        await job.append(strange)
    expected = ["", "\x00\r\n\u2028", "lone \ufffd surrogate", "😀", "é" * 100_000]
    assert await lines(redis_client, "x") == expected


async def test_the_owner_is_in_the_first_write_that_makes_the_job_visible(redis_url: str, redis_client: Redis) -> None:
    async with redis_client.monitor() as monitor:
        async with open_job(redis_url, NewJob(id="42", user_id="ada")):
            pass
        await redis_client.echo("the end")
        commands = []
        async for seen in monitor.listen():
            commands.append(seen["command"])
            if "the end" in seen["command"]:
                break
    reads = ("HGETALL", "EXISTS", "HMGET", "HGET", "EVAL")
    writes = [command for command in commands if " job:42 " in f"{command} " and not command.startswith(reads)]
    assert writes[0].startswith("HSET job:42 ")
    assert " user_id ada " in writes[0]
    assert " status running " in writes[0]
    lease = next(index for index, command in enumerate(commands) if command.startswith("SET job:42:lease "))
    assert lease < commands.index(writes[0])


async def test_a_job_is_refused_while_another_writes_it(redis_url: str) -> None:
    async with open_job(redis_url, NewJob(id="42")):
        with pytest.raises(JobTakenError):
            async with open_job(redis_url, NewJob(id="42")):
                pytest.fail("two writers")
    async with open_job(redis_url, NewJob(id="42")):
        pass


async def test_another_users_job_is_refused_and_left_as_it_was(redis_url: str, redis_client: Redis) -> None:
    await redis_client.hset("job:42", mapping={"user_id": "ada", "status": "pending"})
    with pytest.raises(JobTakenError):
        async with open_job(redis_url, NewJob(id="42", user_id="bob")):
            pytest.fail("taken over")
    assert await fields(redis_client, "42") == {"user_id": "ada", "status": "pending"}
    assert not await redis_client.exists("job:42:lease")


async def test_a_job_that_others_made_is_taken_up_and_its_output_continued(redis_url: str, redis_client: Redis) -> None:
    before: dict[Any, Any] = {"user_id": "ada", "status": "failed", "created_at": "5", "prompt": "p", "exit_code": "1"}
    await redis_client.hset("job:42", mapping=before)
    await redis_client.rpush("job:42:output", '{"timestamp":1,"line":"first","stream":"stdout"}')
    async with open_job(redis_url, NewJob(id="42")) as job:
        taken = await fields(redis_client, "42")
        assert taken["status"] == "running"
        assert taken["exit_code"] == ""
        await job.append(["second"])
    assert await lines(redis_client, "42") == ["first", "second"]
    after = await fields(redis_client, "42")
    assert {name: after[name] for name in ("user_id", "created_at", "prompt", "status")} == {
        "user_id": "ada",
        "created_at": "5",
        "prompt": "p",
        "status": "success",
    }


@pytest.mark.parametrize("bad", ["", "42:diff", ".hidden", "a b", "x" * 129, "é"])
async def test_an_id_outside_the_grammar_is_refused(redis_url: str, bad: str) -> None:
    with pytest.raises(InvalidIdError):
        async with open_job(redis_url, NewJob(id=bad)):
            pytest.fail("accepted")


def test_new_ids_are_within_the_grammar_and_differ() -> None:
    ids = {checked_id(new_job_id()) for _ in range(100)}
    assert len(ids) == 100


async def test_wrong_use_is_told(redis_url: str) -> None:
    async with open_job(redis_url) as job:
        with pytest.raises(ValueError, match="no such stream"):
            await job.append(["x"], "stdin")
        with pytest.raises(ValueError, match="user_id"):
            job.update(user_id="eve")
        with pytest.raises(ValueError, match="ended"):
            await job.finish("running")
        await job.finish()
        with pytest.raises(ValueError, match="finished"):
            await job.append(["late"])


async def test_an_exception_in_the_producer_ends_the_job_as_failed(redis_url: str, redis_client: Redis) -> None:
    async def produce() -> None:
        async with open_job(redis_url, NewJob(id="42")) as job:
            await job.append(["before"])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await produce()
    ended = await fields(redis_client, "42")
    assert ended["status"] == "failed"
    assert ended["error_message"] == "ZeroDivisionError"
    assert await lines(redis_client, "42") == ["before"]


async def test_a_cancelled_producer_ends_the_job_as_cancelled(redis_url: str, redis_client: Redis) -> None:
    with anyio.CancelScope() as scope:
        async with open_job(redis_url, NewJob(id="42")) as job:
            await job.append(["before"])
            scope.cancel()
            await anyio.sleep_forever()
    assert (await fields(redis_client, "42"))["status"] == "cancelled"
    assert await lines(redis_client, "42") == ["before"]


async def test_the_lease_is_kept_while_the_job_runs(redis_url: str, redis_client: Redis) -> None:
    async with open_job(redis_url, NewJob(id="42"), WriterSettings(lease_s=0.3)) as job:
        await redis_client.delete("job:42:lease")
        await eventually(lambda: redis_client.exists("job:42:lease"), what="the lease is renewed")
        assert 0 < await redis_client.pttl("job:42:lease") <= 300
        await job.finish()
        assert not await redis_client.exists("job:42:lease")


async def test_a_job_deleted_while_it_runs_stays_deleted(
    redis_url: str, redis_client: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with open_job(redis_url, NewJob(id="42")) as job:
        await job.append(["before"])
        await job.settled()
        await redis_client.delete("job:42", "job:42:output", "job:42:lease")
        await job.append(["after"])
        await eventually(lambda: job.statistics().deleted)
        await job.append(["later still"])
        assert await job.finish() == Deleted()
    assert await redis_client.keys("job:42*") == []
    assert "was deleted" in caplog.text


async def test_a_deletion_is_noticed_by_a_silent_job_too(redis_url: str, redis_client: Redis) -> None:
    async with open_job(redis_url, NewJob(id="42"), WriterSettings(lease_s=0.3)) as job:
        await redis_client.delete("job:42")
        await eventually(lambda: job.statistics().deleted)


async def test_an_output_list_that_alone_was_deleted_is_written_anew(redis_url: str, redis_client: Redis) -> None:
    async with open_job(redis_url, NewJob(id="42")) as job:
        await job.append(["one", "two"])
        await job.settled()
        await redis_client.delete("job:42:output")
        await job.append(["three"])
        assert await job.finish() == Delivered()
    assert await lines(redis_client, "42") == ["one", "two", "three"]


async def test_a_list_that_somebody_trims_goes_on(redis_url: str, redis_client: Redis) -> None:
    async with open_job(redis_url, NewJob(id="42")) as job:
        await job.append([str(number) for number in range(100)])
        await job.settled()
        await redis_client.ltrim("job:42:output", -10, -1)
        await job.append(["100"])
        await job.finish()
    assert await lines(redis_client, "42") == [str(number) for number in range(90, 101)]


async def test_a_fast_producer_waits_for_redis_and_not_in_memory(redis_url: str, redis_client: Redis) -> None:
    bound = WriterSettings(unsent_bytes_max=10_000, rewrite_bytes_max=10_000)
    largest = 0
    async with open_job(redis_url, NewJob(id="42"), bound) as job:
        for _ in range(50):
            await job.append(["x" * 100] * 200)
            largest = max(largest, job.statistics().unsent)
    assert await redis_client.llen("job:42:output") == 10_000
    assert largest < 10_000 / 100


async def test_no_redis_at_the_start_is_told_without_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_writer, "OPEN_S_MAX", 0.2)
    with pytest.raises(SourceUnavailableError, match=r"redis://u:\*\*\*@127.0.0.1:1/0"):
        async with open_job("redis://u:hunter2@127.0.0.1:1/0"):
            pytest.fail("opened")
