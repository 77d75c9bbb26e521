"""The broker over HTTP: `create_app` for a program of yours, `web.server.serve` for the program `fantail serve`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from web.app import create_app as create_app

__all__ = ["create_app"]


def __getattr__(name: str) -> Any:
    """Imports on demand: `fantail run`, whose commands are in this package, starts in half the time without."""
    if name == "create_app":
        from web.app import create_app  # noqa: PLC0415 - the purpose of this function

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
