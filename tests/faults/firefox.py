"""A headless Firefox, driven by WebDriver BiDi (W3C): one page, and scripts in it.

Decided against: geckodriver (one more program to install), and playwright-core's own way of driving a stock Firefox
(it asks for commands that the packaged Firefox does not have).
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio
from websockets.asyncio.client import connect

from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from websockets.asyncio.client import ClientConnection

PROGRAM: Final = shutil.which("firefox-esr") or shutil.which("firefox")
START_S: Final = 40.0
LISTENS: Final = re.compile(r"WebDriver BiDi listening on (ws://\S+)")
# Beside what Firefox sets by itself when it is driven: nothing calls home.
PREFERENCES: Final = {
    "app.normandy.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,nothing",
    "toolkit.telemetry.server": "data:,nothing",
}


class Page:
    """The one page of a browser; made by `firefox_page`."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self._context = ""

    async def open(self) -> None:
        """Begins the session."""
        await self._ask("session.new", {"capabilities": {}})
        self._context = (await self._ask("browsingContext.getTree", {}))["contexts"][0]["context"]

    async def prepare(self, function: str) -> None:
        """Runs a JavaScript function in each page from now on, before the page's own scripts."""
        await self._ask("script.addPreloadScript", {"functionDeclaration": function})

    async def navigate(self, url: str) -> None:
        """Loads a page, whole."""
        await self._ask("browsingContext.navigate", {"context": self._context, "url": url, "wait": "complete"})

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page, by way of JSON."""
        target = {"context": self._context}
        script = f"JSON.stringify({expression}) ?? 'null'"
        answer = await self._ask("script.evaluate", {"expression": script, "target": target, "awaitPromise": True})
        assert answer["type"] == "success", answer
        return json.loads(answer["result"]["value"])

    async def _ask(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        number = next(self._numbers)
        await self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:  # events come in between
            answer = json.loads(await self._connection.recv())
            if answer.get("id") == number:
                assert answer["type"] == "success", answer
                result: dict[str, Any] = answer["result"]
                return result


@asynccontextmanager
async def firefox_page(preferences: Mapping[str, bool | int | str] | None = None) -> AsyncIterator[Page]:
    """Starts a Firefox with a profile of its own, and more preferences (about:config); it ends with the context."""
    assert PROGRAM is not None
    home = Path(tempfile.mkdtemp(prefix="firefox-"))
    chosen = {**PREFERENCES, **(preferences or {})}
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in chosen.items()]
    (home / "user.js").write_text("\n".join(lines))
    log = home / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: ASYNC220 - starting takes a millisecond
            [PROGRAM, "--headless", "--no-remote", "--profile", str(home), "--remote-debugging-port", "0"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={"HOME": str(home), "PATH": "/usr/bin:/bin", "MOZ_DISABLE_CONTENT_SANDBOX": "1"},
        )
    try:
        found = await eventually(lambda: LISTENS.search(log.read_text()), START_S, "Firefox to listen")
        assert found is not None
        async with connect(f"{found[1]}/session", max_size=None, proxy=None) as connection:
            page = Page(connection)
            await page.open()
            yield page
    finally:
        process.terminate()
        await anyio.to_thread.run_sync(process.wait)
        shutil.rmtree(home, ignore_errors=True)
