"""What a real server answers to data and requests that nobody should write: something clear, and then it goes on.

One server and one Redis serve all tests of this file. At the end it must have logged no error, hold what it held
before, and exit in order. The parts have tables of their own beside them (tests/broker, tests/web); here the whole is
shown: bytes in a real Redis or on a real socket, and what comes out of the other end.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

import anyio
import httpx
import orjson
import pytest
from redis import Redis

from faults.readers import REPOBOX, VIBE_KANBAN, Tab, terminal
from support.servers.fantail_process import FantailProcess, fantail_process
from support.servers.redis_server import RedisServer
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 1024 * 1024
BODY_BYTES_MAX = 200_000
WAIT_S = 10.0


@dataclass(frozen=True)
class Served:
    """A running server, and the Redis that it follows."""

    process: FantailProcess
    redis: Redis
    redis_url: str

    @property
    def url(self) -> str:
        return self.process.url

    def job(self, job_id: str, *entries: bytes, **fields: str) -> None:
        """Makes a job that has ended."""
        self.redis.hset(
            f"job:{job_id}", items=["status", "success", *[word for pair in fields.items() for word in pair]]
        )
        if entries:
            self.redis.rpush(f"job:{job_id}:output", *entries)

    def get(self, path: str, **headers: str) -> httpx.Response:
        """One answer, whole; of a stream that has an end."""
        return httpx.get(self.url + path, headers=headers, timeout=WAIT_S)

    def say(self, data: bytes) -> bytes:
        """Sends bytes as they are; returns what comes until the server closes."""
        with socket.create_connection(("127.0.0.1", self.process.port)) as client:
            client.settimeout(WAIT_S)
            client.sendall(data)
            received = b""
            while chunk := client.recv(65_536):
                received += chunk
            return received

    def ask(self, method: bytes, path: bytes, *headers: bytes, body: bytes = b"") -> bytes:
        """One request, byte by byte as given; returns the answer."""
        own = [b"Host: 127.0.0.1:%d" % self.process.port, b"Connection: close", *headers]
        return self.say(method + b" " + path + b" HTTP/1.1\r\n" + b"\r\n".join(own) + b"\r\n\r\n" + body)

    def status_of(self, method: bytes, path: bytes, *headers: bytes) -> int:
        """The status of the answer to one request."""
        return int(self.ask(method, path, *headers).split(b" ", 2)[1])

    def resident_bytes(self) -> int:
        """What the server's process holds in memory."""
        size: int = self.get("/api/system").json()["memory"]["residentBytes"]
        return size


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with ExitStack() as stack:
        redis_server = stack.enter_context(RedisServer())
        redis = stack.enter_context(Redis.from_url(redis_server.url))
        settings = {"FANTAIL_BODY_BYTES": str(BODY_BYTES_MAX), "FANTAIL_DRAIN_S": "0"}
        process = stack.enter_context(fantail_process("--redis-url", redis_server.url, settings=settings))
        yield Served(process, redis, redis_server.url)
        assert httpx.get(f"{process.url}/api/system").json()["streams"]["open"] == 0
        process.signal()
        assert process.wait() == 0
        assert not [line for line in process.errors if " ERROR " in line or "Traceback" in line]


# -- data -----------------------------------------------------------------------------------------------------------

ODD_ENTRIES = [
    b"plain text",
    b"",
    b"{broken",
    b"null",
    b"[1,2]",
    b"123",
    b'"text"',
    b'{"line":5}',
    b'{"timestamp":"soon","line":"l","stream":"stdout"}',
    b'{"timestamp":1e999,"line":"l","stream":"stdout"}',
    b'{"timestamp":NaN,"line":"l"}',
    b'{"timestamp":1,"line":"l","stream":"weird"}',
    b'{"timestamp":1,"line":"l","stream":"stdout"}\0',
    b'\xef\xbb\xbf{"timestamp":1,"line":"l","stream":"stdout"}',
    b"\xff\xfe\x80",
    b"a\0b",
    b"a\rb\r\nc\nd",
    b"\n\nevent: done\ndata: {}\n\n",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"timestamp":1,"line":"\\ud83d","stream":"stdout"}',
    b'{"timestamp":1,"line":"a\\u0000b\\r\\nc\\u2028","stream":"stderr","more":{"a":[1]}}',
    b'{"timestamp":99999999999999999999999,"line":"late","stream":"stdout"}',
    b'{"timestamp":-1.5,"line":"early","stream":"stdout"}',
]


