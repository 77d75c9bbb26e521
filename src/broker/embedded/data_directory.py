"""The directory a Fantail server keeps to itself, and how its other programs find their way through it.

    fantail.lock    locked (flock) by the one server that uses the directory; holds its process id
    server.json     where that server listens: {"url", "pid"}; for `fantail run`, which prints the job's address
    valkey.lock     locked by the private Valkey for as long as it lives; holds {"pid", "socket"}
    valkey.sock     its Unix socket, where the path is short enough; appendonlydir/, valkey.log: its data and log

Invariants: a lock is a lock on an open file, so it goes with its process whatever ends it, and no process id is
ever trusted for it; lock files are never removed (one could then be locked twice under one name); a directory
of ours is open to its owner alone.

A socket's path may have 107 bytes at most (`sun_path` of unix(7), with its final NUL). A longer one is replaced by a
short one in $XDG_RUNTIME_DIR or /tmp, named after the user and a hash of the directory. Clients compute the same,
but their environment may differ from the server's, so what valkey.lock says goes first.

Decided against: a process id in a file as the lock (ids are used again after a reboot), and a port on loopback
(open to every user of the machine).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fantail.broker.embedded.private_files import check_directory, check_file, open_private
from fantail.broker.errors import BrokerError
from fantail.broker.limits import DIRECTORY_FILE_BYTES_MAX, SOCKET_PATH_BYTES_MAX
from fantail.broker.own_directories import hide_from_git

if TYPE_CHECKING:
    from typing import Self

SERVER_LOCK = "fantail.lock"
SERVER_ADDRESS = "server.json"
VALKEY_LOCK = "valkey.lock"
VALKEY_SOCKET = "valkey.sock"
VALKEY_LOG = "valkey.log"
FILES = (SERVER_LOCK, SERVER_ADDRESS, VALKEY_LOCK, VALKEY_SOCKET, VALKEY_LOG, f"{VALKEY_LOG}.1")


class DataDirectoryError(BrokerError):
    """The data directory cannot be used; the message says why and what to do.

    Attributes:
        data_dir: the directory.
    """

    def __init__(self, data_dir: Path, why: str) -> None:
        named = "" if "--data-dir" in why else " (it is set by --data-dir or FANTAIL_DATA_DIR)"
        super().__init__(f"the data directory {data_dir} cannot be used: {why}{named}")
        self.data_dir = data_dir


class DataDirectoryLockedError(DataDirectoryError):
    """Another server uses the data directory.

    Attributes:
        pid: that server's process id; None if it has not written it yet.
    """

    def __init__(self, data_dir: Path, pid: int | None) -> None:
        who = "another Fantail server" if pid is None else f"the Fantail server with process id {pid}"
        super().__init__(data_dir, f"{who} is using it; stop that one, or choose another with --data-dir")
        self.pid = pid


def default_data_dir() -> Path:
    """$FANTAIL_DATA_DIR, else fantail in $XDG_DATA_HOME, else ~/.local/share/fantail; it need not exist."""
    if chosen := os.environ.get("FANTAIL_DATA_DIR"):
        return Path(chosen).expanduser().absolute()
    # A relative path is to be ignored (XDG Base Directory Specification).
    shared = Path(os.environ.get("XDG_DATA_HOME", ""))
    return (shared if shared.is_absolute() else Path.home() / ".local" / "share") / "fantail"


def prepare(data_dir: Path) -> None:
    """Make the directory, readable by its owner alone, if it does not exist; check who can write to it.

    Raises:
        DataDirectoryError: it cannot be made, is not a directory, cannot be written, or can be changed by other users;
            or a file of ours in it belongs to another user or is a link.
    """
    advice = "choose another with --data-dir or FANTAIL_DATA_DIR"
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError as fault:
        raise DataDirectoryError(data_dir, f"it is not a directory; {advice}") from fault
    except OSError as fault:
        raise DataDirectoryError(data_dir, f"{fault.strerror}; {advice}") from fault
    if not os.access(data_dir, os.R_OK | os.W_OK | os.X_OK):
        raise DataDirectoryError(data_dir, f"user {os.getuid()} may not write there; {advice}")
    check_private(data_dir)
    if not any(data_dir.iterdir()) or (data_dir / VALKEY_LOCK).exists():
        hide_from_git(data_dir)


def check_private(data_dir: Path) -> None:
    """Make sure that no other user can have put anything into the directory.

    Raises:
        DataDirectoryError: one can, or has.
    """
    try:
        check_directory(data_dir)
        for name in FILES:
            check_file(data_dir / name)
    except OSError as fault:
        raise DataDirectoryError(data_dir, fault.strerror or str(fault)) from fault


class FileLock:
    """An exclusive lock on a file, held until it is released or every process that has it open has ended.

    Attributes:
        fileno: the open file. A child process that inherits it holds the lock too.
    """

    def __init__(self, fileno: int) -> None:
        self.fileno = fileno

    @classmethod
    def acquire(cls, path: Path) -> Self | None:
        """The lock, or None if another has it; never waits.

        Raises:
            UnsafePathError: the file belongs to another user, or is a link.
            OSError: the file cannot be opened, or its file system has no locks.
        """
        fileno = open_private(path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(fileno, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fileno)
            return None
        except BaseException:
            os.close(fileno)
            raise
        return cls(fileno)

    def write(self, text: str) -> None:
        """Replace the file's content, for those who ask who has the lock."""
        os.ftruncate(self.fileno, 0)
        os.pwrite(self.fileno, text.encode(), 0)

    def release(self) -> None:
        """Close the file. A child that inherited it goes on holding the lock."""
        os.close(self.fileno)


