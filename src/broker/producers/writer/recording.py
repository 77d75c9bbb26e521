"""From a job's opening to the end of its record, with signals obeyed all the way: what every recording command does.

What a signal means depends on the time: before the work begins it ends everything; while it goes on, the work decides
(a command is sent it); once the work is done, it ends the waiting for Redis.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio

from fantail.broker.errors import BrokerError
from fantail.broker.limits import FLUSH_S_MAX
from fantail.broker.producers.writer.job_writer import Ending, JobWriter, NewJob, WriterSettings, open_job

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

OBEYED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
KILLED: Final = 128
"""Added to a signal's number, it is the exit code of what that signal ended."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How the work ended.

    Attributes:
        exit_code: as a shell would say it.
        status: success, failed or cancelled.
        error_message: why, where the exit code does not say it all; None: nothing to say.
        unpublished: what beside lines and status could not be published; None: all of it was.
    """

    exit_code: int
    status: str
    error_message: str | None = None
    unpublished: str | None = None


@dataclass(frozen=True, slots=True)
class Ran:
    """The work, and what became of its record; `ending` is None if neither was begun."""

    ended: Ended
    ending: Ending | None


@dataclass(slots=True)
class Attention:
    """The signals received so far, and what is done with the next."""

    on_signal: Callable[[signal.Signals], None]
    received: list[signal.Signals] = field(default_factory=list)

    async def obey(self, signals: AsyncIterator[signal.Signals]) -> None:
        """Waits for signals, for ever."""
        async for number in signals:
            self.received.append(number)
            self.on_signal(number)


async def record(
    redis_url: str,
    new: NewJob,
    work: Callable[[JobWriter, Attention], Awaitable[Ended]],
    settings: WriterSettings | None = None,
    *,
    flush_s: float = FLUSH_S_MAX,
) -> Ran:
    """Opens a job, does the work, and ends the job as the work ended. For the main thread, as it takes the signals.

    Args:
        redis_url: where the job is recorded.
        new: the job.
        work: is given the job's writer, and what decides about signals; it does not finish the job.
        settings: of the writer.
        flush_s: how long Redis has to take the rest after the work.

    Raises:
        BrokerError, ValueError: the job could not be opened, and the work was not begun; see `open_job`.
    """
    failure: Exception | None = None
    ran: Ran | None = None
    with anyio.open_signal_receiver(*OBEYED) as signals:
        async with anyio.create_task_group() as tasks:
            attention = Attention(lambda _: tasks.cancel_scope.cancel())
            tasks.start_soon(attention.obey, signals)
            try:
                async with open_job(redis_url, new, settings) as job:
                    ended = await work(job, attention)
                    ran = Ran(ended, await _finished(job, ended, attention, flush_s))
            except (BrokerError, ValueError) as error:
                failure = error  # raised below, outside of the task group
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return ran or Ran(Ended(KILLED + attention.received[0], "cancelled"), None)


async def _finished(job: JobWriter, ended: Ended, attention: Attention, flush_s: float) -> Ending:
    with anyio.CancelScope() as waiting:
        attention.on_signal = lambda _: waiting.cancel()
        return await job.finish(
            ended.status, exit_code=ended.exit_code, error_message=ended.error_message, flush_s=flush_s
        )
    return job.undelivered()
