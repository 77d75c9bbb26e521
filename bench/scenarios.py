"""What is measured. Each scenario returns rows; references run in the same minute, in the same client process."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from typing import TYPE_CHECKING

import httpx
import redis.asyncio

from bench.dashboard import frontend
from bench.diffs import diffs
from bench.fantail import entry, fantail
from bench.load import Crowd
from bench.masking import masking
from bench.peers import nchan, nchan_installed, peer
from bench.pipelines import pipelines
from bench.report import Row
from bench.searching import searching
from bench.soak import soak

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

PORT = 18800


def median_ms(times_s: list[float]) -> float:
    """The median, in milliseconds."""
    return statistics.median(times_s) * 1000


def percentile_ms(times_s: list[float], percent: int) -> float:
    """A percentile, in milliseconds."""
    return statistics.quantiles(times_s, n=100, method="inclusive")[percent - 1] * 1000


async def latency(rounds: int = 300, subscribers: int = 100) -> list[Row]:
    """RPUSH to the bytes at each of 100 subscribers, at a quiet pace; beside it, polling as the usual bridge does."""
    with fantail(PORT) as server:
        server.create_job("bench")
        crowd = Crowd(f"{server.url}/api/jobs/bench/stream", subscribers)
        await crowd.connect()
        taken_s: list[float] = []
        writer = redis.asyncio.Redis(connection_pool=_pool_like(server.redis))
        for number in range(rounds):
            crowd.arrivals_s = []
            started_s = time.perf_counter()
            await writer.rpush("job:bench:output", entry(number))
            await crowd.received(number + 1)
            if number >= 20:
                taken_s.extend(at_s - started_s for at_s in crowd.arrivals_s)
            await asyncio.sleep(random.uniform(0.005, 0.015))
        polled_s = await _polled(writer)
        crowd.close()
        await writer.aclose()
    reference_ms = statistics.mean(polled_s) * 1000
    p50_ms, p99_ms = percentile_ms(taken_s, 50), percentile_ms(taken_s, 99)
    beside = "polling every 500 ms, mean"
    return [
        Row(f"RPUSH to {subscribers} subscribers, p50", p50_ms, "ms", beside, reference_ms, "≤ 2 ms", p50_ms <= 2),
        Row(f"RPUSH to {subscribers} subscribers, p99", p99_ms, "ms", beside, reference_ms, "≤ 10 ms", p99_ms <= 10),
    ]


async def _polled(writer: redis.asyncio.Redis, rounds: int = 20) -> list[float]:
    """How long a line waits for a loop that asks LLEN every 500 ms."""
    taken_s = []
    await writer.delete("bench:polled")
    for number in range(rounds):
        loop = asyncio.get_running_loop()
        pushed_s: asyncio.Future[float] = loop.create_future()

        async def push(pushed_s: asyncio.Future[float] = pushed_s) -> None:
            await asyncio.sleep(random.uniform(0, 0.5))
            pushed_s.set_result(time.perf_counter())
            await writer.rpush("bench:polled", b"x")

        task = asyncio.ensure_future(push())
        while await writer.llen("bench:polled") <= number:  # noqa: ASYNC110 - polling is what is measured
            await asyncio.sleep(0.5)
        taken_s.append(time.perf_counter() - await pushed_s)
        await task
    return taken_s


async def time_to_all(rounds: int = 40) -> list[Row]:
    """One message to all of 100 and 1,000 subscribers: from the publisher's call to the last one's bytes."""
    rows = []
    for subscribers in (100, 1000):
        with fantail(PORT) as server:
            server.create_job("bench")
            writer = redis.asyncio.Redis(connection_pool=_pool_like(server.redis))

            async def push(number: int, writer: redis.asyncio.Redis = writer) -> None:
                await writer.rpush("job:bench:output", entry(number))

            ours_s = await _rounds(f"{server.url}/api/jobs/bench/stream", subscribers, rounds, push)
            await writer.aclose()
        references: list[tuple[str, float]] = []
        async with httpx.AsyncClient() as client:
            if nchan_installed():
                with nchan(PORT + 1) as url:
                    body = entry(0)

                    async def post(_: int, url: str = url, body: bytes = body) -> None:
                        await client.post(f"{url}/pub/bench", content=body)

                    references.append(("nginx + Nchan", await _rounds(f"{url}/sub/bench", subscribers, rounds, post)))
            for name, label in (("bare", "bare sockets"), ("queues", "sse-starlette")):
                with peer(name, PORT + 2) as url:

                    async def publish(_: int, url: str = url) -> None:
                        await client.post(f"{url}/publish?count=1&together=1")

                    references.append((label, await _rounds(f"{url}/stream", subscribers, rounds, publish)))
        for label, reference_s in references:
            is_target = label == "nginx + Nchan" and subscribers == 1000
            rows.append(
                Row(
                    f"one message to all of {subscribers:,}",
                    ours_s * 1000,
                    "ms",
                    label,
                    reference_s * 1000,
                    "ratio ≤ 1.2" if is_target else "",
                    ours_s <= 1.2 * reference_s if is_target else None,
                )
            )
    return rows


async def _rounds(url: str, subscribers: int, rounds: int, publish: Callable[[int], Awaitable[None]]) -> float:
    """The median over rounds of the seconds from publishing one message to the last subscriber's bytes."""
    crowd = Crowd(url, subscribers)
    await crowd.connect()
    taken_s = []
    for number in range(rounds):
        started_s = time.perf_counter()
        sending = asyncio.ensure_future(publish(number))
        taken_s.append(await crowd.received(number + 1) - started_s)
        await sending
        await asyncio.sleep(0.02)
    crowd.close()
    await asyncio.sleep(0.1)
    return statistics.median(taken_s[5:])


