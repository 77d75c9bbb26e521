"""What a command run by `fantail run` reads: pipes and files are passed on, a terminal only on demand."""

from __future__ import annotations

import os
import pty
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from support.servers.fantail_process import command, environment

if TYPE_CHECKING:
    from pathlib import Path

HUGE_BYTES = 10 * 1024 * 1024
ENOUGH_S = 50


def run(url: str, *words: str) -> list[str]:
    return command("run", "-q", "--redis-url", url, *words)


def fantail(url: str, *words: str, given: bytes | None = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        run(url, *words), input=given, capture_output=True, env=environment(), timeout=ENOUGH_S, check=False
    )


def test_a_pipe_is_passed_on(redis_url: str) -> None:
    ended = fantail(redis_url, "--", "cat", given=b"hello\n")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"hello\n", b"")


def test_a_file_is_passed_on(redis_url: str, tmp_path: Path) -> None:
    (tmp_path / "given").write_text("from a file\n")
    with (tmp_path / "given").open("rb") as given:
        said = subprocess.check_output(run(redis_url, "cat"), stdin=given, env=environment(), timeout=ENOUGH_S)
    assert said == b"from a file\n"


def test_ten_megabytes_come_through_whole(redis_url: str) -> None:
    given = b"".join(b"%07d %s\n" % (number, b"x" * 90) for number in range(HUGE_BYTES // 99))
    ended = fantail(redis_url, "--no-pty", "--", "cat", given=given)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == given


@pytest.mark.parametrize("options", [["--stdin", "none"], []], ids=["none", "closed"])
def test_without_an_input_there_is_an_end(redis_url: str, options: list[str]) -> None:
    words = run(redis_url, *options, "--", "sh", "-c", "cat; readlink /proc/self/fd/0")
    if options:
        ended = subprocess.run(words, input=b"x", capture_output=True, env=environment(), timeout=ENOUGH_S, check=False)
    else:
        ended = subprocess.run(
            ["sh", "-c", '"$@" <&-', "sh", *words],
            capture_output=True,
            env=environment(),
            timeout=ENOUGH_S,
            check=False,
        )
    assert (ended.returncode, ended.stdout) == (0, b"/dev/null\n"), ended.stderr


def test_dev_null_is_passed_on(redis_url: str) -> None:
    words = run(redis_url, "--", "readlink", "/proc/self/fd/0")
    said = subprocess.check_output(words, stdin=subprocess.DEVNULL, env=environment(), timeout=ENOUGH_S)
    assert said == b"/dev/null\n"


def test_who_writes_to_a_command_that_reads_no_more_is_told(redis_url: str, tmp_path: Path) -> None:
    """SIGPIPE must reach the writer while the command still runs: nobody else holds the reading end."""
    told = tmp_path / "told"
    script = f'(yes; echo "$?" > {told}) | "$@"'
    waits = f"exec <&-; while [ ! -e {told} ]; do sleep 0.01; done"
    words = ["bash", "-c", script, "bash", *run(redis_url, "--", "sh", "-c", waits)]
    # Python ignores SIGPIPE and so would its children.
    ended = subprocess.run(words, env=environment(), timeout=ENOUGH_S, check=False, restore_signals=True)
    assert ended.returncode == 0
    assert told.read_text() in ("141\n", "1\n")


def at_a_terminal(words: list[str], typed: bytes) -> tuple[int, bytes]:
    """Runs a command whose standard input is a terminal; its exit code and output."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(words, stdin=theirs, stdout=subprocess.PIPE, env=environment())
    os.close(theirs)
    giving_up = threading.Timer(ENOUGH_S, process.kill)
    giving_up.start()
    try:
        os.write(ours, typed)
        said, _ = process.communicate()
        return process.returncode, said
    finally:
        giving_up.cancel()
        os.close(ours)


def test_a_terminal_is_left_alone(redis_url: str) -> None:
    words = run(redis_url, "--", "sh", "-c", "cat; readlink /proc/self/fd/0")
    assert at_a_terminal(words, b"typed\n") == (0, b"/dev/null\n")


def test_a_terminal_is_read_on_demand(redis_url: str) -> None:
    words = run(redis_url, "--stdin", "inherit", "--", "sh", "-c", 'read -r line; echo "read $line"')
    assert at_a_terminal(words, b"typed\n") == (0, b"read typed\n")


def test_in_the_background_it_is_dev_null_as_the_shell_has_it(redis_url: str) -> None:
    words = run(redis_url, "--", "readlink", "/proc/self/fd/0")
    said = subprocess.check_output(["sh", "-c", '"$@" & wait', "sh", *words], env=environment(), timeout=ENOUGH_S)
    assert said == b"/dev/null\n"
