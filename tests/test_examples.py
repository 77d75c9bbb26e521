"""The examples do what they say."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import httpx
import uvicorn

from support.clients.sse_client import open_stream
from support.wait import eventually

if TYPE_CHECKING:
    from starlette.applications import Starlette

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_the_library_example_shows_every_reader_every_line_and_resumes() -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLES / "library.py"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for reader in ("ann", "bob", "cleo"):
        assert [line.split()[1] for line in lines if line.startswith(f"{reader}: ")] == list("01234")
    assert sum(line.startswith("cleo left at 1-") for line in lines) == 1
    assert "{'m1': {'load': 0.7}}" in done.stdout


async def test_the_mounted_example_streams_what_its_own_endpoint_writes() -> None:
    app: Starlette = runpy.run_path(str(EXAMPLES / "mounted.py"))["app"]
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    async with anyio.create_task_group() as tasks, httpx.AsyncClient() as client:
        tasks.start_soon(server.serve)
        await eventually(lambda: server.started, what="the application running")
        url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        async with open_stream(f"{url}/fantail/api/jobs/visitors/stream") as stream:
            assert (await stream.next()).name == "status"
            answer = (await client.get(f"{url}/hello/ann")).json()
            assert answer == {"line": 0, "watch": f"{url}/fantail/api/jobs/visitors/stream"}
            assert (await stream.next()).json["line"] == "hello, ann"
        page = await client.get(f"{url}/fantail/", headers={"Accept": "text/html"})
        assert (page.status_code, "root of an address" in page.text) == (404, True), "and no page that stays empty"
        server.should_exit = True
