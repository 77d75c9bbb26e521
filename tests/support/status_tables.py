"""A database with the tables of a test dashboard: PostgreSQL where it can be had, and SQLite."""

from __future__ import annotations

import sqlite3
import tempfile
import uuid
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from support.servers.postgres import PostgresServer

RUNS = """CREATE TABLE runs (id {uuid} PRIMARY KEY, job_id {uuid}, status varchar(50), duration varchar(100),
 started_at timestamp, completed_at timestamp, artifact_paths {json}, error_details text, trigger varchar(50),
 created_at timestamp, updated_at timestamp)"""
REPORTS = """CREATE TABLE reports (entity_type varchar(50), entity_id text, report_path varchar(255),
 status varchar(50), s3_url varchar(255), updated_at timestamp, UNIQUE (entity_type, entity_id))"""
JOBS = "CREATE TABLE jobs (id {uuid} PRIMARY KEY, name varchar(255))"
TESTS = "CREATE TABLE tests (id {uuid} PRIMARY KEY, user_id text)"
ALL = (RUNS, REPORTS, JOBS, TESTS)


class Tables(Protocol):
    """A database that a test writes to."""

    url: str

    def execute(self, *statements: str) -> None:
        """Carries out statements; `{uuid}` and `{json}` stand for its types."""

    def clear(self) -> None:
        """Removes all tables."""


def new_id() -> str:
    """A UUID."""
    return str(uuid.uuid4())


class SqliteTables:
    """In a file of its own."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="sqlite-")
        self._path = Path(self._directory.name) / "status.db"
        self.url = f"sqlite:///{self._path}"
        self.clear()

    def execute(self, *statements: str) -> None:
        with closing(sqlite3.connect(self._path)) as connection, connection:
            for statement in statements:
                connection.execute(statement.replace("{uuid}", "char(36)").replace("{json}", "json"))

    def clear(self) -> None:
        self._path.unlink(missing_ok=True)
        self._path.touch()

    def close(self) -> None:
        self._directory.cleanup()


class PostgresTables:
    """In the one database of a server."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self.url = server.url

    def execute(self, *statements: str) -> None:
        self.server.execute(*(each.replace("{uuid}", "uuid").replace("{json}", "jsonb") for each in statements))

    def clear(self) -> None:
        self.execute("DROP SCHEMA IF EXISTS ci CASCADE", "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")


def create(tables: Tables, definitions: Sequence[str] = ALL) -> None:
    """Makes the usual tables."""
    tables.execute(*definitions)


def insert(tables: Tables, table: str, **values: str | None) -> None:
    """Puts a row in."""
    quoted = ("NULL" if value is None else "'" + value.replace("'", "''") + "'" for value in values.values())
    tables.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(quoted)})")  # noqa: S608 - a test's
