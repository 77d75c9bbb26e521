"""Every door of the server, and a right that ends at every await of an answer (trap 50).

A door is a route with a method. `DOORS` has one case or more for each that shows something of a job; `WITHOUT_CONTENT`
says of the others why they need none. A route that is in neither fails the first test here.

What ends a right: the job is handed to another user, it is deleted and goes on being written, it is deleted and created
anew by another user, the token expires. At the same moment, in one step, something is written that the reader must not
see. The control is the same without the loss: then it is seen, so a case that shows nothing is no case.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson
import pytest
import redis as redis_sync
from pydantic import SecretStr

from fantail.broker import BrokerLimits, entry_of
from fantail.web.app import create_app
from fantail.web.auth.identity import mint_token
from fantail.web.settings import Settings
from fantail.web.status_sources import StatusSources
from support.servers.redis_broker import redis_broker
from support.servers.web_client import SECRET
from support.wait import eventually
from support.walk import Answer, Moment, answered, counting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.applications import Starlette

AFTER = "written-after-{id}-was-lost"
SENTINEL = "a-row-of-adas-own-beside-{id}"
LAST_LINE = "the-last-line-before"
MOMENTS_MAX = 400


@dataclass(frozen=True)
class Door:
    """One case.

    Attributes:
        path: with `{id}` for the job's id, as in all texts here.
        body: of the request.
        headers: beside those that say who asks.
        caught_up: for streams: what was sent when all was told; None: no stream.
        goes_on: whether the stream goes on for a viewer who has lost a job.
    """

    path: str
    body: Callable[[str], Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    caught_up: str | None = None
    goes_on: bool = False


def topics(*paths: str) -> Callable[[str], Any]:
    return lambda job_id: {"topics": {path.format(id=job_id): "" for path in paths}}


STREAM, LOGS = "/api/jobs/{id}/stream", "/api/events/processes/{id}/logs"
DIFF, TABLES = "/api/events/task-attempts/{id}/diff", "/api/events/"
PAGE = {"Accept": "text/html"}
TEXT = {"Accept": "text/plain"}

DOORS: dict[str, list[Door]] = {
    "GET /api/jobs/{id}/stream": [
        Door(STREAM, caught_up=LAST_LINE),
        Door(STREAM + "?tail=1", caught_up=LAST_LINE),
        Door(STREAM + "?lastEventId=3-00000000", caught_up=LAST_LINE),
    ],
    "GET /api/work-sessions/{id}/stream": [Door("/api/work-sessions/{id}/stream", caught_up=LAST_LINE)],
    "GET /api/events/": [
        Door(TABLES, caught_up="event: ready", goes_on=True),
        Door(TABLES + "?batch=1", caught_up="event: ready", goes_on=True),
    ],
    "GET /api/events/processes/{id}/logs": [Door("/api/events/processes/p{id}/logs", caught_up=LAST_LINE)],
    "GET /api/events/task-attempts/{id}/diff": [
        Door(DIFF, caught_up="event: ready"),
        Door("/api/events/task-attempts/t{id}/diff?format=json-patch", caught_up="event: ready"),
    ],
    "POST /api/streams": [
        Door("/api/streams", topics(STREAM), caught_up=LAST_LINE),
        Door("/api/streams", topics(LOGS), caught_up=LAST_LINE),
        Door("/api/streams", topics(DIFF), caught_up='"event":"ready"'),
        Door("/api/streams", topics(TABLES), caught_up='"event":"ready"', goes_on=True),
    ],
    "GET /api/job-status/events/{id}": [Door("/api/job-status/events/{id}", caught_up="data: ")],
    "GET /api/runs/{id}/status": [Door("/api/runs/{id}/status")],
    "GET /api/jobs/status/running": [Door("/api/jobs/status/running")],
    "GET /api/jobs": [Door("/api/jobs"), Door("/api/jobs?q=" + AFTER)],
    "GET /api/jobs/{id}": [Door("/api/jobs/{id}")],
    "PATCH /api/jobs/{id}": [Door("/api/jobs/{id}", lambda _: {"branch": "main"})],
    "GET /api/jobs/{id}/diff": [Door("/api/jobs/{id}/diff"), Door("/api/jobs/{id}/diff?format=json")],
    "GET /api/jobs/{id}/output": [
        Door("/api/jobs/{id}/output?limit=1000"),
        Door("/api/jobs/{id}/output?tail=2"),
        Door("/api/jobs/{id}/output", headers=TEXT),
        Door("/api/jobs/{id}/output?download=1"),
    ],
    "GET /api/jobs/{id}/output/outline": [Door("/api/jobs/{id}/output/outline")],
    "GET /api/jobs/{id}/output/search": [Door("/api/jobs/{id}/output/search?q=" + AFTER)],
    "GET /api/work-sessions/{id}": [Door("/api/work-sessions/{id}")],
    "GET /api/work-sessions/{id}/output": [
        Door("/api/work-sessions/{id}/output?tail=2"),
        Door("/api/work-sessions/{id}/output?download=1"),
    ],
    "GET /api/work-sessions/{id}/output/outline": [Door("/api/work-sessions/{id}/output/outline")],
    "GET /api/work-sessions/{id}/output/search": [Door("/api/work-sessions/{id}/output/search?q=" + AFTER)],
    "GET /": [Door("/", headers=PAGE)],
    "GET /jobs": [Door("/jobs", headers=PAGE)],
    "GET /jobs/{id}": [Door("/jobs/{id}", headers=PAGE)],
}

WITHOUT_CONTENT = {
    "GET /ui-api/pipeline/status/stream": "pipelines have no owner",
    "GET /ui-api/pipeline/{id}/health": "pipelines have no owner",
    "GET /api/queue-stats/sse": "counts of all users' jobs, and no more",
    "GET /api/test-status/events/{id}": "tests have no owner without a database; with one: test_supercheck.py",
    "POST /api/jobs": "answers with what was sent",
    "DELETE /api/jobs/{id}": "answers with nothing",
    "POST /api/jobs/{id}/output": "answers with offsets",
    "POST /api/tables/{table}": "answers with what was sent, to admins",
    "GET /login": "a form",
    "POST /login": "answers with the user's name",
    "POST /logout": "a redirect",
    "GET /pipelines": "a page without data",
    "GET /runs": "a page without data",
    "GET /system": "a page without data",
    "GET /assets/{path:path}": "the same for all",
    "GET /healthz": "no content",
    "GET /readyz": "no content",
    "GET /metrics": "numbers, in one step",
    "GET /api/system": "for admins, in one step",
}


class Job:
    """A job of ada's and all that is said of it, written by a client that waits for nobody."""

    def __init__(self, redis: redis_sync.Redis, job_id: str) -> None:
        self.id = job_id
        self.after = AFTER.format(id=job_id)
        self.sentinel = SENTINEL.format(id=job_id)
        self._redis = redis
        self._keys = [f"job:{job_id}", f"work_session:{job_id}"]
        lines = [entry_of(at, f"{at} {'x' * 4000}", "stdout") for at in range(1, 30)]
        with redis.pipeline(transaction=True) as pipe:
            for key in self._keys:
                self._fields(pipe, key, "ada", "before", "1")
                pipe.rpush(f"{key}:output", *lines, entry_of(30, LAST_LINE, "stdout"))
                pipe.hset(f"{key}:diff", "a.py", self._file("a.py", "before"))
            pipe.hset(f"process:p{job_id}", "job_id", job_id)
            pipe.hset(f"task_attempt:t{job_id}", "job_id", job_id)
            pipe.execute()

    def hand_over(self) -> None:
        """To bob, who writes at once."""
        with self._redis.pipeline(transaction=True) as pipe:
            self._write(pipe, "bob", "1")
            pipe.execute()

    def leave(self) -> None:
        """Deletes the hashes; what wrote the job goes on.

        Workers that speak of a run that is no job of ours speak to everybody (PROTOCOL.md, T11), so none does.
        """
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(*self._keys)
            self._write(pipe, None, "1")
            pipe.execute()

    def remove(self) -> None:
        """Deletes everything, so that the tables of the next request are as small."""
        self._redis.delete(*self._keys, f"job:s{self.id}", f"fantail:status:run:{self.id}")

    def tell(self) -> None:
        """A worker speaks of the job as a run."""
        said = {"status": "running", "errorDetails": self.after, "name": self.after}
        self._redis.publish(f"job:{self.id}:status", orjson.dumps(said))

    def replace(self) -> None:
        """Deletes the job with all its keys; bob creates one of that id."""
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(*self._keys, *(f"{key}:{part}" for key in self._keys for part in ("output", "diff")))
            self._write(pipe, "bob", "2")
            pipe.execute()

    def go_on(self) -> None:
        """Writes as it did before."""
        with self._redis.pipeline(transaction=True) as pipe:
            self._write(pipe, "ada", "1")
            pipe.execute()

    def _write(self, pipe: Any, owner: str | None, created_at: str) -> None:
        for key in self._keys:
            if owner is not None:
                self._fields(pipe, key, owner, self.after, created_at)
            lines = [f"::group::{self.after}", self.after, "::endgroup::"]
            pipe.rpush(f"{key}:output", *(entry_of(40, line, "stdout") for line in lines))
            pipe.hset(f"{key}:diff", "b.py", self._file("b.py", self.after))
        if owner is not None:
            said = {"status": "running", "errorDetails": self.after, "name": self.after}
            pipe.publish(f"job:{self.id}:status", orjson.dumps(said))
        pipe.hset(f"job:s{self.id}", mapping={"id": f"s{self.id}", "user_id": "ada", "name": self.sentinel})

    @staticmethod
    def _fields(pipe: Any, key: str, owner: str, said: str, created_at: str) -> None:
        words = {"status": "running", "user_id": owner, "name": said, "created_at": created_at, "error_message": said}
        pipe.hset(key, mapping={"id": key.partition(":")[2], **words})

    @staticmethod
    def _file(name: str, diff: str) -> bytes:
        return orjson.dumps({"file": name, "change": "added", "diff": diff, "additions": 1, "deletions": 0})


