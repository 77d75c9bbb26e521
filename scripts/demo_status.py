"""What `make run` puts behind the pages of pipelines and of runs: a pipeline backend, and a worker that runs tests.

Both are as real as those of a company, only small: an HTTP server that answers `GET /pipeline/{id}/health`, whose
pipelines go their ways and fail now and then, and which is now and then away itself; and a worker that writes its runs
to a database (SQLite, in the data directory) and says on Redis' channels where they stand. Nothing in the server knows
that it is a demonstration.

`run_demo.py` starts it: one line on stdout tells where the backend and the database are, as JSON; one line on stdin
tells where Fantail is, once that is ready. It ends when stdin does, so it never outlives who started it.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import sys
import threading
import time
import uuid
from contextlib import closing
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import anyio
import anyio.to_thread
import httpx

from fantail.broker.errors import BrokerError
from fantail.broker.producers.writer.status_publisher import StatusPublisher
from fantail.web.cli.locate import redis_address

# Where each status leads; the same word more than once makes it likelier.
WAYS = {
    "created": ("running",),
    "running": ("running", "running", "running", "pausing", "stopping", "failed"),
    "pausing": ("paused",),
    "paused": ("resuming",),
    "resuming": ("running",),
    "stopping": ("stopped",),
    "stopped": ("created",),
    "failed": ("created",),
}
PIPELINES = ("billing-export", "clickstream", "fraud-scores", "inventory", "orders", "recommendations")
SUITES = ("Checkout, end to end", "Nightly regression", "Smoke of the API")
OUTCOMES = ("passed", "passed", "passed", "failed")
STEP_S = (1.0, 4.0)
BETWEEN_RUNS_S = (5.0, 15.0)
# Between times at which the whole backend answers 503, and how long it does.
SOUND_S, AWAY_S = 120.0, 8.0
CHANCE = random.Random()  # noqa: S311 - no secret
SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (id char(36) PRIMARY KEY, name varchar(255));
CREATE TABLE IF NOT EXISTS runs (id char(36) PRIMARY KEY, job_id char(36), status varchar(50), duration varchar(100),
  started_at timestamp, completed_at timestamp, error_details text, "trigger" varchar(50));
CREATE TABLE IF NOT EXISTS reports (entity_type varchar(50), entity_id text, report_path varchar(255),
  status varchar(50), s3_url varchar(255), updated_at timestamp, UNIQUE (entity_type, entity_id));
UPDATE runs SET status = 'cancelled' WHERE status = 'running';
"""


class Backend(ThreadingHTTPServer):
    """The pipelines' backend; other threads change `statuses` and `away`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Health)
        self.statuses = dict.fromkeys(PIPELINES, "running")
        self.away = False

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class Health(BaseHTTPRequestHandler):
    """One connection of somebody who asks."""

    protocol_version = "HTTP/1.1"
    server: Backend

    def do_GET(self) -> None:
        """Answers how a pipeline is."""
        pipeline_id = self.path.removeprefix("/pipeline/").removesuffix("/health")
        status = self.server.statuses.get(pipeline_id)
        code = 503 if self.server.away else 404 if status is None else 200
        body = json.dumps({"pipeline_id": pipeline_id, "overall_status": status}).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing: the terminal belongs to `make run`."""


class Database:
    """The worker's own database, which Fantail reads."""

    def __init__(self, path: Path) -> None:
        self.url = f"sqlite:///{path}"
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(SCHEMA)
        for name in SUITES:
            self.write("INSERT OR IGNORE INTO jobs VALUES (?, ?)", suite_id(name), name)

    def write(self, statement: str, *values: str) -> None:
        """Carries out one statement."""
        with closing(sqlite3.connect(self._path)) as connection, connection:
            connection.execute(statement, values)


