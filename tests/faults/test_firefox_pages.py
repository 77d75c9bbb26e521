"""A job's page in Firefox: the log and the diff are drawn, are scrolled to their ends, and no script fails.

Firefox draws, breaks and scrolls by its own rules: it ends a scroll space earlier than Chromium does, and where it
would break a line in another place than the page counts on, the end of the line would be cut.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from fantail.broker.producers.diff.entry import DiffEntry
from fantail.broker.producers.diff.publisher import DiffPublisher
from fantail.broker.producers.writer.job_writer import NewJob, open_job
from fantail.web.pages.html import DASHBOARD
from faults.firefox import PROGRAM, firefox_page
from support.servers.fantail_process import fantail_process
from support.wait import eventually

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from faults.firefox import Page

WAIT_S = 40.0
LINES = 30_000
NOTE_FAULTS = """() => {
  window.faults = [];
  addEventListener("error", (event) => faults.push(String(event.message)));
  addEventListener("unhandledrejection", (event) => faults.push(String(event.reason)));
  addEventListener("securitypolicyviolation", (event) => faults.push(event.violatedDirective));
}"""
TALLER_THAN_ITS_ROW = """[...document.querySelectorAll(".d-row:not(.hunk)")].filter((row) =>
  row.querySelector(".d-text").getBoundingClientRect().height > row.getBoundingClientRect().height).length"""


@pytest.mark.browser
@pytest.mark.skipif(PROGRAM is None, reason="no Firefox is installed (firefox-esr)")
@pytest.mark.skipif(not (DASHBOARD / "index.html").exists(), reason="the dashboard is not built (make setup)")
@pytest.mark.timeout(180)
async def test_the_log_and_the_diff_of_a_job_are_read_to_their_ends(redis_url: str, redis_client: Redis) -> None:
    odd = ["\t\tif (a) {\t", "漢字かな ", "word ", "🦊🦊", "é̀ñ ", "a-b/c.d,"]
    long = "".join(f"+{part * (200 + 7 * number)}\n" for number, part in enumerate(odd))
    plain = "".join(f"+line {number}\n" for number in range(LINES))
    async with open_job(redis_url, NewJob(id="42")) as job, firefox_page() as page:
        await job.append([f"line {number}" for number in range(LINES)])
        await publish(redis_client, {"a.txt": long, "b.txt": plain})
        with fantail_process("--redis-url", redis_url) as server:
            await page.prepare(NOTE_FAULTS)
            await page.navigate(f"{server.url}/jobs/42")
            # The first screen has the lines too, and no use of its tabs yet.
            await shows(page, "#root:not([inert]) .log-scroller", rf"line {LINES - 1}\b")
            await page.evaluate("document.querySelector('#tab-diff').click()")
            await shows(page, ".d-scroller", r"\bword word\b")
            await wrapped(page)
            await page.evaluate("document.querySelector('.d-scroller').scrollTo({ top: 1e9 })")
            await shows(page, ".d-scroller", rf"line {LINES - 1}\b")
            assert await page.evaluate("document.querySelectorAll('.d-row').length") < 300
            assert await page.evaluate("window.faults") == []


@pytest.mark.browser
@pytest.mark.skipif(PROGRAM is None, reason="no Firefox is installed (firefox-esr)")
@pytest.mark.skipif(not (DASHBOARD / "index.html").exists(), reason="the dashboard is not built (make setup)")
@pytest.mark.timeout(180)
async def test_with_all_cookies_blocked_lines_are_live(redis_url: str) -> None:
    """Storage, workers and channels that tabs would share are refused then, each by an exception."""
    async with open_job(redis_url, NewJob(id="42")) as job, firefox_page({"network.cookie.cookieBehavior": 2}) as page:
        await job.append(["a line before"])
        with fantail_process("--redis-url", redis_url) as server:
            await page.prepare(NOTE_FAULTS)
            await page.navigate(f"{server.url}/jobs/42")
            await shows(page, "#root:not([inert]) .log-scroller", r"a line before")
            refused = "(() => { try { localStorage; return false } catch { return true } })()"
            assert await page.evaluate(refused), "the browser keeps nothing"
            await job.append(["a live line"])
            await shows(page, ".log-scroller", r"a live line")
            await shows(page, ".connection output", r"Live")
            assert await page.evaluate("window.faults") == []


async def publish(client: Redis, added: dict[str, str]) -> None:
    entries = {}
    for file, lines in added.items():
        count = lines.count("\n")
        head = f"diff --git a/{file} b/{file}\nnew file mode 100644\n--- /dev/null\n+++ b/{file}\n"
        entries[file] = DiffEntry(file, "added", f"{head}@@ -0,0 +1,{count} @@\n{lines}", count, 0)
    await DiffPublisher(client, "42").publish(entries)


async def shows(page: Page, where: str, what: str) -> None:
    """Waits until such a text is drawn there."""

    async def drawn() -> bool:
        text = await page.evaluate(f"document.querySelector('{where}')?.textContent ?? ''")
        return re.search(what, text) is not None

    await eventually(drawn, WAIT_S, f"{what} in {where}")


async def wrapped(page: Page) -> None:
    """Has long lines wrapped; no line is cut then."""
    wrap = "[...document.querySelectorAll('.diff button')].find((one) => one.textContent === 'Wrap').click()"
    await page.evaluate(wrap)
    first = "document.querySelector('.d-row.added').getBoundingClientRect().height"
    await eventually(lambda: page.evaluate(f"{first} > 60"), WAIT_S, "lines that are wrapped")
    assert await page.evaluate(TALLER_THAN_ITS_ROW) == 0
