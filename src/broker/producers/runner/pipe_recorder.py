"""Records what comes in on standard input as a job: `make 2>&1 | fantail pipe`.

The job ends when the input does, as a success: a pipe does not say how its writer ended. In a pipeline Ctrl-C reaches
everybody; so after a signal the input is read on for a short grace, to have the last words of the others, and the job
is cancelled.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from fantail.broker.limits import FLUSH_S_MAX, READ_BYTES_MAX, RUN_GRACE_S
from fantail.broker.producers.runner.stream_recorder import StreamRecorder
from fantail.broker.producers.writer.job_writer import WriterSettings
from fantail.broker.producers.writer.recording import KILLED, Attention, Ended, Ran, record

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Sequence

    from fantail.broker.producers.writer.job_writer import JobWriter, NewJob

_STDIN, _STDOUT = 0, 1


async def record_input(
    redis_url: str,
    new: NewJob,
    settings: WriterSettings | None = None,
    *,
    stream: str = "stdout",
    secrets: Sequence[bytes] = (),
    echo: bool = True,
    on_open: Callable[[str], None] = lambda _: None,
    flush_s: float = FLUSH_S_MAX,
) -> Ran:
    """Records standard input as a job, until it ends. For the main thread, as it takes the signals.

    Args:
        redis_url: where the job is recorded.
        new: the job.
        settings: of the writer.
        stream: of the lines: stdout or stderr.
        secrets: values to mask in what is recorded.
        echo: whether the input is written to our stdout too.
        on_open: called with the job's id before the first read.
        flush_s: how long Redis has to take the rest after the end of the input.

    Raises:
        BrokerError, ValueError: the job could not be opened. See `open_job`.
    """

    async def work(job: JobWriter, attention: Attention) -> Ended:
        on_open(job.id)
        with anyio.CancelScope() as reading:

            def read_no_longer(_: signal.Signals) -> None:
                reading.deadline = anyio.current_time() + RUN_GRACE_S

            recorder = StreamRecorder(
                job,
                stream,
                echo_fd=_STDOUT if echo else None,
                on_broken_echo=reading.cancel,
            )
            attention.on_signal = read_no_longer
            while chunk := await _chunk():
                await recorder.take(chunk)
        await recorder.end()
        if attention.received:
            number = attention.received[0]
            return Ended(KILLED + number, "cancelled", f"cancelled by {number.name}")
        return Ended(0, "success")

    settings = replace(settings or WriterSettings(), secrets=secrets)
    return await record(redis_url, new, work, settings, flush_s=flush_s)


async def _chunk() -> bytes:
    """The next bytes of standard input; none at its end."""
    with suppress(OSError):  # a regular file, or /dev/null: always readable, and nothing to wait with
        await anyio.wait_readable(_STDIN)
    return os.read(_STDIN, READ_BYTES_MAX)
