"""A pipeline backend that is slow, wrong, huge, elsewhere or gone: said once, in plain words, and never as a status."""

from __future__ import annotations

import resource
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from fantail.broker.limits import HEALTH_BYTES_MAX, POLLS_MAX
from support.clients.sse_client import Stream, open_stream
from support.servers.pipeline_backend import EVERY, Fault, PipelineBackendServer, pipeline_backend
from support.servers.served_status import ServedStatus, served_status
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import TaskGroup

MEBIBYTE = 1024 * 1024


@asynccontextmanager
async def dashboard(**settings: Any) -> AsyncIterator[tuple[ServedStatus, PipelineBackendServer, TaskGroup]]:
    settings = {"pipeline_poll_s": 0.05, **settings}
    async with pipeline_backend() as (backend, tasks):
        backend.statuses = {"orders": "running", "clicks": "paused"}
        async with served_status(pipeline_url=backend.url, **settings) as served:
            yield served, backend, tasks


def stream_url(served: ServedStatus, *ids: str) -> str:
    return f"{served.url}/ui-api/pipeline/status/stream?pipelineIds={','.join(ids)}"


async def next_error(stream: Stream) -> dict[str, Any]:
    event = await stream.next()
    while event.name == "heartbeat" or (event.name == "status_update" and ends_trouble(event.json)):
        event = await stream.next()
    assert event.name == "error"
    found: dict[str, Any] = event.json
    assert found.pop("timestamp") > 0
    return found


def ends_trouble(update: dict[str, Any]) -> bool:
    return bool(update["status"] == update.get("previousStatus"))


async def polled_again(backend: PipelineBackendServer, pipeline_id: str, times: int = 3) -> None:
    polls = backend.polls[pipeline_id]
    await eventually(lambda: backend.polls[pipeline_id] >= polls + times)


BAD_ANSWERS = {
    Fault.SERVER_ERROR: "The pipeline backend answers with an error",
    Fault.HTML: "The pipeline backend answers with something that is no health document",
    Fault.NO_STATUS: "The pipeline backend answers with something that is no health document",
    Fault.PACKED: "The pipeline backend answers with something that is no health document",
    Fault.HUGE: "The pipeline backend answers with something that is no health document",
    Fault.REDIRECT: "The pipeline backend answers with something that is no health document",
    Fault.ODD_PROTOCOL: "The pipeline backend answers with something that is no health document",
    Fault.ODD_REDIRECT: "The pipeline backend answers with something that is no health document",
    Fault.SILENT: "The pipeline backend does not answer",
    Fault.CUT: "The pipeline backend cannot be reached",
    Fault.HALF: "The pipeline backend cannot be reached",
}


@pytest.mark.parametrize("fault", Fault)
async def test_a_bad_answer_is_told_once_and_the_status_stays(fault: Fault) -> None:
    """Trap 17: trouble of ours or the backend's is not a failed pipeline."""
    timeout_s = 1.0 if fault is Fault.SILENT else 5.0
    async with (
        dashboard(pipeline_timeout_s=timeout_s) as (served, backend, _),
        open_stream(stream_url(served, "orders", "clicks")) as stream,
    ):
        backend.redirect_to = "http://127.0.0.1:1/elsewhere"
        await stream.until("batch_update")
        backend.faults["orders"] = fault
        error = await next_error(stream)
        if "pipelineId" not in error:  # nobody else was answered meanwhile: at first it speaks of the whole backend
            error = await next_error(stream)
        assert error == {
            "type": "error",
            "message": BAD_ANSWERS[fault],
            "pipelineId": "orders",
            "code": "BACKEND_UNAVAILABLE",
        }
        await polled_again(backend, "orders")
        assert served.poller.board.rows["orders"]["status"] == "active"
        assert served.poller.board.rows["clicks"] == {"status": "paused", "error": None}
        async with open_stream(stream_url(served, "orders")) as late:
            shown = (await late.until("batch_update"))[-1].json["updates"]
            assert shown == [{"pipelineId": "orders", "status": "active"}], "who comes later is told the status"
            assert (await next_error(late))["pipelineId"] == "orders", "and the trouble"
        del backend.faults["orders"]
        backend.statuses["orders"] = "stopped"
        event = (await stream.until("status_update"))[-1]
        while ends_trouble(event.json):
            event = (await stream.until("status_update"))[-1]
        assert (event.json["previousStatus"], event.json["status"]) == ("active", "stopped")
        assert not any("secret" in text for text in (str(error), stream.raw.decode()))


