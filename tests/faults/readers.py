"""Those who follow a job over cut connections: tabs of a browser, and a terminal.

A tab does what an EventSource and the page behind it do: it keeps the last id it was given, comes back with it after
every end, puts what it gets behind what it has, and throws all away at a `reset`. What it then has on its screen is
what the tests look at. It does not wait as long as `retry:` asks for: a test is about what comes, not when.

A terminal is `fantail tail --json`, a process of its own.
"""

from __future__ import annotations

import subprocess
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import anyio
import httpx
import orjson

from fantail.broker.log.position import parse_position
from support.clients.sse_client import Event, EventParser
from support.servers.fantail_process import command, environment
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PAUSE_S: Final = 0.02
NOTICE: Final = b"fantail: "


@dataclass(frozen=True, slots=True)
class WireFormat:
    """How a wire format names what a tab looks at."""

    path: str
    output: str
    line: str
    end: str


REPOBOX: Final = WireFormat("/api/jobs/{}/stream", "output", "line", "done")
VIBE_KANBAN: Final = WireFormat("/api/events/processes/{}/logs", "message", "content", "finished")


class Reader(Protocol):
    """Whoever follows a job."""

    @property
    def lines(self) -> list[str]:
        """What is on the screen."""

    @property
    def resets(self) -> int:
        """How often it was cleared."""


@dataclass
class Tab:
    """One tab; `follow` runs until it was told that there is nothing to come back for.

    Attributes:
        url: of the server, or of the proxy before it.
        job_id: the job.
        wire_format: in which wire format.
        lines: what is on the screen.
        resets: how often the screen was cleared.
        gaps: what it was told is lost, `(from, to)`, both included.
        ends: how often it was told the end.
        connections: how often it has asked.
        last_id: what it comes back with.
        answers: the statuses of the answers that were no stream.
        next_offset: of the line that must come next.
    """

    url: str
    job_id: str
    wire_format: WireFormat = REPOBOX
    lines: list[str] = field(default_factory=list)
    resets: int = 0
    gaps: list[tuple[int, int]] = field(default_factory=list)
    ends: int = 0
    connections: int = 0
    last_id: str = ""
    answers: list[int] = field(default_factory=list)
    next_offset: int = 0

    async def follow(self) -> None:
        """Follows; whatever is wrong in what it gets is raised as an AssertionError."""
        async with httpx.AsyncClient(verify=False, trust_env=False, timeout=30.0) as client:  # noqa: S501 - no TLS here
            while not self.answers or self.answers[-1] != httpx.codes.NO_CONTENT:
                with suppress(httpx.TransportError):
                    await self._connected(client)
                await anyio.sleep(PAUSE_S)

    async def _connected(self, client: httpx.AsyncClient) -> None:
        self.connections += 1
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": self.last_id} if self.last_id else {})}
        async with client.stream(
            "GET", self.url + self.wire_format.path.format(self.job_id), headers=headers
        ) as response:
            if response.status_code != httpx.codes.OK:
                self.answers.append(response.status_code)
                assert response.status_code == httpx.codes.NO_CONTENT, await response.aread()
                assert self.ends, "no 204 before the end was told"
                return
            parser = EventParser(self.last_id)
            async for chunk in response.aiter_raw():
                for event in parser.feed(chunk):
                    self._take(event)

    def _take(self, event: Event) -> None:
        self.last_id = event.id
        match event.name:
            case self.wire_format.output:
                position = parse_position(event.id)
                assert event.has_id
                assert position is not None
                assert position.offset == self.next_offset, f"offset {position.offset} after {self.next_offset - 1}"
                self.next_offset += 1
                self.lines.append(event.json[self.wire_format.line])
            case self.wire_format.end:
                self.ends += 1
            case "reset":
                self.resets += 1
                self.lines.clear()
                self.next_offset = 0
            case "gap":
                gap = event.json
                assert gap["from"] == self.next_offset
                self.gaps.append((gap["from"], gap["to"]))
                self.next_offset = gap["to"] + 1
            case name:
                assert name == "status", event


@dataclass
class Terminal:
    """A running `fantail tail --json`.

    Attributes:
        process: it.
        written: what it prints: entries, and notices among them, in their order.
    """

    process: subprocess.Popen[bytes]
    written: Path

    async def ended(self, timeout_s: float) -> int:
        """Waits for its end; returns its exit code."""
        await eventually(lambda: self.process.poll() is not None, timeout_s, "the end of fantail tail")
        return self.process.returncode

    @property
    def notices(self) -> list[str]:
        """What it told beside the lines."""
        return [line.removeprefix(NOTICE).decode() for line in self._printed if line.startswith(NOTICE)]

    @property
    def resets(self) -> int:
        """How often it told that the output was written anew."""
        return sum("written anew" in notice for notice in self.notices)

    @property
    def lines(self) -> list[str]:
        """The lines it printed since the last reset."""
        lines: list[str] = []
        for printed in self._printed:
            if not printed.startswith(NOTICE):
                lines.append(orjson.loads(printed)["line"])
            elif b"written anew" in printed:
                lines.clear()
        return lines

    @property
    def _printed(self) -> list[bytes]:
        return self.written.read_bytes().splitlines()


@asynccontextmanager
async def terminal(url: str, job_id: str, written: Path) -> AsyncIterator[Terminal]:
    """Starts a terminal that follows a job; kills it at the end if it is still there."""
    with written.open("ab") as out:
        process = subprocess.Popen(  # noqa: ASYNC220 - starting takes a millisecond
            command("tail", "--json", "--url", url, job_id),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        yield Terminal(process, written)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