class Clock:
    """The time of day, which can be put forward."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead_s = 0.0
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + self.ahead_s)


@dataclass
class Server:
    """An application over a real Redis, and who asks it."""

    app: Starlette
    redis: redis_sync.Redis
    clock: Clock
    token: str
    walked: int = 0

    async def ask(self, door: Door, method: str, nth: int, loss: str) -> tuple[Job, Answer, bool]:
        """One request of ada's, at whose n-th await she loses her right; and whether a later one may differ."""
        self.walked += 1
        job = Job(self.redis, f"w{self.walked:05}")
        moment = Moment(nth, lambda: self._lose(job, loss))
        path, _, query = door.path.replace(AFTER, job.after).format(id=job.id).partition("?")
        sent = {"Authorization": f"Bearer {self.token}", "Host": "localhost", **door.headers}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": quote(path).encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 80),
        }
        answer = Answer(scope, b"" if door.body is None else orjson.dumps(door.body(job.id)))
        caught_up = None if door.caught_up is None else door.caught_up.encode()
        wanted = (job.after if loss == "nothing" else job.sentinel).encode()
        told = (lambda body: wanted in body) if door.goes_on or loss == "nothing" else lambda _: False
        if loss == "deleted" and door.path.startswith("/api/job-status/"):
            told = lambda _: True  # noqa: E731 - no word of it comes any more; see the test of its own below
        try:
            return job, answer, await answered(self.app, answer, moment, caught_up=caught_up, told=told)
        finally:
            self.clock.ahead_s = 0.0
            job.remove()

    def _lose(self, job: Job, loss: str) -> None:
        match loss:
            case "handed over":
                job.hand_over()
            case "deleted":
                job.leave()
            case "deleted, and spoken of":
                job.leave()
                job.tell()
            case "replaced":
                job.replace()
            case "expired":
                self.clock.ahead_s = 3600.0
                job.go_on()
            case _:
                job.go_on()


