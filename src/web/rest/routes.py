"""The routes of the REST API and of ingest (PROTOCOL.md, section A), each a line; what they do is beside them.

An endpoint is a function of the context and the request. Errors are raised and become answers in `fantail.web.errors`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from fantail.broker.jobs import JOB, WORK_SESSION
from fantail.web.auth.viewer import check_token
from fantail.web.rest.diff import answer_diff
from fantail.web.rest.ingest import answer_ingest
from fantail.web.rest.jobs import answer_change, answer_create, answer_delete, answer_list, answer_one
from fantail.web.rest.outline import answer_outline
from fantail.web.rest.output import answer_output
from fantail.web.rest.search import answer_search
from fantail.web.rest.tables import answer_change_table

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from fantail.broker import JobKind
    from fantail.web.context import Context

    Endpoint = Callable[[Context, Request], Awaitable[Response]]


def routes(context: Context) -> list[Route]:
    """The routes of this module."""

    def at(path: str, **endpoints: Endpoint) -> Route:
        """One route for all methods of a path, so that a wrong method is told of all that are right."""

        async def answer(request: Request) -> Response:
            method = "GET" if request.method == "HEAD" else request.method
            response = await endpoints[method](context, request)
            if method == "GET":  # a change that was made is not denied afterwards
                check_token(request.scope)
            return response

        return Route(path, answer, methods=list(endpoints))

    def output_of(kind: JobKind) -> Endpoint:
        return lambda context, request: answer_output(context, request, kind)

    def one_of(kind: JobKind) -> Endpoint:
        return lambda context, request: answer_one(context, request, kind)

    def search_of(kind: JobKind) -> Endpoint:
        return lambda context, request: answer_search(context, request, kind)

    def outline_of(kind: JobKind) -> Endpoint:
        return lambda context, request: answer_outline(context, request, kind)

    return [
        at("/api/jobs", GET=answer_list, POST=answer_create),
        at("/api/jobs/{id}", GET=one_of(JOB), PATCH=answer_change, DELETE=answer_delete),
        at("/api/jobs/{id}/diff", GET=answer_diff),
        at("/api/jobs/{id}/output", GET=output_of(JOB), POST=answer_ingest),
        at("/api/jobs/{id}/output/outline", GET=outline_of(JOB)),
        at("/api/jobs/{id}/output/search", GET=search_of(JOB)),
        at("/api/work-sessions/{id}", GET=one_of(WORK_SESSION)),
        at("/api/work-sessions/{id}/output", GET=output_of(WORK_SESSION)),
        at("/api/work-sessions/{id}/output/outline", GET=outline_of(WORK_SESSION)),
        at("/api/work-sessions/{id}/output/search", GET=search_of(WORK_SESSION)),
        at("/api/tables/{table}", POST=answer_change_table),
    ]
