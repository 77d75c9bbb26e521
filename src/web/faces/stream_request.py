"""What every stream of one job has in common before its first frame: who asks, for what, from where, and may they.

A face gives its words (`JobFace`); the order of the questions is here, once: known at all (401), room for a stream
(later), the id and the job (404), its owner (403), a client that has everything already (204), and where to go on.

"Later" is no HTTP error for an EventSource, which gives up for good on any status but 200: a request that accepts
`text/event-stream` gets a stream that says `retry:` and closes, any other gets 429 or 503 with `Retry-After` (trap 42).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import orjson
from starlette.datastructures import Headers, QueryParams
from starlette.responses import Response

from broker import InvalidIdError, NotFoundError, Presence, SourceUnavailableError, TooManyJobsError, parse_position
from broker.limits import RETRY_DRAIN_MS, RETRY_REFUSED_MS
from broker.wakeup import Waker
from web.auth import viewer_required
from web.limiter import Refusal, address_of
from web.problems import Problem, ProblemError, bad_request, forbidden, refusal
from web.sse import HEADERS, Ending, EventStreamResponse, comment, frame, retry

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import Receive, Scope, Send

    from broker import Broker, Diverged, Job, JobKind, Subscription
    from broker.position import Position
    from broker.subscription import Step
    from web.auth import Viewer
    from web.context import Context
    from web.limiter import StreamLease

OFFSET_MAX: Final = 10**15 - 1


@dataclass(frozen=True, slots=True)
class Asked:
    """Where a client wants to begin; a position wins over `first`, and that over `tail`. All absent: the beginning."""

    position: Position | None
    first: int | None
    tail: int | None


class JobFace(Protocol):
    """One wire format of a job's stream."""

    name: str
    kind: JobKind

    def events(
        self, broker: Broker, subscription: Subscription, viewer: Viewer, opening: bytes
    ) -> AsyncGenerator[bytes, None]:
        """Follows the job; yields whole frames, and `b""` when it was woken for nothing."""

    def last_words(self, ending: Ending) -> bytes:
        """What the stream says when it is ended from outside."""


def asked_of(scope: Scope) -> Asked:
    """Reads `Last-Event-ID`, `lastEventId`, `from` and `tail`.

    The header wins over the query: a browser that reconnects sends the old query beside the new header. A malformed
    position is treated as absent.

    Raises:
        ProblemError: 400, `from` or `tail` is no count.
    """
    query = QueryParams(scope["query_string"])
    given = Headers(scope=scope).get("last-event-id") or query.get("lastEventId")
    return Asked(parse_position(given), _count(query, "from"), _count(query, "tail"))


def _count(query: QueryParams, name: str) -> int | None:
    given = query.get(name)
    if given is None:
        return None
    if not (given.isascii() and given.isdigit()) or len(given) > len(str(OFFSET_MAX)):
        raise bad_request(f"`{name}` must be a number of lines, 0 or more")
    return int(given)


class JobStreamEndpoint:
    """The ASGI endpoint of one face; the route's parameter is `id`."""

    def __init__(self, context: Context, face: JobFace) -> None:
        self._context = context
        self._face = face

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        context, face = self._context, self._face
        try:
            viewer = viewer_required(scope)
            asked = asked_of(scope)
            with room_for_stream(context, viewer, scope):
                async with context.broker.watch(scope["path_params"]["id"], face.kind) as job:
                    response = await _response(context, face, job, viewer, asked)
                    await response(scope, receive, send)
        except LaterError as later:
            await later.response(scope)(scope, receive, send)
        except SourceUnavailableError:
            await LaterError(503, "the store of jobs does not answer now").response(scope)(scope, receive, send)
        except TooManyJobsError:
            await LaterError(503, "too many jobs are being watched").response(scope)(scope, receive, send)
        except InvalidIdError:
            await refusal(scope, NotFoundError("Job"))(scope, receive, send)
        except (ProblemError, NotFoundError) as problem:
            await refusal(scope, problem)(scope, receive, send)


async def _response(
    context: Context, face: JobFace, job: Job, viewer: Viewer, asked: Asked
) -> EventStreamResponse | Response:
    if job.presence is not Presence.PRESENT:
        raise NotFoundError("Job")
    if not viewer.may_see(job.owner):
        raise forbidden()
    if asked.position is not None and end_is_true(job, asked.position):
        return Response(status_code=204, headers={"Cache-Control": "no-store"})
    waker = Waker()
    subscription = context.broker.subscribe(job, waker)
    opening = await _begin(subscription, asked)
    return EventStreamResponse(
        context,
        face.events(context.broker, subscription, viewer, opening),
        waker,
        viewer=viewer,
        face=f"{face.name} {job.id}",
        last_words=face.last_words,
    )


async def _begin(subscription: Subscription, asked: Asked) -> bytes:
    """Sets the cursor; returns the frame that must go first, if any."""
    output = subscription.job.output
    if asked.position is not None:
        diverged = await subscription.seek(asked.position)
        return b"" if diverged is None else reset_frame(diverged)
    if asked.first is not None:
        subscription.cursor = output.start(asked.first)
    elif asked.tail is not None:
        subscription.cursor = output.start(output.tail - asked.tail)
    return b""


def end_is_true(job: Job, position: Position) -> bool:
    """Whether a position is that of the end, and the job still ends there."""
    return position.end and job.ended and position == job.output.last_position(end=True)


async def next_from_archive(subscription: Subscription) -> Step | None:
    """The next step, where the archive may have to be asked; None: it does not answer now."""
    try:
        return await subscription.next()
    except SourceUnavailableError:
        return None


def reset_frame(diverged: Diverged) -> bytes:
    """The log is another one than the client's: it starts over."""
    return frame(orjson.dumps({"reason": diverged.reason}), event="reset")


def gap_frame(start: int, stop: int) -> bytes:
    """The lines `start <= offset < stop` are nowhere any more; the wire counts both ends in."""
    return frame(orjson.dumps({"from": start, "to": stop - 1}), event="gap")


# -- later ----------------------------------------------------------------------------------------------------------


class LaterError(Exception):
    """There is no stream now, and there may be one soon.

    Attributes:
        status: for a client that is no EventSource.
        reason: for people.
        retry_ms: bounds of the time after which to come back.
    """

    def __init__(self, status: int, reason: str, retry_ms: tuple[int, int] = RETRY_REFUSED_MS) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.retry_ms = retry_ms

    def response(self, scope: Scope) -> Response:
        """The answer, in the form that the client understands."""
        if "text/event-stream" in Headers(scope=scope).get("accept", ""):
            answer = Response(retry(self.retry_ms) + comment(self.reason))
            answer.raw_headers = [*HEADERS, (b"content-length", b"%d" % len(answer.body))]
            return answer
        after_s = random.randint(*self.retry_ms) // 1000  # noqa: S311 - jitter, no secret
        sentence = self.reason[:1].upper() + self.reason[1:]
        return refusal(scope, ProblemError(Problem(self.status, sentence, headers={"Retry-After": str(after_s)})))


def room_for_stream(context: Context, viewer: Viewer, scope: Scope) -> StreamLease:
    """Counts a stream in, or refuses it for now.

    Raises:
        LaterError: the server is stopping, or a limit is reached.
    """
    if context.streams.draining:
        raise LaterError(503, "the server is stopping", RETRY_DRAIN_MS)
    lease = context.limiter.open_stream(viewer, address_of(scope))
    if isinstance(lease, Refusal):
        raise LaterError(429, lease.reason)
    return lease
