"""`POST /api/jobs/{id}/output`: lines of a body, appended while it arrives.

The answer names the offsets written, `{"from":a,"to":b,"count":n,"length":m}`, both inclusive (null where nothing was
written); `length` is the log's length after the last of them. A refusal names them too: what was accepted before it
stays, and a body that is cut off leaves the whole lines of what arrived.

Exactly once. With `?from=K` the first line is written at offset K or not at all (409, with the `length` there is), the
next at K+1, and so on: each append states the length it expects, and the ledger compares in the same step. So a client
whose upload broke off, or that never got its answer, asks for the length (`GET …/output?limit=0`, or the 409 of a try),
leaves out as many of its lines as arrived, and goes on from there. Should the broken upload still be under way in the
server, only one of the two can append at each offset, and the other gets a 409. This holds for one writer at a time;
of several, none can tell its lines from another's. Without `from`, lines of several writers may interleave.

The body is never in memory whole: a chunk is parsed, appended, and only then the next is read. Who sends faster than
the rate limit is read more slowly, not refused. When the server stops, an upload ends with 503 and what was written.
"""

from __future__ import annotations

import math
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import anyio

from fantail.broker.errors import BrokerError, LengthMismatchError
from fantail.broker.limits import APPEND_BYTES_MAX, APPEND_RECORDS_MAX
from fantail.broker.log.records import STREAMS
from fantail.broker.masking.foreign import EntryMasker
from fantail.web.auth.viewer import viewer_required
from fantail.web.errors import (
    Problem,
    ProblemError,
    bad_request,
    busy,
    forbidden,
    problem_of,
    refusal,
    too_large,
    unauthorized,
    unsupported,
)
from fantail.web.http.json_response import json_response
from fantail.web.limits import INGEST_DISCARD_BYTES_MAX, INGEST_DISCARD_S_MAX, INGEST_SLICE_BYTES
from fantail.web.logscan.batches import batches
from fantail.web.rest.ingest_parser import parser_for
from fantail.web.rest.request import own_job, whole_number
from fantail.web.sse.http_protocol import EXTENSION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Message

    from fantail.broker import Job
    from fantail.web.context import Context
    from fantail.web.rest.ingest_parser import Parser
    from fantail.web.sse.http_protocol import Connection


STOPPING: Final = "The server is stopping"


async def answer_ingest(context: Context, request: Request) -> Response:
    """Answers `POST /api/jobs/{id}/output`."""
    body = Body(request)
    try:
        if context.streams.draining:
            raise busy(STOPPING)
        async with own_job(context.broker, request) as job:
            upload = Upload(context, request, job, body)
            with context.streams.counted(upload):
                try:
                    await upload.run()
                except (BrokerError, ProblemError) as error:
                    problem = problem_of(error)
                    members = {**upload.written(), **problem.members}
                    raise ProblemError(Problem(problem.status, problem.message, members, problem.headers)) from error
            return json_response(upload.written())
    except (BrokerError, ProblemError) as error:
        answer = refusal(request.scope, error)
        if not await body.discard():
            answer.headers["Connection"] = "close"
        return answer


class Body:
    """A request's body, read as it comes.

    Attributes:
        over: whether nothing more comes: it was read to its end, or it was cut off.
    """

    def __init__(self, request: Request) -> None:
        self.over = False
        self._ends_at_s = math.inf
        self._wait: anyio.CancelScope | None = None
        self._receive = request.receive
        # Who waits for "100 Continue" has sent nothing, and is told to by the first read (RFC 9110, section 10.1.1).
        self._held_back = "expect" in request.headers

    async def read(self) -> bytes:
        """What arrives next.

        Raises:
            ProblemError: 400, it was cut off; 503, its time is up.
        """
        self._held_back = False
        message: Message | None = None
        with anyio.CancelScope(deadline=self._ends_at_s) as self._wait:
            message = await self._receive()
        if message is None:
            raise busy(STOPPING)
        cut_off = message["type"] == "http.disconnect"
        self.over = cut_off or not message.get("more_body", False)
        if cut_off:
            raise bad_request("The body was cut off")
        chunk: bytes = message.get("body", b"")
        return chunk

    def end_in(self, wait_s: float) -> None:
        """Waits for nothing more after so many seconds."""
        self._ends_at_s = anyio.current_time() + wait_s
        if self._wait is not None:
            self._wait.deadline = self._ends_at_s

    async def discard(self) -> bool:
        """Reads on to the end, within bounds, so that the client gets to read the answer; says whether it is over."""
        size = 0
        with anyio.move_on_after(INGEST_DISCARD_S_MAX), suppress(ProblemError):
            while not (self.over or self._held_back or size > INGEST_DISCARD_BYTES_MAX):
                size += len(await self.read())
        return self.over


