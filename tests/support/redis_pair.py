"""A primary and its replica behind one address, whose roles change while connections stay open.

The address is a TCP proxy's, as a load balancer or a virtual IP address would be: after a change of roles it leads new
connections to the new primary, and open ones stay with the server that was demoted.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio.to_thread

from support.servers.tcp_proxy import TcpProxy, tcp_proxy
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conftest import MakeRedisServer
    from support.servers.redis_server import RedisServer


@dataclass(slots=True)
class RedisPair:
    """The two servers and the address of whichever is the primary."""

    primary: RedisServer
    replica: RedisServer
    proxy: TcpProxy

    @property
    def url(self) -> str:
        """The address."""
        return self.proxy.url

    async def fail_over(self) -> None:
        """Changes the roles without losing a write: FAILOVER waits for the replica to have everything."""
        old, new = self.primary, self.replica
        assert await _ask(old, "FAILOVER", "TO", "127.0.0.1", new.port) == b"+OK\r\n"
        await eventually(lambda: _has_role(new, b"master"), what="the replica is promoted")
        self.primary, self.replica = new, old
        self.proxy.upstream = ("127.0.0.1", new.port)
        await self.in_step()

    async def promote(self) -> None:
        """Promotes the replica at once. The old primary does not know yet: what it still takes will be lost."""
        assert await _ask(self.replica, "REPLICAOF", "NO", "ONE") == b"+OK\r\n"
        self.primary, self.replica = self.replica, self.primary
        self.proxy.upstream = ("127.0.0.1", self.primary.port)

    async def demote(self, port: int | None = None) -> None:
        """Makes the old primary a replica: of the new one, or of whatever is at that port."""
        assert await _ask(self.replica, "REPLICAOF", "127.0.0.1", port or self.primary.port) == b"+OK\r\n"

    async def in_step(self) -> None:
        """Waits until the replica follows its primary."""

        async def linked() -> bool:
            return b"master_link_status:up" in await _ask(self.replica, "INFO", "replication")

        await eventually(linked, timeout_s=20.0, what="the replica follows the primary")


@asynccontextmanager
async def redis_pair(make: MakeRedisServer, **config: str) -> AsyncIterator[RedisPair]:
    """Starts both, the replica in step, and the proxy in front of the primary."""
    settings = {"repl-diskless-sync-delay": "0", **config}
    primary, replica = make(config=settings), make(config=settings)
    async with tcp_proxy(primary.port) as proxy:
        pair = RedisPair(primary, replica, proxy)
        assert await _ask(replica, "REPLICAOF", "127.0.0.1", primary.port) == b"+OK\r\n"
        await pair.in_step()
        yield pair


async def _has_role(server: RedisServer, role: bytes) -> bool:
    return b"role:" + role in await _ask(server, "INFO", "replication")


async def _ask(server: RedisServer, *words: str | int) -> bytes:
    return await anyio.to_thread.run_sync(lambda: server.command(*words))
