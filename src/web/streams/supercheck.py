"""The wire format of test dashboards (PROTOCOL.md, section T): one test or one run, as unnamed events.

    first      the end as it is, and the stream is over; else `running` or `waiting`, with what is known
    then       what workers say, each once, in order; over after the end
    : ping     every 30 s
    stream-error   trouble of ours, by name, so that nobody takes it for a state of the run (trap 17); when it is over
                   the state is said again

The state that goes first and the place in the log from which the rest is read are taken in one step, so nothing is
lost or told twice in between. An end that was said on the channel for progress is followed by a short wait, for the
worker often says more on the other channel right after.

The frame that tells of the end carries a position; who comes back with it is answered 204, and a browser's
EventSource stops asking. After a re-run of the same test the position no longer fits, and the new run is shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.responses import Response
from starlette.routing import Route

from fantail.broker import Batch, CaughtUp, Closed, Encoding, InvalidIdError, NotFoundError, SourceUnavailableError
from fantail.broker.jobs import checked_id
from fantail.broker.limits import STATUS_COMPLETE_WAIT_S
from fantail.broker.log.notify import Waiter
from fantail.broker.log.position import Position, log_tag
from fantail.broker.sources.status.jobs_as_runs import OwnRuns
from fantail.broker.sources.status.log import end_of
from fantail.broker.sources.status.pubsub import TooManyStatusesError
from fantail.broker.sources.status.state import RUN, TEST, Subject
from fantail.broker.tables import owner_of
from fantail.web.errors import Problem, ProblemError, forbidden
from fantail.web.sse.response import EventStreamResponse, comment, frame
from fantail.web.streams.request import LaterError, StreamEndpoint, asked_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from starlette.types import Receive, Scope, Send

    from fantail.broker import Record
    from fantail.broker.sources.status.database import StatusDatabase
    from fantail.broker.sources.status.log import StatusLog
    from fantail.broker.sources.status.pubsub import StatusPubSub
    from fantail.broker.sources.status.state import StatusKind
    from fantail.web.auth.viewer import Viewer
    from fantail.web.context import Context

PING: Final = comment("ping")
BACK: Final = comment("live updates are back")
CUT: Final = frame(
    orjson.dumps({"message": "Live updates are interrupted; what was missed comes when they are back"}),
    event="stream-error",
)
ACCESS_ENDED: Final = frame(
    orjson.dumps({"message": "Access to this test or run has ended, or cannot be checked now"}), event="stream-error"
)
UNKNOWN: Final = {RUN: "Run not found", TEST: "Test not found or access denied"}


def _frames(_: int, records: Sequence[Record]) -> list[bytes]:
    return [
        frame(record.data, position=Position(0, log_tag(record.crc), end=True) if record.crc else None)
        for record in records
    ]


STATUS: Final = Encoding(("supercheck", "status"), _frames)


def checked_subject(kind: StatusKind, given: str) -> Subject:
    """The test or run of a path.

    Raises:
        ProblemError: 404, the id is outside the grammar.
    """
    try:
        return Subject(kind, checked_id(given))
    except InvalidIdError as fault:
        raise unknown(kind) from fault


def unknown(kind: StatusKind) -> ProblemError:
    """404, in the words of that family."""
    return ProblemError(Problem(404, UNKNOWN[kind]))


async def check_access(database: StatusDatabase | None, own: OwnRuns, viewer: Viewer, subject: Subject) -> bool:
    """Lets pass who may see a test or run.

    Without a database every id is accepted that is no job of ours that belongs to somebody else. While it does not
    answer only those pass who may see everything anyway.

    Returns:
        Whether it is a job of ours: once that is deleted, it is nobody's but the admins'.

    Raises:
        ProblemError: 404, it is unknown; 403, it is somebody else's.
        SourceUnavailableError: the database must be asked, and does not answer.
    """
    if database is None:
        if subject.kind is not RUN or viewer.admin:
            return False
        row = (await own.rows()).get(subject.id)
        check_own(viewer, row)
        return row is not None
    try:
        owner = await database.owner(subject)
    except NotFoundError as fault:
        raise unknown(subject.kind) from fault
    except SourceUnavailableError:
        if not viewer.admin:
            raise
        return False
    if not viewer.may_see(owner):
        raise forbidden()
    return False


def check_own(viewer: Viewer, row: Mapping[str, Any] | None) -> None:
    """Lets pass who may see a job of ours; None: it is none.

    Raises:
        ProblemError: 403.
    """
    if row is not None and not viewer.may_see(owner_of(row)):
        raise forbidden()


class StatusStream(StreamEndpoint):
    """`GET /api/test-status/events/{id}` and `GET /api/job-status/events/{id}`."""

    what = "Test or run"

    def __init__(
        self, context: Context, statuses: StatusPubSub, database: StatusDatabase | None, kind: StatusKind
    ) -> None:
        super().__init__(context)
        self._statuses = statuses
        self._database = database
        self._kind = kind
        self._own = OwnRuns(context.broker)

    async def serve(self, viewer: Viewer, scope: Scope, receive: Receive, send: Send) -> None:
        """See `StreamEndpoint`."""
        subject = checked_subject(self._kind, scope["path_params"]["id"])
        position = asked_of(scope).position
        ours = await check_access(self._database, self._own, viewer, subject)
        try:
            async with self._statuses.watch(subject) as log:
                response = self._response(log, viewer, position, ours=ours)
                await response(scope, receive, send)
        except TooManyStatusesError as full:
            raise LaterError(503, "too many tests and runs are being watched") from full

    def _response(
        self, log: StatusLog, viewer: Viewer, position: Position | None, *, ours: bool
    ) -> EventStreamResponse | Response:
        if position is not None and log.known.terminal and position == end_of(log.subject, log.known):
            return Response(status_code=204, headers={"Cache-Control": "no-store"})
        waiter = Waiter()
        label = f"{self._kind.name} {log.subject.id}"
        events = self._events(log, waiter, viewer, ours=ours)
        return EventStreamResponse(self._context, events, waiter, viewer=viewer, label=label)

    async def _may_see(self, viewer: Viewer, subject: Subject, *, ours: bool) -> bool:
        """Whether the viewer may still see it; asked after each state was read and before it is sent.

        Args:
            viewer: who watches.
            subject: the test or run.
            ours: whether it was a job of ours when the stream began.
        """
        if viewer.admin:
            return True
        try:
            is_ours = await check_access(self._database, self._own, viewer, subject)
        except (ProblemError, SourceUnavailableError):
            return False
        return is_ours or not ours

    async def _events(
        self, log: StatusLog, waiter: Waiter, viewer: Viewer, *, ours: bool
    ) -> AsyncGenerator[bytes, None]:
        """Yields whole frames, and `b""` when it was woken for nothing."""
        timers, now_s = self._context.broker.timers, self._context.broker.now_s
        every_s = self._context.settings.keepalive_s
        ping_due_s = now_s() + every_s
        timers.wake_at(ping_due_s, waiter)
        follower = StatusFollower(log)
        told = follower.opening()
        cut = False
        while not follower.over(now_s()):
            if (self._statuses.available is False) is not cut:
                cut = not cut
                told += CUT if cut else BACK + follower.state()
            if told and not await self._may_see(viewer, log.subject, ours=ours):
                yield ACCESS_ENDED
                return
            if now_s() >= ping_due_s:
                told += PING
                ping_due_s += every_s
                timers.wake_at(ping_due_s, waiter)
            yield told
            await waiter.sleep(log.notifier, follower.version)
            told = follower.news()
            if follower.ends_at_s is None and log.known.terminal:
                follower.ends_at_s = now_s() + STATUS_COMPLETE_WAIT_S
                timers.wake_at(follower.ends_at_s, waiter)
        yield told if await self._may_see(viewer, log.subject, ours=ours) else ACCESS_ENDED


class StatusFollower:
    """What one client was told of a state, and what is next."""

    def __init__(self, log: StatusLog) -> None:
        self._log = log
        self._cursor = log.log.start(log.log.tail)
        self._ended = False
        self.version = log.notifier.version
        self.ends_at_s: float | None = None

    def opening(self) -> bytes:
        """The state as it is now."""
        subject, state = self._log.subject, self._log.known
        self._ended = state.terminal
        position = end_of(subject, state) if state.terminal else None
        return frame(orjson.dumps(state.opening(subject)), position=position)

    def state(self) -> bytes:
        """The state once more, so that a client knows that it hears of the run again; an end is told by its frame."""
        state = self._log.known
        return b"" if state.terminal else frame(orjson.dumps(state.opening(self._log.subject)))

    def news(self) -> bytes:
        """What was said since."""
        log = self._log
        self.version = log.notifier.version
        told = b""
        while True:
            match log.log.read(self._cursor):
                case Batch() as batch:
                    told += batch.encoded(STATUS)
                    self._cursor = batch.next
                case CaughtUp() | Closed():
                    break
                case _:
                    told = self.opening()  # it fell behind: the last state says it all
                    self._cursor = log.log.start(log.log.tail)
        if not log.known.terminal:
            self.ends_at_s = None  # it runs again
        self._ended = log.over
        return told

    def over(self, now_s: float) -> bool:
        """Whether the end was told, and nothing more is waited for."""
        return self._ended or (self.ends_at_s is not None and now_s >= self.ends_at_s)


def routes(context: Context, statuses: StatusPubSub | None, database: StatusDatabase | None) -> list[Route]:
    """The streams; without Redis there are none."""
    if statuses is None:
        return []
    paths = {TEST: "/api/test-status/events/{id}", RUN: "/api/job-status/events/{id}"}
    return [
        Route(path, StatusStream(context, statuses, database, kind), methods=["GET"]) for kind, path in paths.items()
    ]
