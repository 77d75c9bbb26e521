"""`fantail serve` as a process of its own, started and stopped as a supervisor would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

READY = "Fantail is ready on "
START_S = 20.0
STOP_S = 15.0


@dataclass(slots=True)
class FantailProcess:
    """A server that has said that it is ready.

    Attributes:
        url: what it said.
        process: it.
    """

    url: str
    process: subprocess.Popen[str]
    errors: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        """The port of its address."""
        return int(self.url.rpartition(":")[2])

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Sends a signal."""
        self.process.send_signal(number)

    def wait(self, timeout_s: float = STOP_S) -> int:
        """Waits for its end; returns the exit code."""
        return self.process.wait(timeout_s)


def command(*arguments: str) -> list[str]:
    """The command line of `fantail` with these arguments."""
    return [sys.executable, "-m", "fantail.web.cli", *arguments]


def environment(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without settings of Fantail, and with these."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("FANTAIL_") and name != "REDIS_URL"
    }
    return {**kept, **(settings or {})}


@contextmanager
def fantail_process(
    *arguments: str, settings: Mapping[str, str] | None = None, pass_fds: Sequence[int] = ()
) -> Iterator[FantailProcess]:
    """Runs `fantail serve --port 0` with more arguments while the context lasts; kills it if it is still there then.

    Raises:
        AssertionError: it ended before it was ready, or did not get ready in time; the message has its last words.
    """
    ports = [] if "--fd" in arguments or "--port" in arguments else ["--port", "0"]
    process = subprocess.Popen(
        command("serve", *ports, *arguments),
        env=environment(settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=pass_fds,
    )
    errors: list[str] = []
    reader = threading.Thread(target=lambda: errors.extend(process.stderr or ()), daemon=True)
    reader.start()
    giving_up = threading.Timer(START_S, process.kill)
    giving_up.start()
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        giving_up.cancel()
        assert first.startswith(READY), f"it said {first!r}, and {''.join(errors)}"
        yield FantailProcess(first.removeprefix(READY).strip(), process, errors)
    finally:
        giving_up.cancel()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        reader.join(5)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def refused(
    *arguments: str, settings: Mapping[str, str] | None = None, pass_fds: Sequence[int] = ()
) -> tuple[int, str]:
    """Runs `fantail serve`, which is to end at once; returns its exit code and what it said on standard error."""
    done = subprocess.run(
        command("serve", *arguments),
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
        pass_fds=pass_fds,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr
