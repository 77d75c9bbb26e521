"""A process's output as Vibe Kanban's clients know it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from fantail.broker import Broker
from fantail.broker.sources.redis.tailer import RedisTailer
from support.clients.sse_client import open_stream
from support.servers.served_app import ServedApp, served_app
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redis.asyncio import Redis


@pytest.fixture
async def served() -> AsyncIterator[ServedApp]:
    async with served_app() as app:
        await app.broker.create_job("7")
        yield app


def logs_url(served: ServedApp, process_id: str = "7") -> str:
    return f"{served.url}/api/events/processes/{process_id}/logs"


async def test_lines_are_unnamed_frames_with_type_content_and_time(served: ServedApp) -> None:
    await served.broker.publish("7", "one", "stderr", timestamp_ms=1704067200123)
    async with open_stream(logs_url(served)) as stream:
        event = await stream.next()
    assert event.name == "message"
    assert event.json == {"type": "stderr", "content": "one", "timestamp": "2024-01-01T00:00:00.123Z"}
    assert event.has_id


@pytest.mark.parametrize("timestamp_ms", [0, -1, 10**17, -(10**17)])
async def test_a_time_that_no_calendar_has_stops_nothing(served: ServedApp, timestamp_ms: int) -> None:
    await served.broker.publish("7", "x", timestamp_ms=timestamp_ms)
    async with open_stream(logs_url(served)) as stream:
        assert (await stream.next()).json["timestamp"].endswith("Z")


async def test_the_end_is_finished_with_the_exit_code_then_204(served: ServedApp) -> None:
    """Traps 4 and 20."""
    await served.broker.publish("7", "one")
    await served.broker.update_job("7", status="failed", exit_code="3")
    async with open_stream(logs_url(served)) as stream:
        events = await stream.rest()
    assert [event.name for event in events] == ["message", "finished"]
    assert events[-1].json == {"exitCode": 3, "status": "failed"}
    assert events[-1].id == f"{events[0].id}.end"
    async with httpx.AsyncClient() as client:
        again = await client.get(logs_url(served), headers={"Last-Event-ID": events[-1].id})
    assert again.status_code == 204


async def test_an_absent_exit_code_is_null_and_an_empty_log_has_an_end(served: ServedApp) -> None:
    await served.broker.update_job("7", status="cancelled")
    async with open_stream(logs_url(served)) as stream:
        (finished,) = await stream.rest()
    assert finished.json == {"exitCode": None, "status": "cancelled"}
    assert finished.id == "0-0.end"


async def test_a_client_resumes_where_it_was(served: ServedApp) -> None:
    """Trap 2."""
    for line in "abc":
        await served.broker.publish("7", line)
    async with open_stream(logs_url(served)) as stream:
        first = await stream.next()
    async with open_stream(logs_url(served), last_id=first.id) as stream:
        assert [(await stream.next()).json["content"] for _ in range(2)] == ["b", "c"]


async def test_a_process_deleted_while_watched_ends_the_stream(served: ServedApp) -> None:
    """Trap 5."""
    async with open_stream(logs_url(served)) as stream:
        await served.broker.publish("7", "x")
        await stream.next()
        await served.broker.ledger.delete_job("7")
        (finished,) = await stream.rest()
    assert finished.json == {"exitCode": None, "status": "deleted"}
    assert not finished.has_id


async def test_an_unknown_process_is_refused_in_json(served: ServedApp) -> None:
    async with httpx.AsyncClient() as client:
        for unknown in ("nope", "7:output"):
            answer = await client.get(logs_url(served, unknown))
            assert answer.status_code == 404
            assert answer.json() == {"error": "Job not found"}


async def test_a_process_hash_names_its_job(redis_url: str, redis_client: Redis) -> None:
    await redis_client.hset("process:p1", mapping={"id": "p1", "job_id": "j1"})
    await redis_client.hset("process:p2", mapping={"id": "p2", "job_id": "j1:output"})
    await redis_client.hset("job:j1", mapping={"id": "j1", "status": "running"})
    await redis_client.rpush("job:j1:output", '{"timestamp":1,"line":"hi","stream":"stdout"}')
    broker = Broker(lambda broker: RedisTailer(broker, redis_url))
    async with served_app(broker, redis_url=redis_url) as served:
        await eventually(lambda: broker.source_available, what="Redis followed")
        async with open_stream(logs_url(served, "p1")) as stream:
            assert (await stream.next()).json["content"] == "hi"
        async with open_stream(logs_url(served, "j1")) as stream:
            assert (await stream.next()).json["content"] == "hi"
        async with httpx.AsyncClient() as client:
            assert (await client.get(logs_url(served, "p2"))).status_code == 404
