"""A client of the whole application without a socket: requests go straight to it, over ASGI."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from fantail.broker import Broker
from fantail.web.app import create_app
from fantail.web.auth.identity import mint_token
from fantail.web.settings import Settings
from support.servers.redis_broker import redis_broker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fantail.web.context import Context

SECRET = "a secret of more than thirty-two bytes"


@dataclass(frozen=True, slots=True)
class WebClient:
    """What a test needs of an application: a client, and its insides."""

    http: httpx.AsyncClient
    broker: Broker
    context: Context

    def token(self, user: str, *, admin: bool = False, ttl_s: float = 60.0) -> str:
        """A token that this application takes."""
        return mint_token(self.context.settings, user, admin=admin, ttl_s=ttl_s)

    def bearer(self, user: str, *, admin: bool = False) -> dict[str, str]:
        """The header that shows it."""
        return {"Authorization": f"Bearer {self.token(user, admin=admin)}"}


@asynccontextmanager
async def web_client(
    broker: Broker | None = None, *, peer: str = "127.0.0.1", base_url: str = "http://localhost:8765", **settings: Any
) -> AsyncIterator[WebClient]:
    """Runs a broker (without Redis unless one is given) and its application while the context lasts.

    `jwt=True` is short for `auth="jwt"` with `SECRET`.
    """
    if settings.pop("jwt", False):
        settings |= {"auth": "jwt", "jwt_secret": SECRET}
    broker = broker or Broker()
    app = create_app(broker, Settings(**settings))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(peer, 50_000))
    async with broker.running(), httpx.AsyncClient(transport=transport, base_url=base_url) as http:
        yield WebClient(http, broker, app.state.context)


@asynccontextmanager
async def redis_web_client(redis_url: str, **settings: Any) -> AsyncIterator[WebClient]:
    """The same over a real Redis, which is the truth then."""
    async with web_client(redis_broker(redis_url), **settings) as client:
        yield client
