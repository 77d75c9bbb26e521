"""`GET /api/queue-stats/sse` (PROTOCOL.md, T13): how many jobs run and wait, and how many may.

Unnamed events `{running, runningCapacity, queued, queuedCapacity}`, at first and when a number changed, at most four a
second. The numbers are counts over the jobs table, made once for all who watch between two changes of it; they are of
all users' jobs, as a queue is one for all.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import orjson
from starlette.routing import Route

from fantail.broker.limits import QUEUE_STATS_INTERVAL_S
from fantail.broker.log.notify import Waiter
from fantail.web.sse.response import EventStreamResponse, comment, frame
from fantail.web.streams.request import StreamEndpoint

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from starlette.types import Receive, Scope, Send

    from fantail.broker import Tables
    from fantail.web.auth.viewer import Viewer
    from fantail.web.context import Context


class QueueStats(StreamEndpoint):
    """The stream."""

    what = "Queue"

    async def serve(self, viewer: Viewer, scope: Scope, receive: Receive, send: Send) -> None:
        """See `StreamEndpoint`."""
        waiter = Waiter()
        async with self._context.broker.watch_tables() as tables:
            events = self._events(tables, waiter)
            response = EventStreamResponse(self._context, events, waiter, viewer=viewer, label="queue stats")
            await response(scope, receive, send)

    async def _events(self, tables: Tables, waiter: Waiter) -> AsyncGenerator[bytes, None]:
        broker, every_s = self._context.broker, self._context.settings.keepalive_s
        notifier, now_s = broker.tables_notifier, broker.now_s
        ping_due_s, look_due_s = now_s() + every_s, now_s()
        broker.timers.wake_at(ping_due_s, waiter)
        before = b""
        while not tables.log.closed:
            version, told = notifier.version, b""
            if now_s() >= look_due_s:
                look_due_s = now_s() + QUEUE_STATS_INTERVAL_S
                made, _ = tables.snapshot("queue_stats", self._frame)
                if made != before:
                    told = before = made
            else:
                broker.timers.wake_at(look_due_s, waiter)
            if now_s() >= ping_due_s:
                told += comment("ping")
                ping_due_s += every_s
                broker.timers.wake_at(ping_due_s, waiter)
            yield told
            await waiter.sleep(notifier, version)

    def _frame(self, document: Mapping[str, Any]) -> bytes:
        settings = self._context.settings
        counts = Counter(row.get("status") for row in document.get("jobs", {}).values())
        stats = {
            "running": counts["running"],
            "runningCapacity": settings.running_capacity,
            "queued": counts["pending"],
            "queuedCapacity": settings.queued_capacity,
        }
        return frame(orjson.dumps(stats))


def routes(context: Context) -> list[Route]:
    """The route of this face."""
    return [Route("/api/queue-stats/sse", QueueStats(context), methods=["GET"])]
