"""What every stream has in common before its first frame: who asks, is there room, where to begin, and how to refuse.

"Later" is no HTTP error for an EventSource, which gives up for good on any status but 200: a request that accepts
`text/event-stream` gets a stream that says `retry:` and closes, any other gets 429 or 503 with `Retry-After` (trap 42).
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from starlette.datastructures import Headers, QueryParams
from starlette.responses import Response

from fantail.broker import InvalidIdError, NotFoundError, SourceUnavailableError, TooManyJobsError, parse_position
from fantail.web.auth.rate_limits import Refusal
from fantail.web.auth.viewer import viewer_required
from fantail.web.errors import Problem, ProblemError, bad_request, refusal
from fantail.web.limits import RETRY_DRAIN_MS, RETRY_REFUSED_MS
from fantail.web.sse.response import HEADERS, RELAY_KEY, comment, retry

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from starlette.types import Receive, Scope, Send

    from fantail.broker.log.position import Position
    from fantail.web.auth.viewer import Viewer
    from fantail.web.context import Context

DIGITS_MAX: Final = 15


@dataclass(frozen=True, slots=True)
class StartRequest:
    """Where a client wants to begin; a position wins over `first`, and that over `tail`. All absent: the beginning."""

    position: Position | None
    first: int | None
    tail: int | None


def asked_of(scope: Scope) -> StartRequest:
    """Reads `Last-Event-ID`, `lastEventId`, `from` and `tail`.

    The header wins over the query: a browser that reconnects sends the old query beside the new header. A malformed
    position is treated as absent.

    Raises:
        ProblemError: 400, `from` or `tail` is no count.
    """
    query = QueryParams(scope["query_string"])
    given = Headers(scope=scope).get("last-event-id") or query.get("lastEventId")
    return StartRequest(parse_position(given), _count(query, "from"), _count(query, "tail"))


def _count(query: QueryParams, name: str) -> int | None:
    given = query.get(name)
    if given is None:
        return None
    if not (given.isascii() and given.isdigit()) or len(given) > DIGITS_MAX:
        raise bad_request(f"`{name}` must be a number of lines, 0 or more")
    return int(given)


class StreamEndpoint(ABC):
    """An ASGI endpoint for streams: knows who asks, counts the stream in, and words every refusal.

    Attributes:
        what: what an unknown id is an id of, in words for a user.
    """

    what: ClassVar[str] = "Stream"

    def __init__(self, context: Context) -> None:
        self._context = context

    @abstractmethod
    async def serve(self, viewer: Viewer, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request for which there is room.

        Raises:
            LaterError, ProblemError, or one of the broker's errors: nothing was sent yet.
        """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        try:
            viewer = viewer_required(scope)
            with room_for_stream(self._context, viewer, scope):
                await self.serve(viewer, scope, receive, send)
        except LaterError as later:
            await later.response(scope)(scope, receive, send)
        except SourceUnavailableError:
            await LaterError(503, "the store of jobs does not answer now").response(scope)(scope, receive, send)
        except TooManyJobsError:
            await LaterError(503, "too many jobs are being watched").response(scope)(scope, receive, send)
        except InvalidIdError:
            await refusal(scope, NotFoundError(self.what))(scope, receive, send)
        except (ProblemError, NotFoundError) as problem:
            await refusal(scope, problem)(scope, receive, send)


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


def room_for_stream(context: Context, viewer: Viewer, scope: Scope) -> AbstractContextManager[object]:
    """Counts a stream in while the block lasts, or refuses it for now; part of a stream that is counted needs no more.

    Raises:
        LaterError: the server is stopping, or a limit is reached.
    """
    if RELAY_KEY in scope:
        return nullcontext()
    if context.streams.draining:
        raise LaterError(503, "the server is stopping", RETRY_DRAIN_MS)
    lease = context.limiter.open_stream(viewer, context.limiter.address_of(scope))
    if isinstance(lease, Refusal):
        raise LaterError(429, lease.reason)
    return lease
