"""What test dashboards ask for once (PROTOCOL.md, T12): the status of a run, and the runs that are under way.

The status of a run is the fallback of clients whose stream fails. It is what the database has, unless what workers
said has come further: a dashboard that polls is not told `running` for the seconds by which a database lags behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from starlette.responses import Response
from starlette.routing import Route

from fantail.broker import NotFoundError, SourceUnavailableError
from fantail.broker.sources.status.jobs_as_runs import OwnRuns, run_state
from fantail.broker.sources.status.state import RUN, iso, merged, rank_of
from fantail.broker.tables import owner_of
from fantail.web.auth.viewer import check_token, viewer_required
from fantail.web.errors import forbidden
from fantail.web.streams.supercheck import check_own, checked_subject, unknown

if TYPE_CHECKING:
    from starlette.requests import Request

    from fantail.broker.sources.status.database import RunDetails, StatusDatabase
    from fantail.broker.sources.status.pubsub import StatusPubSub
    from fantail.broker.sources.status.state import StatusState, Subject
    from fantail.web.auth.viewer import Viewer
    from fantail.web.context import Context


class StatusQuestions:
    """Answers both."""

    def __init__(self, context: Context, statuses: StatusPubSub, database: StatusDatabase | None) -> None:
        self._statuses = statuses
        self._database = database
        self._own = OwnRuns(context.broker)

    async def run_status(self, request: Request) -> Response:
        """`GET /api/runs/{id}/status`."""
        viewer = viewer_required(request.scope)
        subject = checked_subject(RUN, request.path_params["id"])
        state, trouble = None, None
        ours = await self._own_state(subject, viewer) is not None
        try:
            state = await self._statuses.known(subject)
        except SourceUnavailableError as fault:
            trouble = fault
        # The owner is read after the state, so that a state written for a new owner is not shown to the last one.
        details = await self._details(subject, viewer)
        own = await self._own_state(subject, viewer)
        check_token(request.scope)
        if ours and own is None and not viewer.admin:
            raise unknown(RUN)  # the job was deleted meanwhile
        if trouble is not None and details is None and own is None:
            raise trouble
        if own is not None:
            state = own if state is None else merged(own, state, heard=True)
        if details is None and state is None:
            raise unknown(RUN)
        return _json(_run_status(subject, details, state))

    async def _details(self, subject: Subject, viewer: Viewer) -> RunDetails | None:
        """What the database has; None: it has no runs, or does not answer somebody who may see everything."""
        if self._database is None:
            return None
        try:
            details = await self._database.run(subject.id)
        except SourceUnavailableError:
            if not viewer.admin:
                raise
            return None
        except NotFoundError as fault:
            raise unknown(RUN) from fault
        if details is not None and not viewer.may_see(details.owner):
            raise forbidden()
        return details

    async def _own_state(self, subject: Subject, viewer: Viewer) -> StatusState | None:
        """How a job of ours stands, where there is no database; None: it is none."""
        if self._database is not None:
            return None
        row = (await self._own.rows()).get(subject.id)
        check_own(viewer, row)
        return None if row is None else run_state(subject, row)

    async def running_jobs(self, request: Request) -> Response:
        """`GET /api/jobs/status/running`: runs of the database; without one, our own jobs, each its own run."""
        viewer = viewer_required(request.scope)
        if self._database is not None:
            running = [
                {"jobId": job.job_id, "name": job.name, "runId": job.run_id}
                for job in await self._database.running_jobs()
                if viewer.may_see(job.owner)
            ]
        else:
            running = [
                {"jobId": row_id, "name": row.get("name"), "runId": row_id}
                for row_id, row in (await self._own.rows()).items()
                if row.get("status") == "running" and viewer.may_see(owner_of(row))
            ]
        check_token(request.scope)
        return _json({"runningJobs": running})


def _run_status(subject: Subject, details: RunDetails | None, state: StatusState | None) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "runId": subject.id,
        "jobId": details and details.job_id,
        "status": details and details.status,
        "startedAt": details and details.started_at,
        "completedAt": details and details.completed_at,
        "duration": details and details.duration,
        "errorDetails": details and details.error_details,
        "reportUrl": details and details.report_url,
    }
    if state is not None and (details is None or state.rank > rank_of(details.status)):
        said = state.payload
        shown["status"] = state.status
        shown["startedAt"] = iso(said.get("startedAt")) or shown["startedAt"]
        shown["completedAt"] = iso(said.get("completedAt")) or shown["completedAt"]
        for name in ("duration", "errorDetails", "reportUrl", "jobId"):
            shown[name] = said.get(name, shown[name])
    return shown


def _json(value: dict[str, Any]) -> Response:
    return Response(orjson.dumps(value), headers={"Cache-Control": "no-store"}, media_type="application/json")


def routes(context: Context, statuses: StatusPubSub | None, database: StatusDatabase | None) -> list[Route]:
    """Both routes; without Redis there are none."""
    if statuses is None:
        return []
    questions = StatusQuestions(context, statuses, database)
    return [
        Route("/api/runs/{id}/status", questions.run_status, methods=["GET"]),
        Route("/api/jobs/status/running", questions.running_jobs, methods=["GET"]),
    ]
