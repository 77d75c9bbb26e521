"""Alive, ready, in numbers, in detail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from fantail.broker import Broker
from fantail.broker.sources.redis.tailer import RedisTailer
from fantail.web.rest import system as api_system
from support.clients.sse_client import open_stream
from support.servers.pipeline_backend import pipeline_backend
from support.servers.redis_server import RedisServer
from support.servers.served_app import served_app
from support.servers.served_status import served_status
from support.servers.web_client import redis_web_client, web_client
from support.wait import eventually

if TYPE_CHECKING:
    from support.servers.web_client import WebClient


async def numbers(client: WebClient) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = await client.http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_the_server_is_alive_and_ready() -> None:
    async with web_client() as client:
        for path in ("/healthz", "/readyz"):
            answer = await client.http.get(path)
            assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_it_is_not_ready_while_redis_does_not_answer_and_ready_when_it_does() -> None:
    with RedisServer() as server:
        async with redis_web_client(server.url) as client:
            await eventually(lambda: client.broker.source_available)
            assert (await client.http.get("/readyz")).status_code == 200
            server.kill9()
            await eventually(lambda: not client.broker.source_available, timeout_s=15)
            answer = await client.http.get("/readyz")
            assert answer.status_code == 503
            assert answer.json() == {"status": "the store of jobs does not answer"}
            assert int(answer.headers["retry-after"]) > 0
            assert (await client.http.get("/healthz")).status_code == 200
            server.start()
            await eventually(lambda: client.broker.source_available, timeout_s=15)
            assert (await client.http.get("/readyz")).status_code == 200


async def test_it_is_not_ready_while_it_stops() -> None:
    async with web_client() as client:
        client.context.streams.drain(0.0)
        answer = await client.http.get("/readyz")
        assert (answer.status_code, answer.json()) == (503, {"status": "stopping"})


async def test_the_numbers_are_those_of_the_broker() -> None:
    async with web_client() as client:
        await client.broker.create_job("42")
        await client.broker.publish("42", "a line")
        async with client.broker.watch("42"):
            found = await numbers(client)
            stats = client.broker.stats()
        assert found["fantail_jobs", (("kind", "job"),)] == 1
        assert found["fantail_job_watchers", ()] == 1
        assert found["fantail_published_lines_total", ()] == 1
        assert found["fantail_published_changes_total", ()] == client.broker.published.changes > 0
        assert found["fantail_store_bytes", ()] == stats.total_bytes > 0
        assert found["fantail_source_up", (("mode", "none"),)] == 1
        assert found["process_resident_memory_bytes", ()] > 1e6


async def test_open_streams_are_counted_by_face_and_bytes() -> None:
    async with served_app() as app:
        await app.broker.create_job("42")
        async with httpx.AsyncClient(base_url=app.url) as http:
            async with http.stream("GET", "/api/jobs/42/stream") as stream:
                await anext(stream.aiter_bytes())
                text = (await http.get("/metrics")).text
                system = (await http.get("/api/system")).json()
            await eventually(lambda: len(app.context.streams) == 0)
            after = (await http.get("/metrics")).text
            system_after = (await http.get("/api/system")).json()
        assert 'fantail_streams{face="job"} 1.0' in text
        assert system["streams"]["byFace"] == {"job": 1}
        assert system["streams"]["sentBytes"] > 0
        assert "fantail_streams_opened_total 1.0" in after
        assert 'fantail_streams_ended_total{reason="client left"} 1.0' in after
        assert system_after["streams"]["ended"] == {"client left": 1}


async def test_no_id_is_a_label() -> None:
    async with web_client() as client:
        for number in range(50):
            await client.broker.create_job(f"unmistakable-{number}", {"user_id": "unmistakable"})
        answer = await client.http.get("/metrics")
        assert "unmistakable" not in answer.text


@pytest.mark.parametrize("path", ["/metrics", "/api/system"])
async def test_numbers_and_details_are_for_admins(path: str) -> None:
    async with web_client(jwt=True) as client:
        assert (await client.http.get(path)).status_code == 401
        assert (await client.http.get(path, headers=client.bearer("ada"))).status_code == 403
        assert (await client.http.get(path, headers=client.bearer("root", admin=True))).status_code == 200


@pytest.mark.parametrize(("setting", "nobody", "user"), [("user", 401, 200), ("open", 200, 200)])
async def test_a_setting_says_who_else_may_read_the_numbers(setting: str, nobody: int, user: int) -> None:
    async with web_client(jwt=True, metrics=setting) as client:
        assert (await client.http.get("/metrics")).status_code == nobody
        assert (await client.http.get("/metrics", headers=client.bearer("ada"))).status_code == user
        assert (await client.http.get("/api/system", headers=client.bearer("ada"))).status_code == 403


async def test_the_system_names_every_store_with_its_readers() -> None:
    async with web_client() as client:
        await client.broker.create_job("42")
        await client.broker.publish("42", "a line")
        async with client.broker.watch("42") as job:
            subscription = client.broker.subscribe(job)
            system = (await client.http.get("/api/system")).json()
            assert subscription.lag == 1
        (shown,) = system["jobs"]
        assert shown == {
            "kind": "job",
            "id": "42",
            "status": "running",
            "retainedBytes": shown["retainedBytes"],
            "head": 0,
            "tail": 1,
            "watchers": 1,
            "lagMax": 1,
        }
        assert system["source"] == {"available": True, "mode": "none", "tablesLack": ""}
        assert system["memory"]["residentBytes"] > 1_000_000
        assert system["stores"]["bytes"] == shown["retainedBytes"]
        assert system["stores"]["watchers"] == system["stores"]["lagMax"] == 1
        assert system["stores"]["tableRows"] == {"jobs": 1, "tasks": 0}
        assert system["draining"] is False
        assert system["cpu"]["usedS"] > 0
        assert system["searches"] == {"present": 0}
        assert system["outlines"] == {"kept": 0, "bytes": 0}


async def test_the_system_says_by_which_bounds_it_lives_and_no_secret() -> None:
    async with web_client(jwt=True, streams_per_user=17) as client:
        answer = await client.http.get("/api/system", headers=client.bearer("root", admin=True))
        settings = answer.json()["settings"]
        assert (settings["auth"], settings["streamsPerUser"], settings["storeBytes"]) == ("jwt", 17, 16 * 2**20)
        assert "secret" not in answer.text.lower()


async def test_the_system_counts_the_outlines_that_are_kept() -> None:
    async with web_client() as client:
        await client.broker.create_job("42")
        for _ in range(10):
            await client.broker.publish("42", "error: it broke")
        await client.http.get("/api/jobs/42/output/outline")
        system = (await client.http.get("/api/system")).json()
        assert system["outlines"] == {"kept": 1, "bytes": 80}


async def test_the_system_is_told_of_a_redis_that_is_away() -> None:
    broker = Broker(lambda broker: RedisTailer(broker, "redis://127.0.0.1:1/0"))
    async with web_client(broker) as client:
        system = (await client.http.get("/api/system")).json()
        assert system["source"] == {"available": False, "mode": "connecting", "tablesLack": ""}
        assert ("fantail_source_up", (("mode", "connecting"),)) in await numbers(client)


async def test_the_sources_of_statuses_are_shown_where_they_are_set(redis_url: str) -> None:
    async with (
        pipeline_backend() as (backend, _),
        served_status(redis_url, pipeline_url=backend.url) as served,
        httpx.AsyncClient(base_url=served.url) as http,
    ):
        backend.statuses["orders"] = "running"
        await eventually(lambda: served.statuses.available)
        stream_url = f"{served.url}/ui-api/pipeline/status/stream?pipelineIds=orders"
        async with open_stream(stream_url) as stream, open_stream(f"{served.url}/api/job-status/events/7") as run:
            await stream.until("batch_update")
            await run.next()
            text = (await http.get("/metrics")).text
            system = (await http.get("/api/system")).json()
        for line in (
            "fantail_pipelines 1.0",
            "fantail_pipeline_watchers 1.0",
            "fantail_pipeline_polls_total 1.0",
            "fantail_pipeline_backend_up 1.0",
            "fantail_status_subjects 1.0",
            "fantail_status_watchers 1.0",
            "fantail_status_channels_up 1.0",
        ):
            assert f"\n{line}\n" in text, line
        assert "fantail_status_database_up" not in text, "no database was set"
        assert system["streams"]["byFace"] == {"pipelines": 1, "run": 1}
        assert system["pipelines"] == {
            "known": 1,
            "watchers": 1,
            "pollsUnderWay": 0,
            "pollsTotal": 1,
            "backendAvailable": True,
        }
        assert system["statuses"] == {
            "followed": 1,
            "watchers": 1,
            "messagesTotal": 0,
            "unwritten": 0,
            "channelsAvailable": True,
            "databaseAvailable": None,
        }


async def test_sources_that_are_not_set_are_not_shown() -> None:
    async with web_client() as client:
        assert "fantail_pipeline" not in (await client.http.get("/metrics")).text
        system = (await client.http.get("/api/system")).json()
        assert (system["pipelines"], system["statuses"]) == (None, None)


async def test_the_list_of_stores_comes_in_the_order_asked_for() -> None:
    async with web_client() as client:
        for number, lines in enumerate((1, 3, 2)):
            await client.broker.create_job(f"j{number}")
            for _ in range(lines):
                await client.broker.publish(f"j{number}", "a line " * 100)

        async def ids(query: str) -> list[str]:
            system = (await client.http.get(f"/api/system?{query}")).json()
            assert system["stores"]["jobsTotal"] == 3
            return [job["id"] for job in system["jobs"]]

        assert await ids("jobs=2") == ["j1", "j2"]
        assert await ids("jobs=0") == []
        async with client.broker.watch("j0"), client.broker.watch("j2") as watched:
            subscription = client.broker.subscribe(watched)
            assert await ids("by=lag") == ["j2", "j1", "j0"]
            async with client.broker.watch("j0"):
                assert await ids("by=watchers") == ["j0", "j2", "j1"]
            assert subscription.lag == 2
        answer = await client.http.get("/api/system?by=name")
        assert (answer.status_code, answer.json()) == (400, {"error": "`by` must be one of bytes, watchers, lag"})


async def test_many_who_ask_cost_what_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_system, "SYSTEM_CHEAP_S", -1.0)
    monkeypatch.setattr(api_system, "SYSTEM_REST_FACTOR", 1e9)
    async with web_client() as client:
        await client.broker.create_job("first")
        for name in ("second", "third"):
            assert [job["id"] for job in (await client.http.get("/api/system")).json()["jobs"]] == ["first"]
            await client.broker.create_job(name)


async def test_the_list_of_stores_is_bounded() -> None:
    async with web_client() as client:
        for number in range(501):
            await client.broker.create_job(f"j{number}")
        system = (await client.http.get("/api/system")).json()
        assert (len(system["jobs"]), system["stores"]["jobsTotal"]) == (500, 501)