@pytest.fixture
async def server(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    async with _server(redis_url, monkeypatch) as made:
        yield made


@asynccontextmanager
async def _server(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    settings = Settings(
        auth="jwt",
        jwt_secret=SecretStr(SECRET),
        pipeline_url="http://127.0.0.1:9",
        streams_per_s=1e6,
        streams_burst=1_000_000,
    )
    limits = BrokerLimits(store_bytes_max=100_000, total_bytes_max=4_000_000)
    broker = redis_broker(redis_url, limits=limits)
    sources = StatusSources.of(broker, settings, redis_url)
    app = create_app(broker, settings, sources)
    async with broker.running(), sources.running():
        statuses = sources.statuses
        assert statuses is not None
        await eventually(lambda: statuses.available is True)
        with redis_sync.Redis.from_url(redis_url) as client:
            clock = Clock(monkeypatch)
            token = mint_token(settings, "ada", admin=False, ttl_s=600)
            async with counting():
                yield Server(app, client, clock, token)


def cases() -> list[Any]:
    return [
        pytest.param(method, door, id=f"{method} {door.path}{' text' if door.headers == TEXT else ''}#{number}")
        for name, doors in DOORS.items()
        for number, door in enumerate(doors)
        for method in [name.partition(" ")[0]]
    ]


async def test_every_door_has_a_case_or_a_reason(server: Server) -> None:
    routes = {
        f"{method} {route.path}"  # type: ignore[attr-defined]
        for route in server.app.routes
        for method in (route.methods or {"GET"}) - {"HEAD"}  # type: ignore[attr-defined]
    }
    assert routes == DOORS.keys() | WITHOUT_CONTENT.keys()
    assert not DOORS.keys() & WITHOUT_CONTENT.keys()


@pytest.mark.parametrize("loss", ["handed over", "deleted", "replaced", "expired"])
@pytest.mark.parametrize(("method", "door"), cases())
async def test_nothing_written_after_a_right_ended_reaches_its_reader(
    server: Server, method: str, door: Door, loss: str
) -> None:
    for nth in range(MOMENTS_MAX):
        job, answer, goes_on = await server.ask(door, method, nth, loss)
        assert job.after.encode() not in answer.body, f"at await {nth}"
        if not goes_on:
            return
    pytest.fail("the answer has no end")


async def test_a_run_that_was_a_job_of_ours_and_is_deleted_is_told_of_no_more(server: Server) -> None:
    (door,) = DOORS["GET /api/job-status/events/{id}"]
    job, answer, _ = await server.ask(door, "GET", MOMENTS_MAX, "deleted, and spoken of")
    assert job.after.encode() not in answer.body
    assert b"stream-error" in answer.body


@pytest.mark.parametrize(("method", "door"), cases())
async def test_without_a_loss_it_is_seen(server: Server, method: str, door: Door) -> None:
    """The control: each case shows what was written at some await; a stream, when it had told all before."""
    for nth in range(MOMENTS_MAX) if door.caught_up is None else [MOMENTS_MAX]:
        job, answer, goes_on = await server.ask(door, method, nth, "nothing")
        if job.after.encode() in answer.body:
            return
        assert goes_on, f"it was never seen: {answer.status} {answer.body!r} {answer.fault!r}"
