"""What `make run` does: a server on its private Valkey and, beside it, a first real job to look at.

Behind the pages of pipelines and of runs there is something too (`demo_status.py`), unless FANTAIL_PIPELINE_URL or
FANTAIL_DATABASE_URL name something better.

    python scripts/run_demo.py                      the job is this repository's history, then its tests
    python scripts/run_demo.py --command 'CMD'      the job is CMD, as a shell understands it

The data are kept in `.fantail` here (FANTAIL_DATA_DIR chooses another place), so yesterday's jobs are still there. The
port is 8765 (FANTAIL_PORT), or a free one, if that is taken. Ctrl-C ends the job, the server and what is
made up beside it, in this order.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

ROOT = Path(__file__).resolve().parent.parent
FANTAIL = [sys.executable, "-m", "fantail.web.cli"]
READY = "Fantail is ready on "
HISTORY_LINES = 20_000
JOB_STOP_S = 10.0
STATUS_STOP_S = 5.0
SERVER_STOP_S = 15.0


def main() -> int:
    """Runs until the server ends or somebody interrupts; returns the exit code."""
    parser = argparse.ArgumentParser(description="Start Fantail and a first job.")
    parser.add_argument("--command", help="what to stream instead of this repository's history and tests")
    asked = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell that starts us in the background has SIGINT ignored
        signal.signal(number, _interrupt)
    environment = {
        **os.environ,
        "FANTAIL_DATA_DIR": os.environ.get("FANTAIL_DATA_DIR") or str(ROOT / ".fantail"),
        "FANTAIL_PORT": _free_port(os.environ.get("FANTAIL_PORT") or "8765"),
        "PYTHONUNBUFFERED": "1",
    }
    # All in sessions of their own: Ctrl-C comes to us alone, and the job ends before the server does.
    try:
        with _status_demo(environment) as demo, _server(environment) as server:
            return _run(server, demo, environment, asked.command)
    except KeyboardInterrupt:
        print("\nEnding.", flush=True)
        return 0


@contextmanager
def _server(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    command = [*FANTAIL, "serve"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as server:
        try:
            yield server
        finally:
            _stop(server, SERVER_STOP_S)


@contextmanager
def _status_demo(environment: dict[str, str]) -> Iterator[subprocess.Popen[str] | None]:
    """Starts what pipelines and runs are shown of, and tells the server where that is; None: the user has better."""
    if environment.get("FANTAIL_PIPELINE_URL") or environment.get("FANTAIL_DATABASE_URL"):
        yield None
        return
    command = [sys.executable, str(ROOT / "scripts" / "demo_status.py"), environment["FANTAIL_DATA_DIR"]]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as demo:
        assert demo.stdout is not None
        try:
            line = demo.stdout.readline()
            if line:
                told = json.loads(line)
                environment["FANTAIL_PIPELINE_URL"] = told["pipelines"]
                environment["FANTAIL_DATABASE_URL"] = told["database"]
            yield demo if line else None
        finally:
            _stop(demo, STATUS_STOP_S)


def _run(
    server: subprocess.Popen[str], demo: subprocess.Popen[str] | None, environment: dict[str, str], command: str | None
) -> int:
    assert server.stdout is not None
    ready = server.stdout.readline()
    if not ready.startswith(READY):
        return server.wait()
    url = ready.removeprefix(READY).strip()
    _say(
        f"Open {url} in a browser. From here, in another terminal, a job is followed, and one of yours is recorded, by"
    )
    _say(f"  {_command(environment, 'tail')} JOB")
    _say(f"  {_command(environment, 'run')} -- COMMAND")
    if demo is not None and demo.stdin is not None:
        demo.stdin.write(f"{url}\n")
        demo.stdin.flush()
        _say(f"Demo data: pipelines at {url}/pipelines, test runs at {url}/runs.")
    for name, words in _jobs(command):
        _run_job(name, words, environment, url)
    _say(f"Fantail goes on at {url}; Ctrl-C ends it.")
    return server.wait()


def _jobs(command: str | None) -> list[tuple[str, list[str]]]:
    """What to run: names and command lines."""
    if command is not None:
        return [(command, ["sh", "-c", command])]
    jobs = []
    if shutil.which("git") and (ROOT / ".git").exists():
        history = f"git log -p --color=always | head -n {HISTORY_LINES}"
        jobs.append(("The history of this repository", ["sh", "-c", history]))
    tests = [
        sys.executable,
        "-m",
        "pytest",
        "tests/broker/log",
        "tests/broker/documents",
        "tests/broker/readers",
        "tests/properties",
        "-v",
        "--color=yes",
    ]
    jobs.append(("The tests of this repository's core", [*tests, "-p", "no:cacheprovider"]))
    return jobs


def _run_job(name: str, words: list[str], environment: dict[str, str], url: str) -> None:
    _say(f"Running as a job, at {url}: {shlex.join(words)}")
    command = [*FANTAIL, "run", "--no-echo", "--name", name, "--", *words]
    with subprocess.Popen(command, env=environment, cwd=ROOT, start_new_session=True) as job:
        try:
            code = job.wait()
        finally:
            _stop(job, JOB_STOP_S)
    _say(f"That job has ended with exit code {code}; its page stays.")


def _free_port(wanted: str) -> str:
    """The port if nothing listens there, else one that is free, and says so; what is no port the server refuses."""
    if not wanted.isdigit():
        return wanted
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(wanted)))
        except (OSError, OverflowError):
            with socket.create_server(("127.0.0.1", 0)) as other:
                port = str(other.getsockname()[1])
            _say(f"Port {wanted} is taken; using {port} (FANTAIL_PORT chooses another).")
            return port
    return wanted


def _stop(process: subprocess.Popen[str] | subprocess.Popen[bytes], within_s: float) -> None:
    """Asks it to end, and waits; who asks a second time gets it killed."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(within_s)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def _command(environment: dict[str, str], name: str) -> str:
    """How a command of `fantail` is called from here; by its data directory it finds this server and its Redis."""
    beside = Path(sys.executable).with_name("fantail")
    program = _near(str(beside)) if beside.exists() else "fantail"
    return shlex.join([program, name, "--data-dir", _near(environment["FANTAIL_DATA_DIR"])])


def _near(path: str) -> str:
    """The path as it is called from here, if it is below."""
    relative = os.path.relpath(path)
    return path if relative.startswith(os.pardir) else relative


def _say(text: str) -> None:
    print(f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
