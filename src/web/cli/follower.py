"""Follows one job's stream over any number of connections, as EventSource does: the last position is sent again."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import anyio
import httpx
import orjson

from fantail.broker.log.position import parse_position
from fantail.web.cli.event_parser import EventParser, EventTooLongError, ServerEvent
from fantail.web.cli.locate import address_without_password
from fantail.web.cli.terminal_text import safe_json, safe_line
from fantail.web.limits import TAIL_AWAY_S_MAX, TAIL_BACKOFF_S_MAX, TAIL_BACKOFF_S_MIN, TAIL_FIRST_S_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


SUCCEEDED: Final = 0

FAILED: Final = 1

"""The job failed, was cancelled, or is gone."""

REFUSED: Final = 2

"""There is no such job, or it is not for this user."""

UNREACHABLE: Final = 3

"""No server answers, or what answers is no Fantail server."""

OUT, ERR = 1, 2


@dataclass(frozen=True, slots=True)
class Followed:
    """What is followed, and how it is shown.

    Attributes:
        url: of the server.
        job_id: within the grammar of ids.
        token: for a server that asks who is there.
        from_offset: the first line, where not all are wanted.
        tail: how many lines before the end, where not all are wanted.
        as_json: print the entries as they are stored, one on a line, instead of their text.
        diff: follow what it changes in its worktree instead of what it prints; see `fantail.web.cli.tail_diff`.
        coloured: colour patches, for a terminal.
        terminals: of stdout (1) and stderr (2), those that are terminals: what they would obey is removed
            (`fantail.web.cli.terminal_text`). What goes elsewhere is passed on as it is.
    """

    url: str
    job_id: str
    token: str | None = None
    from_offset: int | None = None
    tail: int | None = None
    as_json: bool = False
    diff: bool = False
    coloured: bool = False
    terminals: frozenset[int] = frozenset()

    @property
    def shown_url(self) -> str:
        """The server's address without the password that may be in it."""
        return address_without_password(self.url)

    @property
    def stream_url(self) -> str:
        """The stream's address."""
        server = self.url.rstrip("/")
        if self.diff:
            return f"{server}/api/events/task-attempts/{self.job_id}/diff"
        return f"{server}/api/jobs/{self.job_id}/stream"

    @property
    def parameters(self) -> dict[str, int]:
        """Where the stream begins; a position wins over it."""
        asked = {"from": self.from_offset, "tail": self.tail}
        return {name: value for name, value in asked.items() if value is not None}


