"""A job's diff as a stream (PROTOCOL.md, V5): the files that differ, `ready`, then each file that changes.

`GET /api/events/task-attempts/{id}/diff`. An attempt's id is a job's id; where a hash `task_attempt:{id}` is, it names
the job. Three forms, each encoded once for all its readers:

    (none)              event: snapshot; one unnamed frame per file, its whole entry; event: ready. What was not
                        repeated in between is gone. A file that no longer differs: "diff": "", "change": "none"
    ?format=json-patch  `add /files {}`, `add` of each file, event: ready; then one operation per frame
    ?stats=1            either of them without `diff`

Frames of a snapshot carry no position: one that was cut is begun anew (trap 43). `ready` carries it and is also sent
after a resume; what a client showed before stays until then (trap 24). A snapshot is a copy of the mapping, whose
entries are encoded one by one as the client takes them (`fantail.broker.documents.diffs`), so a slow client holds one
file.

Order: the diff is read to its end, then the job's state is looked at in the same step. The source shows a terminal
status after the diff's last pass, so the end never overtakes a change (trap 20).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.datastructures import QueryParams
from starlette.responses import Response

from fantail.broker import JOB, Batch, CaughtUp, Closed, Encoding, NotFoundError, Presence
from fantail.broker.documents.diffs import FILES, NO_CHANGE, files_in
from fantail.broker.documents.json_patch import pointer
from fantail.broker.documents.patch_store import operation_of
from fantail.broker.jobs import checked_id
from fantail.broker.limits import DIFF_LAG_RECORDS_MIN
from fantail.broker.log.notify import Waiter
from fantail.broker.log.outcomes import Located
from fantail.broker.log.position import Position
from fantail.web.errors import bad_request, forbidden
from fantail.web.sse.response import EventStreamResponse, frame
from fantail.web.streams.job import ClientState, finished_frame
from fantail.web.streams.request import StreamEndpoint, asked_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence

    from starlette.types import Receive, Scope, Send

    from fantail.broker import Job, Record
    from fantail.broker.documents.json_patch import Operation
    from fantail.broker.documents.patch_store import PatchStore
    from fantail.broker.log.position import Cursor
    from fantail.web.auth.viewer import Viewer

_FILE_TOKENS: Final = 3  # of "/files/<name>", split at the slashes


@dataclass(frozen=True, slots=True)
class Form:
    """How a client wants the diff.

    Attributes:
        patch: as JSON Patch operations instead of entries.
        stats: without the patches of the files.
    """

    patch: bool = False
    stats: bool = False

    def opening(self) -> bytes:
        """What begins a snapshot."""
        if self.patch:
            return frame(orjson.dumps({"op": "add", "path": pointer(FILES), "value": {}}))
        return frame(b"{}", event="snapshot")

    def file(self, entry: Mapping[str, Any]) -> bytes:
        """One file of a snapshot."""
        shown = self._shown(entry)
        if self.patch:
            shown = {"op": "add", "path": pointer(FILES, str(entry["file"])), "value": shown}
        return frame(orjson.dumps(shown))

    def change(self, operation: Operation, position: Position) -> bytes:
        """One change; that the document began is none of a file."""
        if operation["path"] == pointer(FILES) and not self.patch:
            return b""
        return frame(orjson.dumps(self._changed(operation)), position=position)

    def _changed(self, operation: Operation) -> Mapping[str, Any]:
        path = operation["path"].split("/", _FILE_TOKENS - 1)
        value: Any = operation.get("value")
        if self.patch:
            whole = len(path) == _FILE_TOKENS and isinstance(value, dict)
            return {**operation, "value": self._shown(value)} if whole else dict(operation)
        if isinstance(value, dict):
            return self._shown(value)
        file = path[-1].replace("~1", "/").replace("~0", "~")
        return self._shown({"file": file, "diff": "", "change": NO_CHANGE, "additions": 0, "deletions": 0})

    def _shown(self, entry: Mapping[str, Any]) -> Mapping[str, Any]:
        return {name: value for name, value in entry.items() if name != "diff"} if self.stats else entry


class DiffFormat:
    """What is said of a diff's job."""

    def state(self, _: Job) -> bytes:
        """Nothing: this face shows the diff alone."""
        return b""

    def end(self, job: Job) -> bytes:
        """The `finished` event."""
        return finished_frame(job, end_of(job))

    def gone(self) -> bytes:
        """`finished` too, so that clients stop, with a status that no job has."""
        return finished_frame(None)


