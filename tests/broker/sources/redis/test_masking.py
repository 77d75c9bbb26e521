"""Secrets, end to end: what producers write to a real Valkey, and what the server sends of what is there."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, cast

import anyio
import orjson
import pytest

from fantail.broker import Broker
from fantail.broker.limits import COMMAND_CHARS_MAX
from fantail.broker.masking.environment import secret_values
from fantail.broker.producers.diff.companion import Watched
from fantail.broker.producers.runner.process_runner import Command, run_command
from fantail.broker.producers.writer.job_writer import NewJob, WriterSettings, open_job
from fantail.broker.producers.writer.status_publisher import StatusPublisher
from fantail.broker.sources.redis.ledger import RedisLedger
from fantail.broker.sources.redis.tailer import RedisTailer
from support.servers.web_client import redis_web_client, web_client
from support.wait import eventually
from support.worktrees.git_repository import GitRepository

if TYPE_CHECKING:
    from pathlib import Path

    import httpx
    from redis.asyncio import Redis

GITHUB = "ghp_" + "a1B2" * 9
VALUE = "supersecretvalue99"
BODY = "aB3/" * 16
KEY = f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}\n{BODY}\nabc=\n-----END RSA PRIVATE KEY-----\n"
PARTS = ("a1B2a1B2", "supersecret", "aB3/aB3/", "hunter2")
VIEWS = (
    "/api/jobs/42",
    "/api/jobs",
    "/api/jobs/42/output",
    "/api/jobs/42/output?download=1",
    "/api/jobs/42/output/search?q=.&regex=true",
    "/api/jobs/42/output/outline",
    "/api/jobs/42/diff",
    "/api/jobs/42/diff?format=json",
    "/api/jobs/42/stream",
    "/api/events/processes/42/logs",
    "/api/events/task-attempts/42/diff",
    "/api/events/task-attempts/42/diff?format=json-patch",
    "/jobs/42",
)


async def everything(client: Redis) -> str:
    """All that Redis has, as text."""
    found: list[object] = []
    async for key in client.scan_iter():
        found.append(key)
        match await client.type(key):
            case b"hash":
                found.append(await cast("Any", client.hgetall(key)))
            case b"list":
                found += await cast("Any", client.lrange(key, 0, -1))
            case b"string":
                found.append(await client.get(key))
            case b"zset":
                found += await client.zrange(key, 0, -1)
    return repr(found)


def assert_clean(text: str, what: str = "") -> None:
    for part in PARTS:
        assert part not in text, (part, what)


async def assert_no_view_shows_it(http: httpx.AsyncClient) -> str:
    shown = []
    for path in VIEWS:
        with anyio.fail_after(20):
            answer = await http.get(path)
        assert answer.status_code == 200, (path, answer.text)
        assert_clean(answer.text, path)
        shown.append(answer.text)
    for part in (*PARTS, "supersecretvalue", "hunter2-"):
        found = (await http.get("/api/jobs/42/output/search", params={"q": part})).json()
        assert found["total"] == 0, part
    return "".join(shown)


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    made = GitRepository(tmp_path / "repository")
    made.write("a", "one\n")
    made.commit()
    return made


async def test_a_secret_in_a_changed_file_reaches_neither_redis_nor_a_stream(
    redis_url: str, redis_client: Redis, repository: GitRepository
) -> None:
    """Hostile: `MY_TOKEN=… fantail run --diff W -- sh -c 'cd W; echo "MY_TOKEN=$MY_TOKEN" > .env'`."""
    (repository.root / "key.pem").write_text(KEY)
    (repository.root / f"{GITHUB}.txt").write_text("named\n")
    text = f'cd {repository.root}; echo "MY_TOKEN=$MY_TOKEN" > .env; echo "see $MY_TOKEN {GITHUB}" > a; echo $MY_TOKEN'
    environment = {"MY_TOKEN": VALUE, "PATH": "/usr/bin:/bin"}
    command = Command(
        ["sh", "-c", text],
        environment=environment,
        secrets=secret_values(environment),
        echo=False,
        diff=Watched(repository.root),
    )
    with anyio.fail_after(30):
        ran = await run_command(redis_url, NewJob(id="42", name=f"deploy {VALUE}"), command)
    assert ran.ended.exit_code == 0
    stored = {
        file.decode(): json.loads(entry)
        for file, entry in (await cast("Any", redis_client.hgetall("job:42:diff"))).items()
    }
    assert set(stored) == {".env", "a", "key.pem", "***.txt"}
    assert all(entry["masked"] is True for entry in stored.values())
    assert "+MY_TOKEN=***\n" in stored[".env"]["diff"]
    assert "+see *** ***\n" in stored["a"]["diff"]
    body = stored["key.pem"]["diff"].partition("@@\n")[2]
    begin, *_, end = KEY.splitlines()
    assert body == "".join(f"+{line}\n" for line in (begin, "***", "***", "***", end))
    assert_clean(await everything(redis_client))
    async with redis_web_client(redis_url) as web:
        shown = await assert_no_view_shows_it(web.http)
        patch = (await web.http.get("/api/jobs/42/diff")).text
        assert patch.count("# masked: ") == 4
        files = (await web.http.get("/api/jobs/42/diff?format=json")).json()["files"]
        assert all(file["masked"] for file in files)
    assert "***" in shown


async def test_a_patch_without_a_secret_is_not_marked(
    redis_url: str, redis_client: Redis, repository: GitRepository
) -> None:
    (repository.root / "b").write_text("password=$PASSWORD\n")
    command = Command(["true"], echo=False, diff=Watched(repository.root))
    await run_command(redis_url, NewJob(id="42"), command)
    entry = json.loads((await cast("Any", redis_client.hgetall("job:42:diff")))[b"b"])
    assert "masked" not in entry
    assert "+password=$PASSWORD\n" in entry["diff"]


async def test_a_secret_in_a_name_a_command_or_a_message_is_masked(redis_url: str, redis_client: Redis) -> None:
    new = NewJob(id="42", name=f"n {GITHUB}", command="curl -u ada:hunter2 x", fields={"prompt": f"use {VALUE}"})
    async with open_job(redis_url, new, WriterSettings(secrets=[VALUE.encode()])) as job:
        await job.append([f"library {GITHUB}", *KEY.splitlines()], source=f"s {GITHUB}")
        for line in KEY.splitlines():
            await job.append([line], "stderr")
            await job.append([f"{line}\n"], "system")
        job.update(branch=f"fix/{VALUE}")
        await job.finish("failed", error_message=f"{VALUE}: not found")
    assert_clean(await everything(redis_client))
    fields = await cast("Any", redis_client.hgetall("job:42"))
    assert fields[b"error_message"] == b"***: not found"
    assert fields[b"name"] == b"n ***"


async def test_a_secret_that_would_be_cut_in_two_in_a_long_command_is_masked(
    redis_url: str, redis_client: Redis
) -> None:
    around = len(sys.executable) + len(" -c ''  ghp_a1B2a1B2a1B2")
    for length in range(COMMAND_CHARS_MAX - around, COMMAND_CHARS_MAX - around + 20, 5):
        words = [sys.executable, "-c", "", "x" * length, GITHUB]
        await run_command(redis_url, NewJob(id="42"), Command(words, echo=False))
        assert_clean(await everything(redis_client))


async def test_a_secret_in_a_published_state_is_masked(redis_url: str, redis_client: Redis) -> None:
    async with StatusPublisher(redis_url, secrets=[VALUE.encode()]) as publisher:
        await publisher.run("7", "failed", errorDetails=f"{GITHUB} {VALUE}", meta={"password": "hunter2-x"})
    assert_clean(await everything(redis_client))


async def _pushed(redis_client: Redis) -> None:
    entries = [
        orjson.dumps({"timestamp": 1, "line": line, "stream": "stdout"})
        for line in (f"a {GITHUB} b", "password=hunter2-x", *KEY.splitlines(), "ordinary")
    ]
    fields = {"id": "42", "status": "success", "name": GITHUB, "command": "curl -u a:hunter2 x", "created_at": "1"}
    more = {
        "error_message": f"no {GITHUB}",
        "branch": f"b/{GITHUB}",
        "prompt": "password=hunter2-x",
        "token": "hunter2-xyz",
    }
    await cast("Any", redis_client.rpush("job:42:output", *entries, b"no JSON: " + GITHUB.encode()))
    await cast("Any", redis_client).hset("job:42", mapping={**fields, **more})
    file = {"file": "x", "diff": f"--- a/x\n+++ b/x\n@@ -1 +1 @@\n+{GITHUB}\n", "change": "modified"}
    await cast(
        "Any", redis_client.hset("job:42:diff", mapping={"x": orjson.dumps(file), f"n-{GITHUB}": orjson.dumps(file)})
    )


async def test_a_secret_that_another_program_pushed_reaches_nobody(redis_url: str, redis_client: Redis) -> None:
    await _pushed(redis_client)
    async with redis_web_client(redis_url) as web:
        shown = await assert_no_view_shows_it(web.http)
        assert "ordinary" in shown
        assert "***" in shown
        page = (await web.http.get("/api/jobs/42/output")).json()
        assert [entry["line"] for entry in page["output"]][:3] == ["a *** b", "password=***", KEY.splitlines()[0]]
        assert_clean(repr(web.broker.tables.rows("jobs")))
        async with web.broker.watch("42") as job, web.broker.watch_diff(job):
            await eventually(lambda: job.diff_loaded)
            assert_clean(repr(job.diff.document))


async def test_positions_are_those_of_what_is_stored(redis_url: str, redis_client: Redis) -> None:
    await _pushed(redis_client)
    positions = []
    for masks in (True, False):
        broker = Broker(
            lambda broker: RedisTailer(broker, redis_url),
            lambda broker: RedisLedger(broker, redis_url),
            masks_secrets=masks,
        )
        async with web_client(broker) as web:
            page = (await web.http.get("/api/jobs/42/output")).json()
            positions.append(page["position"])
            assert ("a1B2a1B2" in str(page)) is not masks
    assert positions[0] == positions[1]


async def test_what_is_sent_over_http_is_masked_before_it_is_written(redis_url: str, redis_client: Redis) -> None:
    async with redis_web_client(redis_url) as web:
        made = await web.http.post("/api/jobs", json={"id": "42", "name": GITHUB, "command": f"x --token={VALUE}1"})
        assert made.status_code == 201
        text = f"a {GITHUB}\n{KEY}".encode()
        assert (await web.http.post("/api/jobs/42/output", content=text)).status_code == 200
        ndjson = orjson.dumps({"line": f"{GITHUB}", "meta": {"password": "hunter2-x"}})
        headers = {"Content-Type": "application/x-ndjson"}
        assert (await web.http.post("/api/jobs/42/output", content=ndjson, headers=headers)).status_code == 200
        changed = await web.http.patch("/api/jobs/42", json={"error_message": f"no {GITHUB}"})
        assert changed.status_code == 200
        row = {"operation": "insert", "id": "t1", "data": {"title": GITHUB, "password": "hunter2-x"}}
        assert (await web.http.post("/api/tables/tasks", json=row)).is_success
    assert_clean(await everything(redis_client))
