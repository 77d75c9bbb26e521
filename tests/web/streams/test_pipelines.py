"""What dashboards of pipelines are promised: events, payloads, headers, one poll for all, coming back, refusals.

The clients here are event streams over real sockets, and the backend is a real HTTP server.
"""

from __future__ import annotations

import itertools
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest

from fantail.broker.limits import FIRST_ANSWERS_S, PIPELINES_PER_STREAM_MAX, POLLS_MAX
from support.clients.sse_client import Stream, open_stream
from support.servers.pipeline_backend import Fault, PipelineBackendServer, pipeline_backend
from support.servers.served_status import ServedStatus, served_status
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import TaskGroup

STREAM = "/ui-api/pipeline/status/stream"


@dataclass(slots=True)
class Dashboard:
    """A backend with three pipelines, and a server that polls it."""

    served: ServedStatus
    backend: PipelineBackendServer
    tasks: TaskGroup

    def url(self, *ids: str, **query: str) -> str:
        more = "".join(f"&{name}={value}" for name, value in query.items())
        return f"{self.served.url}{STREAM}?pipelineIds={','.join(ids)}{more}"

    def health_url(self, pipeline_id: str) -> str:
        return f"{self.served.url}/ui-api/pipeline/{pipeline_id}/health"


@asynccontextmanager
async def dashboard(**settings: Any) -> AsyncIterator[Dashboard]:
    settings = {"pipeline_poll_s": 0.05, **settings}
    async with pipeline_backend() as (backend, tasks):
        backend.statuses = {"orders": "Running", "clicks": "paused", "users": "created"}
        async with served_status(pipeline_url=backend.url, **settings) as served:
            yield Dashboard(served, backend, tasks)


@pytest.fixture
async def board() -> AsyncIterator[Dashboard]:
    async with dashboard() as made:
        yield made


async def batch(stream: Stream) -> dict[str, str]:
    """The statuses of the next `batch_update`."""
    found = (await stream.until("batch_update"))[-1].json
    assert found["type"] == "batch_update"
    return {update["pipelineId"]: update["status"] for update in found["updates"]}


async def change(stream: Stream) -> tuple[str, str | None, str]:
    """Pipeline, status before and status of the next `status_update`."""
    found = (await stream.until("status_update"))[-1].json
    assert set(found) <= {"type", "timestamp", "pipelineId", "status", "previousStatus"}
    return found["pipelineId"], found.get("previousStatus"), found["status"]


# -- events and payloads --------------------------------------------------------------------------------------------


async def test_the_stream_has_the_headers_that_keep_proxies_from_buffering(board: Dashboard) -> None:
    async with open_stream(board.url("orders")) as stream:
        headers = stream.response.headers
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert headers["cache-control"] == "no-cache, no-transform"
        assert headers["connection"] == "keep-alive"
        assert headers["x-accel-buffering"] == "no"


async def test_the_initial_statuses_come_in_one_batch_in_dashboards_words(board: Dashboard) -> None:
    async with open_stream(board.url("orders", "clicks", "users")) as stream:
        assert await batch(stream) == {"orders": "active", "clicks": "paused", "users": "starting"}
        event = stream.parser
        assert event.retry_ms is not None


async def test_a_heartbeat_comes_first_and_then_at_its_time_whatever_else_is_sent() -> None:
    async with dashboard(keepalive_s=0.3) as board, open_stream(board.url("orders")) as stream:
        statuses = itertools.cycle(["paused", "running"])
        first = await stream.next()
        assert first.name == "heartbeat"
        assert set(first.json) == {"type", "timestamp"}
        beats = [first.json["timestamp"]]
        assert abs(beats[0] - 1000 * time.time()) < 10_000, "milliseconds of the epoch"
        updates = 0
        while len(beats) < 4:
            board.backend.statuses["orders"] = next(statuses)
            event = await stream.next()
            updates += event.name == "status_update"
            if event.name == "heartbeat":
                beats.append(event.json["timestamp"])
        assert updates >= 3, "there was other traffic all the time"
        assert 600 <= beats[-1] - beats[0] <= 30_000, (
            "three intervals of 300 ms, less what a busy machine was late with"
        )


async def test_a_status_is_told_when_it_changes_with_the_one_before_and_not_otherwise(board: Dashboard) -> None:
    async with open_stream(board.url("orders", "clicks")) as stream:
        await batch(stream)
        board.backend.statuses["orders"] = "Pausing"
        assert await change(stream) == ("orders", "active", "pausing")
        polls = board.backend.polls["clicks"]
        await eventually(lambda: board.backend.polls["clicks"] > polls + 3)
        board.backend.statuses["clicks"] = "deploy_failed"
        assert await change(stream) == ("clicks", "paused", "failed")


async def test_an_unknown_pipeline_is_told_by_name_beside_the_others(board: Dashboard) -> None:
    """Trap 12."""
    async with open_stream(board.url("orders", "nowhere")) as stream:
        assert await batch(stream) == {"orders": "active"}
        error = (await stream.next()).json
        assert error.pop("timestamp") > 0
        assert error == {
            "type": "error",
            "message": "Pipeline not found",
            "pipelineId": "nowhere",
            "code": "PIPELINE_NOT_FOUND",
        }
        board.backend.statuses["nowhere"] = "running"
        assert await change(stream) == ("nowhere", None, "active")


