"""Runs a command and records what it prints: the job is the command, from its start to its exit code.

    ran = await run_command(redis_url, NewJob(), Command(["make", "test"]))

The command has its own session, its own terminals (`fantail.broker.producers.runner.terminals`), and our standard
input or none. Each chunk it writes is echoed as it is to our own stdout or stderr, then masked, split into lines and
appended. Reading waits for appending and for the echo, so a slow Redis or a slow screen slows the command down, and
memory does not grow.

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

from fantail.broker.limits import (
    COMMAND_CHARS_MAX,
    FLUSH_S_MAX,
    LEFT_BYTES_MAX,
    READ_BYTES_MAX,
    RUN_COLUMNS,
    RUN_GRACE_S,
    RUN_KILL_S,
)
from fantail.broker.masking.masker import masked_text
from fantail.broker.masking.rules import Rules
from fantail.broker.producers.diff.companion import Watched, diff_beside
from fantail.broker.producers.runner.stream_recorder import StreamRecorder
from fantail.broker.producers.runner.terminals import Capture, Outlet, environment_for, open_terminals
from fantail.broker.producers.writer.job_writer import WriterSettings
from fantail.broker.producers.writer.recording import KILLED, Attention, Ended, Ran, record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from anyio.abc import Process

    from fantail.broker.producers.writer.job_writer import JobWriter, NewJob

NOT_FOUND: Final = 127
NOT_RUN: Final = 126
_STDIN: Final = 0
_ECHO_FDS: Final = {"stdout": 1, "stderr": 2}


@dataclass(frozen=True, slots=True)
class Command:
    """What is run, and how its output is taken.

    Attributes:
        words: the program and its arguments; no shell reads them.
        capture: two terminals, one, or pipes.
        columns: of its terminals.
        environment: its environment, before pagers and width are set.
        secrets: values to mask in what is recorded, as `fantail.broker.masking.environment.secret_values` gives them.
        echo: whether its output is written to our stdout and stderr too.
        inherit_stdin: whether it reads our standard input. We give that away: once the command is started, ours is
            /dev/null, so that who writes into it learns when the command reads no more. Without, it reads /dev/null.
        diff: the worktree whose diff is published beside it; None: none is.
    """

    words: Sequence[str]
    capture: Capture = Capture.TWO_TERMINALS
    columns: int = RUN_COLUMNS
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    secrets: Sequence[bytes] = ()
    echo: bool = True
    inherit_stdin: bool = False
    diff: Watched | None = None


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
    # Masked before it is cut: half of a secret is not recognized.
    new = replace(new, command=_shortened(masked_text(said, Rules(command.secrets))))
    settings = replace(settings or WriterSettings(), secrets=command.secrets)

    async def work(job: JobWriter, attention: Attention) -> Ended:
        on_open(job.id)
        async with diff_beside(job, redis_url, command.diff, attention) as diff:
            ended = await _Run(command, job, attention).ended()
        return ended if diff.complete else replace(ended, unpublished="the last state of the diff")

    return await record(redis_url, new, work, settings, flush_s=flush_s)


class _Run:
    """One command, from its start until all that it wrote is taken."""

    def __init__(self, command: Command, job: JobWriter, attention: Attention) -> None:
        self._command = command
        self._job = job
        self._attention = attention
        self._process: Process | None = None
        self._reading = 0
        self._all_read = anyio.Event()
        self._grace_is_over = False
        self._waits: set[anyio.CancelScope] = set()
        self._left_bytes = 0
        self._left_behind = False

    async def ended(self) -> Ended:
        """Runs it, and says how it ended."""
        terminals = open_terminals(self._command.capture, self._command.columns)
        try:
            try:
                self._process = await self._started(terminals)
            finally:
                for outlet in terminals:
                    outlet.close_writing()
            self._attention.on_signal = self._pass_on
            return self._judged(await self._followed(self._process, terminals))
        except OSError as error:
            if self._process is not None:
                raise
            return self._not_started(error)
        finally:
            for outlet in terminals:
                outlet.close_reading()
            await self._killed()

    async def _started(self, terminals: Sequence[Outlet]) -> Process:
        command = self._command
        process = await anyio.open_process(
            list(command.words),
            stdin=None if command.inherit_stdin else DEVNULL,
            stdout=terminals[0].write_fd,
            stderr=terminals[-1].write_fd,
            env=environment_for(command.environment, command.capture, command.columns),
            start_new_session=True,
        )
        if command.inherit_stdin:
            _give_stdin_away()
        return process

    async def _followed(self, process: Process, terminals: Sequence[Outlet]) -> int:
        """Records the outlets until the process has ended and they have, or the grace is over."""
        self._reading = len(terminals)
        async with anyio.create_task_group() as readers:
            for outlet in terminals:
                readers.start_soon(self._read, outlet)
            code = await process.wait()
            with anyio.move_on_after(RUN_GRACE_S):
                await self._all_read.wait()
            self._grace_is_over = True
            for wait in self._waits:
                wait.cancel()
        if self._left_behind:
            text = "the command has ended; what the processes it left behind still print is not recorded"
            await self._job.append([text], "system")
        return code

    async def _read(self, outlet: Outlet) -> None:
        recorder = StreamRecorder(
            self._job,
            outlet.stream,
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
            self._attention.received.append(number)
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _judged(self, code: int) -> Ended:
        exit_code = KILLED - code if code < 0 else code
        if exit_code and self._attention.received:
            return Ended(exit_code, "cancelled", f"cancelled by {self._attention.received[0].name}")
        if code < 0:
            return Ended(exit_code, "failed", f"killed by {signal.Signals(-code).name}")
        return Ended(exit_code, "failed" if exit_code else "success")

    def _not_started(self, error: OSError) -> Ended:
        program = self._command.words[0]
        if isinstance(error, FileNotFoundError):
            return Ended(NOT_FOUND, "failed", f"{program}: command not found")
        return Ended(NOT_RUN, "failed", f"{program}: {error.strerror}")

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


def _give_stdin_away() -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, _STDIN)
    os.close(nothing)


def _shortened(text: str) -> str:
    return text if len(text) <= COMMAND_CHARS_MAX else f"{text[:COMMAND_CHARS_MAX]} …"
