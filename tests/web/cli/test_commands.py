"""The command `fantail` as it is typed: as a process of its own, with a real Valkey."""

# ruff: noqa: ASYNC220, ASYNC221 - nothing else runs in this loop while a command does

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import orjson
import pytest

from fantail.broker.embedded.valkey import default_data_dir, write_server_address
from fantail.web.cli.locate import DEFAULT_URL, NotLocatedError, job_address, redis_address, server_address
from fantail.web.cli.main import main
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from redis.asyncio import Redis

FANTAIL = (sys.executable, "-m", "fantail.web.cli")
SETTINGS = ("FANTAIL_URL", "FANTAIL_REDIS_URL", "REDIS_URL", "FANTAIL_DATA_DIR", "FANTAIL_TOKEN", "FANTAIL_JWT_SECRET")


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


def fantail(
    *words: str, given: str = "", environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*FANTAIL, *words],
        input=given,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, **(environment or {})},
    )


async def lines(client: Redis, job_id: str) -> list[str]:
    return [orjson.loads(entry)["line"] for entry in await client.lrange(f"job:{job_id}:output", 0, -1)]


async def field(client: Redis, job_id: str, name: str) -> str:
    (value,) = await client.hmget(f"job:{job_id}", name)
    return value.decode() if isinstance(value, bytes) else str(value)