# -- one poll for all -----------------------------------------------------------------------------------------------


async def test_the_backend_is_polled_once_for_all_clients_and_every_client_sees_every_change(board: Dashboard) -> None:
    """Trap 8: the first to look must not use the change up."""
    statuses = ["pausing", "paused", "resuming", "active", "stopping", "stopped"]
    seen: list[list[str]] = [[] for _ in range(20)]

    async def follow(found: list[str]) -> None:
        async with open_stream(board.url("orders")) as stream:
            await batch(stream)
            ready.append(found)
            while found[-1:] != statuses[-1:]:
                found.append((await change(stream))[2])

    ready: list[list[str]] = []
    async with anyio.create_task_group() as tasks:
        for found in seen:
            tasks.start_soon(follow, found)
        await eventually(lambda: len(ready) == 20)
        row = board.served.poller.board.rows["orders"]
        for status in statuses:
            board.backend.statuses["orders"] = status
            await eventually(lambda status=status: board.served.poller.board.rows["orders"]["status"] == status)  # type: ignore[misc]
    assert row["status"] == "active"
    assert seen == [statuses] * 20
    assert board.backend.overlaps == 0


async def test_viewers_come_and_go_and_leave_nothing_behind(board: Dashboard) -> None:
    """Trap 16."""
    for _ in range(5):
        async with AsyncExitStack() as stack:
            streams = [await stack.enter_async_context(open_stream(board.url("orders", "users"))) for _ in range(40)]
            for stream in streams:
                await batch(stream)
    await eventually(lambda: board.served.poller.stats().watches == 0 and len(board.served.context.streams) == 0)
    assert board.backend.connections_open <= POLLS_MAX
    await eventually(lambda: board.served.poller.stats().polls_under_way == 0)
    assert len(board.served.poller._schedule) == 0, "what nobody watches is not polled"


async def test_slow_first_answers_are_waited_for_together_and_not_for_ever(board: Dashboard) -> None:
    """Trap 11."""
    board.backend.faults["users"] = Fault.SILENT
    board.backend.delay_s = 0.5
    began_s = anyio.current_time()
    async with open_stream(board.url("orders", "clicks", "users")) as stream:
        assert await batch(stream) == {"orders": "active", "clicks": "paused"}
        assert FIRST_ANSWERS_S - 0.1 <= anyio.current_time() - began_s < FIRST_ANSWERS_S + 1.0


async def test_a_hidden_page_says_so_and_is_polled_for_less_often() -> None:
    async with dashboard(pipeline_poll_s=2.0) as board, open_stream(board.url("orders", visible="0")) as hidden:
        await batch(hidden)
        assert board.served.poller._pipelines["orders"].visible_watches == 0
        async with open_stream(board.url("orders")) as seen:
            await batch(seen)
            assert board.served.poller._pipelines["orders"].visible_watches == 1


# -- coming back ----------------------------------------------------------------------------------------------------


async def test_whoever_comes_back_with_a_position_is_told_what_changed_meanwhile(board: Dashboard) -> None:
    async with open_stream(board.url("orders", "clicks")) as watching:
        async with open_stream(board.url("orders", "clicks")) as stream:
            await batch(stream)
            last_id = stream.parser.last_id
        await batch(watching)
        for status in ("stopping", "stopped"):
            board.backend.statuses["orders"] = status
            await change(watching)
        async with open_stream(board.url("orders", "clicks"), last_id=last_id) as stream:
            assert await change(stream) == ("orders", "active", "stopping")
            assert await change(stream) == ("orders", "stopping", "stopped")
            assert await batch(stream) == {"orders": "stopped", "clicks": "paused"}


@pytest.mark.parametrize("last_id", ["3-otherprocess", "999999-x", "nonsense", "1-" + "a" * 500])
async def test_a_position_that_no_longer_fits_is_answered_with_the_statuses_as_they_are(
    board: Dashboard, last_id: str
) -> None:
    async with open_stream(board.url("orders"), last_id=last_id) as stream:
        events = await stream.until("batch_update")
        assert [event.name for event in events] == ["heartbeat", "batch_update"]


async def test_a_drain_ends_the_stream_and_brings_the_client_back(board: Dashboard) -> None:
    async with open_stream(board.url("orders")) as stream:
        await batch(stream)
        board.served.context.streams.drain(0.0)
        await stream.rest()
        assert stream.parser.retry_ms is not None
        assert 3000 <= stream.parser.retry_ms <= 8000


# -- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("", "Missing pipelineIds parameter"),
        ("?pipelineIds=", "Missing pipelineIds parameter"),
        ("?pipelineIds=%20", "Missing pipelineIds parameter"),
        ("?pipelineIds=,,", "No valid pipeline IDs provided"),
        ("?pipelineIds=..%2Fetc,UPPER,a--b,1x", "No valid pipeline IDs provided"),
    ],
)
async def test_wrong_queries_are_refused_in_the_dashboards_words(board: Dashboard, query: str, why: str) -> None:
    async with httpx.AsyncClient() as client:
        response = await client.get(board.served.url + STREAM + query)
    assert response.status_code == 400
    assert response.json() == {"success": False, "error": why}
    assert response.headers["content-type"] == "application/json"