def suite_id(name: str) -> str:
    """The same for the same suite, whenever it is started."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


async def change_pipelines(backend: Backend) -> None:
    """Lets the pipelines go their ways."""
    sound_until_s = time.monotonic() + SOUND_S
    while True:
        await anyio.sleep(CHANCE.uniform(*STEP_S))
        chosen = CHANCE.choice(PIPELINES)
        backend.statuses[chosen] = CHANCE.choice(WAYS[backend.statuses[chosen]])
        if time.monotonic() >= sound_until_s:
            backend.away = True
            await anyio.sleep(AWAY_S)
            backend.away = False
            sound_until_s = time.monotonic() + SOUND_S


async def keep_pipelines_known(url: str) -> None:
    """Watches them as a page in the background does, so that the page lists them before anybody has added one."""
    query = {"pipelineIds": ",".join(PIPELINES), "visible": "0"}
    async with httpx.AsyncClient(base_url=url, timeout=60.0, trust_env=False) as client:
        while True:
            try:
                async with client.stream("GET", "/ui-api/pipeline/status/stream", params=query) as stream:
                    async for _ in stream.aiter_raw():
                        pass
            except httpx.HTTPError:
                pass
            await anyio.sleep(5.0)


async def run_tests(database: Database, worker: StatusPublisher) -> None:
    """Runs one suite after the other, as a worker does."""
    while True:
        try:
            await run_suite(database, worker, CHANCE.choice(SUITES))
        except (BrokerError, sqlite3.Error) as fault:
            print(f"The worker of the demonstration goes on: {fault}", file=sys.stderr)
        await anyio.sleep(CHANCE.uniform(*BETWEEN_RUNS_S))


async def run_suite(database: Database, worker: StatusPublisher, name: str) -> None:
    """One run: the row first, then what is said of it, so that whoever hears of it finds it."""
    run_id, steps = str(uuid.uuid4()), CHANCE.randint(3, 8)
    started, began_s = now(), time.monotonic()
    database.write(
        'INSERT INTO runs (id, job_id, status, started_at, "trigger") VALUES (?, ?, ?, ?, ?)',
        *(run_id, suite_id(name), "running", started, "schedule"),
    )
    for step in range(steps):
        await worker.run(run_id, "running", startedAt=started, progress=f"{step} of {steps}")
        await anyio.sleep(CHANCE.uniform(*STEP_S))
    outcome = CHANCE.choice(OUTCOMES)
    told = {"startedAt": started, "completedAt": now(), "duration": f"{time.monotonic() - began_s:.0f}s"}
    if outcome == "failed":
        told["errorDetails"] = f"{CHANCE.randint(1, steps)} of {steps} tests failed, as some do in this demonstration"
    database.write(
        "UPDATE runs SET status = ?, completed_at = ?, duration = ?, error_details = ? WHERE id = ?",
        *(outcome, told["completedAt"], told["duration"], told.get("errorDetails", ""), run_id),
    )
    await worker.run(run_id, outcome, **told)


def now() -> str:
    """This moment, as databases write it."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"


async def main(directory: Path) -> None:
    """Runs until stdin ends."""
    database = Database(directory / "demo.db")
    with Backend() as backend:
        threading.Thread(target=backend.serve_forever, daemon=True).start()
        print(json.dumps({"pipelines": backend.url, "database": database.url}), flush=True)
        url = (await anyio.to_thread.run_sync(sys.stdin.readline)).strip()
        if url:
            await demonstrate(url, directory, backend, database)
        backend.shutdown()


async def demonstrate(url: str, directory: Path, backend: Backend, database: Database) -> None:
    """Shows all of it to the server at that address until stdin ends."""
    named = os.environ.get("FANTAIL_REDIS_URL") or os.environ.get("REDIS_URL")
    redis_url = redis_address(named, directory)
    async with StatusPublisher(redis_url) as worker, anyio.create_task_group() as tasks:
        tasks.start_soon(change_pipelines, backend)
        tasks.start_soon(keep_pipelines_known, url)
        tasks.start_soon(run_tests, database, worker)
        await anyio.to_thread.run_sync(sys.stdin.read)
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]))
