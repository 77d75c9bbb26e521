"""A Fantail server to be measured: `fantail serve` in a process of its own, on the embedded Valkey."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import redis

from bench.peers import frame, wait_for_port
from fantail.broker.embedded.valkey import find_url

if TYPE_CHECKING:
    from collections.abc import Iterator

ENVIRONMENT = {
    # One address opens thousands of streams here; that is what is measured.
    "FANTAIL_STREAMS_PER_USER": "5000",
    "FANTAIL_STREAMS_PER_ADDRESS": "5000",
    "FANTAIL_STREAMS_BURST": "100000",
    "FANTAIL_LOG_LEVEL": "warning",
}


class Server:
    """A running server, and a client of its Redis."""

    def __init__(self, port: int, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.process = process
        self.data_dir = folder
        redis_url = find_url(folder)
        assert redis_url is not None
        self.redis: redis.Redis = redis.Redis.from_url(redis_url)

    def create_job(self, job_id: str, status: str = "running") -> None:
        """Writes a job's hash."""
        self.redis.hset(
            f"job:{job_id}", mapping={"id": job_id, "status": status, "branch": "main", "created_at": "1701561234567"}
        )

    def push(self, job_id: str, count: int, first: int = 0) -> None:
        """Appends lines, in pipelines of 1,000."""
        for start in range(first, first + count, 1000):
            numbers = range(start, min(start + 1000, first + count))
            self.redis.rpush(f"job:{job_id}:output", *[entry(number) for number in numbers])

    def resident_kib(self) -> int:
        """The memory of the server's process."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1])
        raise AssertionError("no VmRSS")

    def commands_processed(self) -> int:
        """How many commands its Redis has carried out, without ours."""
        stats = self.redis.info("commandstats")
        return sum(
            int(figures["calls"])
            for name, figures in stats.items()
            if name not in ("cmdstat_info", "cmdstat_rpush", "cmdstat_hset")
        )


def entry(number: int) -> bytes:
    """The list entry of which the references' frame is made."""
    return frame(number).split(b"data: ", 1)[1].rstrip(b"\n")


@contextlib.contextmanager
def fantail(port: int, **settings: str) -> Iterator[Server]:
    """Runs a server while the block is active."""
    with tempfile.TemporaryDirectory(prefix="bench-fantail-") as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "fantail.web.cli", "serve", "--port", str(port), "--data-dir", folder],
            env={**os.environ, **ENVIRONMENT, **settings},
            stdout=subprocess.DEVNULL,
        )
        try:
            wait_for_port(port)
            yield Server(port, Path(folder), process)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def stats_of(payload: bytes) -> dict[str, object]:
    """The JSON of `/api/system`."""
    loaded: dict[str, object] = orjson.loads(payload)
    return loaded
