"""A database of each kind; PostgreSQL is skipped with its reason where it cannot run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.servers.postgres import PostgresServer, postgres_missing
from support.status_tables import PostgresTables, SqliteTables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.status_tables import Tables


def _running_postgres() -> Iterator[PostgresServer]:
    missing = postgres_missing()
    if missing is not None:
        pytest.skip(missing)
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A server for the whole session; leave it running."""
    yield from _running_postgres()


@pytest.fixture(params=["sqlite", "postgresql"])
def tables(request: pytest.FixtureRequest) -> Iterator[Tables]:
    """An empty database, once of each kind."""
    if request.param == "sqlite":
        made = SqliteTables()
        yield made
        made.close()
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        there = PostgresTables(server)
        there.clear()
        yield there


@pytest.fixture
def killable_postgres() -> Iterator[PostgresServer]:
    """A server of the test's own."""
    yield from _running_postgres()
