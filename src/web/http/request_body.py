"""A request's whole body, bounded in bytes and in time.

For small bodies that are read before anything is done with them. A client that sends one byte by byte, or stops in its
midst, would hold a connection for ever (Slowloris), and on `/login` without saying who it is. Ingest is not read this
way: an upload may follow a job that is silent for an hour (`fantail.web.rest.ingest_parser`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from starlette.requests import ClientDisconnect

from fantail.web.errors import Problem, ProblemError, bad_request, too_large
from fantail.web.limits import BODY_S_MAX

if TYPE_CHECKING:
    from starlette.requests import Request


async def whole_body(request: Request, bytes_max: int, too_long: str | None = None) -> bytes:
    """Reads the body to its end.

    Args:
        request: whose body was not read yet.
        bytes_max: a longer one is refused, without reading the rest.
        too_long: what is said then.

    Raises:
        ProblemError: 413, it is longer; 408, it did not come within `BODY_S_MAX`; 400, it is cut off.
    """
    body = bytearray()
    try:
        with anyio.fail_after(BODY_S_MAX):
            async for chunk in request.stream():
                body += chunk
                if len(body) > bytes_max:
                    raise too_large(too_long or f"The body is longer than {bytes_max:,} bytes")
    except ClientDisconnect:
        raise bad_request("The body was cut off") from None
    except TimeoutError:
        raise ProblemError(Problem(408, f"The body did not come within {BODY_S_MAX:g} s")) from None
    return bytes(body)
