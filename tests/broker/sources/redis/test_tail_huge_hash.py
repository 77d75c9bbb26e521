"""A hash with far more fields than a job has: read in part, said so, and at nobody's cost."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from fantail.broker.sources.redis.hash_reading import hash_commands, taken_hash
from support.loop_pauses import watching_pauses
from support.servers.web_client import redis_web_client
from support.wait import eventually

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from fantail.broker import Job

FIELDS = 100_000


async def fill(redis: Redis, key: str, count: int = FIELDS) -> None:
    for first in range(0, count, 10_000):
        await redis.hset(
            key, mapping={f"field-{number}": "x" * 20 for number in range(first, min(first + 10_000, count))}
        )
    await redis.hset(key, mapping={"id": "42", "status": "running", "user_id": "ada", "branch": "main"})


async def test_what_has_a_meaning_is_read_and_how_much_is_left_out_is_said(redis_url: str, redis_client: Redis) -> None:
    await fill(redis_client, "job:42")
    async with redis_web_client(redis_url) as client:
        shown = (await client.http.get("/api/jobs/42")).json()
        assert (shown["status"], shown["userId"], shown["branch"]) == ("running", "ada", "main")
        others = [name for name in shown if name.startswith("field-")]
        assert 900 < len(others) < 2000
        assert shown["fieldsLeftOut"] == FIELDS - len(others)
        (row,) = (await client.http.get("/api/jobs")).json()["jobs"]
        assert (row["status"], row["userId"]) == ("running", "ada")
        async with client.broker.watch("42") as job:
            await redis_client.hset("job:42", "status", "success")
            await eventually(lambda: job.status == "success" and job.ended)
            await eventually(lambda: client.broker.tables.rows("jobs")["42"]["status"] == "success")


def shows(job: Job, branch: str) -> bool:
    return job.fields.get("branch") == branch


async def test_nobody_waits_for_a_huge_hash(redis_url: str, redis_client: Redis) -> None:
    await fill(redis_client, "job:42")
    async with redis_web_client(redis_url) as client, client.broker.watch("42") as job:
        async with watching_pauses() as pauses:
            for number in range(10):
                await redis_client.hset("job:42", "branch", f"branch-{number}")
                await eventually(partial(shows, job, f"branch-{number}"))
        assert pauses.longest_s < 0.5


async def test_a_hash_that_was_huge_is_whole_again(redis_url: str, redis_client: Redis) -> None:
    await fill(redis_client, "job:42", 5_000)
    async with redis_web_client(redis_url) as client, client.broker.watch("42") as job:
        await eventually(lambda: "fields_left_out" in job.fields)
        await redis_client.hdel("job:42", *[f"field-{number}" for number in range(4_900)])
        await eventually(lambda: len(job.fields) == 104)
        await redis_client.delete("job:42")
        await eventually(lambda: job.presence.value == "absent")


async def test_whose_a_huge_row_is_counts(redis_url: str, redis_client: Redis) -> None:
    await fill(redis_client, "job:42", 5_000)
    async with redis_web_client(redis_url, jwt=True) as client:
        for user, status in (("ada", 200), ("bob", 403)):
            answer = await client.http.get("/api/jobs/42", headers=client.bearer(user))
            assert answer.status_code == status
            listed = (await client.http.get("/api/jobs", headers=client.bearer(user))).json()
            assert listed["total"] == (1 if status == 200 else 0)


async def test_what_is_no_hash_is_absent(redis_url: str, redis_client: Redis) -> None:
    await redis_client.set("job:42", "a text")
    async with redis_web_client(redis_url) as client:
        assert (await client.http.get("/api/jobs/42")).status_code == 404
        assert (await client.http.get("/api/jobs")).json()["total"] == 0


@pytest.mark.parametrize("huge", [False, True])
def test_replies_are_taken_one_for_each_command(huge: bool) -> None:
    commands = hash_commands(b"job:42", huge=huge)
    names = commands[2][2:] if huge else ()
    known: dict[object, bytes] = {b"user_id": b"ada", b"status": b"running"}
    values = [known.get(name) for name in names]
    replies = iter([[b"17", [b"other", b"x"]], *([2000, values] if huge else []), "the next one's"])
    reading = taken_hash(replies, huge=huge)
    assert next(replies) == "the next one's"
    assert (reading.huge, reading.again) == (True, not huge)
    expected = {"status": "running", "user_id": "ada", "other": "x", "fields_left_out": "1997"}
    assert reading.fields == (expected if huge else None)