class Upload:
    """One body on its way into one job's output; a stream of its own kind to the registry of streams.

    Args:
        context: of the application.
        request: says how the body is to be read.
        job: is being watched; its owner is looked at again before each append.
        body: the lines.

    Raises:
        ProblemError: 400, a wrong parameter; 415, a compressed body.
    """

    def __init__(self, context: Context, request: Request, job: Job, body: Body) -> None:
        self.label = f"ingest {job.id}"
        self.sent_bytes = 0
        self._context = context
        self._body = body
        self._connection: Connection | None = request.scope.get("extensions", {}).get(EXTENSION)
        self._address = context.limiter.address_of(request.scope)
        self._job = job
        self._created_at = str(job.fields.get("created_at", ""))
        self._viewer = viewer_required(request.scope)
        self._parser = _parser(request)
        self._masker = EntryMasker() if context.broker.masks_secrets else None
        self._bytes_max = context.settings.body_bytes
        self._read_bytes = 0
        self._expected = whole_number(request, "from", 0) if "from" in request.query_params else None
        self._first: int | None = None
        self._last: int | None = None
        self._count = 0
        announced = request.headers.get("content-length", "")
        self._announced_bytes = int(announced) if announced.isdigit() else 0

    def end_at(self, due_s: float) -> None:
        """Ends it because the server stops."""
        self._body.end_in(due_s - self._context.broker.now_s())

    def cut(self) -> None:
        """Breaks the connection off."""
        if self._connection is not None:
            self._connection.cut()

    def written(self) -> dict[str, Any]:
        """What was appended so far."""
        length = self._job.output.tail if self._last is None else self._last + 1
        return {"from": self._first, "to": self._last, "count": self._count, "length": length}

    async def run(self) -> None:
        """Appends the body to its end.

        Raises:
            ProblemError: the body is over a limit or was cut off, or the right to append has ended.
            BrokerError: the ledger refuses, or does not answer.
        """
        if self._announced_bytes > self._bytes_max:
            raise self._too_large()
        async for piece in self._pieces():
            await self._append(self._parser.feed(piece, _now_ms()))
            if self._parser.refused is not None:
                raise too_large(self._parser.refused)
        await self._append(self._parser.flush(_now_ms()))
        if self._expected is not None and not self._count and self._expected != self._job.output.tail:
            raise LengthMismatchError(self._expected, self._job.output.tail)

    async def _pieces(self) -> AsyncIterator[bytes]:
        """The body in pieces that are quickly parsed, at the pace that the client is allowed."""
        limiter = self._context.limiter
        while not self._body.over:
            chunk = await self._body.read()
            allowed = self._bytes_max - self._read_bytes
            self._read_bytes += len(chunk)
            for first in range(0, min(len(chunk), allowed), INGEST_SLICE_BYTES):
                yield chunk[first : min(first + INGEST_SLICE_BYTES, allowed)]
            if len(chunk) > allowed:
                raise self._too_large()
            await anyio.sleep(limiter.ingest(self._viewer, self._address, len(chunk)))

    async def _append(self, entries: Sequence[bytes]) -> None:
        if self._masker is not None:
            entries = self._masker.mask(entries)
        for batch in batches(entries, APPEND_RECORDS_MAX, APPEND_BYTES_MAX):
            if self._viewer.expired(time.time()):
                raise unauthorized("The token has expired")
            if not self._viewer.may_change(self._job.owner):
                raise forbidden()
            ledger = self._context.broker.ledger
            first = await ledger.append_output(self._job.id, batch, self._expected, where=self._whose())
            self._first = first if self._first is None else self._first
            self._last = first + len(batch) - 1
            self._count += len(batch)
            if self._expected is not None:
                self._expected = self._last + 1

    def _whose(self) -> dict[str, str]:
        """Which job it is for, and of whom: Redis compares it in the step of the append, as we may learn of it late."""
        made = {"created_at": self._created_at}
        return made if self._viewer.admin else {**made, "user_id": self._job.owner or ""}

    def _too_large(self) -> ProblemError:
        return too_large(f"The body is longer than {self._bytes_max:,} bytes; go on with `from` in another request")


def _parser(request: Request) -> Parser:
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise unsupported("A compressed body is not read here")
    stream = request.query_params.get("stream", "stdout")
    if stream not in STREAMS:
        raise bad_request(f"`stream` must be one of {', '.join(sorted(STREAMS))}")
    return parser_for(request.headers.get("content-type", ""), stream)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
