"""What the tests of Redis share: a client of the server that is under test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.servers.redis_server import RedisServer


@pytest.fixture
async def redis(each_redis_server: RedisServer) -> AsyncIterator[Redis]:
    """A client of `each_redis_server`, for what a test writes and checks; replies are bytes."""
    async with Redis.from_url(each_redis_server.url) as client:
        yield client
