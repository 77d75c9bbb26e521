"""Vibe Kanban's wire format (PROTOCOL.md, section V): the tables as JSON Patch, and a process's output.

`GET /api/events/` follows all tables, or those of `?tables=jobs,tasks`; `?batch=1` asks for arrays of operations. What
is in its frames is made in `fantail.web.streams.tables`.

`GET /api/events/processes/{id}/logs` is the output of one job in unnamed frames, and `event: finished` at its end. A
process id is a job's id; where a hash `process:{id}` is, it names the job.

`GET /api/events/task-attempts/{id}/diff` is what a job changes in its worktree: `fantail.web.streams.diff`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.datastructures import QueryParams
from starlette.routing import Route

from fantail.broker import JOB, Encoding
from fantail.broker.jobs import checked_id
from fantail.broker.log.notify import Waiter
from fantail.web.errors import bad_request
from fantail.web.sse.response import EventStreamResponse
from fantail.web.streams.diff import DiffEndpoint
from fantail.web.streams.job import JobStreamEndpoint, finished_frame
from fantail.web.streams.request import StreamEndpoint, asked_of
from fantail.web.streams.tables import TableStream, View

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from fantail.broker import Broker, Job
    from fantail.broker.log.records import Records
    from fantail.web.auth.viewer import Viewer
    from fantail.web.context import Context
    from fantail.web.sse.response import Ending


class TablesEndpoint(StreamEndpoint):
    """`GET /api/events/`."""

    what = "Table"

    async def serve(self, viewer: Viewer, scope: Scope, receive: Receive, send: Send) -> None:
        """See `StreamEndpoint`."""
        broker = self._context.broker
        view = self._view(QueryParams(scope["query_string"]), viewer)
        position = asked_of(scope).position
        waiter = Waiter()
        async with broker.watch_tables():
            events = TableStream(broker, view, waiter, position).events()
            response = EventStreamResponse(self._context, events, waiter, viewer=viewer, label="tables")
            await response(scope, receive, send)

    def _view(self, query: QueryParams, viewer: Viewer) -> View:
        names = self._context.broker.tables.names
        asked = {name for name in query.get("tables", "").split(",") if name} or set(names)
        if unknown := sorted(asked.difference(names)):
            raise bad_request(f"There is no table {unknown[0][:80]!r}; there are {', '.join(names)}")
        return View(tuple(name for name in names if name in asked), query.get("batch") == "1", viewer)


def _log_frames(first: int, records: Records) -> list[bytes]:
    return [
        b"id: %d-%08x\ndata: %b\n\n" % (offset, crc, orjson.dumps(_log_entry(orjson.loads(data))))
        for offset, (crc, data) in enumerate(zip(records.crcs, records.data, strict=True), first)
    ]


def _log_entry(entry: dict[str, Any]) -> dict[str, Any]:
    return {"type": entry["stream"], "content": entry["line"], "timestamp": _iso(entry["timestamp"])}


def _iso(timestamp_ms: float) -> str:
    """ISO 8601 in UTC with milliseconds; a time that no calendar has is shown as 1970."""
    try:
        at = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        at = datetime.fromtimestamp(0, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


LOG: Final = Encoding(("vibe_kanban", "log"), _log_frames)


class ProcessLogFormat:
    """The output of one process."""

    name = "process"
    kind = JOB
    output = LOG

    async def job_id(self, broker: Broker, given: str) -> str:
        """See `JobFace`."""
        return await broker.job_id_of("process", checked_id(given))

    def state(self, _: Job) -> bytes:
        """Nothing: this face shows the output alone."""
        return b""

    def end(self, job: Job) -> bytes:
        """The `finished` event."""
        return finished_frame(job, job.output.last_position(end=True))

    def gone(self) -> bytes:
        """`finished` too, so that clients stop, with a status that no job has."""
        return finished_frame(None)

    def last_words(self, _: Ending) -> bytes:
        """Nothing: the client comes back where it was."""
        return b""


def routes(context: Context) -> list[Route]:
    """The routes of this face."""
    return [
        Route("/api/events/", TablesEndpoint(context), methods=["GET"]),
        Route("/api/events/processes/{id}/logs", JobStreamEndpoint(context, ProcessLogFormat()), methods=["GET"]),
        Route("/api/events/task-attempts/{id}/diff", DiffEndpoint(context), methods=["GET"]),
    ]
