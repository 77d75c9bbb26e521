"""Many streams over one connection: each topic is what its own stream would be, and none disturbs another."""

from __future__ import annotations

import random
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import httpx
import orjson
import pytest

from fantail.broker.documents.diffs import file_changes, files_in, opening
from fantail.web.auth.identity import mint_token
from fantail.web.limits import TOPIC_CHARS_MAX, TOPICS_ARRAY_BYTES, TOPICS_BODY_BYTES_MAX, TOPICS_MAX
from support.clients.diff_client import DiffClient
from support.clients.multiplex_client import TopicsClient, post_topics
from support.clients.sse_client import Event, open_stream
from support.servers.pipeline_backend import pipeline_backend
from support.servers.served_app import ServedApp, served_app
from support.servers.served_status import served_status
from support.supercheck_board import dashboard
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fantail.broker import Broker

SECRET = "a secret of more than thirty-two bytes"
JOB, OTHER = "/api/jobs/42/stream", "/api/jobs/43/stream"
LOGS = "/api/events/processes/42/logs"
DIFF = "/api/events/task-attempts/42/diff"
TABLES = "/api/events/"
QUEUE = "/api/queue-stats/sse"
SESSION = "/api/work-sessions/7/stream"


@pytest.fixture
async def served() -> AsyncIterator[ServedApp]:
    async with served_app() as app:
        await app.broker.create_job("42", {"branch": "main"})
        await app.broker.create_job("43")
        yield app


def lines(client: TopicsClient, topic: str = JOB) -> list[str]:
    return [data["line"] for data in client.data(topic, "output")]


def put_diff(broker: Broker, count: int) -> None:
    """Adds a file to the diff of job 42, as a source does."""
    diff = broker.job("42").diff
    if not diff.document:
        diff.append(opening(), broker.now_s())
    entry: dict[str, Any] = {
        "file": f"f{count}",
        "diff": f"@@ {count}\n",
        "change": "modified",
        "additions": count,
        "deletions": 0,
    }
    changes = file_changes(files_in(diff), {str(entry["file"]): entry}, ())
    diff.append([operation for operation, _ in changes], broker.now_s())


# -- the wire -------------------------------------------------------------------------------------------------------


async def test_each_topic_says_what_its_own_stream_says(served: ServedApp) -> None:
    for number in range(300):
        await served.broker.publish("42", f"line {number}", "stderr" if number % 7 else "stdout")
    put_diff(served.broker, 1)
    await served.broker.update_job("42", status="failed", exit_code="3")
    topics = [JOB, f"{JOB}?tail=5", f"{JOB}?from=290", LOGS, DIFF, f"{DIFF}?format=json-patch"]
    client = TopicsClient(dict.fromkeys(topics, ""))
    async with client.connected(served.url) as together:
        await client.rest(together)
    assert client.topics == {}, "all are over, and so is the stream"
    for topic in topics:
        async with open_stream(served.url + topic) as alone:
            expected = [item_of(topic, event) for event in await alone.rest()]
        assert client.items[topic] == [*expected, {"topic": topic, "event": "end"}]


def item_of(topic: str, event: Event) -> dict[str, Any]:
    position = {"id": event.id} if event.has_id else {}
    return {"topic": topic, "event": event.name, **position, "data": event.json}


async def test_the_answer_is_a_stream_like_all_others(served: ServedApp) -> None:
    async with post_topics(served.url, {JOB: ""}) as stream:
        headers = stream.response.headers
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert headers["cache-control"] == "no-cache, no-transform"
        assert headers["x-accel-buffering"] == "no"
        first = await stream.next()
        assert stream.parser.retry_ms is not None
        assert first.json == [
            {
                "topic": JOB,
                "event": "status",
                "data": {"status": "running", "linesAdded": 0, "linesRemoved": 0, "branch": "main"},
            }
        ]


