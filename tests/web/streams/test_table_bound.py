"""More jobs than the table holds: a new one is in the list, in the search and in the stream; the rest is counted."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from fantail.broker import BrokerLimits
from fantail.broker.limits import TABLE_ROWS_MAX
from support.clients.sse_client import open_stream
from support.servers.redis_broker import redis_broker
from support.servers.served_app import ServedApp, served_app
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redis.asyncio import Redis

EVERY = 5_000


async def make(redis: Redis, count: int) -> None:
    for start in range(0, count, EVERY):
        pipe = redis.pipeline(transaction=False)
        for number in range(start, min(start + EVERY, count)):
            pipe.hset(f"job:{number}", mapping={"created_at": str(1000 + number), "status": "success", "name": "n"})
        await pipe.execute()


@asynccontextmanager
async def served(redis_url: str, rows_max: int) -> AsyncIterator[tuple[ServedApp, httpx.AsyncClient]]:
    broker = redis_broker(redis_url, limits=BrokerLimits(table_rows_max=rows_max))
    async with served_app(broker) as app, httpx.AsyncClient(base_url=app.url, timeout=40) as http:
        yield app, http


async def listed(http: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    answer: dict[str, Any] = (await http.get("/api/jobs", params=query)).raise_for_status().json()
    return answer


async def is_listed(http: httpx.AsyncClient) -> bool:
    return (await http.get("/api/jobs", params={"limit": 1})).status_code == 200


@pytest.mark.timeout(240)  # 52,000 rows are read once: 10 s alone, several times that beside other tests
async def test_list_search_and_stream_have_the_newest_job_and_say_how_many_are_left_out(
    redis_url: str, redis_client: Redis
) -> None:
    """The default bound, and more hashes than that."""
    await make(redis_client, TABLE_ROWS_MAX + 2_000)
    async with served(redis_url, TABLE_ROWS_MAX) as (app, http):
        # Until all rows have been read once, the list is not there.
        await eventually(lambda: is_listed(http), 120, "the list")
        first = await listed(http, limit=1)
        assert (first["jobs"][0]["id"], first["total"], first["leftOut"]) == ("51999", TABLE_ROWS_MAX, 2_000)
        created = await http.post("/api/jobs", json={"id": "fresh", "name": "needle"})
        assert created.status_code == 201
        for query in ({"limit": 1}, {"limit": 1, "q": "needle"}, {"limit": 1, "status": "running"}):
            assert [job["id"] for job in (await listed(http, **query))["jobs"]] == ["fresh"], query
        after = await listed(http, limit=1)
        assert (after["total"], after["leftOut"], after["hasMore"]) == (TABLE_ROWS_MAX, 2_001, True)
        last = await listed(http, offset=TABLE_ROWS_MAX - 1, limit=10)
        assert ([job["id"] for job in last["jobs"]], last["hasMore"]) == (["2001"], False)
        assert (await http.get("/api/jobs/0")).json()["id"] == "0"  # left out of the list, and still there
        async with open_stream(f"{app.url}/api/events/?tables=jobs&batch=1") as stream:
            snapshot = await stream.until("ready")
            told = [event for event in snapshot if event.name == "left-out"]
            assert [(event.json, event.id) for event in told] == [({"jobs": 2_001}, "")]
            rows = {operation["path"] for event in snapshot if event.name == "message" for operation in event.json}
            assert "/jobs/fresh" in rows
            assert len(rows) == TABLE_ROWS_MAX + 1


async def test_the_stream_tells_when_the_number_changes_and_nothing_while_there_is_room(
    redis_url: str, redis_client: Redis
) -> None:
    await make(redis_client, 3)
    async with served(redis_url, 3) as (app, http), open_stream(f"{app.url}/api/events/?tables=jobs") as stream:
        assert "left-out" not in [event.name for event in await stream.until("ready")]
        await http.post("/api/jobs", json={"id": "fresh"})
        events = await stream.until("left-out")
        assert events[-1].json == {"jobs": 1}
        assert {event.json["path"] for event in events[:-1]} >= {"/jobs/0", "/jobs/fresh"}
        await redis_client.delete("job:0")
        assert (await stream.until("left-out"))[-1].json == {}


async def test_a_stream_of_other_tables_tells_nothing_of_jobs(redis_url: str, redis_client: Redis) -> None:
    await make(redis_client, 4)
    async with served(redis_url, 3) as (app, http):
        await eventually(lambda: app.broker.tables.left_out("jobs") == 1 or listed(http))
        async with open_stream(f"{app.url}/api/events/?tables=tasks") as stream:
            assert "left-out" not in [event.name for event in await stream.until("ready")]


async def test_many_topics_on_one_connection_are_told_too(redis_url: str, redis_client: Redis) -> None:
    await make(redis_client, 4)
    async with served(redis_url, 3) as (_, http):
        topics = {"topics": {"/api/events/?tables=jobs": ""}}
        async with http.stream("POST", "/api/streams", json=topics) as answer:
            seen = ""
            async for text in answer.aiter_text():
                seen += text
                if '"event":"left-out","data":{"jobs":1}' in seen:
                    break
