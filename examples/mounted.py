"""Fantail's streams inside an application of your own.

    python examples/mounted.py
    curl -N http://127.0.0.1:8800/fantail/api/jobs/visitors/stream
    curl http://127.0.0.1:8800/hello/ann        (in another terminal: the first one shows it)

Your application runs the broker, because Starlette runs the lifespan of the application at the top and of no mounted
one. Write through `broker.ledger` or the methods of `Broker`; browsers follow at `/fantail/api/jobs/{id}/stream`, with
an EventSource or with the hooks (docs/HOOKS.md). The dashboard itself works at the root of an address only.

Middleware of yours that changes bodies (compression, say) must not stand in front of the mount when
`fantail.web.sse.graceful_shutdown`'s server runs it: streams write to its connections directly. Under any other ASGI
server they do not.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from fantail.broker import Broker
from fantail.web import create_app
from fantail.web.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

broker = Broker()


async def greet(request: Request) -> JSONResponse:
    """An endpoint of your own: each call writes a line that every open tab sees."""
    offset = await broker.publish("visitors", f"hello, {request.path_params['name']}")
    return JSONResponse({"line": offset, "watch": str(request.url_for("fantail", path="/api/jobs/visitors/stream"))})


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """Runs the broker as long as your application runs."""
    async with broker.running():
        await broker.create_job("visitors", {"name": "Who came by"})
        yield


app = Starlette(
    routes=[
        Route("/hello/{name}", greet),
        Mount("/fantail", create_app(broker, Settings(keepalive_s=15.0)), name="fantail"),
    ],
    lifespan=lifespan,
)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=8800)