async def test_what_came_in_one_wake_up_is_one_array(served: ServedApp) -> None:
    client = TopicsClient({JOB: "", OTHER: "", LOGS: ""})
    async with client.connected(served.url) as stream:
        await client.until(stream, lambda: client.events(JOB) and client.events(OTHER))
        await eventually(lambda: served.broker.job("42").watchers == 2)
        before = client.arrays
        async with served.broker.watch("42"), served.broker.watch("43"):
            for number in range(10):
                for job_id in ("42", "43"):
                    await served.broker.publish(job_id, str(number))
        await client.until(stream, lambda: len(lines(client, OTHER)) == 10 and len(client.events(LOGS)) == 10)
        assert lines(client) == lines(client, OTHER) == [str(number) for number in range(10)]
        assert client.arrays - before <= 20


async def test_a_position_that_moves_over_what_is_hidden_is_an_item_without_data() -> None:
    from fantail.web.streams.multiplex_frames import TopicFrames  # noqa: PLC0415 - only this test looks inside

    items, comments = TopicFrames("/a\n").items(b'id: 7-x\n\n: away\n\nid:\nevent: reset\ndata: {"reason":"tag"}\n\n')
    assert [orjson.loads(item) for item in items] == [
        {"topic": "/a\n", "id": "7-x"},
        {"topic": "/a\n", "event": "reset", "id": "", "data": {"reason": "tag"}},
    ]
    assert comments == [b"away"]


async def test_a_reset_is_told_with_an_empty_position(served: ServedApp) -> None:
    await served.broker.publish("42", "one")
    client = TopicsClient({JOB: "0-00000000"})
    async with client.connected(served.url) as stream:
        await client.until(stream, lambda: lines(client))
    assert client.events(JOB) == ["status", "reset", "output"]
    assert client.items[JOB][1] == {"topic": JOB, "event": "reset", "id": "", "data": {"reason": "tag"}}


# -- refused and ended topics ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic", "status", "error"),
    [
        ("/api/jobs/nowhere/stream", 404, "Job not found"),
        ("/api/jobs/42:diff/stream", 404, "Job not found"),
        ("/api/jobs/../42/stream", 404, "No such stream"),
        ("/api/jobs/42/stream?tail=x", 400, "`tail` must be a number of lines, 0 or more"),
        ("/api/events/?tables=nothing", 400, "There is no table 'nothing'; there are jobs, tasks"),
        ("/api/events/processes/nowhere/logs", 404, "Job not found"),
        ("/api/jobs/42", 404, "No such stream"),
        ("/api/jobs", 404, "No such stream"),
        ("/api/streams", 404, "No such stream"),
        ("/metrics", 404, "No such stream"),
        ("", 404, "No such stream"),
        ("api/jobs/42/stream", 404, "No such stream"),
        ("http://elsewhere/api/jobs/42/stream", 404, "No such stream"),
        ("//elsewhere/api/jobs/42/stream", 404, "No such stream"),
        ("/api/jobs/42/stream#x", 404, "No such stream"),
        ("/api/jobs/%zz%00%ff/stream", 404, "Job not found"),
        ("/api/jobs/42/stream\r\n\r\ndata: x", 404, "No such stream"),
        ("/api/jobs/42/stream?" + "x" * TOPIC_CHARS_MAX, 404, "No such stream"),
        ("/ui-api/pipeline/status/stream?pipelineIds=a", 404, "Pipeline status is not configured on this server"),
    ],
)
async def test_a_topic_that_is_refused_is_told_and_the_others_go_on(
    served: ServedApp, topic: str, status: int, error: str
) -> None:
    client = TopicsClient({topic: "", JOB: ""})
    async with client.connected(served.url) as stream:
        await client.until(stream, lambda: client.items.get(topic) and client.items.get(JOB))
        (item,) = client.items[topic]
        assert item["topic"] == topic
        assert (item["event"], item["status"]) == ("refused", status)
        assert item["data"]["error"].startswith(error[:20])
        await served.broker.publish("42", "on it goes")
        await client.until(stream, lambda: lines(client) == ["on it goes"])


