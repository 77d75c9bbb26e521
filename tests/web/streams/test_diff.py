"""The diff of a task attempt: two forms, resume, and how it ends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest

from fantail.broker import Broker
from fantail.broker.documents.diffs import file_changes, files_in, opening
from fantail.broker.limits import DIFF_LAG_RECORDS_MIN
from fantail.broker.sources.redis.tailer import RedisTailer
from support.clients.diff_client import DiffClient
from support.clients.sse_client import Event, Stream, open_stream
from support.servers.served_app import ServedApp, served_app
from support.servers.web_client import web_client
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redis.asyncio import Redis

    from fantail.broker import Job

A = {"file": "a", "diff": "diff --git a/a b/a\n", "change": "modified", "additions": 2, "deletions": 1}
ODD = {**A, "file": "dir~1/odd name"}
RENAMED = {**A, "file": "b", "change": "renamed", "oldPath": "was/b"}
LEFT_OUT = {**A, "file": "big", "diff": "", "omitted": "size"}


@pytest.fixture
async def served() -> AsyncIterator[ServedApp]:
    async with served_app() as app:
        await app.broker.create_job("7")
        put(app.broker)
        yield app


def put(broker: Broker, *changed: dict[str, Any], gone: tuple[str, ...] = ()) -> Job:
    """Changes the diff of job 7, as a source does."""
    job = broker.job("7")
    if not job.diff.document:
        job.diff.append(opening(), broker.now_s())
    changes = file_changes(files_in(job.diff), {str(entry["file"]): entry for entry in changed}, gone)
    job.diff.append([operation for operation, _ in changes], broker.now_s())
    return job


def url(served: ServedApp, query: str = "", attempt: str = "7") -> str:
    return f"{served.url}/api/events/task-attempts/{attempt}/diff{query}"


def shown(events: list[Event]) -> list[Any]:
    return [event.json if event.name == "message" else event.name for event in events]


async def opened(stream: Stream) -> list[Event]:
    return await stream.until("ready")


async def test_a_diff_begins_with_its_files_then_ready_then_each_change(served: ServedApp) -> None:
    """Trap 25."""
    put(served.broker, A, ODD)
    async with open_stream(url(served)) as stream:
        assert shown(await opened(stream)) == ["snapshot", A, ODD, "ready"]
        put(served.broker, {**A, "diff": "another"})
        assert (await stream.next()).json == {**A, "diff": "another"}
        put(served.broker, RENAMED, LEFT_OUT)
        assert [(await stream.next()).json for _ in range(2)] == [RENAMED, LEFT_OUT]


async def test_a_file_that_no_longer_differs_is_said_by_name(served: ServedApp) -> None:
    put(served.broker, ODD)
    async with open_stream(url(served)) as stream:
        await opened(stream)
        put(served.broker, gone=("dir~1/odd name",))
        none = {"file": "dir~1/odd name", "diff": "", "change": "none", "additions": 0, "deletions": 0}
        assert (await stream.next()).json == none


async def test_a_rename_is_one_entry_with_both_names(served: ServedApp) -> None:
    """Trap 36: an edit after it is the same entry again."""
    async with open_stream(url(served)) as stream:
        await opened(stream)
        put(served.broker, RENAMED)
        put(served.broker, {**RENAMED, "diff": "edited", "additions": 3})
        first, second = [(await stream.next()).json for _ in range(2)]
    assert (first["change"], first["oldPath"], second["change"], second["oldPath"]) == ("renamed", "was/b") * 2
    assert second["additions"] == 3


async def test_the_other_form_is_json_patch_on_escaped_names(served: ServedApp) -> None:
    put(served.broker, ODD)
    async with open_stream(url(served, "?format=json-patch")) as stream:
        path = "/files/dir~01~1odd name"
        assert shown(await opened(stream)) == [
            {"op": "add", "path": "/files", "value": {}},
            {"op": "add", "path": path, "value": ODD},
            "ready",
        ]
        put(served.broker, {**ODD, "additions": 9})
        put(served.broker, gone=("dir~1/odd name",))
        changes = [(await stream.next()).json for _ in range(2)]
    assert changes == [
        {"op": "replace", "path": path, "value": {**ODD, "additions": 9}},
        {"op": "remove", "path": path},
    ]


@pytest.mark.parametrize("form", ["?stats=1", "?stats=1&format=json-patch"])
async def test_statistics_leave_the_patches_out(served: ServedApp, form: str) -> None:
    put(served.broker, A)
    async with open_stream(url(served, form)) as stream:
        events = [*await opened(stream)]
        put(served.broker, {**A, "additions": 5}, LEFT_OUT)
        put(served.broker, gone=("a",))
        events += [await stream.next() for _ in range(3)]
    assert b'"diff"' not in stream.raw
    assert '"additions":5' in events[-3].data
    assert '"omitted":"size"' in events[-2].data


async def test_only_ready_and_what_follows_carry_positions(served: ServedApp) -> None:
    """Trap 43."""
    put(served.broker, A, ODD)
    for form in ("", "?format=json-patch"):
        async with open_stream(url(served, form)) as stream:
            events = await opened(stream)
            put(served.broker, {**A, "additions": events[-1].json.get("x", 1) + len(form)})
            after = await stream.next()
        assert [event.has_id for event in events] == [False, False, False, True]
        assert after.has_id
        assert after.id != events[-1].id


async def test_a_client_that_comes_back_gets_ready_and_what_it_missed(served: ServedApp) -> None:
    """Trap 24: what it shows stays."""
    put(served.broker, A)
    async with open_stream(url(served)) as stream:
        position = (await opened(stream))[-1].id
    put(served.broker, ODD)
    async with open_stream(url(served), last_id=position) as stream:
        events = await opened(stream)
        assert shown(events) == ["ready"]
        assert events[-1].id == position
        assert (await stream.next()).json == ODD


@pytest.mark.parametrize("position", ["3-another", "99-{epoch}", "nonsense"])
async def test_a_position_that_does_not_fit_gets_the_files_anew(served: ServedApp, position: str) -> None:
    job = put(served.broker, A)
    async with open_stream(url(served), last_id=position.format(epoch=job.diff.epoch)) as stream:
        assert shown(await opened(stream)) == ["snapshot", A, "ready"]


async def test_a_reader_too_far_behind_gets_the_files_instead_of_the_changes(served: ServedApp) -> None:
    """Trap 19."""
    put(served.broker, A)
    async with open_stream(url(served)) as stream:
        position = (await opened(stream))[-1].id
    for number in range(DIFF_LAG_RECORDS_MIN + 2):
        put(served.broker, {**A, "additions": number + 10})
    client = DiffClient(files={"a": A})
    async with open_stream(url(served), last_id=position) as stream:
        for event in [*await stream.until("ready"), *await stream.until("ready")]:
            client.take(event)
    assert client.snapshots == 1
    assert client.files["a"]["additions"] == DIFF_LAG_RECORDS_MIN + 11


async def test_the_diff_ends_with_its_job_then_204(served: ServedApp) -> None:
    """Traps 4 and 20: what was written last comes before the end."""
    async with open_stream(url(served)) as stream:
        await opened(stream)
        put(served.broker, A)
        await served.broker.update_job("7", status="failed", exit_code="3")
        change, finished = await stream.rest()
    assert change.json == A
    assert (finished.name, finished.json) == ("finished", {"exitCode": 3, "status": "failed"})
    assert finished.id == f"{change.id}.end"
    async with httpx.AsyncClient() as client:
        assert (await client.get(url(served), headers={"Last-Event-ID": finished.id})).status_code == 204
    async with open_stream(url(served), last_id=change.id) as stream:
        assert [event.name for event in await stream.rest()] == ["ready", "finished"]


async def test_a_job_deleted_while_its_diff_is_watched_ends_the_stream(served: ServedApp) -> None:
    """Trap 5."""
    async with open_stream(url(served)) as stream:
        await opened(stream)
        await served.broker.ledger.delete_job("7")
        (finished,) = await stream.rest()
    assert finished.json == {"exitCode": None, "status": "deleted"}
    assert not finished.has_id


async def test_refusals(served: ServedApp) -> None:
    async with httpx.AsyncClient() as client:
        for attempt in ("nope", "7:diff"):
            answer = await client.get(url(served, attempt=attempt))
            assert (answer.status_code, answer.json()) == (404, {"error": "Job not found"})
        assert (await client.get(url(served, "?format=xml"))).status_code == 400


async def test_a_diff_is_for_those_who_may_see_its_job() -> None:
    async with web_client(jwt=True) as client:
        await client.broker.create_job("7", {"user_id": "ada"})
        put(client.broker, A)
        for path in ("/api/events/task-attempts/7/diff", "/api/jobs/7/diff"):
            assert (await client.http.get(path)).status_code == 401
            assert (await client.http.get(path, headers=client.bearer("bob"))).status_code == 403
        assert (await client.http.get("/api/jobs/7/diff", headers=client.bearer("ada"))).status_code == 200


async def test_names_and_patches_never_begin_an_event(served: ServedApp) -> None:
    """Trap 29."""
    evil = {**A, "file": "a\r\nevent: done\n\ndata: x\0", "diff": "+\r\rdata: no\n\n"}
    put(served.broker, evil)
    for form in ("", "?format=json-patch"):
        async with open_stream(url(served, form)) as stream:
            assert len(await opened(stream)) == 3
        assert b"\r" not in stream.raw
        assert b"\0" not in stream.raw


async def test_readers_of_one_form_share_one_encoding(served: ServedApp) -> None:
    async with open_stream(url(served)) as one, open_stream(url(served)) as other:
        await opened(one)
        await opened(other)
        put(served.broker, A)
        assert (await one.next()).json == (await other.next()).json == A


async def test_watchers_of_the_diff_are_counted(served: ServedApp) -> None:
    """Trap 16."""
    job = served.broker.job("7")
    async with open_stream(url(served)) as stream:
        await opened(stream)
        assert job.diff_watchers == 1
    await eventually(lambda: job.diff_watchers == 0)


async def test_an_attempt_hash_names_its_job(redis_url: str, redis_client: Redis) -> None:
    await redis_client.hset("task_attempt:t1", mapping={"id": "t1", "job_id": "j1"})
    await redis_client.hset("job:j1", mapping={"id": "j1", "status": "running"})
    await redis_client.hset("job:j1:diff", "a", json.dumps(A))
    broker = Broker(lambda broker: RedisTailer(broker, redis_url))
    async with served_app(broker, redis_url=redis_url) as served:
        await eventually(lambda: broker.source_available, what="Redis followed")
        for attempt in ("t1", "j1"):
            async with open_stream(url(served, attempt=attempt)) as stream:
                assert shown(await opened(stream)) == ["snapshot", A, "ready"]
        async with open_stream(url(served, attempt="t1")) as stream:
            await opened(stream)
            await redis_client.hset("job:j1:diff", "a", json.dumps({**A, "additions": 7}))
            with anyio.fail_after(0.5):
                assert (await stream.next()).json["additions"] == 7
            await redis_client.hset("job:j1:diff", "a", json.dumps({**A, "additions": 8}))
            await redis_client.hset("job:j1", "status", "success")
            last, finished = await stream.rest()
    assert last.json["additions"] == 8
    assert finished.name == "finished"


async def test_the_whole_diff_is_one_patch_or_json(served: ServedApp) -> None:
    put(served.broker, A, {**A, "file": "c", "diff": "no end of line"}, LEFT_OUT)
    async with httpx.AsyncClient(base_url=served.url) as client:
        patch = await client.get("/api/jobs/7/diff")
        assert patch.headers["content-type"].startswith("text/x-diff")
        assert patch.text == '# left out (size): "big", +2 -1\ndiff --git a/a b/a\nno end of line\n'
        for asked in ({"params": {"format": "json"}}, {"headers": {"Accept": "application/json"}}):
            answer = (await client.get("/api/jobs/7/diff", **asked)).json()  # type: ignore[arg-type]
            assert [entry["file"] for entry in answer["files"]] == ["a", "c", "big"]
            assert (answer["additions"], answer["deletions"]) == (6, 3)
        assert (await client.get("/api/jobs/nope/diff")).status_code == 404
        assert (await client.get("/api/jobs/7/diff?format=x")).status_code == 400
        saved = await client.get("/api/jobs/7/diff?download=1")
        assert saved.headers["content-disposition"] == 'attachment; filename="7.diff"'


@pytest.mark.parametrize(
    "reason", ["size\ndiff --git a/x b/x", "size\r\n+x", "\u2028\x85\x0b", "\x1b[2Jsize", "a\x00b"]
)
async def test_a_hand_written_reason_stays_within_its_comment(served: ServedApp, reason: str) -> None:
    put(served.broker, {**LEFT_OUT, "omitted": reason}, A)
    async with httpx.AsyncClient(base_url=served.url) as client:
        patch = (await client.get("/api/jobs/7/diff")).content
    comment, rest = patch.split(b"\n", 1)
    assert comment.startswith(b"# left out (")
    assert comment.endswith(b'): "big", +2 -1')
    assert comment.decode("ascii").isprintable()
    assert rest == str(A["diff"]).encode()