async def test_the_end_of_trouble_is_told_though_the_status_is_the_one_before() -> None:
    async with (
        dashboard() as (served, backend, _),
        open_stream(stream_url(served, "orders", "clicks")) as stream,
        open_stream(stream_url(served, "clicks")) as other,
    ):
        await stream.until("batch_update")
        await other.until("batch_update")
        backend.faults["orders"] = Fault.SERVER_ERROR
        assert (await next_error(stream))["pipelineId"] == "orders"
        del backend.faults["orders"]
        event = await stream.next()
        assert event.name == "status_update"
        assert {name: event.json[name] for name in ("pipelineId", "previousStatus", "status")} == {
            "pipelineId": "orders",
            "previousStatus": "active",
            "status": "active",
        }
        polls = backend.polls["orders"]
        await eventually(lambda: backend.polls["orders"] >= polls + 3)
        backend.statuses["clicks"] = "running"
        for each in (stream, other):
            event = await each.next()
            assert (event.name, event.json["pipelineId"]) == ("status_update", "clicks"), "it is told once"


DEEP = b"[" * 500 + b"]" * 500


@pytest.mark.parametrize(
    ("body", "health"),
    [
        (b'{"overall_status":"running","a":%b}' % DEEP, {"overall_status": "running", "truncated": True}),
        (b'{"overall_status":"running","a":NaN}', {"overall_status": "running", "a": None}),
        (b'{"overall_status":"running","a":"cut \\ud83d"}', {"overall_status": "running", "a": "cut \ufffd"}),
    ],
)
async def test_a_health_document_that_json_would_not_write_again_is_answered(
    body: bytes, health: dict[str, Any]
) -> None:
    async with dashboard() as (served, backend, _), httpx.AsyncClient() as client:
        backend.bodies["orders"] = body
        response = await client.get(f"{served.url}/ui-api/pipeline/orders/health")
        assert (response.status_code, response.json()) == (200, {"success": True, "health": health})


async def test_the_backends_cookies_are_not_kept() -> None:
    """One for each answer would grow without end, and be sent with each question."""
    async with dashboard() as (served, backend, _), open_stream(stream_url(served, "orders")) as stream:
        backend.headers = "\r\nSet-Cookie: session-{count}=secret; Path=/"
        await stream.until("batch_update")
        await polled_again(backend, "orders", 5)
        assert not any(b"cookie" in head.lower() for head in backend.heads)


async def test_the_connection_is_kept_though_a_pipeline_does_not_exist_or_cannot_be_told() -> None:
    async with dashboard() as (served, backend, _), open_stream(stream_url(served, "orders", "unknown")) as stream:
        backend.faults["orders"] = Fault.SERVER_ERROR
        await stream.until("batch_update")
        connections = backend.connections_total
        polls = backend.polls_total
        await eventually(lambda: backend.polls_total >= polls + 10, timeout_s=30.0)
        assert backend.connections_total <= connections + 2


async def test_an_odd_answer_about_one_pipeline_does_not_speak_of_the_backend() -> None:
    async with dashboard() as (served, backend, _), open_stream(stream_url(served, "orders", "clicks")) as stream:
        await stream.until("batch_update")
        backend.faults["orders"] = Fault.ODD_PROTOCOL
        assert (await next_error(stream))["pipelineId"] == "orders"
        await polled_again(backend, "orders", 5)
        assert served.poller.board.available


