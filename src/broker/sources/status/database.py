"""StatusDatabase: what a dashboard's own SQL database says of its tests and runs. Read only; PostgreSQL and SQLite.

It answers three questions: how do these stand, whose are they (one query for all who ask), which run now. A
database that does not answer is no state and no failure of a run: `SourceUnavailableError`, and the caller goes on
with what Redis has.

SQLAlchemy's Core is used for what differs between databases: placeholders, casts, UUIDs, the pool. No session, no
mapped classes: nothing here is written. Needs the extra `sql`; this module is imported where a database is set only.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import anyio
import orjson
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from fantail.broker.errors import NotFoundError, SourceUnavailableError
from fantail.broker.lenient_json import can_be_written
from fantail.broker.limits import (
    DATABASE_CONNECTIONS_MAX,
    DATABASE_REFLECT_S,
    DATABASE_TIMEOUT_S,
    RUNNING_JOBS_MAX,
    STATUS_PAGE,
)
from fantail.broker.sources.status.batched_lookup import BatchedLookup
from fantail.broker.sources.status.database_address import SQLITE, WrongDatabaseError, read_address
from fantail.broker.sources.status.schema import Names, Schema, plain, reflect, shown
from fantail.broker.sources.status.state import RUN, TEST, Rank, iso, milliseconds, rank_of, state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from fantail.broker.sources.status.database_address import DatabaseAddress
    from fantail.broker.sources.status.schema import Table
    from fantail.broker.sources.status.state import StatusKind, StatusState, Subject

logger = logging.getLogger("fantail.sources.database")

# Columns of the one query about tests and runs, in their order.
_STATE: Final = ("status", "started_at", "completed_at", "duration", "error_details", "artifact_paths")
_REPORT: Final = ("report_path", "s3_url")
# Where it is written whose they are.
_OWNED: Final = {RUN: "runs", TEST: "tests"}


@dataclass(frozen=True, slots=True)
class RunDetails:
    """One run as a client that polls is told of it; times in ISO 8601, absent ones None."""

    run_id: str
    job_id: str | None
    status: str
    started_at: str | None
    completed_at: str | None
    duration: str | None
    error_details: str | None
    report_url: str | None
    owner: str | None


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A run that is under way, and the job that it is of."""

    job_id: str | None
    name: str | None
    run_id: str
    owner: str | None


