"""The outline over HTTP: where errors and groups are, once for all who ask, and true whatever happens to the list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest

from fantail.broker import entry_of
from fantail.web.logscan import outline as outlines
from fantail.web.logscan.line_marks import MarkReader
from support.servers.redis_broker import redis_broker
from support.servers.served_app import served_app
from support.servers.web_client import redis_web_client, web_client
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from redis.asyncio import Redis

    from support.servers.served_app import ServedApp
    from support.servers.web_client import WebClient


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The offsets that were looked at, in order."""
    seen: list[int] = []

    class Reader(MarkReader):
        def read(self, first: int, entries: Sequence[bytes], fallback_timestamp_ms: int = 0) -> Any:
            seen.extend(range(first, first + len(entries)))
            return super().read(first, entries, fallback_timestamp_ms)

    monkeypatch.setattr(outlines, "MarkReader", Reader)
    return seen


async def make(
    client: WebClient | ServedApp, lines: Sequence[str], job_id: str = "42", status: str = "running"
) -> None:
    await client.broker.ledger.create_job(job_id, {"status": status})
    await write(client, lines, job_id)


async def write(client: WebClient | ServedApp, lines: Sequence[str], job_id: str = "42") -> None:
    for first in range(0, len(lines), 500):
        entries = [entry_of(at + first, line, "stdout") for at, line in enumerate(lines[first : first + 500])]
        await client.broker.ledger.append_output(job_id, entries)


