"""Following one job in any wire format: what faces of a job have in common after their first frame.

Order. In each wake output goes first and the job's state after it, looked at in the same step in which the log says
that it is read to its end; the last frame is made in that step too. So no line pushed before the terminal status comes
after it (traps 1 and 20), however slow the client is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import orjson
from starlette.responses import Response

from fantail.broker import Batch, CaughtUp, Closed, Diverged, Lost, NotFoundError, Presence, SourceUnavailableError
from fantail.broker.jobs import number
from fantail.broker.log.notify import Waiter
from fantail.web.errors import forbidden
from fantail.web.sse.response import EventStreamResponse, comment, frame
from fantail.web.streams.request import StartRequest, StreamEndpoint, asked_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import Receive, Scope, Send

    from fantail.broker import Broker, Encoding, Job, JobKind, Subscription
    from fantail.broker.log.position import Position
    from fantail.broker.readers.subscription import Step
    from fantail.web.auth.viewer import Viewer
    from fantail.web.context import Context
    from fantail.web.sse.response import Ending

AWAY: Final = comment("the store of jobs does not answer; what follows comes when it is back")
BACK: Final = comment("the store of jobs answers again")


class JobWords(Protocol):
    """What one wire format says of a job beside what it shows."""

    def state(self, job: Job) -> bytes:
        """What the client is told of the job beside its lines, at first and whenever it differs; empty: nothing."""

    def end(self, job: Job) -> bytes:
        """The frame that ends the stream of a job that is over; its position ends in `.end`."""

    def gone(self) -> bytes:
        """What the client is told of a job that no longer exists."""


class JobFormat(JobWords, Protocol):
    """One wire format of a job's stream.

    Attributes:
        name: for people.
        kind: which family of jobs.
        output: how it writes records.
    """

    name: str
    kind: JobKind
    output: Encoding

    async def job_id(self, broker: Broker, given: str) -> str:
        """The job that the path's id means.

        Raises:
            InvalidIdError: it is outside the grammar.
            SourceUnavailableError: that must be looked up, and the source does not answer.
        """

    def last_words(self, ending: Ending) -> bytes:
        """What the client is told when the stream is ended from outside."""


class JobStreamEndpoint(StreamEndpoint):
    """Answers requests for one face; the route's parameter is `id`."""

    what = "Job"

    def __init__(self, context: Context, wire_format: JobFormat) -> None:
        super().__init__(context)
        self._wire_format = wire_format

    async def serve(self, viewer: Viewer, scope: Scope, receive: Receive, send: Send) -> None:
        """See `StreamEndpoint`."""
        asked = asked_of(scope)
        broker = self._context.broker
        job_id = await self._wire_format.job_id(broker, scope["path_params"]["id"])
        async with broker.watch(job_id, self._wire_format.kind) as job:
            response = await self._response(job, viewer, asked)
            await response(scope, receive, send)

    async def _response(self, job: Job, viewer: Viewer, asked: StartRequest) -> EventStreamResponse | Response:
        if job.presence is not Presence.PRESENT:
            raise NotFoundError(self.what)
        if not viewer.may_see(job.owner):
            raise forbidden()
        if asked.position is not None and end_is_true(job, asked.position):
            return Response(status_code=204, headers={"Cache-Control": "no-store"})
        waiter = Waiter()
        subscription = self._context.broker.subscribe(job, waiter)
        opening = await _begin(subscription, asked)
        return EventStreamResponse(
            self._context,
            follow(self._context.broker, self._wire_format, subscription, viewer, opening),
            waiter,
            viewer=viewer,
            label=f"{self._wire_format.name} {job.id}",
            last_words=self._wire_format.last_words,
        )


async def _begin(subscription: Subscription, asked: StartRequest) -> bytes:
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


def reset_frame(diverged: Diverged) -> bytes:
    """The log is another one than the client's: it starts over.

    The empty id makes an EventSource forget its position. Cut before the first line it would come back with it, to a
    log in which it may be true again (a producer writes anew what Redis lost), and lack all that stands before it.
    """
    return b"id:\n" + frame(orjson.dumps({"reason": diverged.reason}), event="reset")