async def test_a_topic_that_ends_is_told_and_the_others_go_on(served: ServedApp) -> None:
    client = TopicsClient({JOB: "", OTHER: ""})
    async with client.connected(served.url) as stream:
        await served.broker.publish("42", "last")
        await served.broker.update_job("42", status="success")
        await client.until(stream, lambda: JOB not in client.topics)
        assert client.events(JOB)[-4:] == ["output", "status", "done", "end"]
        await served.broker.publish("43", "on it goes")
        await client.until(stream, lambda: lines(client, OTHER) == ["on it goes"])


async def test_a_topic_that_was_over_before_ends_at_once_and_says_nothing_else(served: ServedApp) -> None:
    """What is 204 for a stream of its own; trap 4."""
    await served.broker.publish("42", "one")
    await served.broker.update_job("42", status="success")
    client = TopicsClient({JOB: "", LOGS: "", DIFF: ""})
    async with client.connected(served.url) as stream:
        await client.rest(stream)
    positions = {topic: items[-2]["id"] for topic, items in client.items.items()}
    assert all(position.endswith(".end") for position in positions.values())
    again = TopicsClient(dict(positions))
    async with again.connected(served.url) as stream:
        await again.rest(stream)
    assert again.items == {topic: [{"topic": topic, "event": "end"}] for topic in positions}


async def test_a_job_that_is_deleted_while_watched_ends_its_topic(served: ServedApp) -> None:
    """Trap 5."""
    client = TopicsClient({JOB: "", OTHER: ""})
    async with client.connected(served.url) as stream:
        await client.until(stream, lambda: client.events(JOB))
        await served.broker.ledger.delete_job("42")
        await client.until(stream, lambda: JOB not in client.topics)
        assert client.items[JOB][-2:] == [
            {"topic": JOB, "event": "error", "data": {"message": "Job no longer exists"}},
            {"topic": JOB, "event": "end"},
        ]


async def test_a_topic_of_somebody_else_is_refused_as_its_stream_would_be() -> None:
    async with served_app(auth="jwt", jwt_secret=SECRET) as served:
        await served.broker.create_job("42", {"user_id": "ann"})
        await served.broker.create_job("43", {"user_id": "bob"})
        token = mint_token(served.context.settings, "bob", admin=False, ttl_s=60)
        client = TopicsClient({JOB: "", OTHER: "", LOGS: ""})
        async with client.connected(served.url, {"Authorization": f"Bearer {token}"}) as stream:
            await client.until(stream, lambda: set(client.items) == {JOB, OTHER, LOGS})
        assert client.items[JOB] == [{"topic": JOB, "event": "refused", "status": 403, "data": {"error": "Forbidden"}}]
        assert client.items[LOGS][0]["status"] == 403
        assert client.events(OTHER)[0] == "status"


# -- resume ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
async def test_cut_anywhere_and_resumed_each_topic_has_everything_once(served: ServedApp, seed: int) -> None:
    """Traps 2 and 38: each line once and in order, documents as they are, over any number of cuts."""
    choose = random.Random(seed)
    await served.broker.create_job("7")
    client = TopicsClient(dict.fromkeys([JOB, LOGS, OTHER, DIFF, TABLES], ""))
    total = 0
    for _ in range(25):
        for _ in range(choose.randrange(60)):
            for job_id in ("42", "43"):
                await served.broker.publish(job_id, f"line {total}")
            total += 1
        put_diff(served.broker, choose.randrange(8))
        await served.broker.update_job("42", lines_added=str(total))
        await client.take_bytes(served.url, choose.randrange(1, 20_000))
    for job_id in ("42", "43"):
        await served.broker.update_job(job_id, status="success")
    async with client.connected(served.url) as stream:
        await client.until(stream, lambda: set(client.topics) == {TABLES})
        await served.broker.update_job("7", status="cancelled")
        await client.until(stream, lambda: tables_of(client)["jobs"].get("7", {}).get("status") == "cancelled")
    expected = [f"line {number}" for number in range(total)]
    assert lines(client) == lines(client, OTHER) == expected
    assert [data["content"] for data in client.data(LOGS, "message")] == expected
    assert all(client.events(topic).count("end") == 1 for topic in (JOB, OTHER, LOGS, DIFF))
    assert tables_of(client) == served.broker.tables.document
    diff = DiffClient()
    for item in client.items[DIFF][:-1]:
        diff.take(Event(item["event"], orjson.dumps(item["data"]).decode(), item.get("id", ""), "id" in item))
    assert diff.files == files_in(served.broker.job("42").diff)


