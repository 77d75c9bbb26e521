"""Repobox's wire format: one job's status and output as named events (PROTOCOL.md, section J).

    status   what a page shows of the job beside its lines; at first and on every change; no id: it is state, not log
    output   one stored entry, with its position as id
    gap      lines that nobody has any more; reset: the log is another one than the client knew
    done     the status was terminal and every line is out; its id ends in `.end`, and coming back with it gives 204
    error    the stream is over without that: the job was deleted, or the maximum time is up

`GET /api/work-sessions/{id}/stream` is the same over the twin of a job, with its own terminal statuses. The order of
events, and what happens when Redis is away, is in `fantail.web.streams.job`.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.routing import Route

from fantail.broker import JOB, WORK_SESSION, Encoding
from fantail.broker.jobs import checked_id, number
from fantail.broker.log.position import log_tags
from fantail.web.sse.response import Ending, frame
from fantail.web.streams.job import JobStreamEndpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fantail.broker import Broker, Job, JobKind, Records
    from fantail.web.context import Context

GONE: Final = "Job no longer exists"
TIMEOUT: Final = "Stream timeout"


def _output_frames(first: int, records: Records) -> list[bytes]:
    """A record's data is JSON on one line (`fantail.broker.log.records`), so nothing is left to escape here."""
    return [
        b"id: %d-%b\nevent: output\ndata: %b\n\n" % row
        for row in zip(itertools.count(first), log_tags(records.crcs), records.data, strict=False)
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


class RepoboxFormat:
    """The stream of one job or one work session."""

    output = OUTPUT

    def __init__(self, kind: JobKind) -> None:
        self.kind = kind
        self.name = kind.name

    async def job_id(self, _: Broker, given: str) -> str:
        """See `JobFace`."""
        return checked_id(given)

    def state(self, job: Job) -> bytes:
        """The `status` event, made once for all who watch."""
        made, _ = job.state.snapshot("repobox.status", _status_frame)
        return made

    def end(self, job: Job) -> bytes:
        """The `done` event."""
        return frame(orjson.dumps({"status": job.status}), event="done", position=job.output.last_position(end=True))

    def gone(self) -> bytes:
        """The `error` event of a job that was deleted or has expired."""
        return _error_frame(GONE)

    def last_words(self, ending: Ending) -> bytes:
        """The `error` event at the maximum time."""
        return _error_frame(TIMEOUT) if ending is Ending.TIMEOUT else b""


def routes(context: Context) -> list[Route]:
    """The routes of this face."""
    return [
        Route("/api/jobs/{id}/stream", JobStreamEndpoint(context, RepoboxFormat(JOB)), methods=["GET"]),
        Route(
            "/api/work-sessions/{id}/stream", JobStreamEndpoint(context, RepoboxFormat(WORK_SESSION)), methods=["GET"]
        ),
    ]
