"""The user a request is made for, and what that user may see.

The middleware of `fantail.web.auth.identity` writes a `Viewer` to the ASGI scope; everything below reads it with
`viewer_of`. A request without one is unauthenticated; each route refuses it in its own words (PROTOCOL.md, E1), so the
middleware does not.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fantail.web.errors import forbidden, unauthorized

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import Any


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who is asking.

    Attributes:
        name: the user (the token's `sub`); None where nobody is told apart (`FANTAIL_AUTH=none`).
        admin: sees and may change everything.
        expires_s: when the right ends, in seconds of the Unix epoch; None: never.
    """

    name: str | None
    admin: bool
    expires_s: float | None = None

    def may_see(self, owner: str | None) -> bool:
        """Whether a row or job of this owner may be shown; one without an owner is everyone's."""
        return self.admin or owner is None or owner == self.name

    def may_change(self, owner: str | None) -> bool:
        """Whether a job of this owner may be changed: by its owner, and by an admin; everyone's only by an admin."""
        return self.admin or (owner is not None and owner == self.name)

    def expired(self, now_s: float) -> bool:
        """Whether the right has ended; `now_s` in seconds of the Unix epoch."""
        return self.expires_s is not None and now_s >= self.expires_s


EVERYONE = Viewer(name=None, admin=True)


VIEWER_KEY: Final = "fantail.viewer"


def viewer_of(scope: MutableMapping[str, Any]) -> Viewer | None:
    """Who asks, as the middleware found out; None: nobody that we know."""
    viewer: Viewer | None = scope.get(VIEWER_KEY)
    return viewer


def viewer_required(scope: MutableMapping[str, Any]) -> Viewer:
    """Who asks.

    Raises:
        ProblemError: 401, nobody that we know.
    """
    viewer = viewer_of(scope)
    if viewer is None:
        raise unauthorized()
    return viewer


def check_token(scope: MutableMapping[str, Any]) -> None:
    """Checks that the viewer's token is still valid, after something was awaited.

    Raises:
        ProblemError: 401.
    """
    if viewer_required(scope).expired(time.time()):
        raise unauthorized("The token has expired")


def admin_required(scope: MutableMapping[str, Any]) -> Viewer:
    """Who asks, if it is an admin.

    Raises:
        ProblemError: 401 or 403.
    """
    viewer = viewer_required(scope)
    if not viewer.admin:
        raise forbidden("This is for admins")
    return viewer
