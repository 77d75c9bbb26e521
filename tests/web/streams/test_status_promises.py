"""What the status dashboards that this server stands in for promise their readers, each promise as one test.

The wire itself is held by `test_pipelines.py` and `test_supercheck.py`; what is here is what a dashboard
says of it to people: what it costs, what it tells, whom it lets in.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest

from fantail.broker.producers.writer.status_publisher import StatusPublisher
from support.clients.sse_client import open_stream
from support.servers.pipeline_backend import pipeline_backend
from support.servers.served_status import served_status
from support.status_tables import SqliteTables, insert, new_id
from support.supercheck_board import COMPLETED, STARTED, dashboard, shown
from support.wait import eventually

if TYPE_CHECKING:
    from conftest import MakeRedisServer
    from support.supercheck_board import Dashboard

PIPELINE_STREAM = "/ui-api/pipeline/status/stream?pipelineIds=orders"
STREAMS = ["/api/test-status/events/t", "/api/job-status/events/r", "/api/queue-stats/sse", PIPELINE_STREAM]


# -- pipelines ------------------------------------------------------------------------------------------------------


async def test_nothing_but_heartbeats_is_sent_while_no_status_changes() -> None:
    async with pipeline_backend() as (backend, _):
        backend.statuses["orders"] = "running"
        async with (
            served_status(pipeline_url=backend.url, pipeline_poll_s=0.05, keepalive_s=0.3) as served,
            open_stream(served.url + PIPELINE_STREAM) as stream,
        ):
            await stream.until("batch_update")
            polls = backend.polls_total
            assert [(await stream.next()).name for _ in range(4)] == ["heartbeat"] * 4
            assert backend.polls_total >= polls + 2, "it was asked all the time"


async def test_with_the_flag_off_pages_poll_again_and_nothing_else_needs_changing() -> None:
    async with pipeline_backend() as (backend, _):
        backend.statuses["orders"] = "running"
        async with (
            served_status(pipeline_url=backend.url, use_sse_status=False) as served,
            httpx.AsyncClient(base_url=served.url) as http,
        ):
            page = await http.get("/pipelines")
            assert page.status_code == 503 or '"useSSEStatus":false' in page.text, "503: not built here"
            health = (await http.get("/ui-api/pipeline/orders/health")).json()
            assert health["health"]["overall_status"] == "running"
            async with open_stream(served.url + PIPELINE_STREAM) as stream:
                await stream.until("batch_update")


# -- tests and runs -------------------------------------------------------------------------------------------------


async def test_several_runs_are_followed_at_the_same_time_each_to_its_own_end(redis_url: str) -> None:
    ends = {f"run-{number}": ("passed", "failed", "cancelled")[number % 3] for number in range(12)}
    seen: dict[str, list[str]] = {run_id: [] for run_id in ends}

    async def follow(board: Dashboard, run_id: str) -> None:
        async with open_stream(board.run_url(run_id)) as stream:
            seen[run_id] += [event.json["status"] for event in await stream.rest(20.0)]

    async with dashboard(redis_url) as board, anyio.create_task_group() as tasks:
        for run_id in ends:
            tasks.start_soon(follow, board, run_id)
        await eventually(lambda: board.served.statuses.stats().watchers == len(ends))
        async with StatusPublisher(redis_url) as worker:
            for run_id in ends:
                await worker.run(run_id, "running")
            for run_id, status in ends.items():
                await worker.run(run_id, status)
    assert {run_id: found[-1] for run_id, found in seen.items()} == ends
    assert board.served.statuses.stats().watchers == 0, "what has ended holds nothing"


async def test_what_finished_before_is_told_at_once_with_its_report(redis_url: str, tables: SqliteTables) -> None:
    test_id, run_id = new_id(), new_id()
    insert(tables, "tests", id=test_id)
    insert(tables, "reports", entity_type="test", entity_id=test_id, status="passed", s3_url="http://s3/report")
    insert(tables, "runs", id=run_id, status="failed", started_at=STARTED, completed_at=COMPLETED, duration="60s")
    async with dashboard(redis_url, database_url=tables.url) as board:
        async with open_stream(board.test_url(test_id)) as stream:
            (end,) = await stream.rest()
            assert (end.json["status"], end.json["s3Url"]) == ("passed", "http://s3/report")
        async with open_stream(board.run_url(run_id)) as stream:
            (end,) = await stream.rest()
            assert (end.json["status"], end.json["completedAt"]) == ("failed", COMPLETED)


async def test_progress_and_artifacts_are_passed_on_as_the_worker_said_them(redis_url: str) -> None:
    progress = {"finished": 3, "of": 9, "tests": [{"name": "Zahlung über 1 €", "status": "passed"}]}
    artifacts = {"report": "runs/7/report.html", "trace": None}
    async with dashboard(redis_url) as board, open_stream(board.run_url("r")) as stream:
        await shown(stream)
        await board.say("job:r:status", status="running", progress=progress)
        assert (await shown(stream))["progress"] == progress
        await board.say("job:r:complete", status="passed", artifactPaths=artifacts)
        assert (await shown(stream))["artifactPaths"] == artifacts


# -- all of them ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", STREAMS)
async def test_no_proxy_keeps_a_stream_back_and_no_browser_guesses_what_it_is(redis_url: str, path: str) -> None:
    async with (
        dashboard(redis_url, pipeline_url="http://127.0.0.1:1") as board,
        open_stream(board.served.url + path) as stream,
    ):
        headers = stream.response.headers
    assert headers["content-type"].startswith("text/event-stream")
    assert headers["cache-control"] == "no-cache, no-transform"
    assert headers["x-accel-buffering"] == "no"
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", [*STREAMS, "/api/runs/r/status", "/api/jobs/status/running"])
async def test_nobody_unknown_is_told_anything(redis_url: str, path: str) -> None:
    async with dashboard(redis_url, jwt=True, pipeline_url="http://127.0.0.1:1") as board:
        answer = await board.get(path, headers={"Accept": "text/event-stream"})
    assert answer.status_code == 401


@pytest.mark.parametrize("path", STREAMS)
async def test_a_page_of_an_origin_that_is_allowed_may_read_and_no_other(redis_url: str, path: str) -> None:
    origin = "https://desk.example"
    async with dashboard(redis_url, jwt=True, cors_origins=origin, pipeline_url="http://127.0.0.1:1") as board:
        known = board.served.bearer("ada")
        async with open_stream(board.served.url + path, headers={**known, "Origin": origin}) as stream:
            assert stream.response.headers["access-control-allow-origin"] == origin
        async with open_stream(board.served.url + path, headers={**known, "Origin": "https://evil.example"}) as stream:
            assert "access-control-allow-origin" not in stream.response.headers


async def test_over_the_limit_of_connections_a_client_is_told_to_come_back(redis_url: str) -> None:
    async with dashboard(redis_url, streams_per_address=3) as board, AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(open_stream(board.run_url(f"r{number}"))) for number in range(3)]
        for stream in streams:
            await shown(stream)
        async with open_stream(board.run_url("one-more")) as stream:
            assert stream.response.status_code == 200, "an EventSource gives up for good on any other"
            assert await stream.rest() == []
            assert stream.parser.retry_ms is not None
            assert stream.parser.retry_ms >= 10_000


async def test_no_message_tells_of_what_is_behind_the_server(make_redis_server: MakeRedisServer) -> None:
    redis = make_redis_server()
    async with served_status(
        redis.url, database_url="postgresql://secret-user:secret-word@127.0.0.1:1/db", pipeline_url="http://127.0.0.1:1"
    ) as served:
        await eventually(lambda: served.statuses.available)
        redis.kill9()
        await eventually(lambda: not served.statuses.available)
        async with httpx.AsyncClient(base_url=served.url, timeout=20.0) as http:
            said = [await http.get(path) for path in ("/api/runs/r/status", "/api/jobs/status/running")]
            said += [await http.get(path) for path in STREAMS[:2]]
            said += [await http.get("/ui-api/pipeline/orders/health")]
        async with open_stream(served.url + PIPELINE_STREAM) as stream:
            await stream.until("error")
    for text in [answer.text for answer in said] + [stream.raw.decode()]:
        for secret in ("secret", "127.0.0.1", "postgres", "Traceback", "Errno", redis.url):
            assert secret not in text, text
