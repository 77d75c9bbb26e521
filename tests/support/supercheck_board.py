"""A dashboard of tests and runs: a server over a real Redis, and a worker's way to publish."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import orjson
from redis.asyncio import Redis

from support.servers.served_status import ServedStatus, served_status
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.clients.sse_client import Stream

STARTED, COMPLETED = "2026-01-31T12:00:00.000Z", "2026-01-31T12:01:00.000Z"


@dataclass(slots=True)
class Dashboard:
    """A server, and a worker's way to publish."""

    served: ServedStatus
    redis: Redis

    def run_url(self, run_id: str) -> str:
        return f"{self.served.url}/api/job-status/events/{run_id}"

    def test_url(self, test_id: str) -> str:
        return f"{self.served.url}/api/test-status/events/{test_id}"

    async def say(self, channel: str, **payload: Any) -> None:
        assert await self.redis.publish(channel, orjson.dumps(payload)) >= 1, "somebody listens"

    async def kept(self, kind: str, subject_id: str, status: str) -> bool:
        """Whether that is the last state kept in Redis."""
        stored = await self.redis.get(f"fantail:status:{kind}:{subject_id}")
        return stored is not None and f'"status":"{status}"'.encode() in stored

    async def get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        async with httpx.AsyncClient() as client:
            return await client.get(self.served.url + path, headers=headers)


@asynccontextmanager
async def dashboard(url: str, **settings: Any) -> AsyncIterator[Dashboard]:
    async with served_status(url, **settings) as served, Redis.from_url(url) as client:
        await eventually(lambda: served.statuses.available)
        yield Dashboard(served, client)


async def shown(stream: Stream) -> dict[str, Any]:
    """The next state."""
    event = await stream.next()
    assert event.name == "message", event
    found: dict[str, Any] = event.json
    return found
