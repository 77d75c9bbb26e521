"""A client of event streams for tests: it parses as browsers do, and shows what they hide."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Event:
    """One dispatched event, as WHATWG HTML (9.2.6) would dispatch it; `id` is the last event id then."""

    name: str
    data: str
    id: str
    has_id: bool

    @property
    def json(self) -> Any:
        """Its data, parsed."""
        return json.loads(self.data)


@dataclass(slots=True)
class EventParser:
    """Bytes in, events out; a block without data only moves `last_id` on."""

    last_id: str = ""
    retry_ms: int | None = None
    comments: list[str] = field(default_factory=list)
    _buffer: bytes = b""
    _name: str = ""
    _data: list[str] = field(default_factory=list)
    _has_id: bool = False

    def feed(self, chunk: bytes) -> list[Event]:
        """Takes bytes; gives the events that they complete."""
        self._buffer += chunk
        *lines, self._buffer = self._buffer.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        events = []
        for line in lines:
            event = self._line(line.decode())
            if event is not None:
                events.append(event)
        return events

    def _line(self, line: str) -> Event | None:
        if not line:
            return self._dispatch()
        if line.startswith(":"):
            self.comments.append(line[1:].strip())
            return None
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                self._data.append(value)
            case "event":
                self._name = value
            case "id" if "\0" not in value:
                self.last_id = value
                self._has_id = True
            case "retry" if value.isdigit():
                self.retry_ms = int(value)
        return None

    def _dispatch(self) -> Event | None:
        data, name, has_id = self._data, self._name, self._has_id
        self._data, self._name, self._has_id = [], "", False
        if not data:
            return None
        return Event(name or "message", "\n".join(data), self.last_id, has_id)


class Stream:
    """An open event stream."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.parser = EventParser()
        self.raw = b""
        self._chunks = response.aiter_raw()
        self._waiting: list[Event] = []

    async def next(self, timeout_s: float = WAIT_S) -> Event:
        """The next event.

        Raises:
            StopAsyncIteration: the stream has ended.
        """
        with anyio.fail_after(timeout_s):
            while not self._waiting:
                await self._read()
        return self._waiting.pop(0)

    async def until(self, *names: str, timeout_s: float = WAIT_S) -> list[Event]:
        """All events up to and including the first of one of these names."""
        events = [await self.next(timeout_s)]
        while events[-1].name not in names:
            events.append(await self.next(timeout_s))
        return events

    async def rest(self, timeout_s: float = WAIT_S) -> list[Event]:
        """All events to the end of the stream."""
        events = []
        with anyio.fail_after(timeout_s):
            try:
                while True:
                    events.append(await self.next(timeout_s))
            except StopAsyncIteration:
                return events

    async def comment(self, text: str, timeout_s: float = WAIT_S) -> None:
        """Waits for a comment that holds the text."""
        with anyio.fail_after(timeout_s):
            while not any(text in found for found in self.parser.comments):
                await self._read()

    async def _read(self) -> None:
        chunk = await anext(self._chunks)
        self.raw += chunk
        self._waiting += self.parser.feed(chunk)


@asynccontextmanager
async def open_stream(
    url: str, *, last_id: str | None = None, headers: Mapping[str, str] | None = None
) -> AsyncIterator[Stream]:
    """Opens an event stream as a browser does."""
    sent = {"Accept": "text/event-stream", **(headers or {})}
    if last_id is not None:
        sent["Last-Event-ID"] = last_id
    async with (
        httpx.AsyncClient(timeout=httpx.Timeout(WAIT_S, read=None)) as client,
        client.stream("GET", url, headers=sent) as response,
    ):
        yield Stream(response)
