"""Server-Sent Events: frames to bytes, and the one response that every event stream is sent by.

**Frames** (WHATWG HTML, section 9.2). A line ends at CR, LF or CRLF and an id must hold no NUL, so a value with one of
them could begin an event of its own (trap 29). Here it cannot: an id and an event's name are of a narrow alphabet, and
data is JSON on one line, in which a raw CR or LF could only stand between tokens, where a space means the same.

**The response** takes bytes from a face (an async iterator) and does, in this one place, what no face should think of:
keep-alive, maximum time, the expiry of the right to see it, drain, disconnect, and the write time-out.

How it waits. Nothing is paid per message but one look at one attribute: no timer per wait, no task per send. Each
stream asks `AlarmClock` for one poke at the next time at which something may be due. Where nothing is, that
is all; else the waker that the face sleeps on is poked, the face yields `b""` ("woken for nothing"), and the response
finds here what is to be done. So frames are never written but between two of the face's.

The write time-out is about bytes that the peer's machine acknowledges (trap 44). Neither the time of one send says it
(a steady slow reader takes minutes for 64 KiB) nor that sends succeed (the kernel takes them for a peer that is gone).

Decided against: Starlette's StreamingResponse and sse-starlette (a task per ping, a queue per client, and no hold on
the connection), and a time-out around each send (a timer per message, and the wrong measure).
"""

from __future__ import annotations

import logging
import random
import re
import time
from contextlib import aclosing
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol

import anyio
import anyio.lowlevel

from fantail.web.limits import (
    RETRY_DRAIN_MS,
    RETRY_MS,
    SEND_BYTES_MAX,
    STREAM_END_S,
    STREAM_TIME_JITTER,
    WRITE_LOOK_PART,
)
from fantail.web.sse.transport import connection_of, sink_for

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from starlette.types import Receive, Scope, Send

    from fantail.broker.log.notify import Waiter
    from fantail.web.auth.viewer import Viewer
    from fantail.web.context import Context
    from fantail.web.sse.http_protocol import Connection
    from fantail.web.sse.transport import Sink

logger = logging.getLogger("fantail.streams")

HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
)
# The first bytes: whoever has nothing to say yet has proxies flush and `onopen` fire all the same.
OPENING: Final = b": fantail\n"
KEEP_ALIVE: Final = b": keep-alive\n\n"
# In the ASGI scope: who takes what a face yields, where the face is part of a stream of several.
RELAY_KEY: Final = "fantail.relay"

_WORD: Final = re.compile(r"[0-9A-Za-z._-]{1,128}", re.ASCII)
_ONE_LINE: Final = bytes.maketrans(b"\r\n\0", b"   ")


def frame(data: bytes, *, event: str | None = None, position: object = None) -> bytes:
    """One event.

    Args:
        data: JSON; a CR, LF or NUL in it becomes a space.
        event: its name; None: an unnamed one (`message`).
        position: its id, as `str` writes it; None: none.

    Raises:
        ValueError: the name or the id is not of `[0-9A-Za-z._-]`, at most 128 of them.
    """
    head = b""
    if position is not None:
        head = b"id: " + _word(str(position)) + b"\n"
    if event is not None:
        head += b"event: " + _word(event) + b"\n"
    return head + b"data: " + data.translate(_ONE_LINE) + b"\n\n"


def position_only(position: object) -> bytes:
    """A frame that moves the client's position on and is no event."""
    return b"id: " + _word(str(position)) + b"\n\n"


def comment(text: str) -> bytes:
    """A line that clients ignore and people read."""
    return b": " + text.encode("utf-8", "replace").translate(_ONE_LINE) + b"\n\n"


def retry(bounds_ms: tuple[int, int]) -> bytes:
    """Tells the client how long to wait before it comes back, at random within bounds (trap 32)."""
    return b"retry: %d\n\n" % random.randint(*bounds_ms)  # noqa: S311 - jitter, no secret


def _word(text: str) -> bytes:
    if _WORD.fullmatch(text) is None:
        raise ValueError(f"neither an event's name nor an id: {text[:80]!r}")
    return text.encode("ascii")


class Ending(StrEnum):
    """Why a stream ended."""

    COMPLETE = "complete"
    TIMEOUT = "maximum time"
    EXPIRED = "right expired"
    DRAIN = "drain"
    DISCONNECT = "client left"
    STALLED = "client stalled"