@dataclass(slots=True)
class Follower:
    """Follows one job over any number of connections.

    Attributes:
        followed: what.
        client: by which it asks.
        write: writes bytes to stdout (1) or stderr (2).
        tell: shows a message beside the output.
        code: the exit code, once the job has ended.
        waiting: what is to be written after what was received, and where.
    """

    followed: Followed
    client: httpx.AsyncClient
    write: Callable[[int, bytes], None]
    tell: Callable[[str], None]
    last_id: str = ""
    printed: int = -1  # the offset of the last line printed
    pause_s: float = TAIL_BACKOFF_S_MIN
    asked_pause_s: float | None = None
    heard_at_s: float = 0.0
    answered: bool = False  # with a stream: the address is right
    known: bool = False  # the job was seen
    trouble: str = ""
    waited: bool = False  # and said so
    code: int | None = None
    waiting: list[tuple[int, bytes]] = field(default_factory=list)

    async def follow(self) -> int:
        """Follows it to its end; see `follow`."""
        self.heard_at_s = anyio.current_time()
        while True:
            code = await self._connected()
            if code is not None:
                return code
            patience_s = TAIL_AWAY_S_MAX if self.answered else TAIL_FIRST_S_MAX
            if anyio.current_time() - self.heard_at_s > patience_s:
                self.tell(f"{self.followed.shown_url} does not answer: {self.trouble or 'it is busy'}")
                return UNREACHABLE
            if self.trouble and not self.waited:
                self.waited = True
                self.tell(f"waiting for {self.followed.shown_url}: {self.trouble}")
            await self._pause()

    async def _pause(self) -> None:
        if self.asked_pause_s is not None:
            await anyio.sleep(self.asked_pause_s)
            return
        await anyio.sleep(random.uniform(self.pause_s / 2, self.pause_s))  # noqa: S311 - jitter is no secret
        self.pause_s = min(2 * self.pause_s, TAIL_BACKOFF_S_MAX)

    async def _connected(self) -> int | None:
        """One connection, to its end; returns the exit code where that is the end of all."""
        self.asked_pause_s = None
        position = {"Last-Event-ID": self.last_id} if self.last_id else {}
        asked = self.client.stream("GET", self.followed.stream_url, params=self.followed.parameters, headers=position)
        try:
            async with asked as response:
                if self._is_stream(response):
                    self.answered = True
                    return await self._read(response)
                await response.aread()
                return self._judged(response)
        except (httpx.InvalidURL, UnicodeError) as error:
            self.tell(f"{self.followed.shown_url} is not the address of a server: {error}")
            return UNREACHABLE
        except (httpx.HTTPError, EventTooLongError) as error:
            self.trouble = str(error) or type(error).__name__
            return None

    def _is_stream(self, response: httpx.Response) -> bool:
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        return response.status_code == httpx.codes.OK and kind == "text/event-stream"

    async def _read(self, response: httpx.Response) -> int | None:
        parser = EventParser(self.last_id)
        async for chunk in response.aiter_bytes():
            for event in parser.feed(chunk):
                self._take(event)
            self._print()
            if self.code is not None:
                return self.code
        # Ended by the server, which has said when it wants us back.
        if parser.retry_ms is not None:
            self.asked_pause_s = min(parser.retry_ms / 1000, TAIL_AWAY_S_MAX)
        return None

    def _take(self, event: ServerEvent) -> None:
        self.waited, self.trouble = False, ""
        self.known, self.heard_at_s, self.pause_s = True, anyio.current_time(), TAIL_BACKOFF_S_MIN
        self.show(event, _parsed(event.data))
        self.last_id = event.last_id

    def show(self, event: ServerEvent, data: Mapping[str, Any]) -> None:
        """Takes one event of the stream; another format's follower has another one of these."""
        match event.name:
            case "output":
                self._line(event, data)
            case "reset":
                self.notice("the output was written anew; here it is from its start")
                self.printed = -1
            case "gap":
                self.notice(f"lines {data.get('from')} to {data.get('to')} are lost")
            case "error" if data.get("message") != "Stream timeout":
                self.notice(str(data.get("message", "")))
            case "done":
                self.code = SUCCEEDED if data.get("status") == "success" else FAILED
            case _:
                pass

    def _line(self, event: ServerEvent, entry: Mapping[str, Any]) -> None:
        position = parse_position(event.last_id)
        if position is not None:
            if position.offset <= self.printed:
                return
            self.printed = position.offset
        if self.followed.as_json:
            self.waiting.append((OUT, self.json_line(event.data or b"")))
        else:
            to = OUT if entry.get("stream") == "stdout" else ERR
            line = str(entry.get("line", ""))
            shown = safe_line(line) if to in self.followed.terminals else line
            self.waiting.append((to, shown.encode("utf-8", "replace") + b"\n"))

    def json_line(self, data: bytes) -> bytes:
        """An entry as JSON on a line of stdout."""
        if OUT in self.followed.terminals:
            data = safe_json(data.decode("utf-8", "replace")).encode()
        return data + b"\n"

    def notice(self, text: str) -> None:
        """Shows a message in its place among the output."""
        self._print()
        self.tell(text)

    def _print(self) -> None:
        """Writes what waits, in order: runs of one stream at once."""
        waiting, self.waiting = self.waiting, []
        start = 0
        for place in range(1, len(waiting) + 1):
            if place == len(waiting) or waiting[place][0] != waiting[start][0]:
                self.write(waiting[start][0], b"".join([line for _, line in waiting[start:place]]))
                start = place

    def _judged(self, response: httpx.Response) -> int | None:
        """What an answer that is no stream means: an end, or a reason to come back."""
        match response.status_code:
            case httpx.codes.NO_CONTENT:
                return SUCCEEDED
            case httpx.codes.NOT_FOUND if self.known:
                self.tell("the job is gone")
                return FAILED
            case httpx.codes.UNAUTHORIZED:
                self.tell(f"{_reason(response)}; FANTAIL_TOKEN must hold a token that the server takes")
                return REFUSED
            case httpx.codes.BAD_REQUEST | httpx.codes.FORBIDDEN | httpx.codes.NOT_FOUND:
                self.tell(_reason(response))
                return REFUSED
            case _:
                self.trouble = _reason(response)
                with suppress(ValueError):
                    self.asked_pause_s = min(float(response.headers.get("retry-after", "")), TAIL_AWAY_S_MAX)
                return None


def _parsed(data: bytes | None) -> Mapping[str, Any]:
    try:
        value = orjson.loads(data or b"{}")
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _reason(response: httpx.Response) -> str:
    """The server's words, at most one line of them."""
    words = " ".join(response.text.split())[:200] if response.headers.get("content-type") else ""
    said = f"{response.status_code} {response.reason_phrase}"
    return said if words in ("", response.reason_phrase) else f"{said}: {words}"
