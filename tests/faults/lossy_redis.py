"""What a power cut does to a Redis with an append-only file: the end of the file was never on the disk."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from support.servers.redis_server import RedisServer


def written_bytes(server: RedisServer) -> int:
    """How long its append-only file is now."""
    return _file(server).stat().st_size


def written(server: RedisServer) -> bytes:
    """What is in its append-only file: every change, in order."""
    return _file(server).read_bytes()


def cut_file(server: RedisServer, kept_bytes: int) -> None:
    """Takes all from the file of a server that was killed but that many bytes; it can be started again then."""
    os.truncate(_file(server), max(0, kept_bytes))


def _file(server: RedisServer) -> Path:
    (file,) = (server.directory / "appendonlydir").glob("*.incr.aof")
    return file