async def test_ids_are_trimmed_taken_once_and_the_wrong_ones_told(board: Dashboard) -> None:
    async with open_stream(board.url("%20orders%20", "orders", "", "../x", "O:1")) as stream:
        events = await stream.until("batch_update")
        assert [event.json["updates"] for event in events[-1:]] == [[{"pipelineId": "orders", "status": "active"}]]
        errors = [event.json for event in events if event.name == "error"]
        assert [(error["pipelineId"], error["code"]) for error in errors] == [
            ("../x", "INVALID_PIPELINE_ID"),
            ("O:1", "INVALID_PIPELINE_ID"),
        ]
    assert set(board.backend.polls) == {"orders"}, "no wrong id reaches the backend"


async def test_two_hundred_ids_are_taken_and_one_more_is_refused_by_number(board: Dashboard) -> None:
    ids = [f"pipeline-{number}" for number in range(PIPELINES_PER_STREAM_MAX)]
    board.backend.statuses |= dict.fromkeys(ids, "running")
    async with open_stream(board.url(*ids, *ids)) as stream:
        told = await batch(stream)
        while len(told) < PIPELINES_PER_STREAM_MAX:  # a busy machine may not have asked all of them in three seconds
            pipeline_id, _, told[pipeline_id] = await change(stream)
        assert set(told) == set(ids)
    async with httpx.AsyncClient() as client:
        response = await client.get(board.url(*ids, "one-more"))
    assert response.status_code == 400
    assert response.json()["error"] == "Too many pipeline IDs: 201; at most 200 in one stream"


async def test_ten_thousand_ids_are_refused(board: Dashboard) -> None:
    ids = ",".join(f"p{number}x" for number in range(10_000))
    port = int(board.served.url.rpartition(":")[2])
    async with await anyio.connect_tcp("127.0.0.1", port) as client:
        await client.send(f"GET {STREAM}?pipelineIds={ids} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
        answer = await client.receive()
    assert answer.split(b" ", 2)[1] in {b"400", b"414", b"431"}
    assert board.backend.polls_total == 0


async def test_nobody_we_know_is_told_nothing() -> None:
    async with dashboard(jwt=True) as board, httpx.AsyncClient() as client:
        for url in (board.url("orders"), board.health_url("orders")):
            assert (await client.get(url)).status_code == 401
        headers = board.served.bearer("ada")
        assert (await client.get(board.health_url("orders"), headers=headers)).status_code == 200
        async with open_stream(board.url("orders"), headers=headers) as stream:
            assert await batch(stream) == {"orders": "active"}


async def test_a_server_that_was_told_of_no_backend_says_so() -> None:
    async with served_status() as served, httpx.AsyncClient() as client:
        for path in (f"{STREAM}?pipelineIds=orders", "/ui-api/pipeline/orders/health"):
            response = await client.get(served.url + path)
            assert response.status_code == 404
            assert response.json() == {"success": False, "error": "Pipeline status is not configured on this server"}


# -- polling clients, and the tables --------------------------------------------------------------------------------


async def test_a_client_that_polls_is_given_the_backends_document(board: Dashboard) -> None:
    async with httpx.AsyncClient() as client:
        response = await client.get(board.health_url("orders"))
        assert response.status_code == 200
        assert response.json() == {
            "success": True,
            "health": {"pipeline_id": "orders", "pipeline_name": "orders", "overall_status": "Running"},
        }
        for wrong in ("nowhere", "UPPER", "a--b", "..%2f..%2fetc"):
            response = await client.get(board.health_url(wrong))
            assert response.status_code == 404
            if "%2f" not in wrong:
                assert response.json() == {"success": False, "error": "Pipeline not found"}
    assert set(board.backend.polls) == {"orders", "nowhere"}


async def test_a_hundred_clients_that_poll_cost_one_poll(board: Dashboard) -> None:
    limits = httpx.Limits(max_connections=100)
    async with httpx.AsyncClient(limits=limits) as client, anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(client.get, board.health_url("orders"))
    assert board.backend.polls["orders"] == 1


async def test_pipelines_appear_in_the_global_tables(board: Dashboard) -> None:
    async with open_stream(f"{board.served.url}/api/events/?tables=pipelines") as tables:
        await tables.until("ready")
        async with open_stream(board.url("clicks")) as stream:
            await batch(stream)
            operation = (await tables.next()).json
            while operation["path"] != "/pipelines/clicks":
                operation = (await tables.next()).json
            assert operation["op"] == "add"
            assert operation["value"]["status"] == "paused"
            board.backend.statuses["clicks"] = "running"
            while operation["path"] != "/pipelines/clicks/status":
                operation = (await tables.next()).json
            assert operation == {"op": "replace", "path": "/pipelines/clicks/status", "value": "active"}