class StatusDatabase:
    """Asks one database. Close it when it is no longer needed.

    Args:
        url: `postgresql://` or `sqlite://`; see `fantail.broker.sources.status.database_address`.
        names: what tables and columns are called there.
        now_s: a monotonic clock, in seconds.

    Raises:
        WrongDatabaseError: the address is malformed or of another database, or the driver is not installed.
    """

    def __init__(self, url: str, names: Names | None = None, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._names = names or Names({})
        self._now_s = now_s
        self._schema: Schema | None = None
        self._reflected_s = 0.0
        self._answers = True
        self._owners = BatchedLookup(self._ask_owners, STATUS_PAGE)
        address = read_address(url)
        try:
            self._engine = create_async_engine(
                address.url, isolation_level="AUTOCOMMIT", hide_parameters=True, **_pool(address)
            )
        except (SQLAlchemyError, ImportError) as fault:
            raise WrongDatabaseError(f"the driver of {address.url.drivername} cannot be used: {fault}") from fault

    async def close(self) -> None:
        """Closes the connections."""
        await self._engine.dispose()

    # -- questions --------------------------------------------------------------------------------------------------

    async def read(self, subjects: Collection[Subject]) -> Mapping[Subject, StatusState]:
        """The states of those that it knows, in one query.

        Raises:
            SourceUnavailableError: it does not answer.
        """
        by_id = _by_id(subjects)
        found = {}
        for kind, stored_id, updated_at, *values in await self._rows(lambda schema: _states(schema, subjects)):
            row = dict(zip(_STATE + _REPORT, map(shown, values), strict=True))
            for subject in by_id.get((kind, plain(stored_id)), ()):
                found[subject] = _state(subject, row, updated_at)
        return found

    async def owner(self, subject: Subject) -> str | None:
        """Whose it is; None: everyone's, or that is not known here.

        Raises:
            NotFoundError: there is a table for it, and it is not in there.
            SourceUnavailableError: it does not answer.
        """
        owners = await self._owners.answers_with(subject)
        if subject not in owners:
            raise NotFoundError(subject.kind.name.capitalize())
        return owners[subject]

    async def _ask_owners(self, subjects: Collection[Subject]) -> Mapping[Subject, str | None]:
        """The owners of those that are there; of those for which there is no table, that they are everyone's."""
        without_table: frozenset[StatusKind] = frozenset()

        def statement(schema: Schema) -> sa.Executable | None:
            nonlocal without_table
            without_table = frozenset(kind for kind, table in _OWNED.items() if schema.get(table) is None)
            return _owners(schema, subjects)

        rows = await self._rows(statement)
        owners: dict[Subject, str | None] = {each: None for each in subjects if each.kind in without_table}
        by_id = _by_id(subjects)
        for kind, stored_id, owner in rows:
            owners |= dict.fromkeys(by_id.get((kind, plain(stored_id)), ()), owner)
        return owners

    async def run(self, run_id: str) -> RunDetails | None:
        """All that is told of a run; None: there is no table of runs.

        Raises:
            NotFoundError: there is one, and it is not in there.
            SourceUnavailableError: it does not answer.
        """
        rows, there = await self._rows_of("runs", lambda schema: _details(schema, run_id))
        if not rows:
            if there:
                raise NotFoundError("Run")
            return None
        job_id, status, started_at, completed_at, duration, error_details, owner, report_url = rows[0]
        return RunDetails(
            run_id=run_id,
            job_id=job_id,
            status=(status or "").lower(),
            started_at=iso(started_at),
            completed_at=iso(completed_at),
            duration=shown(duration),
            error_details=shown(error_details),
            report_url=shown(report_url),
            owner=owner,
        )

    async def running_jobs(self) -> list[RunningJob]:
        """The runs that are under way, the latest first, at most 1,000.

        Raises:
            SourceUnavailableError: it does not answer.
        """
        return [RunningJob(*row) for row in await self._rows(_running)]

    # -- asking -----------------------------------------------------------------------------------------------------

    async def _rows_of(self, table: str, make: Callable[[Schema], sa.Executable | None]) -> tuple[Sequence[Any], bool]:
        """The rows, and whether there is that table."""
        there = False

        def noting(schema: Schema) -> sa.Executable | None:
            nonlocal there
            there = schema.get(table) is not None
            return make(schema)

        return await self._rows(noting), there

    async def _rows(self, make: Callable[[Schema], sa.Executable | None]) -> Sequence[Any]:
        try:
            with anyio.fail_after(DATABASE_TIMEOUT_S):
                async with self._engine.connect() as connection:
                    schema = self._known_schema()
                    if schema is None:
                        schema = await connection.run_sync(reflect, self._names)
                        self._schema, self._reflected_s = schema, self._now_s()
                    statement = make(schema)
                    rows = [] if statement is None else (await connection.execute(statement)).all()
        except Exception as fault:
            if not _is_trouble(fault):
                raise
            self._schema = None  # it may be another one when it is back
            self._note(fault)
            raise SourceUnavailableError("the database does not answer") from fault
        self._note(None)
        return rows

    def _known_schema(self) -> Schema | None:
        """What was looked up; None: it must be, again where a table was missing a while ago."""
        schema = self._schema
        if schema is not None and not schema.whole and self._now_s() - self._reflected_s > DATABASE_REFLECT_S:
            return None
        return schema

    def _note(self, fault: Exception | None) -> None:
        if self._answers is (fault is None):
            return
        self._answers = fault is None
        if fault is None:
            logger.warning("the database answers again")
        else:
            cause = fault.orig if isinstance(fault, DBAPIError) and fault.orig is not None else fault
            logger.warning("the database does not answer: %s", type(cause).__name__)


def _pool(address: DatabaseAddress) -> dict[str, Any]:
    if address.url.drivername == SQLITE:
        return {"poolclass": NullPool, "connect_args": {"timeout": DATABASE_TIMEOUT_S}}
    return {
        "pool_size": DATABASE_CONNECTIONS_MAX,
        "max_overflow": 0,
        "pool_timeout": DATABASE_TIMEOUT_S,
        # A connection that died while it was idle is found out before it is used, not by a failing question.
        "pool_pre_ping": True,
        "pool_use_lifo": True,
        "connect_args": {
            **address.arguments,
            "command_timeout": DATABASE_TIMEOUT_S,
            # Poolers in front of PostgreSQL hand one connection to many; named statements would be another's.
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
        },
    }


def _is_trouble(fault: Exception) -> bool:
    """Whether it means that the database does not answer; drivers let some of their own through SQLAlchemy."""
    return isinstance(fault, (SQLAlchemyError, OSError, EOFError)) or type(fault).__module__.split(".")[0] in {
        "asyncpg",
        "sqlite3",
    }


def _by_id(subjects: Collection[Subject]) -> Mapping[tuple[str, str], list[Subject]]:
    """The subjects by what their rows say: two spellings of one UUID are two subjects."""
    found: dict[tuple[str, str], list[Subject]] = {}
    for subject in subjects:
        found.setdefault((subject.kind.name, plain(subject.id)), []).append(subject)
    return found


# -- statements -----------------------------------------------------------------------------------------------------


def _is(table: Table, column: str, ids: Collection[str]) -> Any:
    return table.column(column).in_(table.ids(column, ids))


def _states(schema: Schema, subjects: Collection[Subject]) -> sa.Executable | None:
    """One query for tests and runs together; its columns are kind, id, the time of change, `_STATE`, `_REPORT`."""
    nothing: Any = sa.cast(sa.null(), sa.String)
    parts: list[Any] = []
    runs, reports = schema.get("runs"), schema.get("reports")
    run_ids = [subject.id for subject in subjects if subject.kind is RUN]
    test_ids = [subject.id for subject in subjects if subject.kind is TEST]
    if runs is not None and run_ids:
        columns = [runs.text("id"), runs.text("updated_at"), *(runs.opening(name) for name in _STATE)]
        parts.append(
            sa.select(sa.literal(RUN.name), *columns, *(nothing for _ in _REPORT)).where(_is(runs, "id", run_ids))
        )
    if reports is not None and test_ids:
        columns = [reports.text("entity_id"), reports.text("updated_at"), reports.opening("status")]
        columns = [*columns, *(nothing for _ in _STATE[1:]), *(reports.opening(name) for name in _REPORT)]
        part = sa.select(sa.literal(TEST.name), *columns).where(_is(reports, "entity_id", test_ids))
        parts.append(part.where(_of_type(reports, "test")))
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else sa.union_all(*parts)


def _owners(schema: Schema, subjects: Collection[Subject]) -> sa.Executable | None:
    """One query for tests and runs together; its columns are kind, id, owner."""
    parts: list[Any] = []
    for kind, name in _OWNED.items():
        table, ids = schema.get(name), [subject.id for subject in subjects if subject.kind is kind]
        if table is not None and ids:
            columns = (sa.literal(kind.name), table.text("id"), table.text("user_id"))
            parts.append(sa.select(*columns).where(_is(table, "id", ids)))
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else sa.union_all(*parts)


def _of_type(reports: Table, entity_type: str) -> Any:
    return reports.text("entity_type") == entity_type if reports.has("entity_type") else sa.true()


def _details(schema: Schema, run_id: str) -> sa.Executable | None:
    runs, reports = schema.get("runs"), schema.get("reports")
    if runs is None:
        return None
    names = ("job_id", "status", "started_at", "completed_at", "duration", "error_details", "user_id")
    report_url: Any = sa.cast(sa.null(), sa.String)
    if reports is not None:
        urls = [reports.opening(name) for name in ("s3_url", "report_path")]
        about = sa.select(sa.func.coalesce(*urls)).where(_is(reports, "entity_id", [run_id]), _of_type(reports, "job"))
        report_url = about.limit(1).scalar_subquery()
    return sa.select(*(runs.opening(name) for name in names), report_url).where(_is(runs, "id", [run_id]))


def _running(schema: Schema) -> sa.Executable | None:
    runs, jobs = schema.get("runs"), schema.get("jobs")
    if runs is None:
        return None
    source: Any = runs.source
    name: Any = sa.cast(sa.null(), sa.String)
    if jobs is not None and runs.has("job_id"):
        # As text, because the two columns need not be of one type; there are few jobs.
        source, name = source.outerjoin(jobs.source, jobs.text("id") == runs.text("job_id")), jobs.text("name")
    statement = sa.select(runs.text("job_id"), name, runs.text("id"), runs.text("user_id")).select_from(source)
    statement = statement.where(sa.func.lower(runs.text("status")) == "running")
    if runs.has("started_at"):
        statement = statement.order_by(runs.column("started_at").desc().nulls_last())
    return statement.limit(RUNNING_JOBS_MAX)


def _state(subject: Subject, row: Mapping[str, str | None], updated_at: str | None) -> StatusState:
    said: dict[str, Any] = {"status": row["status"]}
    if subject.kind is RUN:
        said |= {
            "duration": row["duration"],
            "startedAt": iso(row["started_at"]),
            "completedAt": iso(row["completed_at"]),
            "errorDetails": row["error_details"],
            "artifactPaths": _json(row["artifact_paths"]),
        }
    else:
        said |= {"reportPath": row["report_path"], "s3Url": row["s3_url"]}
    terminal = rank_of((row["status"] or "").strip().lower()) is Rank.TERMINAL
    present = {name: value for name, value in said.items() if value is not None}
    return state_of(subject, present, complete=terminal, heard_ms=milliseconds(updated_at))


def _json(text: str | None) -> Any:
    try:
        value = None if text is None else orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return value if can_be_written(value) else text
