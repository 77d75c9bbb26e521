"""`make run`: a server and a first real job, the address printed, everything ended by Ctrl-C."""

from __future__ import annotations

import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import httpx
import pytest

from support.servers.fantail_process import environment

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = TypeVar("Answer")

SCRIPT = Path(__file__).parent.parent / "scripts" / "run_demo.py"


def until(ask: Callable[[], Answer]) -> Answer:
    """What is answered when that is something."""
    give_up_s = time.monotonic() + 30.0
    while not (answer := ask()):
        assert time.monotonic() < give_up_s
        time.sleep(0.1)
    return answer


def _advised(said: str, command: str) -> list[str]:
    """The command line that people are advised to use, without what they are to put in."""
    (line,) = (line for line in said.splitlines() if f" {command} --data-dir " in line)
    return [word for word in shlex.split(line) if word not in ("JOB", "--", "COMMAND")]


def test_it_streams_a_command_beside_a_server_on_a_free_port_and_ends_with_all_its_children(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        demo = subprocess.Popen(
            [sys.executable, SCRIPT, "--command", "printf 'hello\\nworld\\n'"],
            env=environment({"FANTAIL_DATA_DIR": str(tmp_path), "FANTAIL_PORT": port}),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        giving_up = threading.Timer(55, demo.kill)
        giving_up.start()
        try:
            assert demo.stdout is not None
            said = ""
            while "Ctrl-C ends it" not in said:
                line = demo.stdout.readline()
                assert line, said
                said += line
            assert f"Port {port} is taken" in said
            url = next(word for word in said.split() if word.startswith("http://"))
            (job,) = httpx.get(f"{url}/api/jobs").json()["jobs"]
            assert (job["status"], job["exitCode"]) == ("success", 0)
            assert (
                httpx.get(f"{url}/api/jobs/{job['id']}/output", headers={"Accept": "text/plain"}).text
                == "hello\nworld\n"
            )
            tail, run = (_advised(said, command) for command in ("tail", "run"))
            assert subprocess.run([*tail, job["id"]], env=environment(), capture_output=True, check=True).stdout == (
                b"hello\nworld\n"
            )
            assert (
                subprocess.run([*run, "--", "true"], env=environment(), capture_output=True, check=True).returncode == 0
            )
            assert len(httpx.get(f"{url}/api/jobs").json()["jobs"]) == 2
            assert f"{url}/pipelines" in said
            health = httpx.get(f"{url}/ui-api/pipeline/orders/health", timeout=20).json()
            assert health["health"]["pipeline_id"] == "orders"
            (run,) = until(lambda: httpx.get(f"{url}/api/jobs/status/running", timeout=20).json()["runningJobs"])
            assert run["name"], "a run has the name of its suite"
            until(lambda: httpx.get(f"{url}/api/system", timeout=20).json()["pipelines"]["known"] == 6)
            until(lambda: httpx.get(f"{url}/api/system", timeout=20).json()["statuses"]["messagesTotal"] > 0)
            demo.send_signal(signal.SIGINT)
            assert demo.wait(15) == 0
        finally:
            giving_up.cancel()
            demo.kill()
            demo.wait()
            if demo.stdout is not None:
                demo.stdout.close()
    assert not (tmp_path / "valkey.sock").exists()
    assert not (tmp_path / "server.json").exists()


@pytest.mark.parametrize("command", ["echo $HOME $(date) $$", "printf '%s\\n' \"it's\" # so"])
def test_make_passes_a_command_on_as_it_is(command: str) -> None:
    words = ["make", "--dry-run", "--no-print-directory", "run", f"CMD={command}"]
    plain = {name: value for name, value in environment().items() if not name.startswith("MAKE")}  # we may be under one
    shown = subprocess.run(words, cwd=SCRIPT.parent.parent, env=plain, capture_output=True, text=True, check=True)
    assert shlex.split(shown.stdout.splitlines()[-1])[-2:] == ["--command", command]
