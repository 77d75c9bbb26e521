"""Runs a command and records what it prints: the job is the command, from its start to its exit code.

    ran = await run_command(redis_url, NewJob(), Command(["make", "test"]))

The command has its own session, its own terminals (`broker.producers.outlets`) and no input. Each chunk it writes is
echoed as it is to our own stdout or stderr, then masked, split into lines and appended. Reading waits for appending
and for the echo, so a slow Redis or a slow screen slows the command down, and memory does not grow.

What holds:
- Everything that the command itself wrote is recorded before its status. Processes that it leaves behind may hold the
  outlets for ever; what they write is taken for a short grace more, and then their writes fail.
- SIGINT, SIGTERM, SIGHUP and SIGQUIT are passed on to the command's process group; how it ends is its own decision. A
  job that failed after one of them is cancelled. Once the command has ended, a signal ends the waiting for Redis.
- The exit code is the command's: 128+n if signal n killed it, 127 if it was not found, 126 if it could not be run.
- A reader of our stdout that goes away (`… | head`) is passed on as SIGPIPE: it is what the command would have got.

The echo is not masked: it goes to whoever started the command, and who has its environment already. What is recorded
is masked, the command line included.

Decided against: preexec_fn (not safe beside threads), and raising the passed-on signal in ourselves at the end (the
shell would see the same, and callers of `run_command` would not live to see it).
"""

from __future__ import annotations

import errno
import os
import shlex
import signal
from contextlib import suppress
from dataclasses import dataclass, field, replace
from subprocess import DEVNULL
from typing import TYPE_CHECKING, Final

import anyio

from broker.errors import BrokerError
from broker.limits import (
    COMMAND_CHARS_MAX,
    FLUSH_S_MAX,
    LEFT_BYTES_MAX,
    READ_BYTES_MAX,
    RUN_COLUMNS,
    RUN_GRACE_S,
    RUN_KILL_S,
)
from broker.producers.job_writer import Ending, JobWriter, NewJob, Undelivered, WriterSettings, open_job
from broker.producers.outlets import Capture, Outlet, environment_for, open_outlets
from broker.producers.secrets import masked_text
from broker.producers.stream_recorder import StreamRecorder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from anyio.abc import Process

PASSED_ON: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
NOT_FOUND: Final = 127
NOT_RUN: Final = 126
_KILLED: Final = 128
_ECHO_FDS: Final = {"stdout": 1, "stderr": 2}


@dataclass(frozen=True, slots=True)
class Command:
    """What is run, and how its output is taken.

    Attributes:
        words: the program and its arguments; no shell reads them.
        capture: two terminals, one, or pipes.
        columns: of its terminals.
        environment: its environment, before pagers and width are set.
        secrets: values to mask in what is recorded, as `broker.producers.secrets.secret_values` gives them.
        echo: whether its output is written to our stdout and stderr too.
    """

    words: Sequence[str]
    capture: Capture = Capture.TWO_TERMINALS
    columns: int = RUN_COLUMNS
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    secrets: Sequence[bytes] = ()
    echo: bool = True


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended.

    Attributes:
        exit_code: as a shell would say it.
        status: success, failed or cancelled.
        error_message: why, where the exit code does not say it all.
    """

    exit_code: int
    status: str
    error_message: str | None = None


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has ended, and what became of its record; `ending` is None if it was never begun."""

    ended: Ended
    ending: Ending | None


async def run_command(
    redis_url: str,
    new: NewJob,
    command: Command,
    settings: WriterSettings | None = None,
    *,
    on_open: Callable[[str], None] = lambda _: None,
    flush_s: float = FLUSH_S_MAX,
) -> Ran:
    """Runs a command as a job. For the main thread, as it takes the signals; cancelled, it ends the command.

    Args:
        redis_url: where the job is recorded.
        new: the job; its `command` is made from the words where it is empty.
        command: what to run.
        settings: of the writer.
        on_open: called with the job's id before the command starts.
        flush_s: how long Redis has to take the rest after the command's end.

    Raises:
        BrokerError: the job could not be opened; nothing was run. See `open_job`.
    """
    said = new.command or shlex.join(command.words)
    new = replace(
        new,
        name=masked_text(new.name, command.secrets),
        command=_shortened(masked_text(said, command.secrets)),
    )
    run = _Run(command, on_open, flush_s)
    failure: BrokerError | ValueError | None = None
    with anyio.open_signal_receiver(*PASSED_ON) as signals:
        async with anyio.create_task_group() as tasks:
            run.on_signal = lambda _: tasks.cancel_scope.cancel()
            tasks.start_soon(run.obey, signals)
            try:
                async with open_job(redis_url, new, settings) as job:
                    await run.record(job)
            except (BrokerError, ValueError) as error:
                failure = error  # raised below, outside of the task group
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return run.ran()