def tables_of(client: TopicsClient) -> dict[str, Any]:
    """The document that a client of the tables holds."""
    document: dict[str, Any] = {}
    for operation in client.data(TABLES, "message"):
        *parents, last = operation["path"].split("/")[1:]
        place = document
        for parent in parents:
            place = place[parent]
        if operation["op"] == "remove":
            del place[last]
        else:
            place[last] = operation["value"]
    return document


async def test_a_snapshot_that_was_cut_is_begun_anew(served: ServedApp) -> None:
    """Trap 43: its frames carry no position."""
    for number in range(1000, 3000):
        await served.broker.create_job(str(number), {"branch": "x" * 100})
    client = TopicsClient({TABLES: ""})
    async with client.connected(served.url) as stream:
        await client.take(stream)
    assert 0 < len(client.items[TABLES]) < 2000
    assert client.topics == {TABLES: ""}
    async with client.connected(served.url) as stream:
        await client.until(stream, lambda: "ready" in client.events(TABLES))
    assert tables_of(client) == served.broker.tables.document
    assert client.topics[TABLES] != ""


async def test_a_work_session_and_the_queue_are_topics_too(served: ServedApp) -> None:
    client = TopicsClient({QUEUE: "", SESSION: ""})
    async with client.connected(served.url) as stream:
        await client.until(stream, lambda: set(client.items) == {QUEUE, SESSION})
        assert client.data(QUEUE, "message")[0]["running"] == 2
        assert client.items[SESSION][0]["status"] == 404
        await served.broker.create_job("44")
        await client.until(stream, lambda: client.data(QUEUE, "message")[-1]["running"] == 3)


async def test_pipelines_go_on_after_their_position() -> None:
    topic = "/ui-api/pipeline/status/stream?pipelineIds=orders,clicks"
    async with pipeline_backend() as (backend, _):
        backend.statuses = {"orders": "running", "clicks": "running"}
        async with served_status(pipeline_url=backend.url, pipeline_poll_s=0.05) as served:
            client = TopicsClient({topic: ""})
            async with client.connected(served.url) as stream:
                await client.until(stream, lambda: client.data(topic, "batch_update"))
            assert client.events(topic)[0] == "heartbeat"
            assert client.topics[topic] != ""
            async with open_stream(served.url + topic) as other:
                await other.until("batch_update")
                backend.statuses["orders"] = "paused"
                await other.until("status_update")
            async with client.connected(served.url) as stream:
                await client.until(stream, lambda: len(client.data(topic, "batch_update")) == 2)
            (update,) = client.data(topic, "status_update")
            assert (update["pipelineId"], update["status"], update["previousStatus"]) == ("orders", "paused", "active")


async def test_a_run_is_followed_to_its_end_and_is_over_for_who_comes_back(redis_url: str) -> None:
    run, test = "/api/job-status/events/r", "/api/test-status/events/t"
    async with dashboard(redis_url) as board:
        client = TopicsClient({run: "", test: ""})
        async with client.connected(board.served.url) as stream:
            await client.until(stream, lambda: set(client.items) == {run, test})
            await board.say("job:r:complete", status="passed")
            await client.until(stream, lambda: run not in client.topics)
            await board.say("test:t:status", status="running")
            await client.until(stream, lambda: client.data(test, "message")[-1]["status"] == "running")
        assert [data["status"] for data in client.data(run, "message")] == ["waiting", "passed"]
        await eventually(lambda: board.kept("run", "r", "passed"))
        again = TopicsClient({run: client.items[run][-2]["id"]})
        async with again.connected(board.served.url) as stream:
            await again.rest(stream)
        assert again.items[run] == [{"topic": run, "event": "end"}]


# -- the connection -------------------------------------------------------------------------------------------------