def end_of(job: Job) -> Position:
    """The position of a diff whose job is over."""
    return Position(job.diff.log.tail, job.diff.epoch, end=True)


def _encoded(form: Form, diff: PatchStore, first: int, records: Sequence[Record]) -> list[bytes]:
    return [form.change(operation_of(record)[0], diff.position_at(at)) for at, record in enumerate(records, first + 1)]


class DiffStream:
    """One client's way through a diff.

    Args:
        job: it and its diff must be counted as watched.
        form: how the client wants it.
        told: what the client is told of the job.
        waiter: how it sleeps.
        position: what the client came back with.
    """

    def __init__(
        self, job: Job, form: Form, told: ClientState, waiter: Waiter, position: Position | None = None
    ) -> None:
        self._job = job
        self._diff = job.diff
        self._form = form
        self._waiter = waiter
        self._told = told
        self._encoding = Encoding(("diff", form, job.diff.epoch), partial(_encoded, form, job.diff))
        self._cursor: Cursor | None = None
        if position is not None and isinstance(located := job.diff.locate(position), Located):
            self._cursor = located.cursor

    async def events(self) -> AsyncGenerator[bytes, None]:  # noqa: C901 - one case for each outcome
        """Follows the diff to the job's end; yields whole frames, and `b""` when it was woken for nothing."""
        if self._cursor is not None:
            yield self._ready(self._cursor.offset)
        spoke = True
        while True:
            if not self._told.may_see():
                yield self._told.gone()
                return
            if self._cursor is None or self._too_far_behind(self._cursor):
                for frames in self._snapshot():
                    yield frames
                spoke = True
                continue
            version = self._job.notifier.version
            match self._diff.log.read(self._cursor):
                case Batch() as batch:
                    self._cursor = batch.next
                    yield batch.encoded(self._encoding)
                    spoke = True
                case CaughtUp():
                    # Made in the step in which the diff was read to its end: nothing is awaited in between.
                    news, over = self._told.news()
                    if news or not spoke:
                        yield news
                    if over:
                        return
                    spoke = False
                    await self._waiter.sleep(self._job.notifier, version)
                case Closed():
                    return
                case _:
                    self._cursor = None

    def _snapshot(self) -> Iterator[bytes]:
        """The files as they are now, encoded one by one, for as long as the viewer may see them; sets the cursor."""
        self._cursor = self._diff.log.start(self._diff.log.tail)
        entries = list(files_in(self._diff).values())
        yield self._form.opening()
        for entry in entries:
            if not self._told.may_see():
                return
            yield self._form.file(entry)
        if self._told.may_see():
            yield self._ready(self._cursor.offset)

    def _ready(self, applied: int) -> bytes:
        return frame(b"{}", event="ready", position=self._diff.position_at(applied))

    def _too_far_behind(self, cursor: Cursor) -> bool:
        """Whether the changes missed are more than the files there are."""
        lag = self._diff.log.tail - cursor.offset
        return lag > max(DIFF_LAG_RECORDS_MIN, len(files_in(self._diff)))


class DiffEndpoint(StreamEndpoint):
    """`GET /api/events/task-attempts/{id}/diff`."""

    what = "Job"

    async def serve(self, viewer: Viewer, scope: Scope, receive: Receive, send: Send) -> None:
        """See `StreamEndpoint`."""
        broker = self._context.broker
        form = _form(QueryParams(scope["query_string"]))
        position = asked_of(scope).position
        job_id = await broker.job_id_of("task_attempt", checked_id(scope["path_params"]["id"]))
        async with broker.watch(job_id, JOB) as job:
            if job.presence is not Presence.PRESENT:
                raise NotFoundError(self.what)
            if not viewer.may_see(job.owner):
                raise forbidden()
            async with broker.watch_diff(job):
                response = self._response(job, form, viewer, position)
                await response(scope, receive, send)

    def _response(
        self, job: Job, form: Form, viewer: Viewer, position: Position | None
    ) -> EventStreamResponse | Response:
        if position is not None and job.ended and position == end_of(job):
            return Response(status_code=204, headers={"Cache-Control": "no-store"})
        waiter = Waiter()
        told = ClientState(self._context.broker, DiffFormat(), job, viewer)
        events = DiffStream(job, form, told, waiter, position).events()
        return EventStreamResponse(self._context, events, waiter, viewer=viewer, label=f"diff {job.id}")


def _form(query: QueryParams) -> Form:
    given = query.get("format")
    if given not in (None, "json-patch"):
        raise bad_request("`format` may be json-patch; without it, each frame is a file")
    return Form(given == "json-patch", query.get("stats") == "1")
