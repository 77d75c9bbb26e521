"""The whole output of a job as one text, in constant memory: the response behind `download` and `Accept: text/plain`.

One page of entries is in memory at a time, and is sent in slices, so that neither a long log nor a slow client costs
anything but time. A client that acknowledges no byte for the write time-out is cut off, as a stream would be. Where
the source goes away in the middle the connection is cut too: a body without its end is the one sign of trouble that
every client understands after a status of 200. So is the connection of a viewer whose right ends on the way: the job
changed hands, was deleted, or the token expired.
"""

from __future__ import annotations

import logging
import time
from contextlib import aclosing
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
from starlette.responses import Response

from fantail.broker.errors import SourceUnavailableError
from fantail.broker.jobs import Presence
from fantail.broker.log.outcomes import Lost
from fantail.broker.log.records import line_of
from fantail.web.http.json_response import HEADERS
from fantail.web.limits import DOWNLOAD_SLICE_RECORDS, WRITE_LOOK_PART
from fantail.web.logscan.pages import whole_entries
from fantail.web.rest.request import while_connected
from fantail.web.sse.http_protocol import EXTENSION

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import Receive, Scope, Send

    from fantail.broker import Broker, Job
    from fantail.web.auth.viewer import Viewer
    from fantail.web.context import Context
    from fantail.web.sse.http_protocol import Connection

logger = logging.getLogger("fantail.api")


class _RightEndedError(Exception):
    """The viewer may not read on."""


class TextDownload(Response):
    """Sends the lines `start <= offset < stop` of a job that the viewer may see.

    Args:
        context: of the application.
        job: whose output it is; it is watched anew while it is sent.
        viewer: reads it; the right is checked before every part.
        start: the first line.
        stop: the end, as it was when the request came.
        as_file: whether a browser shall save it instead of showing it.
    """

    media_type = "text/plain"

    def __init__(self, context: Context, job: Job, viewer: Viewer, start: int, stop: int, *, as_file: bool) -> None:
        super().__init__(headers={**HEADERS, "Vary": "Accept"})
        del self.headers["content-length"]
        if as_file:
            # The grammar of ids leaves nothing that would have to be escaped in a file's name.
            self.headers["Content-Disposition"] = f'attachment; filename="{job.id}.log"'
        self._broker = context.broker
        self._write_timeout_s = context.settings.write_timeout_s
        self._kind = job.kind
        self._job_id = job.id
        self._viewer = viewer
        self._start = start
        self._stop = stop
        self.label = f"download {job.id}"
        self.sent_bytes = 0
        self._streams = context.streams
        self._connection: Connection | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it to its end."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        self._connection = connection = scope.get("extensions", {}).get(EXTENSION)
        guard = None if connection is None else lambda: self._guard(connection)
        try:
            with self._streams.counted(self):
                await while_connected(receive, lambda: self._send_text(send), guard)
        except (SourceUnavailableError, _RightEndedError) as reason:
            logger.warning("download of %s %s cut off: %s", self._kind.name, self._job_id, reason)
            if connection is None:
                raise
            connection.cut()

    def end_at(self, due_s: float) -> None:
        """The server stops at that time: what is sent by then is sent, the rest is cut off."""

    def cut(self) -> None:
        """Breaks the connection off."""
        if self._connection is not None:
            self._connection.cut()

    async def _send_text(self, send: Send) -> None:
        async with (
            self._broker.watch(self._job_id, self._kind) as job,
            aclosing(text_of(self._broker, job, self._start, self._stop)) as text,
        ):
            async for part in text:
                self._check_right(job)
                await send({"type": "http.response.body", "body": part, "more_body": True})
                self.sent_bytes += len(part)
        await send({"type": "http.response.body", "body": b""})

    def _check_right(self, job: Job) -> None:
        if job.presence is not Presence.PRESENT:
            raise _RightEndedError("the job was deleted")
        if not self._viewer.may_see(job.owner) or self._viewer.expired(time.time()):
            raise _RightEndedError("the viewer's right ended")

    async def _guard(self, connection: Connection) -> None:
        """Cuts a client off that has had bytes to acknowledge for the whole time-out and acknowledged none."""
        acknowledged, since_s = 0, anyio.current_time()
        while True:
            await anyio.sleep(self._write_timeout_s * WRITE_LOOK_PART)
            waiting = connection.unacknowledged()
            now = self.sent_bytes - (waiting or 0)
            if not waiting or now > acknowledged:
                acknowledged, since_s = now, anyio.current_time()
            elif anyio.current_time() - since_s >= self._write_timeout_s:
                connection.cut()


async def text_of(broker: Broker, job: Job, start: int, stop: int) -> AsyncGenerator[bytes, None]:
    """The lines `start <= offset < stop` as text, each with its line feed; close it when done with it."""
    async with aclosing(whole_entries(broker, job, start, stop)) as pages:
        async for page in pages:
            if isinstance(page, Lost):
                yield f"[lines {page.start} to {page.stop - 1} are no longer there]\n".encode()
                continue
            entries = page[1]
            for first in range(0, len(entries), DOWNLOAD_SLICE_RECORDS):
                lines = [line_of(entry) for entry in entries[first : first + DOWNLOAD_SLICE_RECORDS]]
                yield "\n".join([*lines, ""]).encode()
                await anyio.lowlevel.checkpoint()
