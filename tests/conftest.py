"""What every test may ask for: the event loop of production, and real Redis servers.

`redis_url` is the usual fixture: the address of a Valkey that is shared by the session and emptied
before each test. `make_redis_server` gives servers that a test may kill, stop and pause;
`each_redis_server` runs a test once per kind of server.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Protocol

import pytest
from hypothesis import settings
from redis.asyncio import Redis

from support.servers.redis_server import DEBIAN_REDIS, RedisServer, ServerKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

# An example may take as long as a busy machine makes it take: no test is timed.
settings.register_profile("fantail", deadline=None)
settings.load_profile("fantail")

NO_DEBIAN_REDIS = f"Debian's redis-server is not installed ({DEBIAN_REDIS})"

# Fixtures that start a server: tests that use one are marked `services`.
SERVICES = frozenset(
    ("redis_server", "make_redis_server", "_server_of_each_kind", "postgres_server", "killable_postgres")
)


class MakeRedisServer(Protocol):
    """Starts a private server that ends with the test."""

    def __call__(
        self, *, appendonly: bool = ..., binary: ServerKind = ..., config: dict[str, str] | None = ...
    ) -> RedisServer: ...


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if SERVICES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.services)
    if DEBIAN_REDIS.exists():
        return
    for item in items:
        if item.get_closest_marker("debian_redis"):
            item.add_marker(pytest.mark.skip(reason=NO_DEBIAN_REDIS))


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """asyncio on uvloop where it is installed, as in production."""
    return "asyncio", {"use_uvloop": importlib.util.find_spec("uvloop") is not None}


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The session's shared Valkey. Leave it running; take a private one to kill or to pause."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The address of the shared Valkey, which holds nothing."""
    redis_server.flush()
    return redis_server.url


@pytest.fixture
async def redis_client(redis_url: str) -> AsyncIterator[Redis]:
    """A client of the shared Valkey, for what a test writes and checks; replies are bytes."""
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def make_redis_server() -> Iterator[MakeRedisServer]:
    """A factory of private servers; all of them end with the test."""
    servers: list[RedisServer] = []

    def make(
        *, appendonly: bool = False, binary: ServerKind = "valkey", config: dict[str, str] | None = None
    ) -> RedisServer:
        if binary == "debian" and not DEBIAN_REDIS.exists():
            pytest.skip(NO_DEBIAN_REDIS)
        server = RedisServer(binary, appendonly=appendonly, config=config)
        servers.append(server)
        server.start()
        return server

    yield make
    for server in servers:
        server.close()


@pytest.fixture(scope="session", params=["valkey", pytest.param("debian", marks=pytest.mark.debian_redis)])
def _server_of_each_kind(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with RedisServer(request.param) as server:
        yield server


@pytest.fixture
def each_redis_server(_server_of_each_kind: RedisServer) -> RedisServer:
    """The wheel's Valkey in one run of the test, Debian's redis-server in another; emptied before."""
    _server_of_each_kind.flush()
    return _server_of_each_kind
