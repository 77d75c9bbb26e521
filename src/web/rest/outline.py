"""`GET /api/jobs/{id}/output/outline?from`: where a log's errors are, and where its groups begin and end.

    {"from":n,"next":n,"total":n,"errors":n,"complete":bool,"marks":[…],"full"?:true}

A mark is `{"offset":n,"kind":"error"}`, `{"offset":n,"kind":"open","title":"…","timestamp":ms,"header"?:true}` or
`{"offset":n,"kind":"close","timestamp":ms,"header"?:true}`; what they are is said in `fantail.web.logscan.line_marks`.
Whoever wants all goes on with `from=next` until `complete`, and later for what has come since. Pages are bounded by
marks and by time; see `fantail.web.logscan.outline`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from fantail.web.http.json_response import json_response
from fantail.web.rest.request import seen_job, while_connected, whole_number

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from fantail.broker import JobKind
    from fantail.web.context import Context
    from fantail.web.logscan.line_marks import Mark
    from fantail.web.logscan.outline import OutlinePage


async def answer_outline(context: Context, request: Request, kind: JobKind) -> Response:
    """Answers `GET …/output/outline`."""
    async with seen_job(context.broker, request, kind) as job:
        start = whole_number(request, "from", 0)
        page = await while_connected(request.receive, partial(context.outlines.page, context.broker, job, start))
        return json_response(None if page is None else outline_json(page))


def outline_json(page: OutlinePage) -> dict[str, Any]:
    """A page as JSON."""
    shown: dict[str, Any] = {
        "from": page.first,
        "next": page.next,
        "total": page.total,
        "errors": page.errors,
        "complete": page.complete,
        "marks": [_mark_json(mark) for mark in page.marks],
    }
    if page.full:
        shown["full"] = True
    return shown


def _mark_json(mark: Mark) -> dict[str, Any]:
    if mark.kind == "error":
        return {"offset": mark.offset, "kind": "error"}
    shown: dict[str, Any] = {"offset": mark.offset, "kind": mark.kind, "timestamp": mark.timestamp_ms}
    if mark.kind == "open":
        shown["title"] = mark.title
    if mark.header:
        shown["header"] = True
    return shown