async def test_any_number_of_topics_is_one_stream_and_one_place() -> None:
    """Trap 31."""
    async with served_app(streams_per_address=1) as served:
        await served.broker.create_job("42")
        client = TopicsClient({f"{JOB}?tail={number}": "" for number in range(TOPICS_MAX)})
        async with client.connected(served.url) as stream:
            await client.until(stream, lambda: len(client.items) == TOPICS_MAX)
            assert len(served.context.streams) == 1
            assert served.context.limiter.streams == 1
            assert served.broker.job("42").watchers == TOPICS_MAX
            await served.broker.publish("42", "to all")
            await client.until(stream, lambda: all(lines(client, topic) for topic in client.topics))
        await eventually(lambda: len(served.context.streams) == 0 and served.broker.job("42").watchers == 0)
        await eventually(lambda: served.context.limiter.streams == 0)


async def test_a_slow_client_stops_all_its_topics_and_holds_one_batch_of_each() -> None:
    """Trap 28."""
    async with served_app(write_timeout_s=30) as served:
        for job_id in ("42", "43"):
            await served.broker.create_job(job_id)
        with raw_post(served, {JOB: "", OTHER: ""}) as client:
            await eventually(lambda: len(served.context.streams) == 1, what="the stream open")
            (stream,) = served.context.streams
            for _ in range(600):
                for job_id in ("42", "43"):
                    await served.broker.publish(job_id, "x" * 10_000)
            settled = -1
            while settled != stream.sent_bytes:
                settled = stream.sent_bytes
                await anyio.sleep(0.1)  # nothing happens: that is what is waited for
            assert settled < 2 * 2**20, "of twelve megabytes"
            for job_id in ("42", "43"):
                (subscription,) = served.broker.job(job_id).subscriptions
                assert subscription.lag > 400, "it reads no further"
            async with open_stream(served.url + JOB) as quick:
                for _ in range(100):
                    await quick.next()
            received = 0
            with anyio.fail_after(10):
                while received < 12_000_000:
                    with suppress(BlockingIOError):
                        received += len(client.recv(2**20))
                    await anyio.lowlevel.checkpoint()


def raw_post(served: ServedApp, topics: dict[str, str]) -> socket.socket:
    """A client that has asked and reads nothing unless it is told to."""
    client = socket.create_connection(("127.0.0.1", served.port))
    body = orjson.dumps({"topics": topics})
    client.send(b"POST /api/streams HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    client.setblocking(False)
    return client


async def test_a_topic_with_a_long_history_does_not_hold_up_the_others(served: ServedApp) -> None:
    for _ in range(400):
        await served.broker.publish("42", "x" * 10_000)
    await served.broker.publish("43", "short")
    client = TopicsClient({OTHER: "", JOB: ""})
    async with client.connected(served.url) as stream:
        await client.until(stream, lambda: lines(client, OTHER))
        assert len(lines(client)) < 100
        await client.until(stream, lambda: len(lines(client)) == 400)


async def test_an_array_is_bounded_whatever_waits(served: ServedApp) -> None:
    for _ in range(40):
        await served.broker.publish("42", "x" * 10_000)
    client = TopicsClient({f"{JOB}?tail={40 + number}": "" for number in range(20)})
    longest = 0
    async with client.connected(served.url) as stream:
        while not all(len(lines(client, topic)) == 40 for topic in client.topics):
            items = await client.take(stream)
            longest = max(longest, sum(len(str(item["data"])) for item in items))
    assert longest < 3 * TOPICS_ARRAY_BYTES


async def test_a_quiet_stream_is_kept_alive_and_a_drain_ends_it() -> None:
    async with served_app(keepalive_s=0.1) as quiet:
        await quiet.broker.create_job("42")
        async with post_topics(quiet.url, {JOB: ""}) as stream:
            await stream.comment("keep-alive")
            quiet.context.streams.drain(0.05)
            await stream.rest()
            assert stream.parser.retry_ms is not None
            assert 3000 <= stream.parser.retry_ms <= 8000
        assert quiet.context.streams.ended == {"drain": 1}


async def test_a_topic_that_breaks_is_refused_and_the_others_go_on(
    served: ServedApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("a fault of ours, with a secret")

    monkeypatch.setattr("fantail.web.streams.vibe_kanban.ProcessLogFormat.job_id", broken)
    client = TopicsClient({LOGS: "", JOB: ""})
    async with client.connected(served.url) as stream:
        await client.until(stream, lambda: set(client.items) == {LOGS, JOB})
        assert client.items[LOGS] == [
            {"topic": LOGS, "event": "refused", "status": 500, "data": {"error": "Internal error"}}
        ]
        await served.broker.publish("42", "on it goes")
        await client.until(stream, lambda: lines(client) == ["on it goes"])


# -- hostile bodies and requests ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"[]",
        b"{}",
        b"null",
        b'"\\ud800"',
        b'{"topics": []}',
        b'{"topics": {}}',
        b'{"topics": "/api/events/"}',
        b'{"topics": {"/api/events/": null}}',
        b'{"topics": {"/api/events/": {"id": "1"}}}',
        b"[" * 100_000,
        orjson.dumps({"topics": {f"/api/jobs/{number}/stream": "" for number in range(TOPICS_MAX + 1)}}),
    ],
)
async def test_a_body_of_another_form_is_refused_with_what_is_wrong(served: ServedApp, body: bytes) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{served.url}/api/streams", content=body)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}
    assert len(served.context.streams) == 0
    assert served.context.limiter.streams == 0


