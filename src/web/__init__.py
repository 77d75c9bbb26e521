"""The broker over HTTP: `create_app` for an application, `fantail.web.server.serve` for the program `fantail serve`.

The rooms: `http`, `sse`, `streams`, `rest`, `logscan`, `auth`, `pages`, `observability`, `cli`. Beside them:

    app.py              what is served where
    context.py          what every route is given
    errors.py           from exception to answer
    limits.py           every bound
    open_streams.py     all that are open now
    server.py           `fantail serve`
    settings.py         every setting
    status_sources.py   what status dashboards are fed from
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fantail.web.app import create_app as create_app

__all__ = ["create_app"]


def __getattr__(name: str) -> Any:
    """Imports on demand: `fantail run`, whose commands are in this package, starts in half the time without."""
    if name == "create_app":
        from fantail.web.app import create_app  # noqa: PLC0415 - the purpose of this function

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