class _Run:
    """One command, from before its start until its record is complete."""

    def __init__(self, command: Command, on_open: Callable[[str], None], flush_s: float) -> None:
        self._command = command
        self._on_open = on_open
        self._flush_s = flush_s
        self._received: list[signal.Signals] = []
        self._ended: Ended | None = None
        self._ending: Ending | None = None
        self._process: Process | None = None
        self._reading = 0
        self._all_read = anyio.Event()
        self._grace_is_over = False
        self._waits: set[anyio.CancelScope] = set()
        self._left_bytes = 0
        self._left_behind = False
        self.on_signal: Callable[[signal.Signals], None] = lambda _: None

    async def obey(self, signals: AsyncIterator[signal.Signals]) -> None:
        """Does with each signal what is right at that time."""
        async for number in signals:
            self._received.append(number)
            self.on_signal(number)

    async def record(self, job: JobWriter) -> None:
        """Runs the command and ends the job with it."""
        self._on_open(job.id)
        self._ended = ended = await self._run(job)
        with anyio.CancelScope() as waiting:
            self.on_signal = lambda _: waiting.cancel()
            message = ended.error_message and masked_text(ended.error_message, self._command.secrets)
            self._ending = await job.finish(
                ended.status, exit_code=ended.exit_code, error_message=message, flush_s=self._flush_s
            )
        if self._ending is None:
            now = job.statistics()
            self._ending = Undelivered(now.unsent + now.spooled + now.dropped)

    def ran(self) -> Ran:
        """How it ended; called when all is over."""
        if self._ended is None:
            return Ran(Ended(_KILLED + self._received[0], "cancelled"), None)
        return Ran(self._ended, self._ending)

    async def _run(self, job: JobWriter) -> Ended:
        outlets = open_outlets(self._command.capture, self._command.columns)
        try:
            try:
                self._process = await self._started(outlets)
            finally:
                for outlet in outlets:
                    outlet.close_writing()
            self.on_signal = self._pass_on
            return self._judged(await self._followed(self._process, job, outlets))
        except OSError as error:
            if self._process is not None:
                raise
            return _not_started(self._command.words[0], error)
        finally:
            for outlet in outlets:
                outlet.close_reading()
            await self._killed()

    async def _started(self, outlets: Sequence[Outlet]) -> Process:
        command = self._command
        return await anyio.open_process(
            list(command.words),
            stdin=DEVNULL,
            stdout=outlets[0].write_fd,
            stderr=outlets[-1].write_fd,
            env=environment_for(command.environment, command.capture, command.columns),
            start_new_session=True,
        )

    async def _followed(self, process: Process, job: JobWriter, outlets: Sequence[Outlet]) -> int:
        """Records the outlets until the process has ended and they have, or the grace is over."""
        self._reading = len(outlets)
        async with anyio.create_task_group() as readers:
            for outlet in outlets:
                readers.start_soon(self._read, outlet, job)
            code = await process.wait()
            with anyio.move_on_after(RUN_GRACE_S):
                await self._all_read.wait()
            self._grace_is_over = True
            for wait in self._waits:
                wait.cancel()
        if self._left_behind:
            text = "the command has ended; what the processes it left behind still print is not recorded"
            await job.append([text], "system")
        return code

    async def _read(self, outlet: Outlet, job: JobWriter) -> None:
        recorder = StreamRecorder(
            job,
            outlet.stream,
            self._command.secrets,
            echo_fd=_ECHO_FDS[outlet.stream] if self._command.echo else None,
            on_broken_echo=lambda: self._pass_on(signal.SIGPIPE),
        )
        while chunk := await self._chunk(outlet.read_fd):
            await recorder.take(chunk)
        await recorder.end()
        self._reading -= 1
        if not self._reading:
            self._all_read.set()

    async def _chunk(self, fd: int) -> bytes:
        """The next bytes; none at the end. After the grace only what waits in the kernel already."""
        while True:
            try:
                chunk = os.read(fd, READ_BYTES_MAX)
            except BlockingIOError:
                if self._grace_is_over:
                    self._left_behind = True
                    return b""
                await self._readable(fd)
                continue
            except OSError as error:
                if error.errno == errno.EIO:  # Linux says so where no one has the terminal open any more
                    return b""
                raise
            self._left_bytes += len(chunk) if self._grace_is_over else 0
            self._left_behind |= self._left_bytes > LEFT_BYTES_MAX
            return b"" if self._left_bytes > LEFT_BYTES_MAX else chunk

    async def _readable(self, fd: int) -> None:
        with anyio.CancelScope() as wait:
            self._waits.add(wait)
            try:
                await anyio.wait_readable(fd)
            finally:
                self._waits.discard(wait)

    def _pass_on(self, number: signal.Signals) -> None:
        if number is signal.SIGPIPE:
            self._received.append(number)
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _judged(self, code: int) -> Ended:
        killed_by = signal.Signals(-code).name if code < 0 else None
        exit_code = _KILLED - code if code < 0 else code
        if self._received and exit_code:
            return Ended(exit_code, "cancelled", f"cancelled by {self._received[0].name}")
        if killed_by:
            return Ended(exit_code, "failed", f"killed by {killed_by}")
        return Ended(exit_code, "failed" if exit_code else "success")

    async def _killed(self) -> None:
        """Ends a command that still runs because we were cancelled: kindly, then not."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with anyio.CancelScope(shield=True):
            self._pass_on(signal.SIGTERM)
            with anyio.move_on_after(RUN_KILL_S):
                await process.wait()
                return
            self._pass_on(signal.SIGKILL)
            await process.wait()


def _not_started(program: str, error: OSError) -> Ended:
    if isinstance(error, FileNotFoundError):
        return Ended(NOT_FOUND, "failed", f"{program}: command not found")
    return Ended(NOT_RUN, "failed", f"{program}: {error.strerror}")


def _shortened(text: str) -> str:
    return text if len(text) <= COMMAND_CHARS_MAX else f"{text[:COMMAND_CHARS_MAX]} …"
