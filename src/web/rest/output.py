"""A job's output over REST: pages of entries as JSON, and the whole as text.

    GET /api/jobs/{id}/output?from&limit   {"output":[…],"from":n,"next":n,"total":n,"position":"<offset>-<tag>"|null}
    GET …?tail=N                           the last N lines instead
    GET … with Accept: text/plain          the lines as text, whole, from `from` (or `tail`) on
    GET …?download=1                       the same as a file

`next` is where the next page begins, `position` where a stream goes on (`lastEventId`); a page may end before `limit`
when its bytes do. The text ends at the length it had at the start. Lines that are gone are not passed over in silence:
a line in square brackets stands for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fantail.web.auth.viewer import viewer_required
from fantail.web.http.json_response import json_response
from fantail.web.limits import OUTPUT_PAGE, OUTPUT_PAGE_BYTES_MAX, OUTPUT_PAGE_MAX
from fantail.web.logscan.pages import read_page
from fantail.web.rest.download import TextDownload
from fantail.web.rest.request import flag, seen_job, whole_number

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from fantail.broker import Job, JobKind
    from fantail.web.context import Context
    from fantail.web.logscan.pages import OutputPage


async def answer_output(context: Context, request: Request, kind: JobKind) -> Response:
    """Answers `GET …/output`."""
    broker = context.broker
    as_file = flag(request, "download")
    async with seen_job(broker, request, kind) as job:
        start = first_asked(request, job)
        if as_file or wants_text(request):
            viewer = viewer_required(request.scope)
            return TextDownload(context, job, viewer, start, job.output.tail, as_file=as_file)
        limit = whole_number(request, "limit", OUTPUT_PAGE, OUTPUT_PAGE_MAX)
        page = await read_page(broker, job, start, limit, OUTPUT_PAGE_BYTES_MAX)
        return json_response(page_json(page), headers={"Vary": "Accept"})


def first_asked(request: Request, job: Job) -> int:
    """The offset at which the answer shall begin: `from`, else `tail` lines before the end, else 0."""
    tail = whole_number(request, "tail", -1) if "tail" in request.query_params else None
    start = 0 if tail is None else max(0, job.output.tail - tail)
    return whole_number(request, "from", start)


def wants_text(request: Request) -> bool:
    """Whether the client would rather have text than JSON (RFC 9110, section 12.5.1; what names neither gets JSON)."""
    quality = {"text/plain": 0.0, "application/json": 0.0}
    for part in request.headers.get("accept", "").lower().split(","):
        media_type, *parameters = (item.strip() for item in part.split(";"))
        if media_type in quality:
            quality[media_type] = max(quality[media_type], _weight(parameters))
    return quality["text/plain"] > quality["application/json"]


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return min(1.0, max(0.0, float(parameter[2:])))
            except ValueError:
                return 0.0
    return 1.0


def page_json(page: OutputPage) -> bytes:
    """A page as JSON; its records are JSON already."""
    position = b"null" if page.position is None else b'"%b"' % str(page.position).encode()
    return b'{"output":[%b],"from":%d,"next":%d,"total":%d,"position":%b}' % (
        b",".join(page.records),
        page.first,
        page.next,
        page.total,
        position,
    )