async def test_run_stands_in_front_of_any_command(redis_url: str, redis_client: Redis) -> None:
    said = fantail("run", "--redis-url", redis_url, "--id", "42", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert said.returncode == 7
    assert said.stdout == "out\n"
    assert said.stderr == f"fantail: {DEFAULT_URL}/jobs/42\nerr\n"
    assert sorted(await lines(redis_client, "42")) == ["err", "out"]
    assert await field(redis_client, "42", "command") == "sh -c 'echo out; echo err >&2; exit 7'"


async def test_run_masks_what_the_environment_keeps_secret(redis_url: str, redis_client: Redis) -> None:
    environment = {"MY_API_KEY": "key-key-key", "PIN": "1234", "HARMLESS": "harmless"}
    words = ["run", "-q", "--redis-url", redis_url, "--id", "42", "--mask-env", "PIN"]
    said = fantail(*words, "sh", "-c", "echo $MY_API_KEY $PIN $HARMLESS", environment=environment)
    assert said.stdout == "key-key-key 1234 harmless\n"
    assert await lines(redis_client, "42") == ["*** *** harmless"]


async def test_flags_behind_the_command_are_the_commands(redis_url: str, redis_client: Redis) -> None:
    assert fantail("run", "-q", "--redis-url", redis_url, "--id", "42", "echo", "-n", "--id", "43").returncode == 0
    assert await lines(redis_client, "42") == ["--id 43"]


async def test_quiet_and_no_echo_leave_the_terminal_alone(redis_url: str, redis_client: Redis) -> None:
    said = fantail("run", "-q", "--no-echo", "--redis-url", redis_url, "--id", "42", "echo", "out")
    assert (said.stdout, said.stderr) == ("", "")
    assert await lines(redis_client, "42") == ["out"]


async def test_merge_and_pipes_are_what_they_say(redis_url: str) -> None:
    asks = "import os, sys; print(os.ttyname(1) == os.ttyname(2)) if os.isatty(1) else print('pipe')"
    for flags, answer in ([], "False\n"), (["--merge"], "True\n"), (["--no-pty"], "pipe\n"):
        assert fantail("run", "-q", *flags, "--redis-url", redis_url, sys.executable, "-c", asks).stdout == answer


async def test_a_reader_that_goes_away_ends_the_command_as_without_fantail(redis_url: str, redis_client: Redis) -> None:
    script = f"{sys.executable} -m fantail.web.cli run -q --redis-url {redis_url} --id 42 -- yes | head -n 1"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout == "y\n"
    assert await field(redis_client, "42", "status") == "cancelled"
    assert await field(redis_client, "42", "exit_code") == "141"


async def test_pipe_records_what_comes_in_and_passes_it_on(redis_url: str, redis_client: Redis) -> None:
    said = fantail("pipe", "42", "--redis-url", redis_url, "--name", "build", given="one\ntwo\nno end")
    assert said.returncode == 0
    assert said.stdout == "one\ntwo\nno end"
    assert said.stderr == f"fantail: {DEFAULT_URL}/jobs/42\n"
    assert await lines(redis_client, "42") == ["one", "two", "no end"]
    assert await field(redis_client, "42", "status") == "success"
    assert await field(redis_client, "42", "name") == "build"


async def test_pipe_reads_files_and_nothing_at_all(redis_url: str, redis_client: Redis, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("from a file\n")
    for job_id, path, expected in ("1", text, ["from a file"]), ("2", "/dev/null", []):
        words = [*FANTAIL, "pipe", "--id", job_id, "-q", "--stderr", "--redis-url", redis_url]
        with open(path, "rb") as given:  # noqa: ASYNC230, PTH123 - a small file of this test
            subprocess.run(words, stdin=given, timeout=30, check=True, capture_output=True)
        assert await lines(redis_client, job_id) == expected


async def test_pipe_ends_as_cancelled_after_a_signal(redis_url: str, redis_client: Redis) -> None:
    words = [*FANTAIL, "pipe", "42", "-q", "--no-echo", "--redis-url", redis_url]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(b"one\n")
        process.stdin.flush()
        await eventually(lambda: lines(redis_client, "42"), timeout_s=10)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    assert await field(redis_client, "42", "status") == "cancelled"
    assert not await redis_client.exists("job:42:lease")


async def test_a_runner_that_died_leaves_a_lease_that_ends_and_a_mark_that_it_had_one(
    redis_url: str, redis_client: Redis
) -> None:
    with subprocess.Popen([*FANTAIL, "run", "-q", "--redis-url", redis_url, "--id", "42", "sleep", "5"]) as process:
        await eventually(lambda: redis_client.exists("job:42:lease"), timeout_s=10)
        await eventually(lambda: redis_client.exists("job:42"))
        assert 0 < await redis_client.pttl("job:42:lease") <= 30_000
        process.kill()
    assert await field(redis_client, "42", "status") == "running"
    assert await field(redis_client, "42", "lease_s") == "30"
    assert 0 < await redis_client.pttl("job:42:lease") <= 30_000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run"], "Missing argument"),
        (["run", "--bogus", "true"], "No such option: --bogus"),
        (["run", "--merge", "--no-pty", "true"], "exclude each other"),
        (["run", "--id", "a:b", "--redis-url", "redis://127.0.0.1:1", "true"], "not a valid id: 'a:b'"),
        (["run", "--redis-url", "http://x", "true"], "an address of Redis is like redis://"),
        (["run", "--redis-url", "redis://:se/cret@h:1", "true"], "in a password is written %2F"),
        (["run", "--redis-url", "redis://h?bogus=1", "true"], "an address of Redis"),
        (["run", "--redis-url", "redis://x", "--data-dir", "y", "true"], "exclude each other"),
        (["run", "true"], "start one with `fantail serve`"),
        (["pipe", "a", "--id", "b"], "two different ids"),
        (["tail"], "Missing argument 'JOB'"),
        (["tail", "42:diff"], "not a valid id"),
        (["tail", "42", "--url", "nonsense"], "not the address of a server: 'nonsense'"),
        (["tail", "http://127.0.0.1:99999/jobs/42"], "not the address of a server"),
        (["token", "--user", "ada"], "FANTAIL_JWT_SECRET"),
        (["token", "--user", "ada", "--ttl", "soon"], "not a time: 'soon'"),
        (["serve", "--port", "many"], "FANTAIL_PORT"),
        (["fly"], "No such command 'fly'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("fantail: ")
    assert said.err.count("\n") == 1
    assert message in said.err


def test_a_redis_that_does_not_answer_is_told_and_nothing_is_run(tmp_path: Path) -> None:
    said = fantail("run", "--redis-url", "redis://:hunter2@127.0.0.1:1", "touch", str(tmp_path / "run"))
    assert said.returncode == 125
    assert said.stderr.startswith("fantail: Redis at redis://:***@127.0.0.1:1 cannot be used: ")
    assert said.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_token_is_made_for_the_server_that_shares_the_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FANTAIL_JWT_SECRET", "a secret of more than thirty-two bytes")
    assert main(["token", "--user", "ada", "--ttl", "90m"]) == 0
    assert capsys.readouterr().out.count(".") == 2


def test_help_and_version_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == main(["--help"]) == main(["run", "--help"]) == main(["--version"]) == 0
    assert "fantail 0" in capsys.readouterr().out


def test_redis_is_found_where_it_was_said_to_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(NotLocatedError, match="fantail serve"):
        redis_address(None, None)
    monkeypatch.setenv("REDIS_URL", "redis://b")
    assert redis_address(None, None) == "redis://b"
    monkeypatch.setenv("FANTAIL_REDIS_URL", "redis://a")
    assert redis_address(None, None) == "redis://a"
    assert redis_address("unix:///c", None) == "unix:///c"
    with pytest.raises(NotLocatedError, match=str(tmp_path)):
        redis_address(None, tmp_path)


def test_the_server_is_found_where_it_said_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert server_address(None, None) == DEFAULT_URL
    default_data_dir().mkdir()
    write_server_address(default_data_dir(), "http://127.0.0.1:1234")
    assert server_address(None, None) == "http://127.0.0.1:1234"
    monkeypatch.setenv("FANTAIL_URL", "https://example.org/fantail/")
    assert server_address(None, None) == "https://example.org/fantail"
    assert server_address("http://other", None) == "http://other"


def test_a_job_is_named_by_its_id_or_by_its_page() -> None:
    assert job_address("42") == (None, "42")
    assert job_address("https://example.org/fantail/jobs/42/") == ("https://example.org/fantail", "42")
    assert job_address("ftp://example.org/jobs/42") == (None, "ftp://example.org/jobs/42")


async def test_tail_prints_what_a_running_server_streams(redis_url: str, tmp_path: Path) -> None:
    words = [*FANTAIL, "serve", "--port", "0", "--redis-url", redis_url, "--data-dir", str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().split()[-1]
        try:
            fantail(
                "run", "-q", "--no-echo", "--redis-url", redis_url, "--id", "42", "sh", "-c", "echo a; echo b; exit 1"
            )
            followed = fantail("tail", "42", "--data-dir", str(tmp_path))
            assert (followed.returncode, followed.stdout, followed.stderr) == (1, "a\nb\n", "")
            last = fantail("tail", f"{url}/jobs/42", "--json", "-n", "1")
            assert json.loads(last.stdout)["line"] == "b"
            assert fantail("tail", "43", environment={"FANTAIL_URL": url}).returncode == 2
        finally:
            server.terminate()
        assert server.wait(15) == 0
