"""Programs that cannot start, or whose Redis is not there: one clear line each, and nothing left behind.

A taken port, a second server on a directory and the like are in tests/web/test_server.py; a Valkey that a
server killed with -9 left behind is in test_everyone_has_every_line_once.py.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import anyio
import httpx
import orjson
import pytest

from faults.readers import Tab
from faults.server_to_kill import server_to_kill
from support.clients.sse_client import open_stream
from support.servers.fantail_process import command, environment, refused
from support.servers.redis_server import RedisServer
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from redis.asyncio import Redis

WAIT_S = 15.0


@pytest.mark.parametrize(
    ("code", "word", "arguments", "settings"),
    [
        (2, "FANTAIL_REDIS_URL=(not shown)", ("--redis-url", "redis://:hunter2@h:99999"), {}),
        (2, "FANTAIL_REDIS_URL=(not shown)", ("--redis-url", "redis://:hun/ter2@h:1"), {}),
        (2, "FANTAIL_REDIS_URL=(not shown)", (), {"REDIS_URL": "redis://h?hunter2=1"}),
        (2, "FANTAIL_DATA_DIR='' is not allowed", ("--data-dir", ""), {}),
        (1, "/proc/fantail cannot be used", ("--data-dir", "/proc/fantail"), {}),
        (1, "cannot be used", ("--data-dir", "/dev/null/fantail"), {}),
    ],
)
def test_a_server_that_cannot_start_says_why_in_one_line(
    code: int, word: str, arguments: tuple[str, ...], settings: Mapping[str, str], tmp_path: Path
) -> None:
    ended, said = refused(*arguments, settings={"FANTAIL_PORT": "0", "XDG_DATA_HOME": str(tmp_path), **settings})
    assert (ended, said.count("\n")) == (code, 1), said
    assert said.startswith("fantail: ")
    assert word in said
    assert "hunter2" not in said
    assert "ter2" not in said


async def test_redis_may_be_absent_at_the_start_and_go_and_come() -> None:
    """A store that is away is told to each in its own way; streams that are open stay open (trap 42)."""
    with RedisServer(appendonly=True) as redis:
        redis.kill9()
        async with server_to_kill("--redis-url", redis.url) as server, httpx.AsyncClient(base_url=server.url) as http:
            await check_away(server.url, http)
            await anyio.to_thread.run_sync(redis.start)
            assert redis.command("HSET", "job:42", "status", "running").startswith(b":1")
            await eventually(lambda: is_ready(http), WAIT_S, "readiness")
            async with open_stream(f"{server.url}/api/jobs/42/stream") as stream:
                assert (await stream.next()).name == "status"
                redis.kill9()
                await stream.comment("does not answer")
                await eventually(lambda: is_not_ready(http), WAIT_S, "unreadiness")
                await anyio.to_thread.run_sync(redis.start)
                await stream.comment("answers again")
                redis.command("RPUSH", "job:42:output", "a line")
                assert (await stream.next()).json["line"] == "a line"


async def check_away(url: str, http: httpx.AsyncClient) -> None:
    assert (await http.get("/healthz")).status_code == 200
    assert await is_not_ready(http)
    for path in ("/api/jobs/42", "/api/jobs", "/api/jobs/42/output", "/api/jobs/42/stream"):
        answer = await http.get(path, timeout=WAIT_S)
        assert (answer.status_code, int(answer.headers["retry-after"]) > 0) == (503, True), path
    created = await http.post("/api/jobs", json={"id": "1"})
    assert (created.status_code, "error" in created.json()) == (503, True)
    async with open_stream(f"{url}/api/jobs/42/stream") as stream:
        assert stream.response.status_code == 200
        assert await stream.rest() == []
        assert stream.parser.retry_ms is not None
        assert stream.parser.retry_ms >= 10_000


async def is_ready(http: httpx.AsyncClient) -> bool:
    return (await http.get("/readyz")).status_code == 200


async def is_not_ready(http: httpx.AsyncClient) -> bool:
    return (await http.get("/readyz")).status_code == 503


def fantail(*arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Runs a command to its end."""
    return subprocess.run(
        command(*arguments), input=given, env=environment(), capture_output=True, timeout=40, check=False
    )


async def test_any_bytes_are_recorded_and_come_out_of_tail(redis_url: str, redis_client: Redis) -> None:
    """NUL, a bare CR, bytes that are no UTF-8, a line of three megabytes, a character that is cut off at the end."""
    wide = b"z" * 3_000_000
    given = b"a\0b\rc\nd\xff\xfe\n" + "ü🦜".encode() + b"\n" + wide + b"\nlast \xe2\x82"
    piped = await anyio.to_thread.run_sync(lambda: fantail("pipe", "42", "--redis-url", redis_url, given=given))
    assert piped.returncode == 0
    entries = [orjson.loads(entry) for entry in await redis_client.lrange("job:42:output", 0, -1)]
    lines: list[str] = [entry["line"] for entry in entries]
    assert lines[:3] == ["a\0b\rc", "d\ufffd\ufffd", "ü🦜"]
    assert "".join(lines[3:-1]).count("z") == len(wide)
    assert lines[-1] == "last \ufffd"
    async with server_to_kill("--redis-url", redis_url) as server:
        tab = Tab(server.url, "42")
        with anyio.fail_after(WAIT_S):
            await tab.follow()
        assert tab.lines == lines
        shown = await anyio.to_thread.run_sync(lambda: fantail("tail", "42", "--url", server.url))
        assert (shown.returncode, shown.stderr) == (0, b"")
        assert shown.stdout.decode() == "".join(f"{line}\n" for line in lines)


async def test_a_key_of_another_type_is_told_before_anything_runs(
    redis_url: str, redis_client: Redis, tmp_path: Path
) -> None:
    await redis_client.set("job:42", "x")
    ran = tmp_path / "ran"
    ended = await anyio.to_thread.run_sync(
        lambda: fantail("run", "--id", "42", "--redis-url", redis_url, "--", "touch", str(ran))
    )
    assert (ended.returncode, ended.stdout, ran.exists()) == (125, b"", False)
    assert ended.stderr.count(b"\n") == 1
    assert b"wrong kind of value" in ended.stderr