async def test_a_hundred_megabytes_are_not_taken_into_memory() -> None:
    async with dashboard() as (served, backend, _):
        backend.faults[EVERY] = Fault.HUGE
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        async with open_stream(stream_url(served, "orders", "clicks")) as stream:
            await stream.until("batch_update")
            await polled_again(backend, "orders", 5)
        grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        # What the kernel's buffers of both ends take is counted as sent too.
        assert backend.sent_bytes < backend.polls_total * (HEALTH_BYTES_MAX + 8 * MEBIBYTE)
        assert grown < 50 * MEBIBYTE


async def test_a_redirect_is_not_followed() -> None:
    async with pipeline_backend() as (elsewhere, _), dashboard() as (served, backend, _tasks):
        elsewhere.statuses["orders"] = "stopped"
        backend.redirect_to = f"{elsewhere.url}/pipeline/orders/health"
        backend.faults[EVERY] = Fault.REDIRECT
        async with httpx.AsyncClient() as client:
            response = await client.get(f"{served.url}/ui-api/pipeline/orders/health")
        assert response.status_code == 502
        assert response.json() == {"success": False, "error": BAD_ANSWERS[Fault.REDIRECT]}
        assert elsewhere.polls_total == 0


async def test_a_backend_that_never_answers_is_told_to_clients_that_poll() -> None:
    async with dashboard(pipeline_timeout_s=0.5) as (served, backend, _), httpx.AsyncClient() as client:
        backend.faults[EVERY] = Fault.SILENT
        response = await client.get(f"{served.url}/ui-api/pipeline/orders/health")
        assert response.status_code == 504
        assert response.json() == {"success": False, "error": "The pipeline backend does not answer"}


async def test_a_backend_killed_and_brought_back_is_one_error_and_no_false_status() -> None:
    async with dashboard() as (served, backend, tasks):
        ids = [f"pipeline-{number}" for number in range(50)]
        backend.statuses |= dict.fromkeys(ids, "running")
        async with open_stream(stream_url(served, *ids)) as stream:
            await stream.until("batch_update")
            await polled_again(backend, ids[0])
            connections = backend.connections_open
            backend.stop()
            assert await next_error(stream) == {
                "type": "error",
                "message": "The pipeline backend cannot be reached",
                "code": "BACKEND_UNAVAILABLE",
            }
            assert not served.poller.board.available
            polls = served.poller.stats().polls_total
            await eventually(lambda: served.poller.stats().polls_total > polls + 100, timeout_s=10.0)
            assert {row["status"] for row in served.poller.board.rows.values()} == {"active"}
            backend.statuses[ids[7]] = "stopped"
            await backend.start(tasks)
            told: dict[str, tuple[str, str]] = {}
            while len(told) < len(ids):
                event = await stream.next(timeout_s=8.0)
                assert event.name == "status_update", "the one error was all that was told of it"
                assert event.json["pipelineId"] not in told, "each is vouched for once"
                told[event.json["pipelineId"]] = event.json["previousStatus"], event.json["status"]
            assert told.pop(ids[7]) == ("active", "stopped")
            assert set(told.values()) == {("active", "active")}, "the end of the trouble, and no change"
            await eventually(lambda: served.poller.board.available)
            await polled_again(backend, ids[0])
            assert backend.connections_open <= max(connections, POLLS_MAX)


async def test_a_backend_that_is_away_at_the_start_is_said_and_found_when_it_comes() -> None:
    async with dashboard() as (served, backend, tasks):
        backend.stop()
        async with open_stream(stream_url(served, "orders", "clicks")) as stream:
            first = await stream.until("batch_update")
            assert first[-1].json["updates"] == []
            assert (await next_error(stream))["message"] == "The pipeline backend cannot be reached"
            await backend.start(tasks)
            found: dict[str, str] = {}
            while len(found) < 2:
                event = (await stream.until("status_update", timeout_s=8.0))[-1].json
                assert "previousStatus" not in event
                found[event["pipelineId"]] = event["status"]
            assert found == {"orders": "active", "clicks": "paused"}
