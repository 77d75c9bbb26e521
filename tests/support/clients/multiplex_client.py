"""A client of `POST /api/streams`: what a browser's shared worker does, over any number of connections."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import httpx

from support.clients.sse_client import WAIT_S, EventParser, Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from support.clients.sse_client import Event

MOMENT_S = 0.3

Item = dict[str, Any]


@asynccontextmanager
async def post_topics(
    url: str, topics: Mapping[str, str], headers: Mapping[str, str] | None = None
) -> AsyncIterator[Stream]:
    """Opens one stream of several topics; the answer may be a refusal of the whole."""
    sent = {"Accept": "text/event-stream", **(headers or {})}
    async with (
        httpx.AsyncClient(timeout=httpx.Timeout(WAIT_S, read=None)) as client,
        client.stream("POST", url + "/api/streams", json={"topics": topics}, headers=sent) as response,
    ):
        yield Stream(response)


@dataclass(slots=True)
class TopicsClient:
    """Topics with their positions, and all items that came, over all connections.

    Attributes:
        topics: the last position of each; an ended or refused one is not asked for again.
        items: those of each topic, in order.
    """

    topics: dict[str, str]
    items: dict[str, list[Item]] = field(default_factory=dict)
    arrays: int = 0

    @asynccontextmanager
    async def connected(self, url: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[Stream]:
        """One connection from the positions on."""
        async with post_topics(url, self.topics, headers) as stream:
            assert stream.response.status_code == 200
            yield stream

    async def take_bytes(self, url: str, bytes_max: int) -> bool:
        """Opens a connection, takes what the first so many bytes hold, and cuts it; says whether it ended before.

        With fewer bytes to come it is cut after a moment.
        """
        parser = EventParser()
        left = bytes_max
        async with post_topics(url, self.topics) as stream:
            with anyio.move_on_after(MOMENT_S):
                async for chunk in stream.response.aiter_raw():
                    for event in parser.feed(chunk[:left]):
                        self._take_array(event)
                    left -= len(chunk)
                    if left <= 0:
                        return False
                return True
        return False

    async def take(self, stream: Stream) -> list[Item]:
        """The items of the next array.

        Raises:
            StopAsyncIteration: the stream has ended.
        """
        return self._take_array(await stream.next())

    def _take_array(self, event: Event) -> list[Item]:
        assert event.name == "message"
        assert not event.has_id
        self.arrays += 1
        items: list[Item] = event.json
        for item in items:
            self._take(item)
        return items

    async def until(self, stream: Stream, done: Callable[[], object]) -> None:
        """Takes arrays until a condition holds."""
        with anyio.fail_after(WAIT_S):
            while not done():
                await self.take(stream)

    async def rest(self, stream: Stream) -> None:
        """Takes all arrays to the end of the stream."""
        with anyio.fail_after(WAIT_S):
            while True:
                try:
                    await self.take(stream)
                except StopAsyncIteration:
                    return

    def events(self, topic: str) -> list[str]:
        """The names of a topic's events; of an item that only moves the position: `id`."""
        return [item.get("event", "id") for item in self.items.get(topic, [])]

    def data(self, topic: str, event: str) -> list[Any]:
        """What a topic's events of one name said."""
        return [item["data"] for item in self.items.get(topic, []) if item.get("event") == event]

    def _take(self, item: Item) -> None:
        topic = item["topic"]
        assert topic in self.topics, "it was asked for, and is not over"
        self.items.setdefault(topic, []).append(item)
        if "id" in item:
            self.topics[topic] = item["id"]
        if item.get("event") in ("end", "refused"):
            del self.topics[topic]