def lock_for_server(data_dir: Path) -> FileLock:
    """Make this process the one server of the directory.

    Raises:
        DataDirectoryLockedError: another is.
        DataDirectoryError: the directory cannot be written, or has no locks.
    """
    path = data_dir / SERVER_LOCK
    try:
        lock = FileLock.acquire(path)
        if lock is None:
            raise DataDirectoryLockedError(data_dir, _written_pid(path))
        lock.write(str(os.getpid()))
    except OSError as fault:
        raise DataDirectoryError(data_dir, f"{SERVER_LOCK}: {fault.strerror or fault}") from fault
    return lock


def valkey_socket_path(data_dir: Path) -> Path:
    """Where the private Valkey of that directory is to listen: in it, or in a short place if its path is too long."""
    path = data_dir.resolve() / VALKEY_SOCKET
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX:
        return path
    name = f"fantail-{os.getuid()}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}"
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR", ""))
    short = runtime / name / VALKEY_SOCKET
    if runtime.is_absolute() and runtime.is_dir() and len(os.fsencode(short)) <= SOCKET_PATH_BYTES_MAX:
        return short
    return Path("/tmp") / name / VALKEY_SOCKET  # noqa: S108 (a directory of ours in it, see private_directory)


def valkey_socket_candidates(data_dir: Path) -> list[Path]:
    """Where that Valkey may listen: where it says it does, and where it would by our environment."""
    recorded = _read_json(data_dir / VALKEY_LOCK).get("socket")
    paths = [Path(recorded)] if isinstance(recorded, str) else []
    paths.append(valkey_socket_path(data_dir))
    return [path for path in dict.fromkeys(paths) if _is_ours(path)]


def prepare_socket_directory(data_dir: Path, socket: Path) -> None:
    """Make the directory of a socket, open to its owner alone, unless that is the data directory itself.

    Raises:
        DataDirectoryError: somebody else has made it first; in /tmp anybody can.
    """
    if socket.parent != data_dir.resolve():
        socket.parent.mkdir(mode=0o700, exist_ok=True)
    if not _is_ours(socket):
        raise DataDirectoryError(
            data_dir,
            f"its path is too long for a socket, and {socket.parent} belongs to somebody else or is open to others; "
            "remove that, or choose a shorter path with --data-dir",
        )


def remove_socket(data_dir: Path, socket: Path) -> None:
    """Remove the socket of a Valkey that has ended, and the directory that was made for it, if any."""
    with suppress(OSError):
        socket.unlink(missing_ok=True)
        if socket.parent != data_dir.resolve():
            socket.parent.rmdir()


def record_valkey(lock: FileLock, pid: int | None, socket: Path) -> None:
    """Say who holds valkey.lock and where it listens; None while it is being started."""
    lock.write(json.dumps({"pid": pid, "socket": str(socket)}))


def recorded_valkey_pid(data_dir: Path) -> int | None:
    """The process id of the private Valkey that was started last; it is that process only while the lock is held."""
    pid = _read_json(data_dir / VALKEY_LOCK).get("pid")
    return pid if isinstance(pid, int) else None


def write_server_address(data_dir: Path, url: str) -> None:
    """Say where this process's server listens, for the other commands on this machine.

    Raises:
        OSError: it cannot be written.
    """
    path = data_dir / SERVER_ADDRESS
    fresh = path.with_name(f"{SERVER_ADDRESS}.{os.getpid()}")
    fresh.unlink(missing_ok=True)  # left by a process that had this id before
    with os.fdopen(open_private(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "w", encoding="utf-8") as file:
        file.write(json.dumps({"url": url, "pid": os.getpid()}))
    fresh.replace(path)


def read_server_address(data_dir: Path) -> str | None:
    """Where the server of that directory listens; None if there is none, or it ended without saying so."""
    content = _read_json(data_dir / SERVER_ADDRESS)
    url, pid = content.get("url"), content.get("pid")
    return url if isinstance(url, str) and isinstance(pid, int) and pid > 0 and _lives(pid) else None


def remove_server_address(data_dir: Path) -> None:
    """Take back what this process wrote with `write_server_address`; nothing happens if it wrote nothing."""
    path = data_dir / SERVER_ADDRESS
    if _read_json(path).get("pid") == os.getpid():
        with suppress(OSError):
            path.unlink()


def _read_json(path: Path) -> dict[str, object]:
    try:
        with os.fdopen(open_private(path, os.O_RDONLY), "rb") as file:
            content = json.loads(file.read(DIRECTORY_FILE_BYTES_MAX))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _written_pid(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _is_ours(socket: Path) -> bool:
    """Whether nobody else can have put that socket there: in /tmp anybody may make a directory of any name."""
    try:
        if stat.S_ISLNK(socket.parent.lstat().st_mode):
            return False
        check_directory(socket.parent)
        check_file(socket)
    except OSError:
        return False
    return True
