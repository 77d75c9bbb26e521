"""The files of the dashboard's build: kept by browsers for ever, and sent packed.

A file has its content in its name, so an address never means another one. The build puts a packed copy (`.gz`) beside
each that is worth it: a network in a house carries a third of the bytes, and nothing is packed while someone waits.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import Scope

_KEPT_FOR_EVER: Final = "public, max-age=31536000, immutable"
_REFUSED: Final = re.compile(r"\s*q\s*=\s*0(\.0*)?\s*", re.IGNORECASE)


class Assets(StaticFiles):
    """The folder of the build's files; one that is not there is an `HTTPException` of 404, as in Starlette."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file at `path`, packed for a client that takes gzip."""
        answer = await self._packed(path, scope) or await super().get_response(path, scope)
        answer.headers["Cache-Control"] = _KEPT_FOR_EVER
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers.add_vary_header("Accept-Encoding")
        return answer

    async def _packed(self, path: str, scope: Scope) -> Response | None:
        if not _takes_gzip(Headers(scope=scope).get("accept-encoding", "")):
            return None
        try:
            answer = await super().get_response(f"{path}.gz", scope)
        except HTTPException:
            return None
        answer.headers["Content-Encoding"] = "gzip"
        return answer


def _takes_gzip(accepted: str) -> bool:
    """Whether `Accept-Encoding` names gzip, and not with a weight of nought, which refuses it (RFC 9110, 12.5.3)."""
    for one in accepted.split(","):
        coding, _, weight = one.partition(";")
        if coding.strip().lower() == "gzip":
            return _REFUSED.fullmatch(weight) is None
    return False
