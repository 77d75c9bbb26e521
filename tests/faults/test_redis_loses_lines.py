"""Redis is killed and started again under everyone, and has lost the end of what it had confirmed.

It has its append-only file, synced each second: a crash of its process loses nothing that was confirmed, one of its
machine loses up to two seconds. The tests cut the file, which is that loss. A producer of ours writes anew what is
missing; another one goes on with other lines. Whoever throws away what is on the screen at a `reset` must end with
exactly what the list holds, and never with a mixture (traps 34, 41 and 47).
"""

from __future__ import annotations

import signal
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import anyio
import orjson
import pytest
from redis import Redis

from fantail.broker.log.position import checksum, log_position
from fantail.broker.log.records import entry_of
from fantail.broker.producers.writer.job_writer import Delivered, NewJob, open_job
from faults.cutting import AHEAD_MAX
from faults.everyone import LINE_BYTES_MIN, everyone, in_blocks
from faults.lossy_redis import cut_file, written_bytes
from faults.readers import REPOBOX, VIBE_KANBAN, Tab, terminal
from faults.server_to_kill import server_to_kill
from support.clients.sse_client import open_stream
from support.wait import eventually

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from redis.asyncio import Redis as AsyncRedis

    from conftest import MakeRedisServer
    from faults.readers import Reader
    from support.servers.redis_server import RedisServer

pytestmark = pytest.mark.timeout(180)

LINES = 100_000
LOST_BYTES = range(1_000, 400_000)


def listed(server: RedisServer, job_id: str) -> list[str]:
    with Redis.from_url(server.url) as redis:
        entries: list[bytes] = redis.lrange(f"job:{job_id}:output", 0, -1)
        return [orjson.loads(entry)["line"] for entry in entries]


def lose_and_start(server: RedisServer, lost_bytes: int) -> None:
    server.kill9()
    cut_file(server, written_bytes(server) - lost_bytes)
    server.start()


async def test_what_the_producer_writes_anew_is_on_every_screen_once(
    chance: random.Random, tmp_path: Path, make_redis_server: MakeRedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    redis = make_redis_server(appendonly=True)
    lines = [f"line {number}" for number in range(LINES)]
    cuts = 8
    blocks = in_blocks(lines, cuts + AHEAD_MAX)
    moments = sorted(chance.sample(range(LINES // 20, LINES * 9 // 10), 4))
    losses = chance.sample([0, *chance.choices(LOST_BYTES, k=3)], 4)
    async with (
        server_to_kill("--redis-url", redis.url) as server,
        open_job(redis.url, NewJob(id="42")) as job,
        everyone(server, chance, tmp_path, cuts=cuts, block_bytes_min=len(blocks[-1]) * LINE_BYTES_MIN) as readers,
    ):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(readers.cutting.write, job, blocks)
            for moment, lost in zip(moments, losses, strict=True):
                await readers.some_screen_has(moment, chance)
                await anyio.to_thread.run_sync(lose_and_start, redis, lost)
        assert await job.finish() == Delivered()
    assert "they are written anew" in caplog.text
    assert listed(redis, "42") == lines

    readers.check(lines, resets_max=len(moments))


async def test_a_client_that_is_cut_right_behind_a_reset_comes_back_without_the_old_position(
    redis_url: str, redis_client: AsyncRedis
) -> None:
    """Its position may be true again by then, and the screen is empty."""
    entries = [entry_of(1, f"line {number}", "stdout") for number in range(10)]
    await redis_client.hset("job:42", "status", "success")
    await redis_client.rpush("job:42:output", *entries[:5])
    async with server_to_kill("--redis-url", redis_url) as server:
        tabs = [Tab(server.url, "42", wire_format) for wire_format in (REPOBOX, VIBE_KANBAN)]
        for tab in tabs:
            tab.last_id = str(log_position(9, checksum(entries[9])))
            async with open_stream(server.url + tab.wire_format.path.format(42), last_id=tab.last_id) as stream:
                reset = (await stream.until("reset"))[-1]
                tab.last_id = reset.id if reset.has_id else tab.last_id
        await redis_client.rpush("job:42:output", *entries[5:])
        for tab in tabs:
            await tab.follow()
            assert tab.lines == [f"line {number}" for number in range(10)]


@pytest.mark.parametrize("way", ["frozen meanwhile", "killed before"])
async def test_a_lost_end_that_others_wrote_anew_is_a_reset_and_never_a_mixture(
    way: str, tmp_path: Path, make_redis_server: MakeRedisServer
) -> None:
    """The list is longer then than it was, as long, or shorter; the server sees only the result, or starts after it."""
    redis = make_redis_server(appendonly=True)
    new = {"longer": 150, "as-long": 100, "shorter": 10, "cut": 0}

    def push(line: str, first: int, end: int, *job_ids: str) -> None:
        with Redis.from_url(redis.url) as client:
            for job_id in job_ids:
                client.hset(f"job:{job_id}", "status", "running")
                for number in range(first, end):
                    client.rpush(f"job:{job_id}:output", entry_of(1, f"{line} {number}", "stdout"))

    push("kept", 0, 900, *new)
    kept_bytes = written_bytes(redis)
    push("lost", 900, 1000, *new)
    async with server_to_kill("--redis-url", redis.url) as server, AsyncExitStack() as stack:
        tabs = [Tab(server.url, job_id) for job_id in new]
        shells = [await stack.enter_async_context(terminal(server.url, id_, tmp_path / id_)) for id_ in new]
        async with anyio.create_task_group() as tasks:
            for tab in tabs:
                tasks.start_soon(tab.follow)
            readers: list[Reader] = [*tabs, *shells]
            await eventually(lambda: all(len(reader.lines) == 1000 for reader in readers), 20, "the first lines")
            if way == "frozen meanwhile":
                server.process.signal(signal.SIGSTOP)
            else:
                await server.kill9()
            redis.kill9()
            cut_file(redis, kept_bytes)
            redis.start()
            for job_id, count in new.items():
                push("other", 900, 900 + count, job_id)
            if way == "frozen meanwhile":
                server.process.signal(signal.SIGCONT)
            else:
                await server.start()
            await eventually(lambda: all(tab.resets for tab in tabs), 20, "a reset each")
            with Redis.from_url(redis.url) as client:
                for job_id in new:
                    client.hset(f"job:{job_id}", "status", "success")
        for tab, shell in zip(tabs, shells, strict=True):
            assert tab.lines == listed(redis, tab.job_id)
            assert await shell.ended(20) == 0
            assert shell.lines == tab.lines
            assert (tab.resets, shell.resets) == (1, 1)
