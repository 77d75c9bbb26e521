"""A command whose record did not reach Redis whole never ends with 0: it waits, says so, and ends with 125."""

# ruff: noqa: ASYNC220, ASYNC221 - nothing else runs in this loop while a command does

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import orjson
import pytest
from redis.asyncio import Redis

from fantail.web.cli.main import NOT_RECORDED
from support.servers.fantail_process import command, environment
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import MakeRedisServer
    from support.servers.redis_server import RedisServer


def as_a_replica(server: RedisServer) -> None:
    server.command("REPLICAOF", "127.0.0.1", "1")


def without_memory(server: RedisServer) -> None:
    server.command("CONFIG", "SET", "maxmemory", "1")


def without_the_right(server: RedisServer) -> None:
    server.command("ACL", "SETUSER", "default", "-@write")


def with_another_type_of_key(server: RedisServer) -> None:
    server.command("SET", "job:42:output", "x")


def without_a_disk(server: RedisServer) -> None:
    server.command("CONFIG", "SET", "min-replicas-to-write", "1")


def dead(server: RedisServer) -> None:
    server.kill9()


FAULTS = [as_a_replica, without_memory, without_the_right, with_another_type_of_key, without_a_disk, dead]


async def interrupted(
    server: RedisServer, fault: Callable[[RedisServer], None], words: list[str]
) -> subprocess.CompletedProcess[str]:
    """Runs a command that prints "one", brings the fault about once that is recorded, and lets it print the rest."""
    process = subprocess.Popen(
        command(*words),
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write("one\n")
    process.stdin.flush()

    async def recorded() -> bool:
        async with Redis.from_url(server.url) as client:
            return await client.llen("job:42:output") == 1

    await eventually(recorded, 15.0, "the first line is recorded")
    fault(server)
    said, errors = process.communicate("two\nthree\n", timeout=30)
    return subprocess.CompletedProcess(words, process.returncode, said, errors)


@pytest.mark.parametrize("fault", FAULTS)
async def test_run_does_not_end_with_0_while_lines_and_status_are_missing(
    make_redis_server: MakeRedisServer, fault: Callable[[RedisServer], None]
) -> None:
    server = make_redis_server()
    words = ["run", "--flush", "1.5", "--redis-url", server.url, "--id", "42", "--stdin", "inherit", "--", "cat"]
    ended = await interrupted(server, fault, words)
    assert (ended.returncode, ended.stdout) == (NOT_RECORDED, "one\ntwo\nthree\n"), ended.stderr
    *_, waiting, last = ended.stderr.splitlines()
    assert waiting.startswith("fantail: job 42: lines 1 to 2 and the status wait for Redis, for up to 2 s ("), waiting
    assert last.startswith("fantail: job 42: lines 1 to 2 and the status not recorded ("), last


@pytest.mark.parametrize("fault", [as_a_replica, without_memory])
async def test_pipe_does_not_either(make_redis_server: MakeRedisServer, fault: Callable[[RedisServer], None]) -> None:
    server = make_redis_server()
    words = ["pipe", "--flush", "0.3", "--redis-url", server.url, "--id", "42"]
    ended = await interrupted(server, fault, words)
    assert (ended.returncode, ended.stdout) == (NOT_RECORDED, "one\ntwo\nthree\n"), ended.stderr
    assert "job 42: lines 1 to 2 and the status not recorded (" in ended.stderr


async def test_a_command_that_failed_keeps_its_own_code(make_redis_server: MakeRedisServer) -> None:
    server = make_redis_server()
    words = ["run", "--flush", "0.3", "--redis-url", server.url, "--id", "42", "--stdin", "inherit", "--"]
    ended = await interrupted(server, as_a_replica, [*words, "sh", "-c", "cat; exit 7"])
    assert ended.returncode == 7
    assert "job 42: lines 1 to 2 and the status not recorded (" in ended.stderr


async def test_lines_for_which_there_was_no_room_are_missing_for_good(make_redis_server: MakeRedisServer) -> None:
    server = make_redis_server()
    options = ["--flush", "0.3", "--spool-bytes", "0", "--redis-url", server.url, "--id", "42"]
    ended = await interrupted(server, as_a_replica, ["pipe", *options])
    assert ended.returncode == NOT_RECORDED
    assert "job 42: " in ended.stderr
    assert "not recorded" in ended.stderr


async def test_what_redis_takes_again_in_time_is_complete(make_redis_server: MakeRedisServer, tmp_path: Path) -> None:
    server = make_redis_server()
    told = tmp_path / "told"
    words = ["run", "--redis-url", server.url, "--id", "42", "--", "sh", "-c", f"echo one; touch {told}; sleep 0.2"]
    process = subprocess.Popen(command(*words), env=environment(), stderr=subprocess.PIPE, text=True)
    await eventually(told.exists, 15.0)
    as_a_replica(server)
    await eventually(lambda: process.poll() is not None or said_to_wait(process), 20.0)
    server.command("REPLICAOF", "NO", "ONE")
    assert process.wait(30) == 0
    assert process.stderr is not None
    process.stderr.close()
    async with Redis.from_url(server.url) as client:
        entries = await client.lrange("job:42:output", 0, -1)
        assert [orjson.loads(entry)["line"] for entry in entries] == ["one"]
        assert await client.hget("job:42", "status") == b"success"


def said_to_wait(process: subprocess.Popen[str]) -> bool:
    assert process.stderr is not None
    return "wait for Redis" in process.stderr.readline()


async def test_a_diff_that_is_not_published_is_no_success(make_redis_server: MakeRedisServer, tmp_path: Path) -> None:
    server = make_redis_server()
    for words in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"],
    ):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    server.command(
        "ACL",
        "SETUSER",
        "ann",
        "on",
        ">secret",
        "%RW~*",
        "resetkeys",
        "~job:42",
        "~job:42:output",
        "~job:42:lease",
        "+@all",
    )
    url = f"redis://ann:secret@127.0.0.1:{server.port}/0"
    words = ["run", "--redis-url", url, "--id", "42", "--diff", str(tmp_path), "--flush", "0.5", "--", "true"]
    process = subprocess.Popen(command(*words), env=environment(), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "the last state of the diff is still to be published; waiting for up to 60 s" in line:
            process.send_signal(signal.SIGINT)
            break
    rest = process.stderr.read()
    process.stderr.close()
    assert process.wait(30) == NOT_RECORDED, rest
    assert "job 42: the last state of the diff not published" in rest


def test_a_status_that_is_not_kept_is_no_success(redis_server: RedisServer, redis_url: str) -> None:
    redis_server.command("LPUSH", "fantail:status:run:7", "x")
    ended = subprocess.run(
        command("publish", "run", "7", "passed", "--redis-url", redis_url),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (NOT_RECORDED, "")
    assert ended.stderr.startswith("fantail: Redis does not keep the status: ")
    assert ended.stderr.count("\n") == 1
