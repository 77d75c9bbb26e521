"""What a former owner wrote, or still writes, never mixes with a later owner's job of the same id (trap 50)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fantail.broker import NotFoundError
from fantail.broker.producers.diff.entry import DiffEntry
from fantail.broker.producers.diff.publisher import DiffPublisher
from fantail.broker.producers.writer.redis_job import RedisJob
from fantail.broker.sources.redis.hash_reading import hash_commands, taken_hash
from support.servers.redis_broker import redis_broker
from support.servers.web_client import redis_web_client

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from support.servers.redis_server import RedisServer

SECRET = "only its owner may read this"
ADAS: dict[Any, Any] = {"id": "42", "status": "running", "user_id": "ada", "created_at": "1"}
BOBS: dict[Any, Any] = {"id": "42", "status": "running", "user_id": "bob", "created_at": "2"}


async def hand_over(redis: Redis) -> None:
    """Deletes ada's job 42 and creates bob's under the same id."""
    await redis.delete("job:42", "job:42:output", "job:42:diff")
    await redis.hset("job:42", mapping=BOBS)


async def test_an_outline_is_not_given_to_a_later_owner(redis: Redis, each_redis_server: RedisServer) -> None:
    """Both logs end with the same entry at the same offset, which is all that an outline can compare."""
    async with redis_web_client(each_redis_server.url, jwt=True) as client:
        for fields, title in ((ADAS, SECRET), (BOBS, "Build"), (BOBS | {"created_at": "3"}, "Test")):
            await redis.delete("job:42", "job:42:output")
            await redis.rpush("job:42:output", f"::group::{title}", "fine", "::endgroup::")
            await redis.hset("job:42", mapping=fields)
            client.broker.forget_if_unwatched(client.broker.job("42"))
            answer = await client.http.get("/api/jobs/42/output/outline", headers=client.bearer(fields["user_id"]))
            assert [mark.get("title") for mark in answer.json()["marks"]] == [title, None]


@pytest.mark.parametrize("owners", [("user_id", "user_id"), ("userId", "userId"), ("user_id", "userId")])
@pytest.mark.parametrize("step", [1, 2])
async def test_a_huge_hash_is_never_shown_under_an_owner_it_had_before(
    redis: Redis, owners: tuple[str, str], step: int
) -> None:
    """The job changes hands between two of the commands that read it, and is then written to."""
    before, after = owners
    many: dict[Any, Any] = {f"field-{number}": "x" for number in range(5_000)}
    await redis.hset("job:42", mapping=many | {"status": "running", before: "ada"})
    replies = []
    for at, command in enumerate(hash_commands(b"job:42", huge=True)):
        if at == step:
            if before != after:
                await redis.hdel("job:42", before)
            await redis.hset("job:42", mapping=dict.fromkeys(many, SECRET) | {after: "bob", "status": SECRET})
        raw = await redis.execute_command(*command)  # type: ignore[no-untyped-call]
        replies.append(_flat(raw))
    fields = taken_hash(iter(replies), huge=True).fields
    assert fields is not None
    assert fields["user_id"] == "bob" or SECRET not in fields.values()


def _flat(reply: object) -> object:
    """A reply as the tailer's own client gives it: redis-py makes a dictionary of a page of HSCAN."""
    match reply:
        case (cursor, dict(page)):
            return [cursor, [part for pair in page.items() for part in pair]]
        case _:
            return reply


async def test_a_former_runner_changes_no_field_of_a_later_job(redis: Redis) -> None:
    job = RedisJob(redis, "42")
    assert await job.open("", ADAS)
    server = await job.server()
    assert await job.update({"branch": "main"}, server)
    await hand_over(redis)
    assert not await job.update({"status": "failed", "error_message": SECRET}, server)
    assert await redis.hgetall("job:42") == {name.encode(): value.encode() for name, value in BOBS.items()}


async def test_a_former_runners_diff_is_not_written_into_a_later_job(redis: Redis) -> None:
    publisher = DiffPublisher(redis, "42")
    await redis.hset("job:42", mapping=ADAS)
    await publisher.publish({"a.py": DiffEntry("a.py", "modified", SECRET, 1, 0)})
    await hand_over(redis)
    await redis.hset("job:42:diff", "b.py", "bob's")
    for whole in (False, True):
        await publisher.publish({"c.py": DiffEntry("c.py", "modified", SECRET, 1, 0)}, whole=whole)
        assert publisher.job_gone
        assert await redis.hgetall("job:42:diff") == {b"b.py": b"bob's"}
        assert await redis.hexists("job:42", "lines_added") == 0


@pytest.mark.parametrize(
    "seen", [{"created_at": "1"}, {"user_id": "ada"}, {"created_at": "2", "user_id": "ada"}, {"user_id": ""}]
)
async def test_an_upload_of_a_former_owner_is_not_appended(
    redis: Redis, each_redis_server: RedisServer, seen: dict[str, str]
) -> None:
    """The server may learn a moment later that the job is another one."""
    ledger = redis_broker(each_redis_server.url).ledger
    await redis.hset("job:42", mapping=BOBS)
    with pytest.raises(NotFoundError):
        await ledger.append_output("42", [b"{}"], where=seen)
    assert await redis.exists("job:42:output") == 0
    assert await ledger.append_output("42", [b"{}"], where={"created_at": "2", "user_id": "bob"}) == 0
    await ledger.aclose()


async def test_an_upload_states_whose_job_it_is_for(redis: Redis, each_redis_server: RedisServer) -> None:
    """The job changes hands between the check in memory and the append."""
    await redis.hset("job:42", mapping=ADAS)
    async with redis_web_client(each_redis_server.url, jwt=True) as client:
        append = client.broker.ledger.append_output

        async def late(*arguments: object, **named: object) -> int:
            await redis.hset("job:42", "user_id", "bob")
            return await append(*arguments, **named)  # type: ignore[arg-type]

        client.broker.ledger.append_output = late  # type: ignore[method-assign]
        answer = await client.http.post("/api/jobs/42/output", content=SECRET, headers=client.bearer("ada"))
        assert answer.status_code == 404
        assert await redis.exists("job:42:output") == 0
