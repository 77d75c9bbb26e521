"""A server that a test kills, stops and starts again, as clients see it: always at the same address."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import httpx

from fantail.broker.embedded.data_directory import VALKEY_LOCK, FileLock, recorded_valkey_pid
from support.servers.fantail_process import FantailProcess, fantail_process
from support.servers.loopback import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class ServerToKill:
    """`fantail serve` on one port, again and again; made by `server_to_kill`.

    Attributes:
        port: on 127.0.0.1, the same over all starts.
        process: the one that runs, or ran last.
    """

    def __init__(self, *arguments: str, data_dir: Path | None = None, settings: dict[str, str] | None = None) -> None:
        self.port = free_port()
        self.process: FantailProcess
        self._data_dir = data_dir
        self._arguments = [*arguments, *([] if data_dir is None else ["--data-dir", str(data_dir)])]
        self._settings = {"FANTAIL_DRAIN_S": "0.5", **(settings or {})}
        self._running = ExitStack()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Starts it, and waits until it is ready."""
        await anyio.to_thread.run_sync(self._start)

    async def kill9(self) -> None:
        """Ends it as no server should end; the embedded Valkey, its child, lives on."""
        self.process.signal(signal.SIGKILL)
        await self._ended()

    async def stop(self) -> int:
        """Ends it as its host would; returns its exit code."""
        self.process.signal(signal.SIGTERM)
        return await self._ended()

    async def system(self) -> Any:
        """What `/api/system` says."""
        async with httpx.AsyncClient() as client:
            return (await client.get(f"{self.url}/api/system")).raise_for_status().json()

    def close(self) -> None:
        """Ends it, and a Valkey that it left behind."""
        self._running.close()
        if self._data_dir is not None and (orphan := living_valkey(self._data_dir)) is not None:
            os.kill(orphan, signal.SIGKILL)

    def _start(self) -> None:
        self.process = self._running.enter_context(
            fantail_process("--port", str(self.port), *self._arguments, settings=self._settings)
        )

    async def _ended(self) -> int:
        code = await anyio.to_thread.run_sync(self.process.wait)
        self._running.close()
        return code


def living_valkey(data_dir: Path) -> int | None:
    """The process id of the directory's Valkey, if one lives."""
    lock = FileLock.acquire(data_dir / VALKEY_LOCK)
    if lock is None:
        return recorded_valkey_pid(data_dir)
    lock.release()
    return None


@asynccontextmanager
async def server_to_kill(
    *arguments: str, data_dir: Path | None = None, settings: dict[str, str] | None = None
) -> AsyncIterator[ServerToKill]:
    """Starts a server; whatever became of it meanwhile, nothing of it is left at the end.

    Args:
        arguments: more of its arguments.
        data_dir: its data directory, if it shall have an embedded Valkey.
        settings: its environment.
    """
    server = ServerToKill(*arguments, data_dir=data_dir, settings=settings)
    try:
        await server.start()
        yield server
    finally:
        server.close()
