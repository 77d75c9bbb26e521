"""What dashboards of tests and runs are promised: the state at once, then what workers say, then the end, once.

Real Redis, real sockets, a real database (SQLite; PostgreSQL is in tests/broker/sources/status).
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from fantail.broker.limits import STATUS_COMPLETE_WAIT_S
from fantail.broker.producers.writer.status_publisher import StatusPublisher
from support.clients.sse_client import Stream, open_stream
from support.status_tables import SqliteTables, insert, new_id
from support.supercheck_board import COMPLETED, STARTED, Dashboard, dashboard, shown
from support.wait import eventually

if TYPE_CHECKING:
    from conftest import MakeRedisServer

TERMINAL = ["completed", "passed", "failed", "error", "cancelled", "blocked"]


# -- a run, a test --------------------------------------------------------------------------------------------------


async def test_a_run_is_followed_from_waiting_to_its_end(board: Dashboard) -> None:
    async with open_stream(board.run_url("r")) as stream:
        assert stream.response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert await shown(stream) == {"status": "waiting", "runId": "r"}
        await board.say("job:r:status", status="running", startedAt=STARTED)
        assert await shown(stream) == {"status": "running", "startedAt": STARTED, "runId": "r"}
        end = {"status": "failed", "completedAt": COMPLETED, "errorDetails": "2 of 3", "artifactPaths": ["a"]}
        await board.say("job:r:complete", **end)
        assert await shown(stream) == {**end, "runId": "r"}
        assert await stream.rest() == []


async def test_a_test_is_followed_on_its_own_channels(board: Dashboard) -> None:
    async with open_stream(board.test_url("t")) as stream:
        assert await shown(stream) == {"status": "waiting", "testId": "t"}
        await board.say("job:t:complete", status="failed")
        await board.say("test:t:status", status="running")
        assert await shown(stream) == {"status": "running", "testId": "t"}
        await board.say("test:t:complete", status="passed", reportPath="/r", s3Url="http://s3/r")
        assert await shown(stream) == {"status": "passed", "testId": "t", "reportPath": "/r", "s3Url": "http://s3/r"}
        assert await stream.rest() == []


@pytest.mark.parametrize("status", TERMINAL)
async def test_every_terminal_status_ends_the_stream_and_is_told_once_to_who_comes_later(
    board: Dashboard, status: str
) -> None:
    """Trap 14."""
    async with open_stream(board.run_url("r")) as stream:
        await shown(stream)
        await board.say("job:r:complete", status=status)
        assert (await shown(stream))["status"] == status
        assert await stream.rest() == []
    async with open_stream(board.run_url("r")) as stream:
        assert [event.json["status"] for event in await stream.rest()] == [status]


async def test_an_end_on_the_channel_for_progress_is_told_at_once_and_what_is_said_after_it_too(
    board: Dashboard,
) -> None:
    async with open_stream(board.run_url("r")) as stream:
        await shown(stream)
        await board.say("job:r:status", status="completed")
        assert (await shown(stream))["status"] == "completed"
        await board.say("job:r:complete", status="passed", artifactPaths=["a"])
        assert await shown(stream) == {"status": "passed", "artifactPaths": ["a"], "runId": "r"}
        assert await stream.rest() == []
    async with open_stream(board.run_url("alone")) as stream:
        await shown(stream)
        await board.say("job:alone:status", status="passed")
        assert (await shown(stream))["status"] == "passed"
        assert await stream.rest(STATUS_COMPLETE_WAIT_S + 3.0) == [], "and ends though nothing more is said"


async def test_every_client_is_told_everything_once_and_in_order(board: Dashboard) -> None:
    seen: list[list[Any]] = [[] for _ in range(20)]

    async def follow(found: list[Any], stream: Stream) -> None:
        found.extend(event.json.get("progress") for event in await stream.rest())

    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(open_stream(board.run_url("r"))) for _ in seen]
        for stream in streams:
            await shown(stream)
        async with anyio.create_task_group() as tasks:
            for found, stream in zip(seen, streams, strict=True):
                tasks.start_soon(follow, found, stream)
            for progress in range(50):
                for _ in range(2):
                    await board.say("job:r:status", status="running", progress=progress)
            await board.say("job:r:complete", status="passed", progress=100)
    assert seen == [[*range(50), 100]] * 20


async def test_a_slow_start_is_told_the_state_and_not_its_history(board: Dashboard) -> None:
    async with open_stream(board.run_url("r")) as first:
        await shown(first)
        for progress in range(5):
            await board.say("job:r:status", status="running", startedAt=STARTED, duration="1s", progress=progress)
            await shown(first)
        async with open_stream(board.run_url("r")) as second:
            assert await shown(second) == {"status": "running", "runId": "r", "startedAt": STARTED, "duration": "1s"}


async def test_who_was_told_the_end_and_comes_back_is_sent_away_for_good(board: Dashboard) -> None:
    async with open_stream(board.test_url("t")) as stream:
        await shown(stream)
        await board.say("test:t:complete", status="passed", completedAt=COMPLETED)
        await stream.rest()
        last_id = stream.parser.last_id
    assert last_id.endswith(".end")
    await eventually(lambda: board.redis.exists("fantail:status:test:t"))
    async with open_stream(board.test_url("t"), last_id=last_id) as stream:
        assert stream.response.status_code == 204
    async with open_stream(board.test_url("t"), last_id="0-00000000.end") as stream:
        assert (await shown(stream))["status"] == "passed"
    await board.say("test:t:status", status="running", startedAt="2026-02-01T00:00:00Z")
    await eventually(lambda: board.kept("test", "t", "running"))
    async with open_stream(board.test_url("t"), last_id=last_id) as stream:
        assert (await shown(stream))["status"] == "running", "the test was started again"


async def test_a_ping_is_sent_at_its_time(redis_url: str) -> None:
    async with dashboard(redis_url, keepalive_s=0.2) as board, open_stream(board.run_url("r")) as stream:
        await shown(stream)
        await stream.comment("ping")
        before = len(stream.parser.comments)
        await board.say("job:r:status", status="running")
        await shown(stream)
        await eventually(lambda: _read_more(stream, before))
        assert stream.parser.comments.count("ping") >= 2


async def _read_more(stream: Stream, before: int) -> bool:
    await stream._read()
    return stream.parser.comments.count("ping") > before


@pytest.mark.parametrize("wrong", ["a:b", "x" * 129, "%20", "-x", "a%2fb", "é"])
async def test_an_id_outside_the_grammar_is_not_found(board: Dashboard, wrong: str) -> None:
    """Trap 39."""
    for path in (f"/api/job-status/events/{wrong}", f"/api/runs/{wrong}/status", f"/api/test-status/events/{wrong}"):
        assert (await board.get(path)).status_code == 404


async def test_a_thousand_streams_opened_and_cut_leave_no_connection_and_no_state_behind(board: Dashboard) -> None:
    """Trap 16: one path that forgets to close leaks one connection for each stream."""

    async def connections() -> int:
        return len(await board.redis.client_list())

    port = int(board.served.url.rpartition(":")[2])

    async def open_and_cut(number: int) -> None:
        async with await anyio.connect_tcp("127.0.0.1", port) as client:
            path = f"/api/job-status/events/r{number % 50}"
            await client.send(f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
            if number % 3:
                assert (await client.receive()).startswith(b"HTTP/1.1 200")

    before = await connections()
    for start in range(0, 1000, 50):
        async with anyio.create_task_group() as tasks:
            for number in range(start, start + 50):
                tasks.start_soon(open_and_cut, number)
    await eventually(lambda: len(board.served.context.streams) == 0)
    await eventually(lambda: board.served.statuses.stats().subjects == 0)
    assert await connections() <= before + 1  # the one for reading is made at the first read


async def test_trouble_of_ours_is_an_event_of_its_own_and_never_a_status(make_redis_server: MakeRedisServer) -> None:
    """Trap 17."""
    server = make_redis_server()
    async with dashboard(server.url) as board, open_stream(board.run_url("r")) as stream:
        await shown(stream)
        async with StatusPublisher(server.url) as worker:
            await worker.run("r", "running")
            assert (await shown(stream))["status"] == "running"
            server.kill9()
            event = await stream.next()
            assert event.name == "stream-error"
            assert set(event.json) == {"message"}
            server.start()
            await stream.comment("live updates are back")
            assert (await shown(stream))["status"] == "running", "a client that was told of trouble is told of its end"
            await worker.run("r", "passed")
            assert (await shown(stream))["status"] == "passed"
            assert await stream.rest() == []


async def test_with_redis_away_at_the_start_an_event_source_is_asked_to_come_back(
    make_redis_server: MakeRedisServer,
) -> None:
    """Trap 42."""
    server = make_redis_server()
    async with dashboard(server.url) as board:
        server.kill9()
        await eventually(lambda: board.served.statuses.available is False)
        async with open_stream(board.run_url("r")) as stream:
            assert stream.response.status_code == 200
            assert await stream.rest() == []
            assert stream.parser.retry_ms is not None
            assert 10_000 <= stream.parser.retry_ms <= 30_000
        assert (await board.get("/api/job-status/events/r")).status_code == 503


async def test_a_drain_ends_the_streams(board: Dashboard) -> None:
    async with open_stream(board.run_url("r")) as stream:
        await shown(stream)
        board.served.context.streams.drain(0.0)
        assert await stream.rest() == []


# -- with a database ------------------------------------------------------------------------------------------------


async def test_the_first_state_is_the_databases(redis_url: str, tables: SqliteTables) -> None:
    done, running, waiting, tested = (new_id() for _ in range(4))
    insert(tables, "runs", id=done, status="passed", duration="3s", started_at=STARTED, completed_at=COMPLETED)
    insert(tables, "runs", id=running, status="running", started_at=STARTED)
    insert(tables, "runs", id=waiting, status="pending")
    insert(tables, "tests", id=tested, user_id=None)
    insert(tables, "reports", entity_type="test", entity_id=tested, status="error", report_path="/r")
    async with dashboard(redis_url, database_url=tables.url) as board:
        async with open_stream(board.run_url(done)) as stream:
            [event] = await stream.rest()
            assert event.json == {
                "status": "passed",
                "runId": done,
                "duration": "3s",
                "startedAt": STARTED,
                "completedAt": COMPLETED,
            }
        async with open_stream(board.run_url(running)) as stream:
            assert await shown(stream) == {"status": "running", "runId": running, "startedAt": STARTED}
        async with open_stream(board.run_url(waiting)) as stream:
            assert await shown(stream) == {"status": "waiting", "runId": waiting}
        async with open_stream(board.test_url(tested)) as stream:
            [event] = await stream.rest()
            assert event.json == {"status": "error", "testId": tested, "reportPath": "/r"}


async def test_the_end_that_nobody_published_is_found_by_the_check(redis_url: str, tables: SqliteTables) -> None:
    run_id = new_id()
    insert(tables, "runs", id=run_id, status="running", started_at=STARTED)
    async with (
        dashboard(redis_url, database_url=tables.url, status_check_s=0.2) as board,
        open_stream(board.run_url(run_id)) as stream,
    ):
        assert (await shown(stream))["status"] == "running"
        tables.execute(f"UPDATE runs SET status = 'failed', completed_at = '{COMPLETED}'")  # noqa: S608 - a test's
        assert await shown(stream) == {
            "status": "failed",
            "runId": run_id,
            "startedAt": STARTED,
            "completedAt": COMPLETED,
        }
        assert await stream.rest() == []


async def test_what_the_database_does_not_know_is_not_found(redis_url: str, tables: SqliteTables) -> None:
    async with dashboard(redis_url, database_url=tables.url) as board:
        for unknown in (new_id(), "no-uuid"):
            response = await board.get(f"/api/test-status/events/{unknown}")
            assert (response.status_code, response.json()) == (404, {"error": "Test not found or access denied"})
            for path in (f"/api/job-status/events/{unknown}", f"/api/runs/{unknown}/status"):
                response = await board.get(path)
                assert (response.status_code, response.json()) == (404, {"error": "Run not found"})


async def test_a_stranger_is_refused_and_the_owner_and_an_admin_are_not(redis_url: str, tables: SqliteTables) -> None:
    tables.execute("ALTER TABLE runs ADD COLUMN user_id text")
    run_id, test_id = new_id(), new_id()
    insert(tables, "runs", id=run_id, status="running", user_id="ada")
    insert(tables, "tests", id=test_id, user_id="ada")
    async with dashboard(redis_url, database_url=tables.url, jwt=True) as board:
        stranger, owner = board.served.bearer("eve"), board.served.bearer("ada")
        admin = board.served.bearer("root", admin=True)
        for path in (
            f"/api/job-status/events/{run_id}",
            f"/api/test-status/events/{test_id}",
            f"/api/runs/{run_id}/status",
        ):
            assert (await board.get(path)).status_code == 401
            assert (await board.get(path, stranger)).status_code == 403
            for who in (owner, admin):
                if path.endswith("/status"):
                    assert (await board.get(path, who)).status_code == 200
                else:
                    async with open_stream(board.served.url + path, headers=who) as stream:
                        assert (await shown(stream))["status"] in {"running", "waiting"}
        for who, expected in ((stranger, 0), (owner, 1), (admin, 1)):
            found = (await board.get("/api/jobs/status/running", who)).json()["runningJobs"]
            assert len(found) == expected


async def test_while_the_database_is_away_only_those_are_let_in_who_may_see_everything(
    redis_url: str, tables: SqliteTables, tmp_path: Any
) -> None:
    broken = tmp_path / "broken.db"
    broken.write_text("this is no database but it is long enough to look like one" * 100)
    async with dashboard(redis_url, database_url=f"sqlite:///{broken}", jwt=True) as board:
        async with StatusPublisher(redis_url) as worker:
            await worker.run("r", "running")
        user, admin = board.served.bearer("ada"), board.served.bearer("root", admin=True)
        assert (await board.get("/api/job-status/events/r", user)).status_code == 503
        assert (await board.get("/api/runs/r/status", user)).status_code == 503
        assert (await board.get("/api/runs/r/status", admin)).json()["status"] == "running"
        async with open_stream(board.run_url("r"), headers=admin) as stream:
            assert (await shown(stream))["status"] == "running", "what Redis has serves"
    assert tables.url