async def sustained(bursts: int = 60, subscribers: int = 100, burst: int = 100) -> list[Row]:
    """Bursts of 100 messages to 100 subscribers, one after the other: deliveries a second."""

    async def per_s(url: str, publish: Callable[[int], Awaitable[object]]) -> float:
        crowd = Crowd(url, subscribers)
        await crowd.connect()
        for warm in range(5):
            await asyncio.gather(publish(warm), crowd.received((warm + 1) * burst))
        started_s = time.perf_counter()
        for number in range(5, 5 + bursts):
            await asyncio.gather(publish(number), crowd.received((number + 1) * burst))
        taken_s = time.perf_counter() - started_s
        crowd.close()
        return bursts * burst * subscribers / taken_s

    with fantail(PORT) as server:
        server.create_job("bench")
        writer = redis.asyncio.Redis(connection_pool=_pool_like(server.redis))

        async def push(number: int) -> None:
            first = number * burst
            await writer.rpush("job:bench:output", *[entry(first + index) for index in range(burst)])

        ours = await per_s(f"{server.url}/api/jobs/bench/stream", push)
        await writer.aclose()
    rows = []
    async with httpx.AsyncClient(timeout=60) as client:
        for name, together, label, wanted in (
            ("queues", 0, "sse-starlette, a queue per client", 10.0),
            ("bare", 0, "bare sockets, a write per message", 0.4),
            ("bare", 1, "bare sockets, a write per burst", None),
        ):
            with peer(name, PORT + 2) as url:

                async def publish(_: int, url: str = url, together: int = together) -> None:
                    await client.post(f"{url}/publish?count={burst}&together={together}")

                reference = await per_s(f"{url}/stream", publish)
            target = "" if wanted is None else f"ratio ≥ {wanted}"
            met = None if wanted is None else ours >= wanted * reference
            what = f"bursts of {burst} to {subscribers} subscribers"
            rows.append(Row(what, ours, "deliveries/s", label, reference, target, met))
    return rows


async def replay(lines: int = 100_000) -> list[Row]:
    """A finished job of 100,000 lines to one client: cold (nothing in memory) and warm (read a moment ago)."""

    async def once(url: str, markers: int) -> float:
        crowd = Crowd(url, 1)
        started_s = time.perf_counter()
        await crowd.connect()
        await crowd.received(markers)
        taken_s = time.perf_counter() - started_s
        crowd.close()
        return taken_s

    cold_s, listed_s = [], []
    with fantail(PORT, FANTAIL_STORE_BYTES=str(256 * 2**20), FANTAIL_TOTAL_BYTES=str(512 * 2**20)) as server:
        for number in range(5):
            server.create_job(f"bench-{number}", "success")
            server.push(f"bench-{number}", lines)
        for number in range(5):
            started_s = time.perf_counter()
            listed = server.redis.lrange(f"job:bench-{number}:output", 0, -1)
            listed_s.append(time.perf_counter() - started_s)
            assert len(listed) == lines
            cold_s.append(await once(f"{server.url}/api/jobs/bench-{number}/stream", lines))
        warm_s = [await once(f"{server.url}/api/jobs/bench-4/stream", lines) for _ in range(7)]
    with peer("bare", PORT + 2) as url:
        bare_s = [await once(f"{url}/replay?count={lines}", lines) for _ in range(7)]
    warm, bare, cold, listing = (statistics.median(times) for times in (warm_s, bare_s, cold_s, listed_s))
    per_s = "lines/s"
    return [
        Row(
            f"replay of {lines:,} lines, warm",
            lines / warm,
            per_s,
            "bare sockets, same bytes",
            lines / bare,
            "ratio ≥ 0.6",
            bare / warm >= 0.6,
        ),
        Row(
            f"replay of {lines:,} lines, cold",
            cold * 1000,
            "ms",
            "redis-py's LRANGE of the list",
            listing * 1000,
            "ratio ≤ 2",
            cold <= 2 * listing,
        ),
    ]


