"""The references: other ways to do the same, each in a process of its own on a loopback port.

    bare        uvloop sockets and nothing else: what this machine and Python can do at best
    queues      sse-starlette with a queue per client under Uvicorn, the usual way
    nchan       nginx with the Nchan module, a message broker written in C, where it is installed

`bare` and `queues` take `POST /publish?count=N&together=0|1`: N messages to every subscriber; together, as one write.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

NCHAN_MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n:hi\n\n\r\n"


def frame(number: int) -> bytes:
    """The message that every server sends: what Fantail's job stream makes of one line of 80 characters."""
    line = f"~{number:010d} " + "x" * 68
    entry = f'{{"timestamp":1701561234567,"line":"{line}","stream":"stdout"}}'
    return f"id: {number}-0badcafe\nevent: output\ndata: {entry}\n\n".encode()


def chunked(data: bytes) -> bytes:
    """One HTTP chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class _Bare(asyncio.Protocol):
    clients: set[asyncio.Transport] = set()  # noqa: RUF012 - one server a process
    replay: bytes = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        target = data.split(b" ", 2)[1].decode()
        query = {name: int(values[0]) for name, values in parse_qs(urlsplit(target).query).items()}
        if target.startswith("/publish"):
            self._publish(query["count"], together=bool(query["together"]))
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        elif target == "/nginx":
            self._transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        elif target.startswith("/replay"):
            self._transport.write(HEAD)
            self._replay(query["count"])
        else:
            self._transport.write(HEAD)
            self.clients.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.clients.discard(self._transport)

    def _publish(self, count: int, *, together: bool) -> None:
        frames = [chunked(frame(number)) for number in range(count)]
        if together:
            frames = [chunked(b"".join(frame(number) for number in range(count)))]
        for data in frames:
            for client in self.clients:
                client.write(data)

    def _replay(self, count: int) -> None:
        if not _Bare.replay:
            _Bare.replay = b"".join(frame(number) for number in range(count))
        for start in range(0, len(_Bare.replay), 65536):
            self._transport.write(chunked(_Bare.replay[start : start + 65536]))
        self._transport.write(b"0\r\n\r\n")
        self._transport.close()


async def _serve_bare(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Bare, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


def _serve_queues(port: int) -> None:
    import uvicorn
    from sse_starlette import EventSourceResponse
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    queues: set[asyncio.Queue[dict[str, str]]] = set()

    async def stream(_: Request) -> Response:
        queue: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        queues.add(queue)

        async def events() -> AsyncIterator[dict[str, str]]:
            try:
                yield {"comment": "hi"}
                while True:
                    yield await queue.get()
            finally:
                queues.discard(queue)

        return EventSourceResponse(events())

    async def publish(request: Request) -> Response:
        for number in range(int(request.query_params["count"])):
            identifier, event, data = (line.split(": ", 1)[1] for line in frame(number).decode().strip().split("\n"))
            for queue in queues:
                queue.put_nowait({"id": identifier, "event": event, "data": data})
        return Response()

    app = Starlette(routes=[Route("/stream", stream), Route("/publish", publish, methods=["POST"])])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", loop="uvloop", backlog=2048)


@contextlib.contextmanager
def peer(name: str, port: int) -> Iterator[str]:
    """Runs a reference server while the block is active; gives its base URL."""
    with _ending(subprocess.Popen([sys.executable, "-m", "bench.peers", name, str(port)])):
        wait_for_port(port)
        yield f"http://127.0.0.1:{port}"


def nchan_installed() -> bool:
    """Whether nginx with Nchan can be run here."""
    return NCHAN_MODULE.exists() and shutil.which("nginx") is not None


@contextlib.contextmanager
def nchan(port: int) -> Iterator[str]:
    """Runs nginx with Nchan while the block is active; gives its base URL (`/pub/{id}`, `/sub/{id}`)."""
    folder = tempfile.mkdtemp(prefix="bench-nchan-")
    Path(folder, "nginx.conf").write_text(
        f"""
load_module {NCHAN_MODULE};
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
{"user root;" if os.geteuid() == 0 else ""}
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  keepalive_requests 1000000;
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location = /nginx {{ return 204; }}
    location ~ /pub/(\\w+)$ {{ nchan_publisher; nchan_channel_id $1; nchan_message_buffer_length 200; }}
    location ~ /sub/(\\w+)$ {{ nchan_subscriber eventsource; nchan_channel_id $1; nchan_eventsource_ping_interval 1; }}
  }}
}}
""",
        encoding="utf-8",
    )
    command = ["nginx", "-p", folder, "-c", f"{folder}/nginx.conf"]
    try:
        with _ending(subprocess.Popen(command, stderr=subprocess.DEVNULL)):
            wait_for_port(port)
            yield f"http://127.0.0.1:{port}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _ending(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Has a process end with the block."""
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def wait_for_port(port: int, timeout_s: float = 15.0) -> None:
    """Waits until something answers HTTP on a loopback port."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            httpx.get(f"http://127.0.0.1:{port}/nginx", timeout=1)
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        except httpx.HTTPError:
            return
        else:
            return


def main() -> None:
    """Serves one reference; the process that the benchmark starts."""
    import uvloop

    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=["bare", "queues"])
    parser.add_argument("port", type=int)
    arguments = parser.parse_args()
    if arguments.name == "queues":
        _serve_queues(arguments.port)
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, contextlib.suppress(KeyboardInterrupt):
            runner.run(_serve_bare(arguments.port))


if __name__ == "__main__":
    main()