async def test_an_entry_of_any_kind_is_one_line_for_everyone(served: Served, tmp_path: Path) -> None:
    """Traps 7 and 29."""
    served.job("odd", *ODD_ENTRIES)
    tabs = [Tab(served.url, "odd", wire_format) for wire_format in (REPOBOX, VIBE_KANBAN)]
    for tab in tabs:
        with anyio.fail_after(WAIT_S):
            await tab.follow()
        assert (len(tab.lines), tab.ends) == (len(ODD_ENTRIES), 1)
    async with terminal(served.url, "odd", tmp_path / "terminal") as shell:
        assert await shell.ended(WAIT_S) == 0
    assert shell.lines == tabs[0].lines
    page = served.get(f"/api/jobs/odd/output?limit={len(ODD_ENTRIES)}").json()
    assert [entry["line"] for entry in page["output"]] == tabs[0].lines
    raw = served.ask(b"GET", b"/api/jobs/odd/stream").partition(b"\r\n\r\n")[2].replace(b"\r\n", b"")
    assert not {0, 13} & set(raw)
    assert raw.count(b"\nevent: done\n") == 1
    assert served.get("/api/jobs/odd/output?download=1").text.count("\n") >= len(ODD_ENTRIES)


@pytest.mark.parametrize("kind", ["string", "set", "zset", "hash"])
async def test_an_output_of_another_type_is_none(served: Served, kind: str) -> None:
    job_id = f"output-{kind}"
    served.job(job_id)
    put(served.redis, kind, f"job:{job_id}:output")
    tab = Tab(served.url, job_id)
    with anyio.fail_after(WAIT_S):
        await tab.follow()
    assert (tab.lines, tab.ends) == ([], 1)
    assert served.get(f"/api/jobs/{job_id}/output").json()["total"] == 0


@pytest.mark.parametrize("kind", ["string", "set", "zset", "list"])
def test_a_job_of_another_type_is_none(served: Served, kind: str) -> None:
    job_id = f"job-{kind}"
    put(served.redis, kind, f"job:{job_id}")
    for path in ("", "/stream", "/output", "/diff"):
        assert served.get(f"/api/jobs/{job_id}{path}").status_code == 404
    assert job_id not in served.get("/api/jobs?limit=500").text


def put(redis: Redis, kind: str, key: str) -> None:
    match kind:
        case "string":
            redis.set(key, "x")
        case "set":
            redis.sadd(key, "x")
        case "zset":
            redis.zadd(key, {"x": 1})
        case "list":
            redis.rpush(key, "x")
        case "hash":
            redis.hset(key, "x", "y")


def test_fields_of_any_bytes_are_shown_as_text(served: Served) -> None:
    served.job("binary", started_at="1e400", lines_added="many")
    served.redis.hset("job:binary", b"\xff\xfe", b"\xff\0\r\n")
    shown = served.get("/api/jobs/binary").json()
    assert (shown["status"], shown["linesAdded"]) == ("success", 0)
    assert "startedAt" not in shown
    assert served.get("/api/jobs?limit=500").status_code == 200
    assert served.get("/jobs/binary").status_code in (200, 503)  # the latter where the dashboard was not built
    assert "event: done" in served.get("/api/jobs/binary/stream").text


def test_a_line_of_ten_megabytes_is_cut_with_a_mark_and_whole_in_the_download(served: Served) -> None:
    """Trap 33."""
    line = "x" * (10 * MIB)
    served.job("wide", orjson.dumps({"timestamp": 1, "line": line, "stream": "stdout"}), b"after")
    stream = served.get("/api/jobs/wide/stream").text
    assert len(stream) < 2 * MIB
    assert "10,485,760 bytes left out here; the download has the whole line" in stream
    assert '"line":"after"' in stream
    assert served.get("/api/jobs/wide/output?download=1").text == f"{line}\nafter\n"


def test_a_job_of_very_many_lines_opens_at_its_end_and_memory_stays_bounded(served: Served) -> None:
    count = 200_000
    entries = [b'{"timestamp":1732100000000,"line":"line %d of many","stream":"stdout"}' % at for at in range(count)]
    for start in range(0, count, 10_000):
        served.redis.rpush("job:long:output", *entries[start : start + 10_000])
    served.job("long")
    before_bytes = served.resident_bytes()
    ids = [line for line in served.get("/api/jobs/long/stream?tail=100").text.splitlines() if line.startswith("id: ")]
    assert [int(line[4:].partition("-")[0]) for line in ids[:-1]] == list(range(count - 100, count))
    (store,) = (job for job in served.get("/api/system").json()["jobs"] if job["id"] == "long")
    assert store["retainedBytes"] < 2 * MIB
    assert served.get("/api/jobs/long/stream").text.count("event: output") == count
    assert served.resident_bytes() - before_bytes < 100 * MIB


# -- requests -------------------------------------------------------------------------------------------------------

POSITIONS_TAKEN_FOR_NONE = [
    b"",
    b"-1-abcdef01",
    b"0-",
    b"9" * 200,
    b"18446744073709551616-00000000",
    b"0x1-00000000",
    b"'; drop",
    b"\xff\xfe",
    b"x" * 9000,
    b"x" * 60_000,
    b"1-abcdef01 2-abcdef01",
    b"0-0.end",  # the end of a log that was empty
]
POSITIONS_THAT_FIT_NOTHING = [b"0-00000000", b"999999999999-00000000", b"1-zz", b"1-00000000.end"]


