"""A job changes hands, or its id means another job, between any two commands of a reading (trap 50)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import orjson
import pytest

from fantail.broker import JOB, Batch, Job, Presence, entry_of
from fantail.broker.documents.diffs import files_in
from fantail.broker.log.records import line_of
from fantail.broker.sources.redis.connection import RedisLink
from fantail.broker.sources.redis.diffs import DiffTail, RedisDiffs
from fantail.broker.sources.redis.follower import JobFollower
from fantail.broker.sources.redis.leases import Leases
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from redis.asyncio import Redis

    from fantail.broker.sources.redis.connection import Command
    from support.servers.redis_server import RedisServer

AFTER = "written after it changed hands"
MOMENTS = range(12)


@pytest.fixture
async def link(each_redis_server: RedisServer) -> AsyncIterator[RedisLink]:
    link = RedisLink(each_redis_server.url, name="fantail-test")
    yield link
    await link.close()


def entry(line: str) -> bytes:
    return entry_of(1_700_000_000_000, line, "stdout")


async def hand_over(redis: Redis, **fields: str) -> None:
    """Gives the job to bob, who writes at once, in one step."""
    async with redis.pipeline(transaction=True) as pipe:
        pipe.hset("job:1", items=["user_id", "bob", *[word for item in fields.items() for word in item]])
        pipe.rpush("job:1:output", entry(AFTER))
        pipe.hset("job:1:diff", "b.py", file("b.py", AFTER))
        await pipe.execute()


async def hand_over_at_its_end(redis: Redis) -> None:
    """The status that ends the job is held back until its output was read."""
    await hand_over(redis, status="success")


async def replace(redis: Redis) -> None:
    """Deletes the job; bob creates one of the same id, which says more than the first, in one step."""
    async with redis.pipeline(transaction=True) as pipe:
        pipe.delete("job:1", "job:1:output", "job:1:diff")
        pipe.hset("job:1", mapping={"id": "1", "status": "running", "user_id": "bob", "created_at": "2"})
        pipe.rpush("job:1:output", *[entry(AFTER)] * 5)
        pipe.hset("job:1:diff", "b.py", file("b.py", AFTER))
        await pipe.execute()


async def replace_without_a_time(redis: Redis) -> None:
    """The same by a producer that writes no `created_at`, and has said nothing yet."""
    async with redis.pipeline(transaction=True) as pipe:
        pipe.delete("job:1", "job:1:output", "job:1:diff")
        pipe.hset("job:1", mapping={"id": "1", "status": "running", "user_id": "bob"})
        await pipe.execute()


def file(name: str, diff: str) -> bytes:
    return orjson.dumps({"file": name, "change": "modified", "diff": diff, "additions": 1, "deletions": 0})


async def put_job_of_ada(redis: Redis) -> None:
    await redis.hset("job:1", mapping={"id": "1", "status": "running", "user_id": "ada", "created_at": "1"})
    await redis.rpush("job:1:output", entry("ada's"))
    await redis.hset("job:1:diff", "a.py", file("a.py", "ada's"))


def lines_of(job: Job) -> list[str]:
    lines: list[str] = []
    cursor = job.output.start()
    while isinstance(step := job.output.read(cursor), Batch):
        lines += [line_of(record.data) for record in step.records()]
        cursor = step.next
    return lines


@pytest.mark.parametrize("reads", ["everything", "the list alone"])
@pytest.mark.parametrize("change", [hand_over, hand_over_at_its_end, replace, replace_without_a_time])
@pytest.mark.parametrize("moment", MOMENTS)
async def test_no_line_is_shown_under_an_owner_who_may_not_read_it(
    redis: Redis, link: RedisLink, moment: int, change: Callable[[Redis], Awaitable[None]], reads: str
) -> None:
    await put_job_of_ada(redis)
    job = Job(JOB, "1", epoch="e", archived=True)
    follower = JobFollower(job, Leases(), 1_000_000, float, checks_owner=True)
    sent = 0
    changed = False
    for turn in range(8):
        if turn == 0 or reads == "everything" or changed:
            follower.mark()
        else:
            follower.mark_list()
        replies = []
        for command in follower.plan():
            if sent == moment:
                await change(redis)
                changed = True
            sent += 1
            replies += await link.ask([command])
        follower.take(iter(replies))
        if job.presence is Presence.PRESENT:
            lines = lines_of(job)
            if job.owner == "ada":
                assert AFTER not in lines
            elif change is not hand_over and change is not hand_over_at_its_end:
                assert "ada's" not in lines
    assert job.owner == "bob"
    if change is replace_without_a_time:
        assert lines_of(job) == []
    else:
        assert lines_of(job) == ([AFTER] * 5 if change is replace else ["ada's", AFTER])


class Between:
    """A link to Redis that sends one command at a time, and lets something happen before one of them."""

    def __init__(self, link: RedisLink, moment: int, happens: Callable[[], Awaitable[None]]) -> None:
        self._link = link
        self._left = moment
        self._happens = happens
        self.happened = False

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """See `RedisLink`."""
        replies = []
        for command in commands:
            if self._left == 0 and not self.happened:
                self.happened = True
                await self._happens()
            self._left -= 1
            replies += await self._link.ask([command])
        return replies

    async def close(self) -> None:
        """See `RedisLink`: it is the test's."""


@pytest.mark.parametrize("change", [hand_over, replace])
@pytest.mark.parametrize("moment", range(5))
async def test_no_file_is_shown_under_an_owner_who_may_not_read_it(
    redis: Redis, link: RedisLink, moment: int, change: Callable[[Redis], Awaitable[None]]
) -> None:
    await put_job_of_ada(redis)
    job = Job(JOB, "1", epoch="e", archived=True)
    job.set_fields({"user_id": "ada", "status": "running"}, 0.0)
    job.diff_watchers = 1
    between = Between(link, moment, lambda: change(redis))
    told = anyio.Event()
    diffs = RedisDiffs(between, float, lambda: 3600.0, lambda _: None, lambda _: told.set())  # type: ignore[arg-type]
    tail = DiffTail(job)
    shown: list[tuple[str | None, str]] = []

    def note() -> None:
        shown.extend((job.owner, str(entry["diff"])) for entry in files_in(job.diff).values())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(diffs.run)
        while not between.happened:
            number = tail.ask()
            diffs.mark(tail)
            await eventually(lambda: told.is_set() or tail.answered >= number)  # noqa: B023 - awaited here
            note()
        tail.ask()
        diffs.mark(tail)
        await eventually(told.is_set)  # the new owner was found, and is not shown yet
        note()
        job.set_fields({"user_id": "bob", "status": "running"}, 0.0)
        await eventually(lambda: any(entry["diff"] == AFTER for entry in files_in(job.diff).values()))
        tasks.cancel_scope.cancel()
    assert ("ada", AFTER) not in shown
    assert set(files_in(job.diff)) == ({"a.py", "b.py"} if change is hand_over else {"b.py"})
