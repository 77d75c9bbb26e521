"""Redis away at the start, and lost while streaming: nobody is sent away for good, and no line is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from fantail.broker import Broker
from fantail.broker.sources.redis.tailer import RedisTailer
from support.clients.sse_client import open_stream
from support.servers.served_app import served_app
from support.wait import eventually

if TYPE_CHECKING:
    from conftest import MakeRedisServer

ENTRY = '{"timestamp":1,"line":"%s","stream":"stdout"}'


async def test_redis_away_at_the_start_is_answered_with_retry_and_close() -> None:
    """Trap 42: an EventSource comes back; other clients get 503 with Retry-After."""
    broker = Broker(lambda broker: RedisTailer(broker, "redis://127.0.0.1:1"))
    async with served_app(broker) as served:
        for path in ("/api/jobs/1/stream", "/api/events/", "/api/events/processes/1/logs"):
            async with open_stream(served.url + path) as stream:
                assert stream.response.status_code == 200
                assert await stream.rest() == []
                assert stream.parser.retry_ms is not None
                assert 10_000 <= stream.parser.retry_ms <= 30_000
                assert len(stream.parser.comments) == 1
            async with httpx.AsyncClient(timeout=20) as client:
                answer = await client.get(served.url + path, headers={"Accept": "application/json"})
            assert answer.status_code == 503
            assert 10 <= int(answer.headers["retry-after"]) <= 30
            assert "127.0.0.1" not in answer.text


async def test_redis_away_at_the_start_is_no_empty_list_of_jobs() -> None:
    """An empty list would say that there are none; the page comes all the same, and waits."""
    broker = Broker(lambda broker: RedisTailer(broker, "redis://127.0.0.1:1"))
    async with served_app(broker) as served, httpx.AsyncClient(base_url=served.url, timeout=20) as client:
        answer = await client.get("/api/jobs")
        assert (answer.status_code, answer.json()) == (503, {"error": "The store of jobs does not answer now"})
        assert int(answer.headers["retry-after"]) > 0
        assert (await client.get("/")).status_code == 200


async def test_redis_lost_while_streaming_is_told_once_and_the_stream_goes_on(
    make_redis_server: MakeRedisServer,
) -> None:
    redis = make_redis_server(appendonly=True, config={"appendfsync": "always"})
    redis.command("HSET", "job:1", "id", "1", "status", "running")
    redis.command("RPUSH", "job:1:output", ENTRY % "before")
    broker = Broker(lambda broker: RedisTailer(broker, redis.url))
    async with served_app(broker) as served:
        async with open_stream(f"{served.url}/api/jobs/1/stream") as stream:
            await stream.until("output")
            redis.kill9()
            await stream.comment("does not answer")
            redis.start()
            await stream.comment("answers again")
            redis.command("RPUSH", "job:1:output", ENTRY % "after")
            assert (await stream.until("output"))[-1].json["line"] == "after"
            redis.command("HSET", "job:1", "status", "success")
            assert (await stream.rest())[-1].name == "done"
        assert len(stream.parser.comments) == 3  # that of the beginning, too


async def test_a_page_of_the_archive_that_cannot_be_read_is_read_when_redis_is_back(
    make_redis_server: MakeRedisServer,
) -> None:
    redis = make_redis_server(appendonly=True, config={"appendfsync": "always"})
    redis.command("HSET", "job:1", "id", "1", "status", "success")
    for start in range(0, 20_000, 1000):
        redis.command(
            "RPUSH", "job:1:output", *(ENTRY % f"{number} {'x' * 200}" for number in range(start, start + 1000))
        )
    broker = Broker(lambda broker: RedisTailer(broker, redis.url))
    async with served_app(broker) as served, open_stream(f"{served.url}/api/jobs/1/stream") as stream:
        events = await stream.until("output")
        redis.kill9()
        await stream.comment("does not answer")
        redis.start()
        events += await stream.rest()
    lines = [int(event.json["line"].split()[0]) for event in events if event.name == "output"]
    assert lines == list(range(20_000))
    assert events[-1].name == "done"


async def test_a_job_in_a_real_redis_from_its_start_to_its_end(make_redis_server: MakeRedisServer) -> None:
    redis = make_redis_server()
    broker = Broker(lambda broker: RedisTailer(broker, redis.url))
    async with served_app(broker) as served:
        await eventually(lambda: broker.source_available, what="Redis followed")
        redis.command("HSET", "job:1", "id", "1", "status", "pending", "branch", "b")
        async with open_stream(f"{served.url}/api/jobs/1/stream") as stream:
            assert (await stream.next()).json["status"] == "pending"
            redis.command("HSET", "job:1", "status", "running", "started_at", "5")
            assert (await stream.next()).json["startedAt"] == 5
            redis.command("RPUSH", "job:1:output", ENTRY % "a", "not JSON", ENTRY % "b")
            lines = [(await stream.next()).json["line"] for _ in range(3)]
            assert lines == ["a", "not JSON", "b"]
            redis.command("DEL", "job:1", "job:1:output")
            (gone,) = [event for event in await stream.rest() if event.name == "error"]
            assert gone.json == {"message": "Job no longer exists"}
