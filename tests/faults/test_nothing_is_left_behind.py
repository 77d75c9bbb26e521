"""A thousand streams opened and cut, in every way in which a client can leave: what the server holds comes back.

Counted from outside, of a real server: its open files, its connections to Redis, its memory; and by itself: streams,
watchers, stores (traps 16 and 28).
"""

from __future__ import annotations

import socket
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio.abc import SocketAttribute

from fantail.broker.limits import ARCHIVE_LINKS
from faults.server_to_kill import server_to_kill
from support.wait import eventually

if TYPE_CHECKING:
    import random

    from redis.asyncio import Redis

    from faults.server_to_kill import ServerToKill

STREAMS = 1000
REQUESTS = 2000  # of which some are no streams, some are unknown jobs, and some are cut off in their head
AT_A_TIME = 100
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
WAIT_S = 10.0
MIB = 1024 * 1024
PATHS = (
    "/api/jobs/running/stream",
    "/api/jobs/running/stream?tail=5",
    "/api/jobs/ended/stream",
    "/api/jobs/long/stream",
    "/api/jobs/unknown/stream",
    "/api/events/processes/running/logs",
    "/api/events/",
    "/api/jobs/long/output?download=1",
    "/api/jobs/long/output/search?q=9",
)


@dataclass(frozen=True)
class Held:
    """What a server holds that a leak would add to.

    Attributes:
        files: open files, without connections to Redis.
    """

    files: int
    streams: int
    watchers: int
    stores: int


async def held(server: ServerToKill, redis: Redis) -> Held:
    system = await server.system()
    links = Counter(client["name"] for client in await redis.client_list() if client["name"].startswith("fantail-"))
    assert links["fantail-archive"] <= ARCHIVE_LINKS
    assert max(count for name, count in links.items() if name != "fantail-archive") == 1
    return Held(
        files=_open_files(server.process.process.pid) - links.total(),
        streams=system["streams"]["open"],
        watchers=sum(job["watchers"] for job in system["jobs"]) + system["stores"]["tablesWatchers"],
        stores=system["stores"]["jobsTotal"],
    )


async def test_a_thousand_streams_that_were_cut_leave_nothing(
    redis_url: str, redis_client: Redis, chance: random.Random
) -> None:
    for job_id, count in (("running", 10), ("ended", 10), ("long", 20_000)):
        status = "success" if job_id == "ended" else "running"
        await redis_client.hset(f"job:{job_id}", "status", status)
        await redis_client.rpush(f"job:{job_id}:output", *[f"line {number}" for number in range(count)])
    async with server_to_kill("--redis-url", redis_url, settings={"FANTAIL_LOG_LEVEL": "warning"}) as server:
        await open_and_cut(server, chance, REQUESTS // 4)
        before = await eventually(lambda: at_rest(server, redis_client), WAIT_S, "the first streams to end")
        assert before is not None
        before_bytes = (await server.system())["memory"]["residentBytes"]
        await open_and_cut(server, chance, REQUESTS * 3 // 4)
        await eventually(lambda: is_held(server, redis_client, before), WAIT_S, f"what there was before: {before}")
        after = await server.system()
        assert after["streams"]["openedTotal"] >= STREAMS
        assert after["memory"]["residentBytes"] - before_bytes < 12 * MIB
        assert not [line for line in server.process.errors if "ERROR" in line or "Traceback" in line]


def _open_files(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


async def at_rest(server: ServerToKill, redis: Redis) -> Held | None:
    now = await held(server, redis)
    return None if now.streams or now.watchers else now


async def is_held(server: ServerToKill, redis: Redis, what: Held) -> bool:
    return await held(server, redis) == what


async def open_and_cut(server: ServerToKill, chance: random.Random, count: int) -> None:
    limiter = anyio.CapacityLimiter(AT_A_TIME)
    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(one, server, chance, limiter)


async def one(server: ServerToKill, chance: random.Random, limiter: anyio.CapacityLimiter) -> None:
    """Asks for something, takes some of it or nothing, and leaves with or without a word."""
    async with limiter, await anyio.connect_tcp("127.0.0.1", server.port) as client:
        if chance.random() < 0.5:
            client.extra(SocketAttribute.raw_socket).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        head = f"GET {chance.choice(PATHS)} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n".encode()
        await client.send(head[: chance.choice((len(head), len(head), len(head), 20))])
        wanted = chance.choice((0, 1, 1, 5000, 200_000))
        with anyio.move_on_after(0.1):
            while wanted > 0:
                wanted -= len(await receive(client)) or wanted


async def receive(client: anyio.abc.SocketStream) -> bytes:
    try:
        return await client.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return b""
