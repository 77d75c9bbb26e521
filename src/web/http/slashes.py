"""One address with and without a slash at its end.

Starlette answers the other form with a redirect to an absolute address, made of the scheme and the `Host` that it
sees. Behind TLS that is `http://…`, which a page may not follow (mixed content) and which EventSource takes for a
failure; behind a proxy on another port the port is lost. So both forms are served, without a redirect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Match

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route
    from starlette.types import ASGIApp, Receive, Scope, Send


def either_slash(routes: Sequence[Route], otherwise: ASGIApp) -> ASGIApp:
    """The application for paths that no route has: the route of the other form, if there is one.

    Args:
        routes: of the application.
        otherwise: answers paths that no route has in either form.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] != "//":  # the root has one form only
            other = with_other_slash(scope)
            for route in routes:
                match, found = route.matches(other)
                if match is not Match.NONE:
                    await route.handle({**other, **found}, receive, send)
                    return
        await otherwise(scope, receive, send)

    return answer


def with_other_slash(scope: Scope) -> Scope:
    """The scope with a slash at the end of its path if it has none, and without it if it has one."""
    path, raw_path = scope["path"], scope.get("raw_path") or b""
    if path.endswith("/"):
        return {**scope, "path": path[:-1], "raw_path": raw_path.removesuffix(b"/")}
    return {**scope, "path": f"{path}/", "raw_path": raw_path + b"/"}
