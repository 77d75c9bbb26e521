"""What every face and every route is given: one object, made once, and never a global.

`Context` belongs to one application (`web.app.create_app`). Who asks is not in it but in the request: the middleware
of `web.auth` writes a `Viewer` to the ASGI scope, and everything below reads it with `viewer_of`. A request without
one is unauthenticated; each face refuses it in its own words (PROTOCOL.md, E1), so the middleware does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import Any

    from broker import Broker
    from web.auth import Viewer
    from web.limiter import Limiter
    from web.outlines import Outlines
    from web.settings import Settings
    from web.streams import Streams

VIEWER_KEY: Final = "fantail.viewer"


@dataclass(frozen=True, slots=True)
class Context:
    """What the routes of one application share.

    Attributes:
        broker: what they read and, through `broker.ledger`, write.
        settings: as given at the start.
        limiter: how many streams and how many bytes each user and address may have.
        streams: the event streams that are open now, and their drain.
        outlines: of the logs that were asked for last, and the places of those who look through logs.
    """

    broker: Broker
    settings: Settings
    limiter: Limiter
    streams: Streams
    outlines: Outlines


def viewer_of(scope: MutableMapping[str, Any]) -> Viewer | None:
    """Who asks, as the middleware found out; None: nobody that we know."""
    viewer: Viewer | None = scope.get(VIEWER_KEY)
    return viewer
