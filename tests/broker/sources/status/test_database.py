"""What a dashboard's own database says of tests and runs, in PostgreSQL and in SQLite."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import sqlalchemy as sa

from fantail.broker import NotFoundError, SourceUnavailableError
from fantail.broker.limits import DATABASE_CONNECTIONS_MAX, STATUS_PAGE, STATUS_TEXT_CHARS_MAX
from fantail.broker.sources.status.database import RunDetails, RunningJob, StatusDatabase
from fantail.broker.sources.status.database_address import WrongDatabaseError
from fantail.broker.sources.status.schema import Names, WrongNameError
from fantail.broker.sources.status.state import RUN, TEST, StatusKind, Subject
from support.servers.tcp_proxy import tcp_proxy
from support.status_tables import JOBS, REPORTS, RUNS, PostgresTables, Tables, create, insert, new_id
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from support.servers.postgres import PostgresServer

pytestmark = pytest.mark.services

STARTED, COMPLETED = "2026-01-31 12:00:00.5", "2026-01-31 12:01:00"


@asynccontextmanager
async def database(tables: Tables | str, **names: str) -> AsyncIterator[StatusDatabase]:
    opened = StatusDatabase(
        tables if isinstance(tables, str) else tables.url,
        Names({name.replace("__", "."): names[name] for name in names}),
    )
    try:
        yield opened
    finally:
        await opened.close()


async def payload(opened: StatusDatabase, kind: StatusKind, given: str) -> Mapping[str, Any] | None:
    subject = Subject(kind, given)
    state = (await opened.read([subject])).get(subject)
    return None if state is None else state.payload


async def test_a_finished_run_is_told_whole(tables: Tables) -> None:
    create(tables)
    run_id = new_id()
    insert(
        tables, "runs", id=run_id, status="passed", duration="59.5s", started_at=STARTED, completed_at=COMPLETED,
        artifact_paths='{"video": ["a.webm"]}', updated_at=COMPLETED,
    )  # fmt: skip
    async with database(tables) as opened:
        subject = Subject(RUN, run_id)
        state = (await opened.read([subject]))[subject]
        assert state.payload == {
            "status": "passed",
            "runId": run_id,
            "duration": "59.5s",
            "startedAt": "2026-01-31T12:00:00.500Z",
            "completedAt": "2026-01-31T12:01:00.000Z",
            "artifactPaths": {"video": ["a.webm"]},
        }
        assert state.complete
        assert state.ended_ms == 1_769_860_860_000


async def test_a_failed_run_has_its_error_and_a_running_one_its_start(tables: Tables) -> None:
    create(tables)
    failed, running, fresh = new_id(), new_id(), new_id()
    insert(tables, "runs", id=failed, status="FAILED", error_details='It\'s "broken"; DROP TABLE runs')
    insert(tables, "runs", id=running, status="running", started_at=STARTED)
    insert(tables, "runs", id=fresh, status=None)
    async with database(tables) as opened:
        found = await payload(opened, RUN, failed)
        assert found == {"status": "failed", "runId": failed, "errorDetails": 'It\'s "broken"; DROP TABLE runs'}
        assert await payload(opened, RUN, running) == {
            "status": "running",
            "runId": running,
            "startedAt": "2026-01-31T12:00:00.500Z",
        }
        assert (await payload(opened, RUN, fresh) or {})["status"] == "running"


async def test_a_tests_report_tells_how_it_stands(tables: Tables) -> None:
    create(tables)
    test_id = new_id()
    insert(
        tables, "reports", entity_type="test", entity_id=test_id, status="failed", report_path="/r", s3_url="http://s3/r",
        updated_at=COMPLETED,
    )  # fmt: skip
    insert(tables, "reports", entity_type="job", entity_id=test_id, status="passed")
    async with database(tables) as opened:
        assert await payload(opened, TEST, test_id) == {
            "status": "failed",
            "testId": test_id,
            "reportPath": "/r",
            "s3Url": "http://s3/r",
        }


async def test_what_is_unknown_or_no_uuid_is_unknown_and_no_fault(tables: Tables) -> None:
    create(tables)
    known = new_id()
    insert(tables, "runs", id=known, status="running")
    hostile = ["not-a-uuid", "1", "' OR 1=1 --", "x" * 128, "0" * 32, known + "'"]
    async with database(tables) as opened:
        subjects = [Subject(kind, given) for given in [*hostile, known] for kind in (RUN, TEST)]
        assert set(await opened.read(subjects)) == {Subject(RUN, known)}
        for given in hostile:
            with pytest.raises(NotFoundError):
                await opened.run(given)
            with pytest.raises(NotFoundError):
                await opened.owner(Subject(RUN, given))


async def test_an_id_is_found_in_any_spelling_and_answered_in_the_one_asked_for(tables: Tables) -> None:
    create(tables)
    run_id = new_id()
    insert(tables, "runs", id=run_id, status="running")
    async with database(tables) as opened:
        for spelling in (run_id, run_id.replace("-", "")):
            found = await payload(opened, RUN, spelling)
            assert found is not None
            assert found["runId"] == spelling


async def test_two_spellings_of_one_id_are_both_answered(tables: Tables) -> None:
    create(tables)
    run_id = new_id()
    insert(tables, "runs", id=run_id, status="passed")
    async with database(tables) as opened:
        spellings = [Subject(RUN, run_id), Subject(RUN, run_id.upper()), Subject(RUN, run_id.replace("-", ""))]
        assert set(await opened.read(spellings)) == set(spellings)


async def test_a_text_without_end_is_cut_with_a_mark(tables: Tables) -> None:
    create(tables)
    run_id = new_id()
    insert(tables, "runs", id=run_id, status="failed", error_details="x" * (STATUS_TEXT_CHARS_MAX + 1))
    async with database(tables) as opened:
        state = await payload(opened, RUN, run_id)
        assert state is not None
        assert (
            state["errorDetails"] == "x" * STATUS_TEXT_CHARS_MAX + " … [cut off here; the database has the whole text]"
        )
        details = await opened.run(run_id)
        assert details is not None
        assert details.error_details == state["errorDetails"]


async def test_artifacts_that_json_cannot_write_again_are_shown_as_text(tables: Tables) -> None:
    create(tables)
    run_id, deep = new_id(), "[" * 300 + "]" * 300
    insert(tables, "runs", id=run_id, status="passed", artifact_paths=deep)
    async with database(tables) as opened:
        state = await payload(opened, RUN, run_id)
        assert state is not None
        assert state["artifactPaths"] == deep


async def test_all_that_is_watched_is_asked_in_one_query(tables: Tables) -> None:
    create(tables)
    ids = [new_id() for _ in range(STATUS_PAGE)]
    values = ",".join(f"('{each}', 'running')" for each in ids)
    tables.execute(f"INSERT INTO runs (id, status) VALUES {values}")  # noqa: S608 - a test's
    values = ",".join(f"('test', '{each}', 'passed')" for each in ids)
    tables.execute(f"INSERT INTO reports (entity_type, entity_id, status) VALUES {values}")  # noqa: S608 - a test's
    asked: list[str] = []
    async with database(tables) as opened:
        await opened.read([Subject(RUN, ids[0])])
        engine = opened._engine.sync_engine
        sa.event.listen(engine, "before_cursor_execute", lambda _c, _cursor, statement, *_: asked.append(statement))
        found = await opened.read([Subject(kind, each) for each in ids for kind in (RUN, TEST)])
    assert len(found) == 2 * STATUS_PAGE
    assert len(asked) == 1


# -- whose it is ----------------------------------------------------------------------------------------------------


async def test_owners_of_tests_and_runs(tables: Tables) -> None:
    create(tables)
    tables.execute("ALTER TABLE runs ADD COLUMN user_id text")
    test_id, run_id = new_id(), new_id()
    insert(tables, "tests", id=test_id, user_id="ada")
    insert(tables, "runs", id=run_id, status="running", user_id=None)
    async with database(tables) as opened:
        assert await opened.owner(Subject(TEST, test_id)) == "ada"
        assert await opened.owner(Subject(RUN, run_id)) is None
        with pytest.raises(NotFoundError):
            await opened.owner(Subject(TEST, run_id))


async def test_who_asks_for_owners_at_the_same_time_asks_once(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    """All browsers at once, after a restart: 20,000 topics."""
    create(tables)
    ids = [new_id() for _ in range(300)]
    for test_id in ids[:100]:
        insert(tables, "tests", id=test_id, user_id=f"owner of {test_id}")
    async with database(tables) as opened:
        queries = 0
        ask = opened._rows

        async def counted(make: Any) -> Any:
            nonlocal queries
            queries += 1
            return await ask(make)

        monkeypatch.setattr(opened, "_rows", counted)
        found: dict[str, str | None] = {}

        async def look(test_id: str) -> None:
            try:
                found[test_id] = await opened.owner(Subject(TEST, test_id))
            except NotFoundError:
                found[test_id] = None

        async with anyio.create_task_group() as tasks:
            for test_id in ids * 3:
                tasks.start_soon(look, test_id)
        assert found == {each: f"owner of {each}" if each in ids[:100] else None for each in ids}
        assert queries <= 3


async def test_a_database_without_those_tables_knows_nothing_and_forbids_nothing(tables: Tables) -> None:
    async with database(tables) as opened:
        for kind in (RUN, TEST):
            assert await opened.owner(Subject(kind, new_id())) is None
            assert await payload(opened, kind, new_id()) is None
        assert await opened.run(new_id()) is None
        assert await opened.running_jobs() == []


async def test_a_table_without_the_optional_columns_is_enough(tables: Tables) -> None:
    tables.execute("CREATE TABLE runs (id {uuid}, status text)", "CREATE TABLE tests (id {uuid})")
    tables.execute("CREATE TABLE reports (entity_id text, status text)")
    run_id = new_id()
    insert(tables, "runs", id=run_id, status="running")
    insert(tables, "tests", id=run_id)
    insert(tables, "reports", entity_id=run_id, status="passed")
    async with database(tables) as opened:
        assert await payload(opened, RUN, run_id) == {"status": "running", "runId": run_id}
        assert await payload(opened, TEST, run_id) == {"status": "passed", "testId": run_id}
        assert await opened.owner(Subject(TEST, run_id)) is None
        assert await opened.running_jobs() == [RunningJob(None, None, run_id, None)]
        details = await opened.run(run_id)
        assert details == RunDetails(run_id, None, "running", None, None, None, None, None, None)


async def test_a_table_that_comes_later_is_found(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fantail.broker.sources.status.database.DATABASE_REFLECT_S", 0.0)
    async with database(tables) as opened:
        run_id = new_id()
        assert await payload(opened, RUN, run_id) is None
        create(tables)
        insert(tables, "runs", id=run_id, status="running")
        assert await payload(opened, RUN, run_id) is not None


async def test_a_table_that_was_replaced_is_looked_up_again(tables: Tables) -> None:
    create(tables)
    async with database(tables) as opened:
        assert await opened.running_jobs() == []
        tables.execute("DROP TABLE runs", "CREATE TABLE runs (id {uuid}, status text)")
        with pytest.raises(SourceUnavailableError):
            await opened.running_jobs()
        assert await opened.running_jobs() == []


async def test_names_may_be_other_ones(tables: Tables) -> None:
    run_id = new_id()
    schema = "ci." if isinstance(tables, PostgresTables) else ""
    if schema:
        tables.execute("CREATE SCHEMA ci")
    tables.execute(f"CREATE TABLE {schema}executions (run_id {{uuid}}, state text, created_by text)")
    tables.execute(f"INSERT INTO {schema}executions VALUES ('{run_id}', 'running', 'ada')")  # noqa: S608 - a test's
    names = {
        "runs": f"{schema}executions",
        "runs__id": "run_id",
        "runs__status": "state",
        "runs__user_id": "created_by",
    }
    async with database(tables, **names) as opened:
        assert await payload(opened, RUN, run_id) == {"status": "running", "runId": run_id}
        assert await opened.owner(Subject(RUN, run_id)) == "ada"


# -- questions of clients that poll ---------------------------------------------------------------------------------


async def test_the_details_of_a_run_with_its_report(tables: Tables) -> None:
    create(tables)
    run_id, job_id = new_id(), new_id()
    insert(
        tables, "runs", id=run_id, job_id=job_id, status="failed", duration="1m", started_at=STARTED,
        completed_at=COMPLETED, error_details="no",
    )  # fmt: skip
    insert(tables, "reports", entity_type="job", entity_id=run_id, status="failed", s3_url="http://s3/job")
    async with database(tables) as opened:
        assert await opened.run(run_id) == RunDetails(
            run_id=run_id,
            job_id=job_id,
            status="failed",
            started_at="2026-01-31T12:00:00.500Z",
            completed_at="2026-01-31T12:01:00.000Z",
            duration="1m",
            error_details="no",
            report_url="http://s3/job",
            owner=None,
        )


async def test_the_runs_that_are_under_way_with_the_names_of_their_jobs(tables: Tables) -> None:
    create(tables)
    job_id, running, other = new_id(), new_id(), new_id()
    insert(tables, "jobs", id=job_id, name="Nightly")
    insert(tables, "runs", id=running, job_id=job_id, status="running", started_at=COMPLETED)
    insert(tables, "runs", id=other, job_id=None, status="Running", started_at=STARTED)
    insert(tables, "runs", id=new_id(), job_id=job_id, status="passed")
    async with database(tables) as opened:
        assert await opened.running_jobs() == [
            RunningJob(job_id, "Nightly", running, None),
            RunningJob(None, None, other, None),
        ]


# -- a database that is away ----------------------------------------------------------------------------------------


async def test_postgresql_killed_and_brought_back_is_no_answer_and_then_one(killable_postgres: PostgresServer) -> None:
    server = killable_postgres
    tables = PostgresTables(server)
    create(tables, [RUNS, REPORTS, JOBS])
    run_id = new_id()
    insert(tables, "runs", id=run_id, status="running")

    async def ask() -> bool:
        try:
            return await payload(opened, RUN, run_id) is not None
        except SourceUnavailableError:
            return False

    async with database(server.url) as opened:
        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(ask)
        before = server.connections()
        assert 1 <= before <= DATABASE_CONNECTIONS_MAX
        for _ in range(3):
            server.kill9()
            assert not await ask()
            server.start()
            await eventually(ask, timeout_s=10.0)
            assert server.connections() <= before
    assert server.connections() == 0


async def test_a_connection_that_falls_silent_is_given_up_in_time(
    killable_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fantail.broker.sources.status.database.DATABASE_TIMEOUT_S", 0.5)
    server = killable_postgres
    create(PostgresTables(server), [RUNS, REPORTS])
    async with tcp_proxy(server.port) as proxy:
        url = server.url.replace(str(server.port), str(proxy.port))
        async with database(url) as opened:
            await opened.running_jobs()
            proxy.black_hole()
            for _ in range(DATABASE_CONNECTIONS_MAX + 2):
                with anyio.fail_after(3.0), pytest.raises(SourceUnavailableError):
                    await opened.running_jobs()
            proxy.forward()
            await eventually(lambda: _answers(opened), timeout_s=10.0)


async def _answers(opened: StatusDatabase) -> bool:
    try:
        await opened.running_jobs()
    except SourceUnavailableError:
        return False
    return True


async def test_a_cancelled_question_leaves_a_pool_that_works(killable_postgres: PostgresServer) -> None:
    server = killable_postgres
    create(PostgresTables(server))
    async with database(server.url) as opened:
        for number in range(60):
            with anyio.move_on_after(number * 0.0005):
                await opened.running_jobs()
        assert await opened.running_jobs() == []
        assert server.connections() <= DATABASE_CONNECTIONS_MAX


@pytest.mark.parametrize("url", ["mysql://x/y", "nonsense", "", "oracle+x://y"])
def test_an_address_that_cannot_be_read_here_is_refused_in_one_line(url: str) -> None:
    with pytest.raises(WrongDatabaseError) as refused:
        StatusDatabase(url)
    assert "\n" not in str(refused.value)


async def test_a_file_that_is_no_database_does_not_answer(tmp_path: Any) -> None:
    path = tmp_path / "x.db"
    path.write_text("no database at all, but long enough to be read as one's header" * 10)
    async with database(f"sqlite:///{path}") as opened:
        with pytest.raises(SourceUnavailableError):
            await opened.running_jobs()


async def test_a_file_that_is_not_there_is_not_made(tmp_path: Any) -> None:
    path = tmp_path / "no such 100%.db"
    async with database(f"sqlite:///{path}") as opened:
        with pytest.raises(SourceUnavailableError):
            await opened.running_jobs()
        assert list(tmp_path.iterdir()) == []
        path.touch()
        assert await opened.running_jobs() == []


def test_a_name_of_nothing_is_refused() -> None:
    with pytest.raises(WrongNameError, match=r"runs\.colour"):
        Names({"runs.colour": "x"})
