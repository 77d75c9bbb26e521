"""The wire format of pipeline dashboards (PROTOCOL.md, section L): statuses as named events, and one health as JSON.

    heartbeat       at once, then every 30 s whatever else was sent: clients judge the connection by it
    batch_update    the statuses of all pipelines: once, as soon as each has been asked, or after 3 s without the slow
    status_update   one status changed
    error           a pipeline does not exist, or the backend does not answer: once per change

`visible=0` says that nobody looks at the page: its pipelines are then polled less often, unless somebody else looks.

Ids outside the grammar are told one by one, as the unknown ones are (trap 12); more than 200 are refused.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, assert_never

import orjson
from starlette.datastructures import QueryParams
from starlette.responses import Response
from starlette.routing import Route

from fantail.broker import BrokerError
from fantail.broker.limits import FIRST_ANSWERS_S, PIPELINES_PER_STREAM_MAX
from fantail.broker.log.notify import Waiter
from fantail.broker.sources.pipelines.backend import Cause, Health, Trouble, Unknown, is_pipeline_id
from fantail.broker.sources.pipelines.board import ERROR
from fantail.broker.sources.pipelines.health_poller import TooManyPipelinesError
from fantail.web.auth.viewer import viewer_required
from fantail.web.errors import Problem, ProblemError, refusal, unauthorized
from fantail.web.sse.response import EventStreamResponse
from fantail.web.streams.pipeline_frames import HEARTBEAT, INVALID_ID, PipelineFollower, SharedFrames, event_frame
from fantail.web.streams.request import LaterError, StreamEndpoint, asked_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import Receive, Scope, Send

    from fantail.broker.sources.pipelines.health_poller import HealthPoller, PipelineWatch
    from fantail.web.auth.viewer import Viewer
    from fantail.web.context import Context

NOT_FOUND: Final = "Pipeline not found"
NOT_CONFIGURED: Final = "Pipeline status is not configured on this server"
_ID_CHARS_SHOWN: Final = 80
_FALSE: Final = frozenset({"0", "false", "no"})


# -- what is asked for ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PipelineRequest:
    """The query of a stream: good ids once each in their order, the others, and whether anybody looks."""

    ids: tuple[str, ...]
    wrong_ids: tuple[str, ...]
    visible: bool


def asked_pipelines(query_string: bytes) -> PipelineRequest:
    """Reads `pipelineIds=a,b` and `visible`.

    Raises:
        ProblemError: 400, no ids, no good ones, or too many.
    """
    query = QueryParams(query_string)
    given = ",".join(query.getlist("pipelineIds"))
    parts = dict.fromkeys(part for each in given.split(",") if (part := each.strip()))
    if not given.strip():
        raise _failure(400, "Missing pipelineIds parameter")
    ids = tuple(part for part in parts if is_pipeline_id(part))
    if not ids:
        raise _failure(400, "No valid pipeline IDs provided")
    if len(parts) > PIPELINES_PER_STREAM_MAX:
        raise _failure(400, f"Too many pipeline IDs: {len(parts)}; at most {PIPELINES_PER_STREAM_MAX} in one stream")
    wrong = tuple(part[:_ID_CHARS_SHOWN] for part in parts if not is_pipeline_id(part))
    return PipelineRequest(ids, wrong, query.get("visible", "1").lower() not in _FALSE)


def _failure(status: int, why: str) -> ProblemError:
    return ProblemError(Problem(status, why, {"success": False}))


# -- the endpoints --------------------------------------------------------------------------------------------------


class PipelineStream(StreamEndpoint):
    """`GET /ui-api/pipeline/status/stream`."""

    what = "Pipeline"

    def __init__(self, context: Context, poller: HealthPoller) -> None:
        super().__init__(context)
        self._poller = poller
        self._store = poller.board.store
        self._frames = SharedFrames(self._store)

    async def serve(self, viewer: Viewer, scope: Scope, receive: Receive, send: Send) -> None:
        """See `StreamEndpoint`."""
        asked = asked_pipelines(scope["query_string"])
        position = asked_of(scope).position
        try:
            with self._poller.watch(asked.ids, visible=asked.visible) as watch:
                waiter = Waiter()
                follower = PipelineFollower(self._store, self._frames, watch, position)
                events = self._events(asked, watch, follower, waiter)
                label = f"pipelines ({len(asked.ids)} asked for)"
                response = EventStreamResponse(self._context, events, waiter, viewer=viewer, label=label)
                await response(scope, receive, send)
        except TooManyPipelinesError as full:
            raise LaterError(503, "too many pipelines are being watched") from full

    async def _events(
        self, asked: PipelineRequest, watch: PipelineWatch, follower: PipelineFollower, waiter: Waiter
    ) -> AsyncGenerator[bytes, None]:
        """Yields whole frames, and `b""` when it was woken for nothing."""
        timers, now_s = self._context.broker.timers, self._context.broker.now_s
        every_s = self._context.settings.keepalive_s
        beat_due_s = now_s()
        waited_s = beat_due_s + FIRST_ANSWERS_S
        timers.wake_at(waited_s, waiter)
        told = b"".join(_wrong_id(each) for each in asked.wrong_ids)
        while not follower.closed:
            version = watch.notifier.version
            told += follower.news(waited=now_s() >= waited_s)
            if now_s() >= beat_due_s:
                told = event_frame(HEARTBEAT) + told
                beat_due_s += every_s
                timers.wake_at(beat_due_s, waiter)
            yield told
            told = b""
            await waiter.sleep(watch.notifier, version)


def _wrong_id(given: str) -> bytes:
    return event_frame(ERROR, pipelineId=given, message="Invalid pipeline ID", code=INVALID_ID)


class PipelineHealth:
    """`GET /ui-api/pipeline/{id}/health`, for clients that poll: they are given the poller's own answers."""

    def __init__(self, poller: HealthPoller) -> None:
        self._poller = poller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        try:
            viewer = viewer_required(scope)
            response = await self._answer(scope["path_params"]["id"])
            if viewer.expired(time.time()):
                raise unauthorized("The token has expired")
        except (ProblemError, BrokerError) as problem:
            response = refusal(scope, problem)
        await response(scope, receive, send)

    async def _answer(self, pipeline_id: str) -> Response:
        if not is_pipeline_id(pipeline_id):
            raise _failure(404, NOT_FOUND)
        try:
            answer = await self._poller.health(pipeline_id)
        except TooManyPipelinesError as full:
            raise _failure(503, "Too many pipelines are being watched") from full
        match answer:
            case Health(document=document):
                body = orjson.dumps({"success": True, "health": document})
                return Response(body, headers={"Cache-Control": "no-store"}, media_type="application/json")
            case Unknown():
                raise _failure(404, NOT_FOUND)
            case Trouble(cause=cause):
                raise _failure(504 if cause is Cause.SILENT else 502, cause.sentence)
            case _:
                assert_never(answer)


class NotConfigured:
    """Both endpoints of a server that was not told of a backend."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        try:
            viewer_required(scope)
            raise _failure(404, NOT_CONFIGURED)
        except ProblemError as problem:
            await refusal(scope, problem)(scope, receive, send)


def routes(context: Context, poller: HealthPoller | None) -> list[Route]:
    """The routes of this face; without a poller they say that there is no backend."""
    stream: Any = NotConfigured() if poller is None else PipelineStream(context, poller)
    health: Any = NotConfigured() if poller is None else PipelineHealth(poller)
    return [
        Route("/ui-api/pipeline/status/stream", stream, methods=["GET"]),
        Route("/ui-api/pipeline/{id}/health", health, methods=["GET"]),
    ]
