"""The dashboard's numbers, measured in a real browser by `bench/frontend/main.mjs`; here they become rows.

A process of Node's, since the browser is driven from there, with the packages that the dashboard is built with. Where
there is no Chromium, or none of those packages, one row says so: the other benchmarks are of use without a browser.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import orjson

from bench.report import Row

BENCH = Path(__file__).parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
PATIENCE_S = 900.0


async def frontend(*parts: str) -> list[Row]:
    """All of it; takes about five minutes. FANTAIL_BENCH_SECONDS shortens the minute at 10,000 lines a second.

    `parts` are those of main.mjs; none: all.
    """
    browser = os.environ.get("FANTAIL_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    reason = why_not(browser)
    if reason or browser is None:
        return [Row(f"dashboard in a browser: NOT MEASURED, {reason}", 0, "figures")]
    process = await asyncio.create_subprocess_exec(
        "node",
        str(BENCH / "frontend/main.mjs"),
        *parts,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "FANTAIL_CHROMIUM": browser},
    )
    async with asyncio.timeout(PATIENCE_S):
        printed, _ = await process.communicate()
    if process.returncode != 0:
        return [Row("dashboard in a browser: BROKEN OFF, see above", 0, "figures", met=False)]
    return [Row(**row) for row in orjson.loads(printed)]


def why_not(browser: str | None) -> str:
    """What is missing; empty where nothing is."""
    if shutil.which("node") is None:
        return "there is no Node"
    if not (BENCH / "../frontend/node_modules/playwright-core").exists():
        return "frontend/node_modules is not installed (make setup)"
    return "" if browser else "there is no Chromium (FANTAIL_CHROMIUM names one)"
