"""Repobox's wire format: one job's status and output as named events (PROTOCOL.md, section 3).

    status   what a page shows of the job beside its lines; at first and on every change; no id: it is state, not log
    output   one stored entry, with its position as id
    gap      lines that nobody has any more; reset: the log is another one than the client knew
    done     the status was terminal and every line is out; its id ends in `.end`, and coming back with it gives 204
    error    the stream is over without that: the job was deleted, or the maximum time is up

Order. In each wake output goes first and the status after it, looked at in the same step in which the log says that
it is read to its end; `done` is made in that step too. So no line pushed before the terminal status comes after it
(traps 1 and 20), however slow the client is.

`GET /api/work-sessions/{id}/stream` is the same over the twin of a job, with its own terminal statuses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.routing import Route

from broker import (
    JOB,
    WORK_SESSION,
    Batch,
    CaughtUp,
    Closed,
    Diverged,
    Encoding,
    Lost,
    Presence,
)
from broker.jobs import number
from web.faces.stream_request import JobStreamEndpoint, gap_frame, next_from_archive, reset_frame
from web.sse import Ending, comment, frame

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from broker import Broker, Job, JobKind, Record, Subscription
    from web.auth import Viewer
    from web.context import Context

GONE: Final = "Job no longer exists"
TIMEOUT: Final = "Stream timeout"
AWAY: Final = comment("the store of jobs does not answer; what follows comes when it is back")
BACK: Final = comment("the store of jobs answers again")


def _output_frames(first: int, records: Sequence[Record]) -> list[bytes]:
    """A record's data is JSON on one line (`broker.entries`), so nothing is left to escape here."""
    return [
        b"id: %d-%08x\nevent: output\ndata: %b\n\n" % (offset, record.crc, record.data)
        for offset, record in enumerate(records, first)
    ]


OUTPUT: Final = Encoding(("repobox", "output"), _output_frames)


def status_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What the `status` event shows of a job's hash: camelCase, numbers as numbers, absent ones left out."""
    shown: dict[str, Any] = {
        "status": str(fields.get("status", "")),
        "startedAt": number(fields.get("started_at")),
        "finishedAt": number(fields.get("finished_at")),
        "errorMessage": fields.get("error_message"),
        "linesAdded": number(fields.get("lines_added")) or 0,
        "linesRemoved": number(fields.get("lines_removed")) or 0,
        "mrUrl": fields.get("mr_url"),
        "mrWarning": fields.get("mr_warning"),
        "branch": str(fields.get("branch", "")),
        "stale": fields.get("stale") or None,
        "outputExpired": fields.get("output_expired") or None,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _status_frame(fields: Mapping[str, Any]) -> bytes:
    return frame(orjson.dumps(status_of(fields)), event="status")


def _error_frame(message: str) -> bytes:
    return frame(orjson.dumps({"message": message}), event="error")


def job_status_frame(job: Job) -> bytes:
    """The `status` event, made once for all who watch."""
    made, _ = job.state.snapshot("repobox.status", _status_frame)
    return made


class RepoboxFace:
    """The stream of one job or one work session."""

    def __init__(self, kind: JobKind) -> None:
        self.kind = kind
        self.name = kind.name

    def last_words(self, ending: Ending) -> bytes:
        """What the stream says when it is ended from outside."""
        return _error_frame(TIMEOUT) if ending is Ending.TIMEOUT else b""

    async def events(
        self, broker: Broker, subscription: Subscription, viewer: Viewer, opening: bytes
    ) -> AsyncGenerator[bytes, None]:
        """Follows the job; yields whole frames, and `b""` when it was woken for nothing.

        Args:
            broker: whose source feeds the job.
            subscription: stands where the client goes on.
            viewer: who watches; a job that is handed to somebody else is gone for them.
            opening: what goes after the first status (a `reset`, say).
        """
        job = subscription.job
        state = _State(broker, job, viewer)
        yield state.status + opening
        spoke = True
        while True:
            match subscription.next_in_memory() or await next_from_archive(subscription):
                case Batch() as batch:
                    yield batch.encoded(OUTPUT)
                    spoke = True
                case Lost(start, stop):
                    yield gap_frame(start, stop)
                    spoke = True
                case Diverged() as diverged if job.presence is Presence.PRESENT:
                    yield reset_frame(diverged)
                    spoke = True
                case CaughtUp() | Diverged():
                    # Made in the step in which the log was read to its end: nothing is awaited in between.
                    news, over = state.news()
                    if news or not spoke:
                        yield news
                    if over:
                        return
                    spoke = False
                    await subscription.wait()
                case Closed():
                    return
                case None:
                    # The archive is away. The bell rings when it is back; besides, the clock has us try again.
                    yield state.away()
                    await subscription.wait()


class _State:
    """What one client was told of a job beside its lines."""

    def __init__(self, broker: Broker, job: Job, viewer: Viewer) -> None:
        self._broker = broker
        self._job = job
        self._viewer = viewer
        self._away = False
        self._looked_at: tuple[int, Presence, bool] | None = None
        self.status = job_status_frame(job)

    def news(self) -> tuple[bytes, bool]:
        """What the client must be told, and whether that is the end; asked when the log is read to its end."""
        job = self._job
        now = (job.state.log.tail, job.presence, self._broker.source_available)
        if now == self._looked_at:
            return b"", False
        self._looked_at = now
        if job.presence is Presence.ABSENT or not self._viewer.may_see(job.owner):
            return _error_frame(GONE), True
        news = b""
        status = job_status_frame(job)
        if status != self.status:
            news = self.status = status
        if job.ended:
            done = orjson.dumps({"status": job.status})
            return news + frame(done, event="done", position=job.output.last_position(end=True)), True
        if self._broker.source_available is self._away:
            self._away = not self._away
            news += AWAY if self._away else BACK
        return news, False

    def away(self) -> bytes:
        """Says once that the store of jobs does not answer."""
        if self._away:
            return b""
        self._away = True
        self._looked_at = None
        return AWAY


def routes(context: Context) -> list[Route]:
    """The routes of this face."""
    return [
        Route("/api/jobs/{id}/stream", JobStreamEndpoint(context, RepoboxFace(JOB)), methods=["GET"]),
        Route("/api/work-sessions/{id}/stream", JobStreamEndpoint(context, RepoboxFace(WORK_SESSION)), methods=["GET"]),
    ]
