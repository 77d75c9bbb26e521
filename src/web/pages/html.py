"""The dashboard's pages: HTML with the data of the first view in it, so that no page is empty at first.

Vite builds the dashboard into `web/dashboard/`. Every page is the same `index.html`; a comment in it is replaced by
what the page shows first, as JSON in a `<script type="application/json">`, which a browser does not run. It carries
the position it was read at, so the page's stream goes on from there, with nothing missed and nothing sent twice.

What the HTML carries is bounded. A table too long for it comes without a position, and the stream sends it whole. Data
belongs to one viewer and one moment, so pages are kept by no cache; what they load from `/assets/` has its content in
its name and is kept for ever.

The dashboard's own links begin at the root of an address. Where the application is mounted below a path, its pages say
so in place of staying empty; the streams and REST are there all the same.

Who is not signed in is sent to `/login`. A link from another site brings no cookie (SameSite=Strict), so a
request from there is first asked again from a page of ours.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from fantail.broker import BrokerError, SourceUnavailableError
from fantail.broker.tables import owner_of
from fantail.web.auth.viewer import check_token, viewer_of
from fantail.web.errors import Problem, ProblemError, problem_of, unauthorized
from fantail.web.limits import INITIAL_BYTES_MAX, INITIAL_LINES_MAX, INITIAL_ROWS_MAX
from fantail.web.logscan.pages import OutputPage, read_page
from fantail.web.pages.assets import Assets
from fantail.web.pages.login import login_path
from fantail.web.rest.jobs import TABLE, newest_rows
from fantail.web.rest.request import fresh_tables, seen_job
from fantail.web.rest.shapes import shown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from fantail.broker import Broker, Job, Tables
    from fantail.web.auth.viewer import Viewer
    from fantail.web.context import Context
    from fantail.web.settings import Settings

    Page: TypeAlias = Callable[[Request], Awaitable[Response]]

DASHBOARD: Final = Path(__file__).parent.parent / "dashboard"
PLACE: Final = "<!--fantail:initial-data-->"
# Views that bring no data of their own: their streams do.
PLAIN_PAGES: Final = ("pipelines", "runs", "system")

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_NOT_BUILT: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Fantail</title>
<p>Fantail is running, and its dashboard has not been built. In a checkout, run <code>make setup</code>.</p></html>"""
_MOUNTED: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Fantail</title>
<p>Fantail's streams and its REST API are here. Its dashboard works at the root of an address only,
as <code>fantail serve</code> has it.</p></html>"""
_ASK_AGAIN: Final = '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0"><title>Fantail</title>'
# What could end the script element, or a line of it, in some parser (HTML, JSON in JavaScript).
_ESCAPES: Final = {
    ord("<"): "\\u003c",
    ord(">"): "\\u003e",
    ord("&"): "\\u0026",
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}


def routes(context: Context, dashboard: Path = DASHBOARD) -> list[Route]:
    """The routes of this module.

    Args:
        context: of the application.
        dashboard: where the build is.
    """
    pages = Pages(context, dashboard)
    assets = Assets(directory=dashboard / "assets", check_dir=False)

    async def asset(request: Request) -> Response:
        return await assets.get_response(request.path_params["path"], request.scope)

    return [
        Route("/", _at_the_root(pages.jobs)),
        Route("/jobs", _at_the_root(pages.jobs)),
        Route("/jobs/{id}", _at_the_root(pages.job)),
        *(Route(f"/{page}", _at_the_root(pages.plain)) for page in PLAIN_PAGES),
        Route("/assets/{path:path}", asset),
    ]


def _at_the_root(page: Page) -> Page:
    """The page, and below a path, where it could not load what it needs, a word about that."""

    async def answer(request: Request) -> Response:
        if request.scope.get("root_path"):
            return HTMLResponse(_MOUNTED, 404, _HEADERS)
        return await page(request)

    return answer


def unknown(context: Context, otherwise: ASGIApp, dashboard: Path = DASHBOARD) -> ASGIApp:
    """The application for addresses that nothing is at: people get the dashboard, which says so.

    Args:
        context: of the application.
        otherwise: what programs get.
        dashboard: where the build is.
    """
    pages = Pages(context, dashboard)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _is_for_people(request := Request(scope)):
            await pages.unknown(request)(scope, receive, send)
        else:
            await otherwise(scope, receive, send)

    return answer


def _is_for_people(request: Request) -> bool:
    return (
        request.method in {"GET", "HEAD"}
        and not request.scope.get("root_path")
        and "text/html" in request.headers.get("accept", "")
    )


class Pages:
    """The pages of one application."""

    def __init__(self, context: Context, dashboard: Path) -> None:
        self._broker = context.broker
        self._settings = context.settings
        self._index = dashboard / "index.html"
        self._kept: tuple[int, str] | None = None

    async def jobs(self, request: Request) -> Response:
        """Answers `GET /`."""
        viewer = viewer_of(request.scope)
        if viewer is None:
            return self._sign_in(request)
        with suppress(SourceUnavailableError):  # then the page's own stream waits for it
            await fresh_tables(self._broker)
        check_token(request.scope)
        return self._page(viewer, {"page": "jobs", **first_rows(self._broker.tables, viewer)})

    async def job(self, request: Request) -> Response:
        """Answers `GET /jobs/{id}`; a job that is not there, or not for this viewer, is a page that says so."""
        viewer = viewer_of(request.scope)
        if viewer is None:
            return self._sign_in(request)
        try:
            async with seen_job(self._broker, request) as job:
                data = {"job": shown(job.id, job.fields), **await first_lines(self._broker, job)}
        except (BrokerError, ProblemError) as error:
            problem = problem_of(error)
            nothing = OutputPage((), 0, 0, None)
            data = {
                "job": None,
                **_lines_json(nothing),
                "error": {"status": problem.status, "message": problem.message},
            }
            return self._page(viewer, {"page": "job", **data}, problem)
        return self._page(viewer, {"page": "job", **data})

    async def plain(self, request: Request) -> Response:
        """Answers the pages that have no data of their own."""
        viewer = viewer_of(request.scope)
        if viewer is None:
            return self._sign_in(request)
        return self._page(viewer, {"page": request.url.path.rpartition("/")[2]})

    def unknown(self, request: Request) -> Response:
        """Answers addresses that no page is at."""
        viewer = viewer_of(request.scope)
        if viewer is None:
            return self._sign_in(request)
        return self._page(viewer, {"page": "none"}, Problem(404, "There is no such page"))

    def _page(self, viewer: Viewer, data: Mapping[str, Any], problem: Problem | None = None) -> Response:
        status, more = (problem.status, problem.headers) if problem else (200, {})
        index = self._html()
        if index is None:
            return HTMLResponse(_NOT_BUILT, status if problem else 503, {**_HEADERS, **more})
        data = {**data, "user": {"name": viewer.name, "admin": viewer.admin}, "config": config(self._settings)}
        return HTMLResponse(index.replace(PLACE, script(data), 1), status, {**_HEADERS, **more})

    def _html(self) -> str | None:
        """The built page; read again when it has changed, as it does while somebody works on it."""
        try:
            changed = self._index.stat().st_mtime_ns
            if self._kept is None or self._kept[0] != changed:
                self._kept = (changed, self._index.read_text("utf-8"))
        except FileNotFoundError:
            return None
        return self._kept[1]

    def _sign_in(self, request: Request) -> Response:
        if self._settings.auth != "jwt":
            raise unauthorized()
        if request.headers.get("sec-fetch-site") == "cross-site":
            return HTMLResponse(_ASK_AGAIN, headers=_HEADERS)
        return RedirectResponse(login_path(request), 303, {"Cache-Control": "no-store"})


def script(data: Mapping[str, Any]) -> str:
    """Data as an element that a page can hold and a browser does not run; nothing in it can end it."""
    text = orjson.dumps(data).decode().translate(_ESCAPES)
    return f'<script type="application/json" id="fantail-initial-data">{text}</script>'


def config(settings: Settings) -> dict[str, Any]:
    """What the dashboard must know of this server."""
    return {"useSSEStatus": settings.use_sse_status, "keepAliveS": settings.keepalive_s}


def first_rows(tables: Tables, viewer: Viewer) -> dict[str, Any]:
    """All rows that a viewer may see and their position, or the newest jobs without one where all are too many."""
    seen = {
        name: {row_id: row for row_id, row in tables.rows(name).items() if viewer.may_see(owner_of(row))}
        for name in tables.names
    }
    if sum(map(len, seen.values())) <= INITIAL_ROWS_MAX:
        return {"tables": seen, "position": str(tables.position())}
    if TABLE not in tables.names:
        return {"tables": {}, "position": None}
    newest = [pair for pair, _ in zip(newest_rows(tables, viewer), range(INITIAL_ROWS_MAX), strict=False)]
    return {"tables": {TABLE: dict(newest)}, "position": None}


async def first_lines(broker: Broker, job: Job) -> dict[str, Any]:
    """The last lines of a job, and the position after them."""
    start = max(0, job.output.tail - INITIAL_LINES_MAX)
    return _lines_json(await read_page(broker, job, start, INITIAL_LINES_MAX, INITIAL_BYTES_MAX))


def _lines_json(page: OutputPage) -> dict[str, Any]:
    return {
        "output": [orjson.Fragment(record) for record in page.records],
        "from": page.first,
        "total": page.total,
        "position": None if page.position is None else str(page.position),
    }
