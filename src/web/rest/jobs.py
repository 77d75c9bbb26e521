"""Jobs over REST: the list, one, and what a producer without Redis does with them.

    GET    /api/jobs?offset&limit&status&q   {"jobs":[…],"total":n,"hasMore":bool,"leftOut":n}, newest first
    GET    /api/jobs/{id}                    all of it, long fields too
    POST   /api/jobs                         201; an id is made up where none is given
    PATCH  /api/jobs/{id}                    fields to set; null removes one
    DELETE /api/jobs/{id}                    204

The list is read from the global tables, which mirror the newest jobs without their long fields; the rest from the job
itself. `total` counts the jobs that are listed and match; `leftOut` those of all users that are too old for the table
(`FANTAIL_TABLE_ROWS`) and were not looked at.
A job's owner is whoever creates it: `user_id` comes from the token, and one in the body is left aside. What is written
goes through the ledger and comes back through the source, like everybody's.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response

from fantail.broker import InvalidIdError, NotFoundError
from fantail.broker.jobs import JOB, checked_id, number
from fantail.broker.tables import owner_of
from fantail.web.auth.viewer import viewer_required
from fantail.web.errors import bad_request
from fantail.web.http.json_response import HEADERS, json_response
from fantail.web.limits import JOBS_PAGE, JOBS_PAGE_MAX, QUERY_CHARS_MAX
from fantail.web.rest.request import check_may_change, document, fresh_tables, own_job, seen_job, whole_number
from fantail.web.rest.shapes import shown, taken, with_times

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from starlette.requests import Request

    from fantail.broker import JobKind, Tables
    from fantail.web.auth.viewer import Viewer
    from fantail.web.context import Context

TABLE: Final = "jobs"
# Fields in which the text of `q` is looked for, beside the id.
SEARCHED: Final = ("name", "command", "repo_name", "repo_url", "branch", "status", "error_message", "user_id")


async def answer_list(context: Context, request: Request) -> Response:
    """Answers `GET /api/jobs`."""
    viewer = viewer_required(request.scope)
    offset = whole_number(request, "offset", 0)
    limit = whole_number(request, "limit", JOBS_PAGE, JOBS_PAGE_MAX)
    statuses = frozenset(filter(None, request.query_params.get("status", "").split(",")))
    query = request.query_params.get("q", "")
    if len(query) > QUERY_CHARS_MAX:
        raise bad_request(f"`q` has at most {QUERY_CHARS_MAX} characters")
    tables = await fresh_tables(context.broker)
    found = [
        (job_id, row)
        for job_id, row in newest_rows(tables, viewer)
        if (not statuses or row.get("status") in statuses) and (not query or _says(job_id, row, query.casefold()))
    ]
    jobs = [shown(job_id, row) for job_id, row in found[offset : offset + limit]]
    has_more = offset + len(jobs) < len(found)
    left_out = tables.left_out(TABLE)
    return json_response({"jobs": jobs, "total": len(found), "hasMore": has_more, "leftOut": left_out})


def newest_rows(tables: Tables, viewer: Viewer) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The rows of the jobs table that a viewer may see, newest first; not to be kept over an await.

    Raises:
        NotFoundError: this server keeps no table of jobs.
    """
    if TABLE not in tables.names:
        raise NotFoundError(f"table {TABLE}")
    rows = tables.rows(TABLE)
    order, _ = tables.snapshot("api.jobs.newest", _newest_first)
    return ((job_id, rows[job_id]) for job_id in order if viewer.may_see(owner_of(rows[job_id])))


def _newest_first(document: Mapping[str, Any]) -> list[str]:
    """Sorted once for all who ask between two changes."""
    rows = document[TABLE]
    return sorted(rows, key=lambda job_id: (number(rows[job_id].get("created_at")) or 0, job_id), reverse=True)


def _says(job_id: str, row: Mapping[str, Any], folded: str) -> bool:
    return folded in job_id.casefold() or any(folded in str(row.get(name, "")).casefold() for name in SEARCHED)


async def answer_one(context: Context, request: Request, kind: JobKind) -> Response:
    """Answers `GET /api/jobs/{id}` and `GET /api/work-sessions/{id}`."""
    async with seen_job(context.broker, request, kind) as job:
        return json_response(shown(job.id, job.fields))


async def answer_create(context: Context, request: Request) -> Response:
    """Answers `POST /api/jobs`."""
    viewer = viewer_required(request.scope)
    given = await document(request)
    fields = {name: value for name, value in taken(given).items() if value is not None}
    job_id = _id_of(given)
    now_ms = _now_ms()
    fields = {"status": "running", "created_at": str(now_ms), **fields}
    complete = {name: value for name, value in with_times(fields, {}, JOB, now_ms).items() if value is not None}
    if viewer.name is not None:
        complete["user_id"] = viewer.name
    await context.broker.ledger.create_job(job_id, complete)
    location = f"{request.scope.get('root_path', '')}/api/jobs/{job_id}"
    return json_response(shown(job_id, complete), 201, {"Location": location})


def _id_of(given: dict[str, Any]) -> str:
    """The id that the client wants, or a new one, in the order of time (the milliseconds and 40 random bits)."""
    wanted = given.get("id")
    if wanted is None or wanted == "":
        return f"{_now_ms():012x}{secrets.token_hex(5)}"
    try:
        return checked_id(wanted if isinstance(wanted, str) else "")
    except InvalidIdError:
        raise bad_request("`id` must be 1 to 128 of A-Z a-z 0-9 . _ - and begin with a letter or a digit") from None


async def answer_change(context: Context, request: Request) -> Response:
    """Answers `PATCH /api/jobs/{id}`."""
    async with own_job(context.broker, request) as job:
        given = taken(await document(request))
        check_may_change(request, job)
        changes = with_times(given, job.fields, JOB, _now_ms())
        if changes:
            await context.broker.ledger.update_job(job.id, changes)
        check_may_change(request, job)
        merged = {**job.fields, **changes}
        return json_response(shown(job.id, merged))


async def answer_delete(context: Context, request: Request) -> Response:
    """Answers `DELETE /api/jobs/{id}`."""
    async with own_job(context.broker, request) as job:
        await context.broker.ledger.delete_job(job.id)
    return Response(status_code=204, headers=HEADERS)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