async def memory(lines: int = 50_000, subscribers: int = 2000) -> list[Row]:
    """What the log of one job costs, and what an idle subscriber costs."""
    raw_bytes = sum(len(entry(number)) for number in range(lines))
    with fantail(PORT, FANTAIL_STORE_BYTES=str(64 * 2**20)) as server:
        server.create_job("bench")
        crowd = Crowd(f"{server.url}/api/events/processes/bench/logs", 1)
        await crowd.connect()
        server.push("bench", lines)
        await crowd.received(lines)
        encoded_bytes = crowd.listeners[0].received_bytes
        system = httpx.get(f"{server.url}/api/system").json()
        held = next(job["retainedBytes"] for job in system["jobs"] if job["id"] == "bench")
        server.create_job("idle")
        before_kib = server.resident_kib()
        idle = Crowd(f"{server.url}/api/jobs/idle/stream", subscribers)
        await idle.connect()
        each_kib = (server.resident_kib() - before_kib) / subscribers
        idle.close()
        crowd.close()
    allowed = 1.5 * raw_bytes + encoded_bytes
    return [
        Row(
            f"memory of {lines:,} lines read by one face",
            held / 2**20,
            "MiB",
            "1.5 × raw entries + the face's bytes",
            allowed / 2**20,
            "ratio ≤ 1",
            held <= allowed,
        ),
        Row(f"memory of one idle subscriber of {subscribers:,}", each_kib, "KiB", "", None, "≤ 64 KiB", each_kib <= 64),
    ]


async def redis_commands(seconds: float = 6.0) -> list[Row]:
    """Commands a second that the server sends to Redis while 100 lines a second are written."""

    async def measured(viewers: int, *, writing: bool) -> float:
        with fantail(PORT) as server:
            server.create_job("bench")
            crowd = Crowd(f"{server.url}/api/jobs/bench/stream", viewers)
            if viewers:
                await crowd.connect()
            writer = redis.asyncio.Redis(connection_pool=_pool_like(server.redis))
            await writer.ping()  # its own greeting is none of the server's commands
            await asyncio.sleep(1.5)
            before = server.commands_processed()
            started_s = time.perf_counter()
            number = 0
            while time.perf_counter() - started_s < seconds:
                if writing:
                    await writer.rpush("job:bench:output", entry(number))
                    number += 1
                await asyncio.sleep(0.01)
            sent = server.commands_processed() - before
            crowd.close()
            await writer.aclose()
            return sent / (time.perf_counter() - started_s)

    one = await measured(1, writing=True)
    many = await measured(500, writing=True)
    unwatched = await measured(0, writing=True)
    idle = await measured(0, writing=False)
    unit = "commands/s"
    same = abs(many - one) <= 0.15 * one
    return [
        Row("Redis commands, 500 viewers of a busy job", many, unit, "1 viewer", one, "the same", same),
        Row("Redis commands, nobody watching a busy job", unwatched, unit, "", None, "≤ 1/s", unwatched <= 1),
        Row("Redis commands, nothing happening", idle, unit, "", None, "≤ 1/s", idle <= 1),
    ]


def _pool_like(client: redis.Redis) -> redis.asyncio.ConnectionPool:
    """An asyncio pool to where a synchronous client is connected."""
    path = client.connection_pool.connection_kwargs["path"]
    return redis.asyncio.ConnectionPool(connection_class=redis.asyncio.UnixDomainSocketConnection, path=path)


SCENARIOS: dict[str, Callable[[], Coroutine[None, None, list[Row]]]] = {
    "latency": latency,
    "time-to-all": time_to_all,
    "sustained": sustained,
    "replay": replay,
    "memory": memory,
    "redis-commands": redis_commands,
    "pipelines": pipelines,
    "diffs": diffs,
    "searching": searching,
    "masking": masking,
    "frontend": frontend,
}
# Only by name: it takes half an hour.
LONG: dict[str, Callable[[], Coroutine[None, None, list[Row]]]] = {"soak": soak}
