"""The application with what feeds status dashboards, on a real socket, in the test's own event loop."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio

from fantail.broker import Broker
from fantail.web.app import create_app
from fantail.web.auth.identity import mint_token
from fantail.web.settings import Settings
from fantail.web.sse.graceful_shutdown import DrainingServer
from fantail.web.status_sources import StatusSources, status_tables
from support.servers.redis_broker import redis_broker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fantail.broker.sources.pipelines.health_poller import HealthPoller
    from fantail.broker.sources.status.pubsub import StatusPubSub
    from fantail.web.context import Context

SECRET = "a secret of more than thirty-two bytes"


@dataclass(slots=True)
class ServedStatus:
    """What a test needs of it."""

    broker: Broker
    context: Context
    sources: StatusSources
    server: DrainingServer
    url: str

    @property
    def poller(self) -> HealthPoller:
        """The poller of pipelines."""
        assert self.sources.pipelines is not None
        return self.sources.pipelines

    @property
    def statuses(self) -> StatusPubSub:
        """The follower of tests and runs."""
        assert self.sources.statuses is not None
        return self.sources.statuses

    def bearer(self, user: str, *, admin: bool = False) -> dict[str, str]:
        """A header that shows who asks, where `jwt=True` was given."""
        token = mint_token(self.context.settings, user, admin=admin, ttl_s=60.0)
        return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def served_status(
    redis_url: str | None = None, *, tailed: bool = False, jwt: bool = False, **settings: Any
) -> AsyncIterator[ServedStatus]:
    """Serves until the context ends.

    Args:
        redis_url: where the channels of tests and runs are; None: there are none.
        tailed: whether the broker follows that Redis too.
        jwt: whether a token is asked for.
        settings: of the server.
    """
    if jwt:
        settings |= {"auth": "jwt", "jwt_secret": SECRET}
    made = Settings(**settings)
    if tailed:
        assert redis_url is not None
        broker = redis_broker(redis_url, tables=status_tables(made))
    else:
        broker = Broker(tables=status_tables(made))
    sources = StatusSources.of(broker, made, redis_url)
    app = create_app(broker, made, sources)
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        ready = anyio.Event()
        server = DrainingServer(app, ready.set)
        async with broker.running(), sources.running(), anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listener])
            await ready.wait()
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            try:
                yield ServedStatus(broker, app.state.context, sources, server, url)
            finally:
                server.stop()
                server.stop()