def gap_frame(start: int, stop: int) -> bytes:
    """The lines `start <= offset < stop` are nowhere any more; the wire counts both ends in."""
    return frame(orjson.dumps({"from": start, "to": stop - 1}), event="gap")


def finished_frame(job: Job | None, position: Position | None = None) -> bytes:
    """The end in Vibe Kanban's words; without a job: there is none any more, and clients stop all the same."""
    if job is None:
        return frame(orjson.dumps({"exitCode": None, "status": "deleted"}), event="finished")
    data = {"exitCode": number(job.fields.get("exit_code")), "status": job.status}
    return frame(orjson.dumps(data), event="finished", position=position)


async def follow(  # noqa: C901 - one case for each outcome
    broker: Broker, wire_format: JobFormat, subscription: Subscription, viewer: Viewer, opening: bytes
) -> AsyncGenerator[bytes, None]:
    """Follows a job's output and state; yields whole frames, and `b""` when it was woken for nothing.

    Args:
        broker: whose source feeds the job.
        wire_format: in which words.
        subscription: stands where the client goes on.
        viewer: who watches; a job that is handed to somebody else is gone for them.
        opening: what goes after the first state (a `reset`, say).
    """
    job = subscription.job
    told = ClientState(broker, wire_format, job, viewer)
    if told.may_see():  # something was awaited since the request was let in
        yield told.state + opening
    spoke = True
    while True:
        step = subscription.next_in_memory() or await _from_archive(subscription)
        if not told.may_see():
            yield told.gone()
            return
        match step:
            case Batch() as batch:
                yield batch.encoded(wire_format.output)
                spoke = True
            case Lost(start, stop):
                yield gap_frame(start, stop)
                spoke = True
            case Diverged() as diverged:
                yield reset_frame(diverged)
                spoke = True
            case CaughtUp():
                # Made in the step in which the log was read to its end: nothing is awaited in between.
                news, over = told.news()
                if news or not spoke:
                    yield news
                if over:
                    return
                spoke = False
                await subscription.wait(wire_format.output)
            case Closed():
                return
            case None:
                # The archive is away. The bell rings when it is back; besides, the clock has us try again.
                yield told.away()
                await subscription.wait()


async def _from_archive(subscription: Subscription) -> Step | None:
    try:
        return await subscription.next()
    except SourceUnavailableError:
        return None


class ClientState:
    """What one client was told of a job beside its lines, or its diff."""

    def __init__(self, broker: Broker, wire_format: JobWords, job: Job, viewer: Viewer) -> None:
        self._broker = broker
        self._wire_format = wire_format
        self._job = job
        self._viewer = viewer
        self._away = False
        self._looked_at: tuple[int, Presence, bool] | None = None
        self.state = wire_format.state(job)

    def may_see(self) -> bool:
        """Whether the job exists and the viewer may still see it; asked in the step that makes a frame with content."""
        return self._job.presence is Presence.PRESENT and self._viewer.may_see(self._job.owner)

    def news(self) -> tuple[bytes, bool]:
        """What the client must be told, and whether that is the end.

        Asked when all output was read, in the step in which `may_see` was true.
        """
        job, wire_format = self._job, self._wire_format
        now = (job.state.log.tail, job.presence, self._broker.source_available)
        if now == self._looked_at:
            return b"", False
        self._looked_at = now
        news = b""
        state = wire_format.state(job)
        if state != self.state:
            news = self.state = state
        if job.ended:
            return news + wire_format.end(job), True
        if self._broker.source_available is self._away:
            self._away = not self._away
            news += AWAY if self._away else BACK
        return news, False

    def gone(self) -> bytes:
        """What ends the stream of a job that the client may not see any more."""
        return self._wire_format.gone()

    def away(self) -> bytes:
        """Says once that the store of jobs does not answer."""
        if self._away:
            return b""
        self._away = True
        self._looked_at = None
        return AWAY
