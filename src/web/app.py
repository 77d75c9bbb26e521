"""The application: what is served where, and in which order a request goes through it.

`create_app` gives a Starlette application over a broker that somebody else runs (`Broker.run`). It starts nothing and
stops nothing, so it can be mounted into another application, whose lifespan Starlette runs and ours not; see
examples/mounted.py. `fantail.web.server` is the program that puts a broker, this application and uvicorn together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette

from fantail.web.auth.identity import middleware
from fantail.web.auth.rate_limits import Limiter, Limits, Rate
from fantail.web.context import Context
from fantail.web.errors import exception_handlers
from fantail.web.http.proxies import TrustedProxies
from fantail.web.http.slashes import either_slash
from fantail.web.logscan.outline import Outlines
from fantail.web.logscan.scan import SearchSlots
from fantail.web.observability import metrics
from fantail.web.open_streams import Streams
from fantail.web.pages import html, login
from fantail.web.rest import routes as api
from fantail.web.rest import system
from fantail.web.settings import load_settings
from fantail.web.status_sources import StatusSources
from fantail.web.streams import multiplex, repobox, vibe_kanban

if TYPE_CHECKING:
    from fantail.broker import Broker
    from fantail.web.settings import Settings


def create_app(broker: Broker, settings: Settings | None = None, sources: StatusSources | None = None) -> Starlette:
    """Makes the application; its `state.context` is the `Context` that its routes share.

    Args:
        broker: what it shows; it must be running (`Broker.running`) while requests are answered.
        settings: None: from the environment.
        sources: what status dashboards show; they must be running too. None: nothing but the queue.

    Raises:
        WrongSettingError: a setting has a value that is not allowed.
    """
    settings = settings or load_settings()
    context = create_context(broker, settings)
    sources = sources or StatusSources()
    parts = (repobox, vibe_kanban, sources, api, login, html)
    routes = [route for part in parts for route in part.routes(context)]
    routes += [*metrics.routes(context, sources), *system.routes(context, sources)]
    app = Starlette(
        routes=[*multiplex.routes(context, routes), *routes],
        middleware=middleware(settings),
        exception_handlers=exception_handlers(),
    )
    app.router.redirect_slashes = False
    app.router.default = either_slash(routes, html.unknown(context, app.router.default))
    app.state.context = context
    return app


def create_context(broker: Broker, settings: Settings) -> Context:
    """What the routes of one application share."""
    limits = Limits(
        streams_max=settings.streams,
        streams_per_user_max=settings.streams_per_user,
        streams_per_address_max=settings.streams_per_address,
        stream_rate=Rate(settings.streams_per_s, settings.streams_burst),
        ingest_rate=Rate(settings.ingest_bytes_per_s, settings.ingest_bytes_per_s),
        proxies=TrustedProxies(settings.proxy_addresses).networks,
    )
    return Context(broker, settings, Limiter(limits, broker.now_s), Streams(broker.now_s), Outlines(SearchSlots()))
