"""One stream of a command on its way into the job: echoed as it is, masked, split into lines, appended."""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING

import anyio.to_thread

from fantail.broker.masking.masker import SecretMasker
from fantail.broker.producers.runner.line_decoder import LineDecoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from fantail.broker.producers.writer.job_writer import JobWriter


class StreamRecorder:
    """Takes the chunks of one stream, in order."""

    def __init__(
        self,
        job: JobWriter,
        stream: str,
        *,
        echo_fd: int | None = None,
        on_broken_echo: Callable[[], None] = lambda: None,
    ) -> None:
        """Connects a stream with its job.

        Args:
            job: where the lines go.
            stream: stdout or stderr.
            echo_fd: where each chunk is written too.
            on_broken_echo: called once, when nobody reads the echo any more; recording goes on.
        """
        self._job = job
        self._stream = stream
        self._masker = SecretMasker(job.rules)
        self._decoder = LineDecoder()
        self._echo_fd = echo_fd
        self._on_broken_echo = on_broken_echo

    async def take(self, chunk: bytes) -> None:
        """Echoes and records the next bytes; waits for both."""
        await self._echo(chunk)
        await self._append(self._decoder.feed(self._masker.feed(chunk)))

    async def end(self) -> None:
        """Records what was held back: the stream is over."""
        rest = self._decoder.feed(self._masker.flush())
        await self._append(rest + self._decoder.flush())

    async def _append(self, lines: list[str]) -> None:
        if lines:
            await self._job.append(lines, self._stream, masked=True)

    async def _echo(self, chunk: bytes) -> None:
        if self._echo_fd is None:
            return
        try:
            # A thread: a terminal that was stopped with Ctrl-S would stop the event loop, and with it the lease.
            await anyio.to_thread.run_sync(write_all, self._echo_fd, chunk, abandon_on_cancel=True)
        except OSError:
            self._echo_fd = None
            self._on_broken_echo()


def write_all(fd: int, data: bytes) -> None:
    """Writes all of it, and waits as long as that takes, for files that do not block too.

    Raises:
        OSError: the file takes no more; BrokenPipeError where nobody reads it.
    """
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:
            # Our stdout may have been made non-blocking by somebody who shares it.
            select.select([], [fd], [])