class Relay(Protocol):
    """Takes one face's frames in the place of a client of its own (`fantail.web.streams.multiplex`)."""

    async def carry(self, body: AsyncGenerator[bytes, None]) -> None:
        """Takes what a face yields to its end; does not close it."""


def _nothing(_: Ending) -> bytes:
    return b""


class EventStreamResponse:
    """Sends what a face yields as one event stream; an ASGI application for one request.

    Cancelling it closes the face's iterator and leaves nothing behind.

    Args:
        context: of the application.
        body: the face: yields whole frames, and `b""` when `waker` was poked for nothing. It is closed here.
        waiter: what the face sleeps on.
        viewer: who watches; the stream ends when their right does.
        label: for people: what is watched.
        last_words: what the face says when the stream is ended from outside.
    """

    def __init__(
        self,
        context: Context,
        body: AsyncGenerator[bytes, None],
        waiter: Waiter,
        *,
        viewer: Viewer,
        label: str,
        last_words: Callable[[Ending], bytes] = _nothing,
    ) -> None:
        settings = context.settings
        broker = context.broker
        self.label = label
        self.retired = False
        self._sink: Sink | None = None
        self._viewer = viewer
        self._body = body
        self._waiter = waiter
        self._last_words = last_words
        self._streams = context.streams
        self._limiter = context.limiter
        self._timers = broker.timers
        self._now_s = broker.now_s
        self._keepalive_s = settings.keepalive_s
        self._write_timeout_s = settings.write_timeout_s
        now_s = broker.now_s()
        self._opened_s = self._sent_at_s = self._acked_at_s = now_s
        jitter = random.uniform(1.0 - STREAM_TIME_JITTER, 1.0)  # noqa: S311 - jitter, no secret
        self._ends_at_s = now_s + settings.max_stream_s * jitter
        self._ends_as = Ending.TIMEOUT
        if viewer.expires_s is not None:
            self._end_no_later_than(now_s + viewer.expires_s - time.time(), Ending.EXPIRED)
        self._acked_bytes = 0
        self._ending: Ending | None = None
        self._connection: Connection | None = None

    @property
    def sent_bytes(self) -> int:
        """What has been handed to its connection so far."""
        return 0 if self._sink is None else self._sink.sent_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the stream to its end."""
        if RELAY_KEY in scope:
            await self._hand_over(scope[RELAY_KEY])
            return
        await send({"type": "http.response.start", "status": 200, "headers": _headers(scope)})
        if scope["method"] == "HEAD":
            await self._body.aclose()
            await send({"type": "http.response.body", "body": b""})
            return
        self._connection = connection_of(scope)
        self._sink = sink_for(scope, send)
        self._streams.add(self)
        address = self._limiter.address_of(scope)
        logger.info("stream of %s opened by %s at %s", self.label, self._viewer.name or "anybody", address)
        try:
            async with anyio.create_task_group() as tasks:
                # The sender is a task of its own: a wake-up passes through every coroutine frame of its task, and
                # under the request's those of all middleware stand.
                tasks.start_soon(self._send_all, self._sink, send, tasks.cancel_scope)
                while (await receive())["type"] != "http.disconnect":
                    pass
                # Woken, not cancelled: an exception would keep the stream's memory until the next garbage collection.
                self._ending = self._ending or Ending.DISCONNECT
                self._waiter.wake()
                tasks.cancel_scope.deadline = anyio.current_time() + STREAM_END_S
        finally:
            self._waiter.offer = None  # a reference cycle with this response
            self._timers.retire(self)
            self._timers.retire(self._waiter)
            reason = self._ending or Ending.DISCONNECT
            self._streams.discard(self, reason)
            lasted_s = self._now_s() - self._opened_s
            logger.info("stream of %s closed after %.1f s, %d bytes: %s", self.label, lasted_s, self.sent_bytes, reason)

    async def _hand_over(self, relay: Relay) -> None:
        """As part of another stream, which does for all its parts what is not the face's."""
        try:
            async with aclosing(self._body) as body:
                await relay.carry(body)
        finally:
            self._timers.retire(self._waiter)

    async def _send_all(self, sink: Sink, send: Send, done: anyio.CancelScope) -> None:
        """Sends what the face yields, and what falls due, in between; then ends the response."""
        async with aclosing(self._body) as body:
            await self._write(sink, OPENING + retry(RETRY_MS))
            self._waiter.offer = self._offer
            self._timers.wake_at(self._next_look_s(self._now_s()), self)
            async for frames in body:
                if frames:
                    await self._write_batch(sink, frames)
                elif self._now_s() - self._sent_at_s >= self._keepalive_s:
                    await self._write(sink, KEEP_ALIVE)
                if self._ending is not None:
                    await self._write(sink, self._farewell(self._ending))
                    break
        self._ending = self._ending or Ending.COMPLETE
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        done.deadline = anyio.current_time() + STREAM_END_S  # for servers whose `receive` does not notice the end

    async def _write_batch(self, sink: Sink, frames: bytes) -> None:
        """Writes frames with content, unless the viewer's token expired, maybe while a slow client read the last."""
        if sink.full:
            await sink.flush()
        if self._expired():
            self._ending = self._ending or Ending.EXPIRED
        else:
            await self._write(sink, frames)

    def _expired(self) -> bool:
        return self._viewer.expires_s is not None and self._viewer.expired(time.time())

    async def _write(self, sink: Sink, frames: bytes) -> None:
        if sink.full:
            await sink.flush()
        if frames:
            sink.write(frames)
            self._sent_at_s = self._now_s()
        if sink.full:
            await sink.flush()
        if len(frames) >= SEND_BYTES_MAX:
            await anyio.lowlevel.checkpoint()  # a client that takes whatever it is sent would keep all others waiting

    def _offer(self, frames: bytes) -> bool:
        """Sends what another reader of the same log has read, while the face sleeps
        (`fantail.broker.readers.fanout`).
        """
        if self._ending is not None or self._sink is None or self._expired() or not self._sink.offer(frames):
            return False
        self._sent_at_s = self._now_s()
        return True

    def _farewell(self, ending: Ending) -> bytes:
        return retry(RETRY_DRAIN_MS) if ending is Ending.DRAIN else self._last_words(ending)

    # -- what the clock brings --------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Looks what is due (the alarm clock calls this), and asks for the next look."""
        now_s = self._now_s()
        if self._stalled(now_s):
            self._ending = Ending.STALLED
            self.cut()
            return
        if now_s >= self._ends_at_s:
            self._ending = self._ends_as
            self._waiter.wake()
        elif now_s - self._sent_at_s >= self._keepalive_s:
            self._waiter.wake()
        self._timers.wake_at(self._next_look_s(now_s), self)

    def end_at(self, due_s: float) -> None:
        """Has it end as part of a drain."""
        self._end_no_later_than(due_s, Ending.DRAIN)
        self._timers.wake_at(due_s, self)

    def cut(self) -> None:
        """Breaks the connection off."""
        if self._connection is not None:
            self._connection.cut()

    def _end_no_later_than(self, due_s: float, ending: Ending) -> None:
        if due_s < self._ends_at_s:
            self._ends_at_s = due_s
            self._ends_as = ending

    def _next_look_s(self, now_s: float) -> float:
        keepalive_s = self._sent_at_s + self._keepalive_s
        if keepalive_s <= now_s:  # one is being sent
            keepalive_s = now_s + self._keepalive_s
        due_s = min(now_s + self._write_timeout_s * WRITE_LOOK_PART, keepalive_s)
        return min(due_s, self._ends_at_s) if self._ends_at_s > now_s else due_s

    def _stalled(self, now_s: float) -> bool:
        """Whether the peer has had bytes to acknowledge for the whole time-out and acknowledged none."""
        waiting = None if self._connection is None else self._connection.unacknowledged()
        acked_bytes = self.sent_bytes - (waiting or 0)
        if not waiting or acked_bytes > self._acked_bytes:
            self._acked_bytes = acked_bytes
            self._acked_at_s = now_s
        return now_s - self._acked_at_s >= self._write_timeout_s


def _headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    asked: dict[bytes, Any] = dict(scope["headers"])
    closes = scope["http_version"] == "1.0" or b"close" in asked.get(b"connection", b"").lower()
    return [*HEADERS, (b"connection", b"close" if closes else b"keep-alive")]
