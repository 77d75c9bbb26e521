"""Search over HTTP: exact, bounded, and never at the cost of those who watch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest

from fantail.broker import Broker, BrokerLimits, entry_of
from fantail.web.rest import search as api_search
from support.loop_pauses import watching_pauses
from support.servers.redis_broker import redis_broker
from support.servers.served_app import served_app
from support.servers.web_client import redis_web_client, web_client
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from redis.asyncio import Redis

    from support.servers.served_app import ServedApp
    from support.servers.web_client import WebClient


async def make(client: WebClient | ServedApp, lines: Sequence[str], job_id: str = "42") -> None:
    await client.broker.ledger.create_job(job_id, {"status": "running"})
    for first in range(0, len(lines), 500):
        entries = [entry_of(1, line, "stdout") for line in lines[first : first + 500]]
        await client.broker.ledger.append_output(job_id, entries)


async def search(client: WebClient, q: str | None, *, at: int = 0, **params: int | str) -> dict[str, Any]:
    asked = {"from": at, **params, **({} if q is None else {"q": q})}
    answer = await client.http.get("/api/jobs/42/output/search", params=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_hits_come_with_offsets_and_an_exact_total(client: WebClient) -> None:
    await make(client, [f"line {number}{' ERROR' if number % 10 == 3 else ''}" for number in range(3000)])
    found = await search(client, "error", limit=2)
    assert found == {
        "hits": [
            {"offset": 3, "line": "line 3 ERROR", "match": [7, 12]},
            {"offset": 13, "line": "line 13 ERROR", "match": [8, 13]},
        ],
        "total": 300,
        "lines": 3000,
        "through": 3000,
        "next": 14,
        "complete": True,
    }
    assert (await search(client, "error", case=1))["total"] == 0
    assert (await search(client, "^line 1.* error$", regex=1))["total"] == 111
    rest = await search(client, "error", at=2990, limit=5)
    assert ([hit["offset"] for hit in rest["hits"]], rest["total"]) == ([2993], 300)


async def test_an_empty_log_has_no_hits(client: WebClient) -> None:
    await make(client, [])
    found = await search(client, "x")
    assert found == {"hits": [], "total": 0, "lines": 0, "through": 0, "next": 0, "complete": True}


async def test_work_sessions_are_searched_too(redis_url: str, redis_client: Redis) -> None:
    await redis_client.hset("work_session:7", mapping={"id": "7", "status": "running"})
    await redis_client.rpush("work_session:7:output", entry_of(1, "needle", "stdout"))
    async with redis_web_client(redis_url) as client:
        answer = await client.http.get("/api/work-sessions/7/output/search?q=needle")
        assert answer.json()["total"] == 1
        assert (await client.http.get("/api/work-sessions/7")).json()["status"] == "running"
        assert (await client.http.get("/api/work-sessions/7/output?download=1")).text == "needle\n"
        gone = await client.http.get("/api/work-sessions/8")
        assert (gone.status_code, gone.json()) == (404, {"error": "Work session not found"})


async def test_a_line_is_searched_whole_however_long(redis_url: str) -> None:
    async with redis_web_client(redis_url) as client:
        await make(client, ["y" * 2_000_000 + " needle"])
        found = await search(client, "needle")
        assert found["total"] == 1
        assert found["hits"][0]["line"].endswith(" needle")


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({}, "`q` says what to look for"),
        ({"q": ""}, "`q` says what to look for"),
        ({"q": "x" * 1001}, "`q` has at most 1000 characters"),
        ({"q": "a)b", "regex": "1"}, "`q` is no pattern: unexpected ): a)b"),
        ({"q": r"(a)\1", "regex": "1"}, "`q` is no pattern: invalid escape sequence"),
        ({"q": "x", "regex": "perhaps"}, "`regex` must be 1 or 0"),
        ({"q": "x", "limit": "-1"}, "`limit` must be"),
        ({"q": "x", "ticks": "x"}, "`ticks` must be"),
        ({"q": "x", "since": "-1"}, "`since` must be"),
        ({"q": "x", "fields": "line"}, "`fields` must be `offset`"),
        ({"q": "x", "kind": "warning"}, "`kind` must be `error`"),
        ({"q": "x", "stream": "stdout,nope"}, "`stream` must be one or more of error, stderr, stdout, system"),
        ({"q": "x", "stream": ""}, "`stream` must be one or more of"),
        ({"q": "x", "stop": "maybe"}, "`stop` must be 1 or 0"),
        ({"q": "a)b", "regex": "1", "kind": "error"}, "`q` is no pattern"),
    ],
)
async def test_a_search_that_is_none_is_refused_with_what_is_wrong(
    client: WebClient, params: dict[str, str], words: str
) -> None:
    await make(client, ["a"])
    answer = await client.http.get("/api/jobs/42/output/search", params=params)
    assert answer.status_code == 400
    assert words in answer.json()["error"]


async def test_hits_are_bounded_whatever_is_asked_for(client: WebClient) -> None:
    await make(client, ["x"] * 10_100)
    found = await search(client, "x", limit=10**9)
    assert (len(found["hits"]), found["total"]) == (10_000, 10_100)


async def test_offsets_alone_come_many_at_once_and_go_on(client: WebClient) -> None:
    await make(client, ["x", "y"] * 12_000)
    found = await search(client, "x", fields="offset", limit=10**9)
    assert found == {
        "offsets": list(range(0, 24_000, 2)),
        "total": 12_000,
        "lines": 24_000,
        "through": 24_000,
        "next": 24_000,
        "complete": True,
    }
    part = await search(client, "x", fields="offset", limit=10_000)
    assert (len(part["offsets"]), part["next"], part["total"]) == (10_000, 19_999, 12_000)
    rest = await search(client, "x", at=part["next"], since=part["next"], fields="offset")
    assert [*part["offsets"], *rest["offsets"]] == found["offsets"]
    assert (rest["total"], rest["lines"], rest["complete"]) == (2_000, 4_001, True)


async def test_offsets_in_one_answer_are_bounded(client: WebClient) -> None:
    await make(client, ["x"] * 20_100)
    found = await search(client, "x", fields="offset", limit=10**9)
    assert (len(found["offsets"]), found["next"], found["total"]) == (20_000, 20_000, 20_100)


async def test_ticks_say_how_many_hits_each_part_of_the_log_has(client: WebClient) -> None:
    await make(client, ["x"] * 30 + ["y"] * 50 + ["x"] * 20)
    assert (await search(client, "x", ticks=10))["ticks"] == [10, 10, 10, 0, 0, 0, 0, 0, 10, 10]
    assert (await search(client, "x", ticks=4, since=50, at=90))["ticks"] == [0, 0, 8, 12]
    assert (await search(client, "x", ticks=0)).get("ticks") is None
    most = (await search(client, "x", ticks=10**9))["ticks"]
    assert (len(most), sum(most)) == (1000, 50)
    few = (await search(client, "x", ticks=1000, since=99))["ticks"]
    assert (few[0], sum(few)) == (1, 1)
    assert (await search(client, "x", ticks=3, since=10**9))["ticks"] == [0, 0, 0]


async def test_only_lines_of_a_stream_or_only_errors_are_looked_at(client: WebClient) -> None:
    await client.broker.ledger.create_job("42", {"status": "running"})
    said = [("error: a", "stdout"), ("b", "stderr"), ("c", "error"), ("error: d", "stderr"), ("e", "system")]
    await client.broker.ledger.append_output("42", [entry_of(1, line, stream) for line, stream in said])

    async def offsets(q: str | None = None, **params: int | str) -> list[int]:
        found = await search(client, q, at=0, fields="offset", **params)
        assert (found["total"], found["lines"]) == (len(found["offsets"]), 5)
        listed: list[int] = found["offsets"]
        return listed

    assert await offsets(stream="stderr") == [1, 3]
    assert await offsets(stream="stderr,system") == [1, 3, 4]
    assert await offsets(kind="error") == [0, 2, 3]
    assert await offsets(kind="error", stream="stderr") == [3]
    assert await offsets("a", kind="error") == [0]
    assert await offsets("d|e", stream="stderr", regex=1) == [3]
    hits = (await search(client, None, kind="error", limit=1))["hits"]
    assert hits == [{"offset": 0, "line": "error: a", "match": [0, 0]}]


async def test_a_search_goes_on_where_the_last_one_ended_while_the_log_grows(client: WebClient) -> None:
    await make(client, ["x", "y", "x"])
    found = await search(client, "x")
    await client.broker.ledger.append_output("42", [entry_of(1, "x", "stdout")])
    more = await search(client, "x", since=found["next"], at=found["next"])
    assert ([hit["offset"] for hit in more["hits"]], more["total"], more["lines"], more["next"]) == ([3], 1, 1, 4)


async def test_a_search_may_end_with_the_hits_asked_for(client: WebClient) -> None:
    await make(client, ["x" * 1000] * 500)
    found = await search(client, "x", limit=3, stop=1)
    assert ([hit["offset"] for hit in found["hits"]], found["next"], found["complete"]) == ([0, 1, 2], 3, False)
    assert found["total"] == found["lines"] < 500
    none = await search(client, "nowhere", limit=3, stop=1)
    assert (none["lines"], none["next"], none["complete"]) == (500, 500, True)


@pytest.mark.parametrize("pattern", ["(x+x+)+y", "(x|xx)+$", "(x{1,30}){1,30}y"])
async def test_no_pattern_freezes_the_server(pattern: str, redis_url: str) -> None:
    """Each would keep a backtracking engine busy for years; here nobody else even waits (trap 45)."""
    async with redis_web_client(redis_url) as client:
        await make(client, ["x" * 2000 + "!"] * 100)
        with anyio.fail_after(20):
            async with watching_pauses() as pauses:
                found = await search(client, pattern, regex=1)
        assert found["total"] == 0
        assert pauses.longest_s < 1.0


async def test_a_search_that_takes_too_long_says_how_far_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_search, "SEARCH_S_MAX", 0.0)
    async with web_client() as client:
        await make(client, ["x" * 1000] * 500)
        found = await search(client, "x")
        assert found["total"] == found["lines"] == len(found["hits"])
        assert 0 < found["lines"] == found["through"] < 500
        assert found["complete"] is False


async def test_lines_that_are_gone_are_not_counted_as_searched() -> None:
    async with web_client(Broker(limits=BrokerLimits(store_bytes_max=200_000))) as client:
        await make(client, ["x" * 1000] * 400)
        head = client.broker.job("42").output.head
        found = await search(client, "x")
        assert (found["total"], found["lines"], found["complete"]) == (400 - head, 400 - head, False)
        assert found["through"] == 400


@pytest.fixture
async def app(redis_url: str) -> AsyncIterator[ServedApp]:
    """On a real socket, over a real Redis, with a log that takes a while to search."""
    async with served_app(redis_broker(redis_url)) as made:
        await make(made, ["abc " * 100] * 60_000)
        yield made


SLOW = {"q": "(abc ){50}d", "regex": "1"}


async def test_a_search_ends_with_its_request(app: ServedApp, monkeypatch: pytest.MonkeyPatch) -> None:
    job = app.broker.job("42")
    under_way = anyio.Event()

    async def never(*_: object) -> Sequence[bytes]:
        under_way.set()
        await anyio.sleep_forever()
        return []

    monkeypatch.setattr(app.broker.source, "entries", never)
    async with httpx.AsyncClient(base_url=app.url) as http, anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: http.get("/api/jobs/42/output/search", params=SLOW))
        await under_way.wait()
        assert job.watchers == 1
        tasks.cancel_scope.cancel()
    await eventually(lambda: job.watchers == 0)


async def test_searches_wait_for_each_other_and_too_many_are_sent_away(app: ServedApp) -> None:
    statuses: list[int] = []

    async with httpx.AsyncClient(base_url=app.url, limits=httpx.Limits(max_connections=50), timeout=30) as http:

        async def ask() -> None:
            answer = await http.get("/api/jobs/42/output/search", params=SLOW)
            statuses.append(answer.status_code)
            if answer.status_code == 503:
                assert int(answer.headers["retry-after"]) > 0
                tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            for _ in range(30):
                tasks.start_soon(ask)
    assert 503 in statuses
    await eventually(lambda: app.broker.job("42").watchers == 0)
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        answer = await http.get("/api/jobs/42/output/search", params={"q": "abc", "limit": "1"})
        assert answer.json()["total"] == 60_000
