"""Firefox's own EventSource, which gives up for good where Chromium goes on: it must never be refused (trap 42).

Lines come once and in order through a cut at a byte of chance's choosing, a server that is killed, and one that drains.
The listening socket is the test's, as systemd's would be: it outlives every server, so connections wait in it.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from fantail.broker.producers.writer.job_writer import Delivered, NewJob, open_job
from faults.firefox import PROGRAM, firefox_page
from support.servers.fantail_process import fantail_process
from support.servers.tcp_proxy import tcp_proxy
from support.wait import eventually

if TYPE_CHECKING:
    import random

    from faults.firefox import Page

LISTEN = """
(window.heard = { lines: [], opens: 0, done: 0, source: new EventSource("/api/jobs/42/stream") },
 heard.source.onopen = () => heard.opens++,
 heard.source.addEventListener("output", (event) => heard.lines.push(JSON.parse(event.data).line)),
 heard.source.addEventListener("done", () => heard.done++),
 null)
"""
CLOSED = 2


@pytest.mark.browser
@pytest.mark.skipif(PROGRAM is None, reason="no Firefox is installed (firefox-esr)")
@pytest.mark.timeout(120)
async def test_every_line_once_through_cuts_and_restarts(redis_url: str, chance: random.Random) -> None:
    async with open_job(redis_url, NewJob(id="42")) as job, firefox_page() as page:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            arguments = ("--fd", str(listener.fileno()), "--redis-url", redis_url)
            settings = {"FANTAIL_DRAIN_S": "0.2"}
            server = fantail_process(*arguments, pass_fds=[listener.fileno()], settings=settings)
            async with tcp_proxy(listener.getsockname()[1]) as proxy:
                with server as first:
                    await page.navigate(f"http://127.0.0.1:{proxy.port}/metrics")
                    await page.evaluate(LISTEN)
                    await job.append([f"line {number}" for number in range(1000)])
                    await heard(page, 1000)
                    proxy.cut_after_reply_bytes(chance.randrange(90_000))
                    await job.append([f"line {number}" for number in range(1000, 2000)])
                    await heard(page, 2000)
                    assert proxy.cuts_total == 1
                    await job.append([f"line {number}" for number in range(2000, 3000)])
                    first.process.kill()
                    first.wait()
                await job.append([f"line {number}" for number in range(3000, 4000)])
                with fantail_process(*arguments, pass_fds=[listener.fileno()], settings=settings) as second:
                    await heard(page, 4000)
                    second.signal()
                    await job.append([f"line {number}" for number in range(4000, 5000)])
                    assert second.wait() == 0
                with fantail_process(*arguments, pass_fds=[listener.fileno()], settings=settings):
                    await heard(page, 5000)
                    await job.append([f"line {number}" for number in range(5000, 6000)])
                    assert await job.finish() == Delivered()
                    await heard(page, 6000)
                    await eventually(lambda: page.evaluate(f"heard.source.readyState === {CLOSED}"), 30)
        assert await page.evaluate("heard.lines") == [f"line {number}" for number in range(6000)]
        assert await page.evaluate("heard.done") == 1
        assert await page.evaluate("heard.opens") >= 4


async def heard(page: Page, count: int) -> None:
    await eventually(lambda: page.evaluate(f"heard.lines.length >= {count}"), 30, f"{count} lines")