def test_a_position_of_any_kind_begins_at_the_start(served: Served) -> None:
    served.job("asked", b"one", b"two")
    for position in [*POSITIONS_TAKEN_FOR_NONE, *POSITIONS_THAT_FIT_NOTHING]:
        resets = int(position in POSITIONS_THAT_FIT_NOTHING)
        stream = served.ask(b"GET", b"/api/jobs/asked/stream", b"Last-Event-ID: " + position)
        assert (stream.count(b"event: output"), stream.count(b"event: reset")) == (2, resets), position
        if len(position) < 1000:
            stream = served.ask(b"GET", b"/api/jobs/asked/stream?lastEventId=" + quote(position).encode())
            assert (stream.count(b"event: output"), stream.count(b"event: reset")) == (2, resets), position


def test_a_head_that_is_too_long_is_refused(served: Served) -> None:
    answer = served.say(b"GET /api/jobs/asked/stream HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: " + b"x" * 66_000)
    assert answer.startswith(b"HTTP/1.1 431 ")


HOSTILE_IDS = [
    b"../etc",
    b"..%2f..%2fetc%2fpasswd",
    b"%2e%2e",
    b"..",
    b".",
    b"victim:output",
    b"victim%3Aoutput",
    b"victim%3adiff",
    b"victim%00",
    b"victim%0a",
    b"victim%0d%0aX:1",
    b"victim;x",
    b"victim%20",
    b"%20victim",
    b"-victim",
    b"*",
    b"job:*",
    b"%ff%fe",
    b"%c3%bc",
    b"%25",
    b"v" * 129,
    b"v" * 200,
]
DOORS = [
    (b"GET", b"/api/jobs/%b"),
    (b"GET", b"/api/jobs/%b/stream"),
    (b"GET", b"/api/work-sessions/%b/stream"),
    (b"GET", b"/api/jobs/%b/output"),
    (b"GET", b"/api/jobs/%b/output?download=1"),
    (b"GET", b"/api/jobs/%b/output/search?q=x"),
    (b"GET", b"/api/jobs/%b/diff"),
    (b"GET", b"/api/events/processes/%b/logs"),
    (b"GET", b"/api/events/task-attempts/%b/diff"),
    (b"GET", b"/jobs/%b"),
    (b"DELETE", b"/api/jobs/%b"),
    (b"PATCH", b"/api/jobs/%b"),
    (b"POST", b"/api/jobs/%b/output"),
]


def test_a_hostile_id_reaches_nothing_through_any_door(served: Served) -> None:
    """Trap 39."""
    served.job("victim", b"secret", prompt="secret")
    served.redis.hset("job:victim:diff", "file", '{"diff":"secret"}')
    before = {key: served.redis.dump(key) for key in served.redis.keys("*")}
    for hostile in HOSTILE_IDS:
        for method, door in DOORS:
            answer = served.ask(method, door % hostile, b"Content-Length: 0")
            assert answer.startswith(b"HTTP/1.1 404 "), (method, door % hostile, answer[:100])
            assert b"secret" not in answer
    assert {key: served.redis.dump(key) for key in served.redis.keys("*")} == before


NONSENSE = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    "GET /jobs/ü HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n",
    b"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    b"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    b"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
]


def test_what_is_no_http_is_refused_and_closed(served: Served) -> None:
    for data in NONSENSE:
        assert served.say(data)[9:12] in (b"400", b"431"), data[:80]
    assert served.get("/healthz").status_code == 200


def test_a_body_past_its_limit_is_refused_and_goes_on_where_it_was_taken(served: Served) -> None:
    served.job("large")
    lines = b"".join(b"line %d\n" % number for number in range(30_000))
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(lines), lines)
    headers = (b"Content-Type: text/plain", b"Transfer-Encoding: chunked")
    answer = served.ask(b"POST", b"/api/jobs/large/output?from=0", *headers, body=body)
    assert answer.startswith(b"HTTP/1.1 413 ")
    taken = orjson.loads(answer.partition(b"\r\n\r\n")[2])["length"]
    assert 0 < taken == served.redis.llen("job:large:output")
    rest = lines.splitlines(keepends=True)[taken:]
    again = httpx.post(f"{served.url}/api/jobs/large/output?from={taken}", content=b"".join(rest[:10_000]))
    assert (again.status_code, again.json()["length"]) == (200, taken + min(len(rest), 10_000))


async def test_a_body_that_is_cut_off_leaves_its_whole_lines(served: Served) -> None:
    served.job("cut")
    with socket.create_connection(("127.0.0.1", served.process.port)) as client:
        head = b"POST /api/jobs/cut/output HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % served.process.port
        head += b"Content-Type: application/x-ndjson\r\nContent-Length: 5000\r\n\r\n"
        client.sendall(head + b'{"line":"one"}\n{"line":"two"}\n{"line":"hal')
        await eventually(lambda: served.redis.llen("job:cut:output") == 2, WAIT_S)
    await eventually(lambda: "upload" not in served.get("/api/system").json()["streams"]["byFace"], WAIT_S)
    assert [entry["line"] for entry in served.get("/api/jobs/cut/output").json()["output"]] == ["one", "two"]
