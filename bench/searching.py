"""Looking through a million lines: search and outline over HTTP, beside the plain loop that somebody would write.

The loop reads the same list with redis-py in pages, parses each entry with orjson and searches it with RE2: no escapes
taken out, no offsets, no groups, no event loop to be kept free.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import re2

from bench.fantail import fantail
from bench.report import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.fantail import Server

PORT = 18830
LINES = 1_000_000
# What builds and tests print, once round; one line in 5,000 is an error besides.
SHAPES = (
    "2026-03-01T10:20:{second:02d}.{number:06d}Z INFO  com.example.service.Worker - processed batch {number} in 12 ms",
    "\x1b[32m✓\x1b[0m src/components/panel-{number}.test.ts \x1b[2m({second} tests)\x1b[22m 34\x1b[2mms\x1b[22m",
    "tests/unit/test_parser_{number}.py::test_reports_an_error_for_each_line PASSED           [ {second:2d}%]",
    "   Compiling thiserror-impl v1.0.{second} (/home/ci/.cache/registry/src/thiserror-impl-{number})",
    "[{second}/60] gcc -O2 -Wall -Wextra -Werror -Iinclude -c src/module_{number}.c -o build/module_{number}.o",
    "    at process.processTicksAndRejections (node:internal/process/task_queues:{second}:{number})",
    "npm http fetch GET 200 /left-pad-{number} {second}ms (cache hit)",
    '{{"level":"info","time":17723604{second:02d}000,"pid":{number},"msg":"request completed","status":200}}',
)
ERROR = "src/module_{number}.c:{second}:7: error: expected ';' before 'return'"


def lines(count: int) -> Iterator[str]:
    """Lines as builds print them."""
    for number in range(count):
        shape = ERROR if number % 5000 == 4999 else SHAPES[number % len(SHAPES)]
        if number % 1000 == 0:
            shape = "##[group]Step {number}"
        elif number % 1000 == 998:
            shape = "##[endgroup]"
        yield shape.format(number=number, second=number % 60)


def fill(server: Server, job_id: str, count: int) -> None:
    """Writes a finished job of so many lines."""
    page: list[bytes] = []
    for number, line in enumerate(lines(count)):
        page.append(orjson.dumps({"timestamp": 1772360430000 + number, "line": line, "stream": "stdout"}))
        if len(page) == 1000 or number == count - 1:
            server.redis.rpush(f"job:{job_id}:output", *page)
            page = []
    server.create_job(job_id, "success")


def plain_loop_s(server: Server, job_id: str, pattern: str) -> tuple[float, int]:
    """How long the plain loop takes, and what it counts."""
    began_s = time.perf_counter()
    found, start, compiled = 0, 0, re2.compile(pattern)
    while page := server.redis.lrange(f"job:{job_id}:output", start, start + 4095):
        found += sum(compiled.search(orjson.loads(entry)["line"]) is not None for entry in page)
        start += len(page)
    return time.perf_counter() - began_s, found


async def searching(count: int = LINES) -> list[Row]:
    """Search and outline of a million lines, first and second time."""
    with fantail(PORT) as server:
        fill(server, "bench", count)
        plain_s, plain_found = plain_loop_s(server, "bench", "error: expected")
        async with httpx.AsyncClient(base_url=server.url, timeout=120) as http:
            path = "/api/jobs/bench/output"
            began_s = time.perf_counter()
            found = (await http.get(f"{path}/search?q=error:+expected&case=1&ticks=500")).json()
            search_s = time.perf_counter() - began_s
            assert found["total"] == plain_found, found["total"]
            assert found["complete"]
            first_s, outline_s, errors = await _outline(http, path)
            assert errors == plain_found
            again_s = (await _outline(http, path))[1]
    beside = "LRANGE, orjson and RE2 in a plain loop"
    name = f"{count:,} lines"
    return [
        Row(f"search of {name}", search_s * 1000, "ms", beside, plain_s * 1000),
        Row(f"outline of {name}", outline_s * 1000, "ms", beside, plain_s * 1000),
        Row(f"outline of {name}, first answer", first_s * 1000, "ms", beside, plain_s * 1000),
        Row(f"outline of {name}, a second viewer", again_s * 1000, "ms", beside, plain_s * 1000),
    ]


async def _outline(http: httpx.AsyncClient, path: str) -> tuple[float, float, int]:
    """Seconds to the first answer and to the last, and how many errors there are."""
    began_s = time.perf_counter()
    first_s, page, marks = 0.0, dict[str, Any](next=0, complete=False), 0
    while not page["complete"]:
        page = (await http.get(f"{path}/outline", params={"from": page["next"]})).json()
        first_s = first_s or time.perf_counter() - began_s
        marks += len(page["marks"])
    return first_s, time.perf_counter() - began_s, page["errors"]
