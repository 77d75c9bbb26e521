"""Clients that come back late, or read slowly, end to end: what they missed, whether they are told, and the end."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from fantail.broker.log.records import entry_of
from faults.readers import REPOBOX, VIBE_KANBAN, Tab
from faults.server_to_kill import server_to_kill
from support.clients.sse_client import open_stream
from support.servers.tcp_proxy import tcp_proxy
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redis.asyncio import Redis

    from faults.server_to_kill import ServerToKill

WAIT_S = 20.0
OUTPUT = "job:42:output"
# The least that the setting takes; an entry of these tests has some eighty bytes.
SMALL_WINDOW = {"FANTAIL_STORE_BYTES": "65536"}
LINES = 20_000


def entries(word: str, first: int, end: int) -> list[bytes]:
    return [entry_of(1, f"{word} {number}", "stdout") for number in range(first, end)]


def lines(word: str, first: int, end: int) -> list[str]:
    return [f"{word} {number}" for number in range(first, end)]


@asynccontextmanager
async def following(*tabs: Tab) -> AsyncIterator[None]:
    """The tabs follow; at the end of the context they must come to their end."""
    with anyio.fail_after(WAIT_S):
        async with anyio.create_task_group() as tasks:
            for tab in tabs:
                tasks.start_soon(tab.follow)
            yield


async def seen(server: ServerToKill, job_id: str = "42") -> dict[str, int]:
    """What the server says of a job."""
    (store,) = [job for job in (await server.system())["jobs"] if job["id"] == job_id]
    found: dict[str, int] = store
    return found


async def test_an_end_that_comes_while_a_client_is_away_is_told_with_the_rest_when_it_comes_back(
    redis_url: str, redis_client: Redis
) -> None:
    """Trap 38: to the same server, to another one, and to one that has never been asked for the job."""
    await redis_client.hset("job:42", "status", "running")
    await redis_client.rpush(OUTPUT, *entries("line", 0, 10))
    async with server_to_kill("--redis-url", redis_url) as server:
        last_ids = {}
        for wire_format in (REPOBOX, VIBE_KANBAN):
            async with open_stream(server.url + wire_format.path.format(42)) as stream:
                last_ids[wire_format] = [event.id for event in [await stream.next() for _ in range(5)] if event.has_id][
                    -1
                ]
        await redis_client.rpush(OUTPUT, *entries("line", 10, 20))
        await redis_client.hset("job:42", "status", "success")
        for fresh in (False, True):
            if fresh:
                await server.kill9()
                await server.start()
            for wire_format, last_id in last_ids.items():
                first = int(last_id.partition("-")[0]) + 1
                tab = Tab(server.url, "42", wire_format, last_id=last_id, next_offset=first)
                async with following(tab):
                    pass
                assert (tab.lines, tab.ends, tab.resets) == (lines("line", first, 20), 1, 0)
                assert tab.last_id.endswith(".end")
                assert tab.answers == [204]


async def test_a_client_that_comes_back_to_a_list_written_anew_is_told_and_has_that_list(
    redis_url: str, redis_client: Redis
) -> None:
    """Trap 34: the list expired before its hash and is written anew, longer than it was, while the client is away."""
    await redis_client.hset("job:42", "status", "running")
    await redis_client.rpush(OUTPUT, *entries("old", 0, 100))
    async with server_to_kill("--redis-url", redis_url) as server, tcp_proxy(server.port) as proxy:
        tab = Tab(f"http://127.0.0.1:{proxy.port}", "42")
        async with following(tab):
            await eventually(lambda: len(tab.lines) == 100, WAIT_S)
            proxy.refuse()
            await redis_client.pexpire(OUTPUT, 1)
            await eventually(lambda: no_list(redis_client), WAIT_S, "the list to expire")
            await redis_client.rpush(OUTPUT, *entries("new", 0, 150))
            await redis_client.hset("job:42", "status", "success")
            proxy.forward()
        assert (tab.lines, tab.resets, tab.gaps) == (lines("new", 0, 150), 1, [])


async def no_list(redis: Redis) -> bool:
    return not await redis.exists(OUTPUT)


async def test_a_reader_far_behind_the_window_misses_nothing(redis_url: str, redis_client: Redis) -> None:
    """Trap 19: memory holds a few hundred lines, the reader is twenty thousand behind."""
    await redis_client.hset("job:42", "status", "running")
    async with (
        server_to_kill("--redis-url", redis_url, settings=SMALL_WINDOW) as server,
        tcp_proxy(server.port) as proxy,
    ):
        slow, quick = Tab(f"http://127.0.0.1:{proxy.port}", "42"), Tab(server.url, "42", VIBE_KANBAN)
        async with following(slow, quick):
            await eventually(lambda: slow.connections and quick.connections, WAIT_S)
            proxy.black_hole()
            for start in range(0, LINES, 1000):
                await redis_client.rpush(OUTPUT, *entries("line", start, start + 1000))
            await eventually(lambda: len(quick.lines) == LINES, WAIT_S, "the quick reader's end")
            store = await seen(server)
            assert store["tail"] == LINES
            assert store["head"] > LINES // 2
            proxy.forward()
            await redis_client.hset("job:42", "status", "success")
        for tab in (slow, quick):
            assert (tab.lines, tab.resets, tab.gaps) == (lines("line", 0, LINES), 0, [])


async def test_a_reader_whose_lines_are_nowhere_any_more_is_told_which(redis_url: str, redis_client: Redis) -> None:
    """Trap 19: while it was away, and while another one looked on, somebody cut the list's front off."""
    await redis_client.hset("job:42", "status", "running")
    await redis_client.rpush(OUTPUT, *entries("line", 0, 100))
    async with (
        server_to_kill("--redis-url", redis_url, settings=SMALL_WINDOW) as server,
        tcp_proxy(server.port) as proxy,
    ):
        tab, witness = Tab(f"http://127.0.0.1:{proxy.port}", "42"), Tab(server.url, "42")
        async with following(tab, witness):
            await eventually(lambda: len(tab.lines) == len(witness.lines) == 100, WAIT_S)
            proxy.refuse()
            await redis_client.rpush(OUTPUT, *entries("line", 100, 5000))
            await eventually(lambda: len(witness.lines) == 5000, WAIT_S)
            await redis_client.ltrim(OUTPUT, -1000, -1)
            await redis_client.rpush(OUTPUT, *entries("line", 5000, 6000))
            await eventually(lambda: len(witness.lines) == 6000, WAIT_S)
            proxy.forward()
            await redis_client.hset("job:42", "status", "success")
        # Its position cannot be proven any more: it is told to begin anew, and that the beginning is gone.
        assert (tab.lines, tab.resets, tab.gaps) == (lines("line", 4000, 6000), 1, [(0, 3999)])
        assert (witness.lines, witness.gaps) == (lines("line", 0, 6000), [])
