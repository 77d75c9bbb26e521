"""The soak: half an hour of all that happens to a server, and what grows meanwhile.

Fifty connections a second, of every kind: streams, downloads, searches, pages. Each is cut at a random moment, with or
without a word, or read to its end, or has requests sent ahead. Jobs are created, written, given a diff, handed over to
another user, ended and deleted all the time. Every few seconds the server's process is sampled: resident memory, open
files, threads, tasks; and its Redis: clients and memory.

The load comes in rounds. After each it stops until every job is deleted, and the server is looked at while it rests:
what it holds then does not depend on how much of the load a busy machine got through. A leak is a slope, fitted (least
squares) to the last two thirds of these rests and given for a day, of the resident memory without what the stores hold
(they have budgets of their own). All that is counted must be, at rest, what it was before the load began.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import socket
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict

import httpx
import jwt
import orjson
import redis.asyncio

from bench.fantail import entry, fantail
from bench.report import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PORT: Final = 18860
SOAK_S: Final = float(os.environ.get("SOAK_S", "1800"))
SECRET: Final = secrets.token_hex(32)
SETTINGS: Final = {"FANTAIL_AUTH": "jwt", "FANTAIL_JWT_SECRET": SECRET, "FANTAIL_LINGER_S": "2"}
SAMPLE_S: Final = 5.0
CONNECTIONS_PER_S: Final = 50
JOBS_PER_S: Final = 2.0
JOB_S: Final = 10.0
KEPT_S: Final = 10.0
ROUND_S: Final = 100.0
# Housekeeping, the time that a finished job stays, and two returns of freed memory.
REST_S: Final = 15.0
LINES_PER_JOB: Final = 2000
USERS: Final = 4
# 2 MiB in the 20 minutes that are looked at, which is as flat as can be told from noise.
SLOPE_MIB_PER_DAY_MAX: Final = 150.0
RESET_PART: Final = 0.3
RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
KINDS: Final = (
    "/api/jobs/{job}/stream",
    "/api/jobs/{job}/stream?tail=100",
    "/api/events/processes/{job}/logs",
    "/api/events/task-attempts/{job}/diff",
    "/api/events/",
    "/api/queue-stats/sse",
    "/api/streams",
    "/api/jobs/{job}/output?download=1",
    "/api/jobs/{job}/output/search?q=9",
    "/api/jobs/{job}/outline",
    "/api/jobs/{job}/diff",
    "/api/jobs?q=job",
    "/jobs/{job}",
    "/api/jobs/gone/stream",
    "/x",
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the server."""

    at_s: float
    resident_mib: float
    files: int
    threads: int
    tasks: int
    stores_mib: float
    redis_clients: int
    redis_tracked: int
    redis_mib: float

    @property
    def beside_stores_mib(self) -> float:
        """Resident memory without what the stores hold."""
        return self.resident_mib - self.stores_mib


