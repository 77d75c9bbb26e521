"""`fantail tail` in surroundings that are wrong: one line and exit code 3 or 2, never a traceback."""

# ruff: noqa: ASYNC221 - nothing else runs in this loop while a command does

from __future__ import annotations

import os
import pty
import subprocess
import threading
from typing import TYPE_CHECKING

import orjson
import pytest

from fantail.broker import entry_of
from support.servers.fantail_process import command, environment, fantail_process

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from redis.asyncio import Redis

    from support.servers.fantail_process import FantailProcess

ENOUGH_S = 50


def tail(*words: str, settings: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    without = dict.fromkeys(("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"), "")
    return subprocess.run(
        command("tail", *words),
        env={**environment(), **without, **settings},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=ENOUGH_S,
        check=False,
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"ALL_PROXY": "socks5://127.0.0.1:1"},
        {"all_proxy": "socks5h://127.0.0.1:1"},
        {"HTTPS_PROXY": "bad://x"},
        {"HTTPS_PROXY": "http://[::1"},
        {"HTTP_PROXY": "http://user:secret@host:port"},
        {"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "http://[::1"},
        {"SSL_CERT_FILE": "/nope"},
    ],
    ids=str,
)
def test_an_environment_that_http_cannot_use_is_told_in_one_line(settings: dict[str, str]) -> None:
    ended = tail("42", "--url", "https://fantail.invalid", settings=settings)
    assert (ended.returncode, ended.stdout) == (3, ""), ended.stderr
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert ended.stderr.startswith("fantail: https://fantail.invalid cannot be asked as ")
    assert next(iter(settings)) in ended.stderr
    assert "secret" not in ended.stderr


def test_a_server_on_this_machine_needs_none_of_it(tmp_path: Path) -> None:
    settings = {"ALL_PROXY": "socks5://127.0.0.1:1", "SSL_CERT_FILE": "/nope"}
    with fantail_process("--data-dir", str(tmp_path / "data")) as server:
        ended = tail("42", "--url", server.url, settings=settings)
    assert ended.returncode == 2
    assert "not found" in ended.stderr


@pytest.mark.parametrize(
    ("words", "settings", "code"),
    [
        (["42"], {"FANTAIL_URL": "not an address"}, 2),
        (["42"], {"FANTAIL_URL": "http://[::1"}, 2),
        (["42"], {"FANTAIL_URL": "http://host:99999"}, 2),
        (["http://[::1/jobs/42"], {}, 2),
        (["42"], {"FANTAIL_URL": "http://xn--zz-.invalid\u202e"}, 3),
        (["42"], {"FANTAIL_URL": "http://user:secret@\u2603..invalid"}, 3),
        (["42"], {"FANTAIL_URL": "http://127.0.0.1:1", "FANTAIL_TOKEN": "t\u00f6ken"}, 2),
        (["42"], {"FANTAIL_URL": "http://127.0.0.1:1", "FANTAIL_TOKEN": "a\nb"}, 2),
    ],
    ids=str,
)
def test_an_address_or_token_that_is_none_is_told_in_one_line(
    words: list[str], settings: dict[str, str], code: int
) -> None:
    ended = tail(*words, settings=settings)
    assert (ended.returncode, ended.stdout) == (code, ""), ended.stderr
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert "secret" not in ended.stderr


def test_a_password_in_the_address_is_not_repeated() -> None:
    words = command("tail", "42", "--url", "http://user:secret@127.0.0.1:1")
    process = subprocess.Popen(words, env=environment(), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    first = process.stderr.readline()
    process.terminate()
    process.communicate(timeout=ENOUGH_S)
    assert first.startswith("fantail: waiting for http://user:***@127.0.0.1:1: ")


@pytest.fixture
def server(redis_url: str) -> Iterator[FantailProcess]:
    with fantail_process("--redis-url", redis_url) as running:
        yield running


HOSTILE = "\x1b[31mred\x1b[0m\x1b]52;c;aGVsbG8=\x07\x1b[2J\x1bPq\x1b\\\x9b2Jend"


def on_a_terminal(*words: str) -> bytes:
    """What a command writes where stdout and stderr are a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(*words), stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=environment()
    )
    os.close(theirs)
    giving_up = threading.Timer(ENOUGH_S, process.kill)
    giving_up.start()
    written = b""
    try:
        while chunk := os.read(ours, 65_536):
            written += chunk
    except OSError:
        pass  # Linux says so where nobody has the terminal open any more
    finally:
        giving_up.cancel()
        os.close(ours)
        process.wait()
    return written.replace(b"\r\n", b"\n")


async def store(redis: Redis) -> None:
    await redis.hset("job:42", mapping={"id": "42", "status": "success"})
    await redis.rpush("job:42:output", entry_of(1, HOSTILE, "stdout"), entry_of(2, HOSTILE, "stderr"))


async def test_a_terminal_is_coloured_and_nothing_else(server: FantailProcess, redis_client: Redis) -> None:
    await store(redis_client)
    shown = on_a_terminal("tail", "42", "--url", server.url)
    assert shown.decode() == "\x1b[31mred\x1b[0mend\x1b[m\n" * 2
    assert b"\\u009b" in on_a_terminal("tail", "42", "--json", "--url", server.url)


async def test_everything_is_passed_on_where_that_is_asked_for(server: FantailProcess, redis_client: Redis) -> None:
    await store(redis_client)
    assert on_a_terminal("tail", "42", "--raw", "--url", server.url).decode() == f"{HOSTILE}\n" * 2
    piped = subprocess.run(
        command("tail", "42", "--url", server.url),
        env=environment(),
        capture_output=True,
        timeout=ENOUGH_S,
        check=False,
    )
    assert piped.stdout.decode() == piped.stderr.decode() == f"{HOSTILE}\n"


async def test_names_and_messages_show_their_controls(server: FantailProcess, redis_client: Redis) -> None:
    await redis_client.hset("job:42", mapping={"id": "42", "status": "success"})
    named = {"file": "a\x1b[2J\x9b", "change": "modified", "diff": "", "additions": 1, "deletions": 0}
    entry = orjson.dumps({**named, "omitted": "\x1b]52;c;x\x07"})
    await redis_client.hset("job:42:diff", "a\x1b[2J\x9b", entry)
    shown = on_a_terminal("tail", "42", "--diff", "--url", server.url)
    assert b"\x1b" not in shown
    assert b"a^[[2J\xef\xbf\xbd" in shown
    refused = tail("\x1b[2J", "--url", server.url, settings={})
    assert (refused.returncode, "\x1b" in refused.stderr) == (2, False)


def test_the_message_of_a_command_that_is_not_there_shows_its_controls(redis_url: str) -> None:
    shown = on_a_terminal("run", "-q", "--redis-url", redis_url, "--", "\x1b[2Jnope")
    assert shown == b"fantail: ^[[2Jnope: command not found\n"
