"""Cuts that fall within the writing, however fast or slow the machine is.

A job's lines are written in blocks. Each reader is cut once for each block, after a random number of bytes that is
smaller than a block has. The writer goes on at full speed but is never more than two blocks ahead of the reader that
was cut least often. So nothing here is a matter of time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from support.wait import eventually

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from fantail.broker.producers.writer.job_writer import JobWriter
    from support.servers.tcp_proxy import TcpProxy

AHEAD_MAX: Final = 2
# A terminal that comes back while Redis is away is told to wait for up to 30 s.
WAIT_S: Final = 60.0


@dataclass
class Cutting:
    """A job that is written while its readers are cut.

    Attributes:
        proxies: one for each reader.
        chance: decides where the cuts fall.
        cuts: how often each reader is cut.
        block_bytes_min: no block has less bytes on the wire.
        written: blocks begun so far.
    """

    proxies: Sequence[TcpProxy]
    chance: random.Random
    cuts: int
    block_bytes_min: int
    written: int = 0

    async def write(self, job: JobWriter, blocks: Sequence[Sequence[str]]) -> None:
        """Writes the blocks, two more than cuts at least."""
        assert len(blocks) >= self.cuts + AHEAD_MAX
        for number, block in enumerate(blocks):
            await eventually(lambda: self._cut_least >= min(number, self.cuts + AHEAD_MAX) - AHEAD_MAX, WAIT_S, "cuts")  # noqa: B023 - asked at once
            self.written = number + 1
            await job.append(block)

    async def cut(self, proxy: TcpProxy) -> None:
        """Cuts one reader again and again."""
        for number in range(self.cuts):
            await eventually(lambda: self.written > number, WAIT_S, "a block")  # noqa: B023 - asked at once
            proxy.cut_after_reply_bytes(self.chance.randrange(self.block_bytes_min))
            await eventually(lambda: proxy.cuts_total > number, WAIT_S, "a cut")  # noqa: B023 - asked at once

    @property
    def _cut_least(self) -> int:
        return min(proxy.cuts_total for proxy in self.proxies)
