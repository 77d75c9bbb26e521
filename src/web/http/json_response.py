"""JSON answers that no cache keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping


HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer, kept by no cache."""
    body = value if isinstance(value, bytes) else orjson.dumps(value)
    return Response(body, status, {**HEADERS, **(headers or {})}, media_type="application/json")