async def test_a_body_that_is_too_long_is_refused(served: ServedApp) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{served.url}/api/streams", content=b" " * (TOPICS_BODY_BYTES_MAX + 1))
    assert answer.status_code == 413


async def test_a_position_that_is_none_is_as_none_and_a_topic_named_twice_is_one(served: ServedApp) -> None:
    await served.broker.publish("42", "one")
    body = f'{{"topics": {{"{JOB}": "x\\r\\nid: 7", "{JOB}": "{"9" * 5000}"}}}}'
    async with (
        httpx.AsyncClient() as client,
        client.stream("POST", f"{served.url}/api/streams", content=body) as response,
    ):
        assert response.status_code == 200
        found = b""
        async for chunk in response.aiter_raw():
            found += chunk
            if b'"output"' in found:
                break
    assert found.count(b'"event":"status"') == found.count(b'"event":"output"') == 1


async def test_a_body_that_does_not_come_gives_its_place_back(
    served: ServedApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fantail.web.http.request_body.BODY_S_MAX", 0.1)
    with socket.create_connection(("127.0.0.1", served.port)) as client:
        client.send(b'POST /api/streams HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{"topics"')
        client.setblocking(False)
        found = b""

        async def read() -> bool:
            nonlocal found
            with suppress(BlockingIOError):
                found += client.recv(65_536)
            return b"408" in found

        await eventually(read, what="the refusal")
    assert served.context.limiter.streams == 0


async def test_pages_of_other_origins_may_not_ask(served: ServedApp) -> None:
    """Trap 30."""
    async with post_topics(served.url, {JOB: ""}, {"Origin": "https://elsewhere.example"}) as stream:
        assert stream.response.status_code == 403
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{served.url}/api/streams")).status_code == 405


async def test_with_a_cookie_only_our_own_pages_may_ask_and_nobody_without_a_token() -> None:
    async with served_app(auth="jwt", jwt_secret=SECRET) as served:
        await served.broker.create_job("42")
        token = mint_token(served.context.settings, "ann", admin=False, ttl_s=60)
        cookie = {"Cookie": f"fantail_token={token}"}
        for headers, status in (({}, 401), (cookie, 403), ({**cookie, "Origin": served.url}, 200)):
            async with post_topics(served.url, {JOB: ""}, headers) as stream:
                assert stream.response.status_code == status


async def test_over_a_limit_the_client_is_told_to_come_back() -> None:
    """Trap 42."""
    async with served_app(streams_per_address=1) as served:
        await served.broker.create_job("42")
        async with post_topics(served.url, {JOB: ""}) as first:
            await first.next()
            async with post_topics(served.url, {JOB: ""}) as second:
                assert second.response.status_code == 200
                assert await second.rest() == []
                assert second.parser.retry_ms is not None
                assert second.parser.retry_ms >= 10_000