async def outline(client: WebClient, at: int | None = None, job_id: str = "42") -> dict[str, Any]:
    params = {} if at is None else {"from": at}
    answer = await client.http.get(f"/api/jobs/{job_id}/output/outline", params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def whole(client: WebClient) -> list[dict[str, Any]]:
    marks: list[dict[str, Any]] = []
    at = 0
    for _ in range(1000):
        page = await outline(client, at)
        assert page["from"] == at
        assert all(at <= mark["offset"] < page["next"] for mark in page["marks"])
        marks.extend(page["marks"])
        at = page["next"]
        if page["complete"]:
            return marks
    raise AssertionError("it never ends")


LOG = ["::group::Build", "error: it broke", "fine", "::endgroup::", "--- Tests", "a", "+++ More", "ValueError: x"]


async def test_errors_and_groups_come_with_their_offsets_and_times(client: WebClient) -> None:
    await make(client, LOG)
    assert await outline(client) == {
        "from": 0,
        "next": 8,
        "total": 8,
        "errors": 2,
        "complete": True,
        "marks": [
            {"offset": 0, "kind": "open", "title": "Build", "timestamp": 0},
            {"offset": 1, "kind": "error"},
            {"offset": 3, "kind": "close", "timestamp": 3},
            {"offset": 4, "kind": "open", "title": "Tests", "timestamp": 4, "header": True},
            {"offset": 6, "kind": "close", "timestamp": 6, "header": True},
            {"offset": 6, "kind": "open", "title": "More", "timestamp": 6, "header": True},
            {"offset": 7, "kind": "error"},
        ],
    }


async def test_an_empty_log_and_one_asked_for_past_its_end_have_no_marks(client: WebClient) -> None:
    await make(client, [])
    nothing = {"from": 0, "next": 0, "total": 0, "errors": 0, "complete": True, "marks": []}
    assert await outline(client) == nothing
    assert await outline(client, 99) == nothing
    await make(client, LOG, "43")
    past = await outline(client, 99, "43")
    assert (past["from"], past["next"], past["marks"], past["complete"]) == (8, 8, [], True)


async def test_an_outline_grows_with_its_log_and_looks_at_nothing_twice(client: WebClient, looked: list[int]) -> None:
    await make(client, ["a", "error: one"])
    first = await outline(client)
    await write(client, ["::group::x", "error: two"])
    second = await outline(client, first["next"])
    assert [mark["offset"] for mark in second["marks"]] == [2, 3]
    assert second["errors"] == 2
    for _ in range(5):
        assert len((await outline(client))["marks"]) == 3
    assert looked == [0, 1, 2, 3]


async def test_a_header_that_stands_last_is_told_with_the_next_line_or_at_the_end(client: WebClient) -> None:
    await make(client, ["a", "--- Tests"])
    page = await outline(client)
    assert (page["next"], page["marks"], page["complete"]) == (1, [], True)
    await write(client, ["b", "--- Last"])
    page = await outline(client, page["next"])
    assert ([mark["offset"] for mark in page["marks"]], page["next"]) == ([1], 3)
    await client.broker.ledger.update_job("42", {"status": "success"})
    page = await outline(client, page["next"])
    assert ([mark["kind"] for mark in page["marks"]], page["next"], page["complete"]) == (["close", "open"], 4, True)


async def test_a_long_outline_comes_in_pages_that_part_no_entry(
    client: WebClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlines, "OUTLINE_MARKS_PAGE", 70)
    await make(client, ["error: x\n::group::a\n::endgroup::"] * 500)
    page = await outline(client)
    assert (len(page["marks"]), page["next"], page["complete"]) == (69, 23, False)
    marks = await whole(client)
    assert len(marks) == 1500
    assert [mark["offset"] for mark in marks] == [offset for offset in range(500) for _ in range(3)]


async def test_an_answer_takes_its_time_and_says_where_to_go_on(
    client: WebClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlines, "OUTLINE_S_MAX", 0.0)
    await make(client, ["x" * 1000 + "\nerror: x"] * 300)
    page = await outline(client)
    assert 0 < page["next"] < 300
    assert page["complete"] is False
    assert len(page["marks"]) == page["next"]
    assert len(await whole(client)) == 300


async def test_a_log_with_more_errors_than_are_kept_says_so(client: WebClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlines, "OUTLINE_ERRORS_MAX", 100)
    await make(client, ["error: " + "x" * 1000] * 300)
    page = await outline(client)
    assert (page["full"], page["complete"], len(page["marks"])) == (True, False, page["next"])
    assert 100 <= page["next"] < 300
    again = await outline(client, page["next"])
    assert (again["full"], again["marks"], again["next"]) == (True, [], page["next"])
    rest = await client.http.get(
        "/api/jobs/42/output/search", params={"kind": "error", "fields": "offset", "since": page["next"]}
    )
    assert rest.json()["offsets"] == list(range(page["next"], 300))


async def test_few_outlines_are_kept(client: WebClient, monkeypatch: pytest.MonkeyPatch, looked: list[int]) -> None:
    monkeypatch.setattr(outlines, "OUTLINES_MAX", 2)
    for job_id in "123":
        await make(client, ["error: x"], job_id)
        await outline(client, None, job_id)
    await outline(client, None, "3")
    assert len(looked) == 3
    await outline(client, None, "1")
    assert len(looked) == 4


async def test_a_list_written_anew_has_another_outline(redis_url: str, redis_client: Redis) -> None:
    async with redis_web_client(redis_url) as client:
        await make(client, ["error: x"] * 3)
        assert (await outline(client))["errors"] == 3
        await redis_client.delete("job:42:output")
        await redis_client.rpush(
            "job:42:output", *[entry_of(1, "fine", "stdout")] * 2, entry_of(1, "error: y", "stdout")
        )
        marks: list[Any] = []
        for _ in range(50):  # until the source has seen it
            marks = (await outline(client))["marks"]
            if len(marks) == 1:
                break
        assert marks == [{"offset": 2, "kind": "error"}]


async def test_an_outline_outlives_the_job_in_memory_only_where_the_list_is_the_same(
    redis_url: str, redis_client: Redis, looked: list[int]
) -> None:
    async with redis_web_client(redis_url) as client:

        def forget() -> None:
            client.broker.forget_if_unwatched(client.broker.job("42"))
            assert client.broker.find("42") is None

        await make(client, ["error: x", "fine"])
        await outline(client)
        for _ in range(2):
            forget()
            await outline(client)
        assert looked == [0, 1]
        forget()
        await redis_client.rpop("job:42:output")
        await redis_client.rpush("job:42:output", entry_of(1, "error: z", "stdout"))
        assert (await outline(client))["errors"] == 2
        assert looked == [0, 1, 0, 1]


async def test_work_sessions_have_outlines_too(redis_url: str, redis_client: Redis) -> None:
    await redis_client.hset("work_session:7", mapping={"id": "7", "status": "running"})
    await redis_client.rpush("work_session:7:output", entry_of(1, "error: x", "stdout"), b"error: no JSON")
    async with redis_web_client(redis_url) as client:
        answer = await client.http.get("/api/work-sessions/7/output/outline")
        assert answer.json()["errors"] == 2


async def test_an_outline_is_for_those_who_may_see_the_output() -> None:
    async with web_client(jwt=True) as client:
        await client.broker.create_job("42", {"user_id": "ada"})
        path = "/api/jobs/42/output/outline"
        assert (await client.http.get(path)).status_code == 401
        assert (await client.http.get(path, headers=client.bearer("bob"))).status_code == 403
        assert (await client.http.get(path, headers=client.bearer("ada"))).status_code == 200
        assert (await client.http.get("/api/jobs/43/output/outline", headers=client.bearer("ada"))).status_code == 404


async def test_a_wrong_offset_is_refused_with_what_is_wrong(client: WebClient) -> None:
    await make(client, ["a"])
    answer = await client.http.get("/api/jobs/42/output/outline?from=x")
    assert (answer.status_code, answer.json()) == (400, {"error": "`from` must be a whole number from 0 on"})


@pytest.fixture
async def app(redis_url: str) -> AsyncIterator[ServedApp]:
    """On a real socket, over a real Redis."""
    async with served_app(redis_broker(redis_url)) as made:
        yield made


async def test_twenty_tabs_cost_one_pass(app: ServedApp, looked: list[int]) -> None:
    await make(app, ["fine", "error: x"] * 5_000)
    totals: list[int] = []
    async with httpx.AsyncClient(base_url=app.url, limits=httpx.Limits(max_connections=20), timeout=30) as http:

        async def ask() -> None:
            totals.append((await http.get("/api/jobs/42/output/outline")).json()["errors"])

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(ask)
    assert totals == [5_000] * 20
    assert looked == list(range(10_000))


async def test_an_outline_ends_with_its_request_and_is_whole_afterwards(
    app: ServedApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make(app, ["error: x"] * 20_000)
    job = app.broker.job("42")
    under_way, entries_of = anyio.Event(), app.broker.source.entries if app.broker.source else None

    async def never(*_: object) -> Sequence[bytes]:
        under_way.set()
        await anyio.sleep_forever()
        return []

    assert entries_of is not None
    monkeypatch.setattr(app.broker.source, "entries", never)
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(http.get, "/api/jobs/42/output/outline")
            await under_way.wait()
            assert job.watchers == 1
            tasks.cancel_scope.cancel()
        await eventually(lambda: job.watchers == 0)
        monkeypatch.setattr(app.broker.source, "entries", entries_of)
        answers = [(await http.get("/api/jobs/42/output/outline", params={"from": 19_000})).json() for _ in range(3)]
        assert (answers[-1]["errors"], answers[-1]["complete"]) == (20_000, True)
