"""The objects that every stream and every route share, made once for each application and never global.

`Context` belongs to one application (`fantail.web.app.create_app`). The user of a request is not in it but in the
request: see `fantail.web.auth.viewer`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fantail.broker import Broker
    from fantail.web.auth.rate_limits import Limiter
    from fantail.web.logscan.outline import Outlines
    from fantail.web.open_streams import Streams
    from fantail.web.settings import Settings


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
