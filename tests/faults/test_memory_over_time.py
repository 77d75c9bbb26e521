"""What grows while a server runs: the soak of `bench/soak.py` in a short form, and memory that was freed.

Counts are compared, of one server at rest before and after; nothing is timed.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest
from bench.soak import SETTINGS, Load, Sample, sample

from faults.server_to_kill import ServerToKill, server_to_kill
from support.wait import eventually

if TYPE_CHECKING:
    import random

    from redis.asyncio import Redis

MIB = 2**20
WARM_S = 6.0
LASTS_S = 15.0
REST_S = 30.0
GROWTH_MIB_MAX = 16.0


async def at_rest(server: ServerToKill, redis: Redis, most: Sample | None = None) -> Sample | None:
    """What the server holds, once no more than before the load is open."""
    now = await sample(server.url, server.process.process.pid, redis, 0.0)
    if most is None:
        return now if now.tasks <= QUIET_TASKS else None
    counted = ("files", "threads", "tasks", "redis_clients", "redis_tracked")
    return now if all(getattr(now, each) <= getattr(most, each) for each in counted) else None


# Of a server with nothing to do: some twenty; each connection that is open adds two.
QUIET_TASKS = 24


@pytest.mark.timeout(180)
async def test_what_comes_and_goes_all_the_time_leaves_nothing(
    redis_url: str, redis_client: Redis, chance: random.Random
) -> None:
    async with server_to_kill(
        "--redis-url", redis_url, settings={**SETTINGS, "FANTAIL_LOG_LEVEL": "warning"}
    ) as server:
        load = Load(server.url, redis_client, chance, connections_per_s=80, jobs_per_s=3, job_s=2, kept_s=1)
        await load.run(WARM_S)
        before = await eventually(lambda: at_rest(server, redis_client), REST_S, "the end of the first load")
        assert before is not None
        await load.run(LASTS_S)
        after = await eventually(lambda: at_rest(server, redis_client, before), REST_S, f"no more than {before}")
        assert after is not None
        assert load.opened >= 80 * LASTS_S
        assert after.resident_mib - before.resident_mib < GROWTH_MIB_MAX
        assert not [line for line in server.process.errors if "ERROR" in line or "Traceback" in line]


@pytest.mark.timeout(180)
async def test_memory_of_logs_that_are_let_go_goes_back_to_the_system(redis_url: str, redis_client: Redis) -> None:
    jobs, lines = 20, 20_000
    entries = [b'{"timestamp":1701561234567,"line":"%s %d","stream":"stdout"}' % (b"x" * 80, at) for at in range(lines)]
    for job in range(jobs):
        await redis_client.hset(f"job:{job}", "status", "success")
        await redis_client.rpush(f"job:{job}:output", *entries)
    async with server_to_kill("--redis-url", redis_url, settings={"FANTAIL_LINGER_S": "15"}) as server:
        before = await resident_bytes(server)
        await anyio.to_thread.run_sync(read_streams, server.port, jobs)
        held = await resident_bytes(server)
        assert held - before > 40 * MIB
        await eventually(lambda: is_given_back(server, before + (held - before) // 3), 60.0, "memory to be given back")


def read_streams(port: int, jobs: int) -> None:
    """Reads the streams of jobs 0, 1, … to their ends, one after the other, without looking at what they say."""
    for job in range(jobs):
        with socket.create_connection(("127.0.0.1", port), REST_S) as client:
            client.sendall(b"GET /api/jobs/%d/stream HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n" % job)
            while client.recv(MIB):
                pass


async def resident_bytes(server: ServerToKill) -> int:
    found: int = (await server.system())["memory"]["residentBytes"]
    return found


async def is_given_back(server: ServerToKill, bytes_max: int) -> bool:
    return await resident_bytes(server) < bytes_max
