"""An application of ours on a real socket, in the test's own event loop."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio

from fantail.broker import Broker
from fantail.web.app import create_app
from fantail.web.settings import Settings
from fantail.web.sse.graceful_shutdown import DrainingServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fantail.web.context import Context


@dataclass(slots=True)
class ServedApp:
    """What a test needs of it; `port` is on 127.0.0.1."""

    broker: Broker
    context: Context
    server: DrainingServer
    port: int

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def served_app(broker: Broker | None = None, **settings: Any) -> AsyncIterator[ServedApp]:
    """Runs a broker (without Redis unless one is given) and its application while the context lasts."""
    broker = broker or Broker()
    app = create_app(broker, Settings(**settings))
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        ready = anyio.Event()
        server = DrainingServer(app, ready.set)
        async with broker.running(), anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listener])
            await ready.wait()
            try:
                yield ServedApp(broker, app.state.context, server, listener.getsockname()[1])
            finally:
                server.stop()
                server.stop()
