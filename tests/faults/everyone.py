"""Everyone who watches one job: three tabs and a terminal, each behind a proxy that cuts its connection."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from faults.cutting import WAIT_S, Cutting
from faults.readers import REPOBOX, VIBE_KANBAN, Tab, Terminal, terminal
from support.servers.tcp_proxy import tcp_proxy
from support.wait import eventually

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from faults.readers import Reader
    from faults.server_to_kill import ServerToKill

# Of one line on the wire, in the shorter of the two formats: `id:`, `data:` and their ends beside the JSON.
LINE_BYTES_MIN = 90


@dataclass
class Everyone:
    """Three tabs in two formats and a terminal, each behind a proxy of its own."""

    tabs: Sequence[Tab]
    terminal: Terminal
    cutting: Cutting

    @property
    def all(self) -> tuple[Reader, ...]:
        """The tabs and the terminal."""
        return (*self.tabs, self.terminal)

    def check(self, lines: Sequence[str], *, resets_max: int = 0) -> None:
        """Everyone has the lines, was told the end, and missed nothing.

        Args:
            lines: what is to be on each screen.
            resets_max: how often a screen may have been cleared meanwhile.
        """
        for reader in self.all:
            wrong = first_difference(reader.lines, lines)
            assert wrong is None, f"{type(reader).__name__}: {wrong}"
        for tab in self.tabs:
            assert (tab.gaps, tab.answers[-1:]) == ([], [204])
            assert tab.ends >= 1
        assert max(reader.resets for reader in self.all) <= resets_max
        assert not [notice for notice in self.terminal.notices if "lost" in notice]

    async def some_screen_has(self, count: int, chance: random.Random) -> None:
        """Waits until a tab of chance's choosing has so many lines."""
        tab = chance.choice(self.tabs)
        await eventually(lambda: len(tab.lines) >= count, WAIT_S, "lines on a screen")

    def describe(self) -> str:
        """How everyone is, for whoever has to find out why a test fails."""
        says = [f"{self.cutting.written} blocks are written"]
        for reader, proxy in zip(self.all, self.cutting.proxies, strict=True):
            says.append(
                f"{type(reader).__name__}: {len(reader.lines)} lines, {reader.resets} resets; {proxy.cuts_total} cuts, "
                f"{proxy.connections_total} connections, {proxy.connections_open} open; {proxy.replies}"
            )
        return "\n".join([*says, *self.terminal.notices])


@asynccontextmanager
async def everyone(
    server: ServerToKill, chance: random.Random, tmp_path: Path, *, cuts: int, block_bytes_min: int
) -> AsyncIterator[Everyone]:
    """Starts them; waits at the end until each has come to its end."""
    async with AsyncExitStack() as stack:
        proxies = [await stack.enter_async_context(tcp_proxy(server.port)) for _ in range(4)]
        urls = [f"http://127.0.0.1:{proxy.port}" for proxy in proxies]
        tabs = [
            Tab(url, "42", wire_format) for url, wire_format in zip(urls, (REPOBOX, REPOBOX, VIBE_KANBAN), strict=False)
        ]
        shell = await stack.enter_async_context(terminal(urls[3], "42", tmp_path / "terminal"))
        cutting = Cutting(proxies, chance, cuts, block_bytes_min)
        async with anyio.create_task_group() as tasks:
            for tab in tabs:
                tasks.start_soon(tab.follow)
            for proxy in proxies:
                tasks.start_soon(cutting.cut, proxy)
            readers = Everyone(tabs, shell, cutting)
            try:
                yield readers
            except BaseException:
                print(readers.describe(), *server.process.errors, sep="\n")  # noqa: T201 - shown where the test fails
                raise
        assert await shell.ended(WAIT_S) == 0


def in_blocks(lines: Sequence[str], blocks: int) -> list[Sequence[str]]:
    size = -(-len(lines) // blocks)
    return [lines[start : start + size] for start in range(0, len(lines), size)]


def first_difference(got: Sequence[str], expected: Sequence[str]) -> str | None:
    """Where two long lists part, in words; None: nowhere."""
    if got == expected:
        return None
    at = next((at for at, (one, other) in enumerate(zip(got, expected, strict=False)) if one != other), len(expected))
    return f"{len(got)} lines for {len(expected)}; at {at} stand {got[at : at + 3]} for {expected[at : at + 3]}"
