"""uvicorn with an end: streams are drained, the exit is orderly, and all is over within 8 s (trap 37).

uvicorn by itself waits for streams that never end, and then exits as if killed. Here the streams are ended first,
each with a `retry:` that brings its client back when a successor runs, spread over `FANTAIL_DRAIN_S` (trap 32).
Meanwhile the socket still listens, and who comes is told to come back later: a refused connection ends an EventSource
in Firefox for good (trap 42). Two seconds after that time what is left is cut. A second signal cuts at once.

A socket that was inherited is closed here but lives on where it came from, so connections wait in it for the
successor, and none is refused.
"""

from __future__ import annotations

import logging
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import anyio
import uvicorn

from fantail.web.limits import DRAIN_GRACE_S, SHUTDOWN_GRACE_S
from fantail.web.sse.http_protocol import protocol_class

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from anyio.abc import TaskStatus
    from starlette.applications import Starlette

    from fantail.web.context import Context

logger = logging.getLogger("fantail.server")

# Longer than the keep-alive of proxies in front (nginx: 60 s), so that it is them who close an idle connection.
IDLE_CONNECTION_S: Final = 75
TICK_S: Final = 1.0
SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class DrainingServer(uvicorn.Server):
    """Serves one application on one listening socket.

    Args:
        app: made by `fantail.web.app.create_app`.
        on_ready: called when connections are accepted.
    """

    def __init__(self, app: Starlette, on_ready: Callable[[], None] = lambda: None) -> None:
        self._context: Context = app.state.context
        settings = self._context.settings
        super().__init__(
            uvicorn.Config(
                app,
                http=protocol_class(settings.write_timeout_s),
                ws="none",
                loop="none",
                lifespan="off",
                log_config=None,
                access_log=settings.access_log,
                proxy_headers=False,
                server_header=False,
                backlog=settings.backlog,
                timeout_keep_alive=IDLE_CONNECTION_S,
            )
        )
        self._on_ready = on_ready
        self._stopping = anyio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to accept connections."""
        await super().startup(sockets)
        self._on_ready()

    def stop(self) -> None:
        """Begins the end; called again, cuts it short."""
        if self.should_exit:
            self.force_exit = True
            self._context.streams.cut()
        self.should_exit = True
        self._stopping.set()

    async def main_loop(self) -> None:
        """Waits until it shall stop; once a second uvicorn renews its `Date` header."""
        while not await self.on_tick(0):
            with anyio.move_on_after(TICK_S):
                await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drains the streams, then closes everything."""
        began_s = time.monotonic()
        streams, settings = self._context.streams, self._context.settings
        if len(streams):
            logger.info("ending %d streams within %g s", len(streams), settings.drain_s)
        for connection in list(self.server_state.connections):
            connection.shutdown()  # idle ones close now, the others after their answer
        streams.drain(settings.drain_s)
        if not self.force_exit:
            with anyio.move_on_after(settings.drain_s + DRAIN_GRACE_S):
                await streams.wait_until_none()
        if cut := streams.cut():
            logger.warning("%d streams did not end by themselves and were cut", cut)
        left_s = max(0.0, settings.drain_s + SHUTDOWN_GRACE_S - (time.monotonic() - began_s))
        self.config.timeout_graceful_shutdown = left_s  # type: ignore[assignment]  # only asyncio.wait_for reads it
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals alone: uvicorn would raise them again at the end, and exit as if killed."""
        yield


async def serve_app(app: Starlette, listener: socket.socket, on_ready: Callable[[], None], *, signals: bool) -> None:
    """Serves until a signal comes or this is cancelled; a cancellation cuts everything.

    Args:
        app: made by `fantail.web.app.create_app`; its broker is running.
        listener: bound, and closed at the end.
        on_ready: called when connections are accepted.
        signals: whether SIGTERM and SIGINT end it; only in a program's main thread.
    """
    server = DrainingServer(app, on_ready)
    async with anyio.create_task_group() as tasks:
        if signals:
            # Taken before the server says that it is ready: whoever waits for that word may send one at once.
            await tasks.start(_stop_at_signals, server)
        await server.serve([listener])
        tasks.cancel_scope.cancel()


async def _stop_at_signals(
    server: DrainingServer, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    with anyio.open_signal_receiver(*SIGNALS) as received:
        task_status.started()
        async for number in received:
            logger.info("%s: stopping%s", number.name, " at once" if server.should_exit else "")
            server.stop()