class Load:
    """What goes on; made for one server, and ended by cancelling `run`.

    Args:
        url: of the server, which takes tokens signed with `SECRET`.
        writer: a client of its Redis.
        chance: decides what comes when.
        connections_per_s: how many are opened.
        jobs_per_s: how many are created.
        job_s: how long each runs.
        kept_s: when it is deleted after its end.
    """

    def __init__(
        self,
        url: str,
        writer: redis.asyncio.Redis,
        chance: random.Random,
        *,
        connections_per_s: float = CONNECTIONS_PER_S,
        jobs_per_s: float = JOBS_PER_S,
        job_s: float = JOB_S,
        kept_s: float = KEPT_S,
    ) -> None:
        self.opened = 0
        self._host, port = url.removeprefix("http://").split(":")
        self._port = int(port)
        self._writer = writer
        self._chance = chance
        self._connections_per_s = connections_per_s
        self._jobs_per_s = jobs_per_s
        self._job_s = job_s
        self._kept_s = kept_s
        self._jobs: list[str] = []
        self._tokens = [token(f"user-{number}") for number in range(USERS)] + [token("root", admin=True)]

    async def run(self, lasts_s: float) -> None:
        """Keeps it up for so long, then waits until each connection is closed and each job deleted."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._at_rate(tasks, self._jobs_per_s, lasts_s, self._job))
            tasks.create_task(self._at_rate(tasks, self._connections_per_s, lasts_s, self._connection))

    async def _at_rate(self, tasks: asyncio.TaskGroup, per_s: float, lasts_s: float, what: Callable[[], Any]) -> None:
        began_s = time.monotonic()
        count = 0
        while (now_s := time.monotonic() - began_s) < lasts_s:
            while count < now_s * per_s:
                tasks.create_task(what())
                count += 1
            await asyncio.sleep(0.01)

    async def _job(self) -> None:
        job_id = f"soak-{time.monotonic_ns()}"
        key = f"job:{job_id}"
        owner = f"user-{self._chance.randrange(USERS)}"
        await self._writer.hset(key, mapping={"id": job_id, "status": "running", "user_id": owner, "branch": "main"})
        self._jobs.append(job_id)
        steps = 20
        for step in range(steps):
            await self._writer.rpush(f"{key}:output", *[entry(number) for number in range(LINES_PER_JOB // steps)])
            await self._writer.hset(f"{key}:diff", f"file-{step % 5}", patch_of(f"file-{step % 5}", step))
            if step == steps // 2:
                await self._writer.hset(key, "user_id", f"user-{self._chance.randrange(USERS)}")
            await asyncio.sleep(self._job_s / steps)
        await self._writer.hset(key, "status", "success")
        await asyncio.sleep(self._kept_s)
        self._jobs.remove(job_id)
        await self._writer.delete(key, f"{key}:output", f"{key}:diff")

    async def _connection(self) -> None:
        self.opened += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection(self._host, self._port)
            if self._chance.random() < RESET_PART:
                raw: socket.socket = writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            try:
                await self._exchange(reader, writer)
            finally:
                writer.close()
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = self._request(self._chance.choice(KINDS))
        match self._chance.random():
            case part if part < 0.05:
                writer.write(head[: self._chance.randrange(len(head))])
            case part if part < 0.10:
                writer.write(head * self._chance.randrange(2, 40))
            case _:
                writer.write(head)
        await writer.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._chance.choice((0.0, 0.1, 1.0, 3.0))):
                while await reader.read(65_536):
                    pass

    def _request(self, kind: str) -> bytes:
        job = self._chance.choice(self._jobs) if self._jobs else "none"
        body = b""
        if kind == "/api/streams":
            topics = {f"/api/jobs/{job}/stream": "", "/api/events/": "", "/api/jobs/gone/stream": ""}
            body = orjson.dumps({"topics": topics})
        version = self._chance.choice(("1.1", "1.1", "1.1", "1.0"))
        method = "POST" if body else "GET"
        lines = (
            f"{method} {kind.format(job=job)} HTTP/{version}",
            f"Host: {self._host}:{self._port}",
            f"Authorization: Bearer {self._chance.choice(self._tokens)}",
            "Accept: text/event-stream",
            f"Content-Length: {len(body)}",
            "\r\n",
        )
        return "\r\n".join(lines).encode() + body


def token(user: str, *, admin: bool = False) -> str:
    """One that is valid for a day."""
    claims = {"sub": user, "exp": int(time.time()) + 86_400, **({"role": "admin"} if admin else {})}
    return jwt.encode(claims, SECRET, algorithm="HS256")


def patch_of(file: str, number: int) -> bytes:
    """An entry of a diff."""
    text = f"--- a/{file}\n+++ b/{file}\n@@ -1 +1 @@\n-old\n+new {number}\n"
    return orjson.dumps({"file": file, "change": "modified", "diff": text, "additions": 1, "deletions": 1})


class OfProcess(TypedDict):
    """What the system says of a process."""

    resident_mib: float
    files: int
    threads: int


def of_process(pid: int) -> OfProcess:
    """Looks at a process from outside (proc(5))."""
    folder = Path(f"/proc/{pid}")
    status = dict(line.split(":\t", 1) for line in (folder / "status").read_text("ascii").splitlines())
    return {
        "resident_mib": int(status["VmRSS"].split()[0]) / 1024,
        "files": sum(1 for _ in (folder / "fd").iterdir()),
        "threads": int(status["Threads"]),
    }


async def sample(url: str, pid: int, writer: redis.asyncio.Redis, began_s: float) -> Sample:
    """Looks at the process, at what it says of itself, and at its Redis."""
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token('root', admin=True)}"}) as http:
        system = (await http.get(f"{url}/api/system?jobs=0", timeout=30)).raise_for_status().json()
    info = await writer.info()
    clients = [client for client in await writer.client_list() if client["name"].startswith("fantail-")]
    return Sample(
        at_s=time.monotonic() - began_s,
        **of_process(pid),
        tasks=system["tasks"],
        stores_mib=system["stores"]["bytes"] / 2**20,
        redis_clients=len(clients),
        redis_tracked=info["tracking_total_keys"] + info["tracking_total_prefixes"],
        redis_mib=info["used_memory"] / 2**20,
    )


def slope_per_day(samples: Sequence[Sample], name: str) -> float:
    """How fast a figure grows over the last two thirds: least squares, for a day."""
    late = samples[len(samples) // 3 :]
    mean_s = sum(each.at_s for each in late) / len(late)
    mean = sum(getattr(each, name) for each in late) / len(late)
    above = sum((each.at_s - mean_s) * (getattr(each, name) - mean) for each in late)
    return float(86_400 * above / sum((each.at_s - mean_s) ** 2 for each in late))


def third(samples: Sequence[Sample], number: int, name: str) -> float:
    """The mean of a figure over the first (0), second or last (2) third."""
    size = len(samples) // 3
    part = samples[number * size : (number + 1) * size]
    return float(sum(getattr(each, name) for each in part) / len(part))


async def soak(lasts_s: float = SOAK_S) -> list[Row]:
    """Runs it; `SOAK_S` in the environment is how long, half an hour by default."""
    with fantail(PORT, **SETTINGS) as server:
        began_s = time.monotonic()
        writer = redis.asyncio.Redis(unix_socket_path=server.redis.connection_pool.connection_kwargs["path"])
        load = Load(server.url, writer, random.Random())
        before = await sample(server.url, server.process.pid, writer, began_s)
        busy: list[Sample] = []
        rests: list[Sample] = []
        while time.monotonic() - began_s < lasts_s:
            running = asyncio.ensure_future(load.run(min(ROUND_S, lasts_s / 3)))
            while not running.done():
                await asyncio.sleep(SAMPLE_S)
                busy.append(await sample(server.url, server.process.pid, writer, began_s))
            await running
            await asyncio.sleep(REST_S)
            rests.append(await sample(server.url, server.process.pid, writer, began_s))
            print(f"  {load.opened} connections, at rest: {rests[-1]}", flush=True)
        await writer.aclose()
    return rows(load, before, busy, rests)


def rows(load: Load, before: Sample, busy: Sequence[Sample], rests: Sequence[Sample]) -> list[Row]:
    """The figures."""
    slope = slope_per_day(rests, "beside_stores_mib")
    most = max(each.resident_mib for each in busy)
    name = f"soak of {rests[-1].at_s / 60:.0f} min, {load.opened:,} connections"
    late = third(rests, 1, "beside_stores_mib"), third(rests, 2, "beside_stores_mib")
    target = f"≤ {SLOPE_MIB_PER_DAY_MAX:g} MiB/day"
    made = [
        Row(f"{name}: growth at rest", slope, "MiB/day", target=target, met=slope <= SLOPE_MIB_PER_DAY_MAX),
        Row(f"{name}: resident without stores, last third", late[1], "MiB", "second third", late[0]),
        Row(f"{name}: resident under load, at most", most, "MiB", "at the start", before.resident_mib),
    ]
    for counted in ("files", "threads", "tasks", "redis_clients", "redis_tracked"):
        was, now = getattr(before, counted), getattr(rests[-1], counted)
        made.append(Row(f"{name}: {counted} at rest", now, "", "at the start", was, "≤ 10 more", now <= was + 10))
    return made
