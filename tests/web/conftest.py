"""What the tests of the web share: an application with and without Redis, a dashboard of runs, its database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.servers.web_client import WebClient, redis_web_client, web_client
from support.status_tables import SqliteTables, create
from support.supercheck_board import Dashboard, dashboard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture
def client_settings() -> dict[str, Any]:
    """The settings of `client`'s application; a file that wants others has a fixture of this name."""
    return {}


@pytest.fixture(params=["library", "redis"])
async def client(request: pytest.FixtureRequest, client_settings: dict[str, Any]) -> AsyncIterator[WebClient]:
    """An application: once with no Redis, once over a real one."""
    if request.param == "library":
        async with web_client(**client_settings) as made:
            yield made
    else:
        async with redis_web_client(request.getfixturevalue("redis_url"), **client_settings) as made:
            yield made


@pytest.fixture
async def board(redis_url: str) -> AsyncIterator[Dashboard]:
    """A dashboard of tests and runs without a database."""
    async with dashboard(redis_url) as made:
        yield made


@pytest.fixture
def tables() -> Iterator[SqliteTables]:
    """A database with the usual tables, empty, for `dashboard(…, database_url=tables.url)`."""
    made = SqliteTables()
    create(made)
    yield made
    made.close()
