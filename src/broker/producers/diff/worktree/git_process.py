"""Git, as a program: one process at a time for each worktree, bounded in time and output.

What holds:
- At most one git process of ours runs in a worktree, however many watchers and processes we have (trap 22; `turns`).
- The caller's environment cannot redirect it: GIT_DIR and its like are what a hook or an alias leaves behind.
- It takes no lock in the repository (GIT_OPTIONAL_LOCKS), asks nothing, fetches nothing, prints no translated text,
  and is not hit by the Ctrl-C that the terminal sends to a command beside us.
- Where it looks at files it runs with a git directory of ours, in which no program of the user's is named
  (`private_git`).
- Whatever goes wrong is a `WorktreeError` that says so in a sentence.

Decided against: GitPython and dulwich (they wrap the same program, or answer ignore rules and attributes differently
from it), and libgit2 (no intent on private indexes, and a second opinion on every edge).
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

import anyio

from fantail.broker.errors import BrokerError
from fantail.broker.limits import GIT_ERROR_BYTES_MAX, GIT_OUTPUT_BYTES_MAX, GIT_TIMEOUT_S
from fantail.broker.producers.diff.worktree.git_lock import WorktreeLock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from anyio.abc import ByteReceiveStream, ByteSendStream, Process


class Trouble(Enum):
    """Why a worktree's diff cannot be read."""

    GIT_MISSING = "git missing"
    NO_DIRECTORY = "no such directory"
    NOT_A_WORKTREE = "not a worktree"
    NO_SUCH_BASE = "no such base"
    NOT_ALLOWED = "permission denied"
    GONE = "worktree gone"
    GIT_FAILED = "git failed"
    GIT_SLOW = "git took too long"


class WorktreeError(BrokerError):
    """A worktree's diff cannot be read; the message is a sentence for users.

    Attributes:
        trouble: why, for programs.
        said: all that git wrote to stderr.
    """

    def __init__(self, trouble: Trouble, message: str, *, said: str = "") -> None:
        super().__init__(message)
        self.trouble = trouble
        self.said = said


@dataclass(frozen=True, slots=True)
class Finished:
    """A process that has ended: its exit code and what it printed."""

    code: int
    output: bytes
    error: str


# Variables of git's that the caller's environment may set: where its configuration is (safe.directory in containers),
# and where a search for a repository ends. All others redirect git, change what it prints, trace into files, or name
# programs.
_KEPT: Final = re.compile(
    r"GIT_(CONFIG_(NOSYSTEM|SYSTEM|GLOBAL|COUNT|PARAMETERS|KEY_\d+|VALUE_\d+)"
    r"|ATTR_NOSYSTEM|CEILING_DIRECTORIES|DISCOVERY_ACROSS_FILESYSTEM)"
)
ANY_CODE: Final = range(-64, 256)
"""All exit codes; a negative one is the signal that ended the process."""
_ADDED: Final = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    # Missing objects of a partial clone stay missing: a fetch would start ssh or a credential helper. The first
    # variable is of git 2.44; the second refuses every protocol in older versions too.
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    # The variables win over targets of traces in the user's configuration.
    "GIT_TRACE2": "0",
    "GIT_TRACE2_EVENT": "0",
    "GIT_TRACE2_PERF": "0",
    "LC_ALL": "C",
    "LANGUAGE": "C",
}


class Git:
    """Runs git in one directory.

    Attributes:
        processes: how many have been started.
        turns: whose turn it is.
    """

    def __init__(self, directory: Path, environment: Mapping[str, str] | None = None) -> None:
        """Takes the directory to run in, and variables for every process."""
        self.directory = directory
        self.processes = 0
        self._environment = dict(environment or {})
        self._around: Git | None = None
        self.turns = WorktreeLock(directory)

    def inside(self, directory: Path, environment: Mapping[str, str]) -> Git:
        """Another that takes turns with this one and whose processes count as this one's, for a submodule."""
        git = Git(directory, environment)
        git.turns = self.turns
        git._around = self
        return git

    def pin(self, directory: Path, environment: Mapping[str, str]) -> None:
        """Runs in this directory from now on, with these variables: the worktree and the repository found there."""
        self.directory = directory
        self._environment = dict(environment)
        self.turns = WorktreeLock(directory)

    async def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
        accepted: Collection[int] = (0,),
    ) -> Finished:
        """Runs git to its end.

        Args:
            arguments: those after `git`.
            stdin: what it reads.
            environment: more variables, for this process.
            accepted: the exit codes that are answers.

        Raises:
            WorktreeError: it could not be started, printed more than 64 MiB, took longer than two minutes, or ended
                with another code.
        """
        collected = _Collected(GIT_OUTPUT_BYTES_MAX)
        code, error = await self.stream(*arguments, take=collected.take, stdin=stdin, environment=environment)
        name = next((argument for argument in arguments if not argument.startswith("-") and "=" not in argument), "")
        if collected.overflowed:
            raise WorktreeError(Trouble.GIT_FAILED, f"git {name} printed more than {GIT_OUTPUT_BYTES_MAX:,} bytes")
        if code not in accepted:
            reason = last_words(error) or f"exit code {code}"
            raise WorktreeError(Trouble.GIT_FAILED, f"git {name} failed: {reason}", said=error)
        return Finished(code, bytes(collected.data), error)

    async def stream(
        self,
        *arguments: str,
        take: Callable[[bytes], None],
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
    ) -> tuple[int, str]:
        """Runs git to its end and hands its output on as it comes; `take` must not raise.

        Returns:
            The exit code, and what it wrote to stderr.

        Raises:
            WorktreeError: it could not be started, or took longer than two minutes.
        """
        async with self.turns.turn():
            self._count()
            try:
                with anyio.fail_after(GIT_TIMEOUT_S):
                    async with await self._started(arguments, environment or {}) as process:
                        error = await _converse(process, stdin, take)
                        return await process.wait(), error
            except TimeoutError:
                raise WorktreeError(Trouble.GIT_SLOW, f"git took longer than {GIT_TIMEOUT_S:.0f} s") from None

    def _count(self) -> None:
        self.processes += 1
        if self._around is not None:
            self._around._count()  # noqa: SLF001 - it is one of these

    async def _started(self, arguments: tuple[str, ...], environment: Mapping[str, str]) -> Process:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("GIT_") or _KEPT.fullmatch(name)
        }
        try:
            return await anyio.open_process(
                ["git", *arguments],
                cwd=self.directory,
                env={**inherited, **_ADDED, **self._environment, **environment},
                start_new_session=True,
            )
        except NotADirectoryError as error:
            raise WorktreeError(Trouble.NO_DIRECTORY, f"{self.directory} is no directory") from error
        except FileNotFoundError as error:
            if shutil.which("git") is None:
                raise WorktreeError(Trouble.GIT_MISSING, "git is not installed, or not on PATH") from error
            raise WorktreeError(Trouble.GONE, f"{self.directory} is gone") from error
        except PermissionError as error:
            program = shutil.which("git") or "git"
            what = f"{self.directory} cannot be entered, or {program} not run"
            raise WorktreeError(Trouble.NOT_ALLOWED, f"permission denied: {what}") from error


def last_words(error: str) -> str:
    """The line of git's complaint that says why."""
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    fatal = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return (fatal or lines or [""])[-1].removeprefix("fatal: ").removeprefix("error: ")


class _Collected:
    """Output in memory, up to a bound; what comes after is read and dropped."""

    def __init__(self, bytes_max: int) -> None:
        self.data = bytearray()
        self.overflowed = False
        self._bytes_max = bytes_max

    def take(self, chunk: bytes) -> None:
        if len(self.data) + len(chunk) > self._bytes_max:
            self.overflowed = True
        else:
            self.data += chunk


async def _converse(process: Process, stdin: bytes, take: Callable[[bytes], None]) -> str:
    """Writes, reads both outputs, and returns the second; all at once, as each of the three pipes may fill."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    complaint = _Collected(GIT_ERROR_BYTES_MAX)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_feed, process.stdin, stdin)
        tasks.start_soon(_read, process.stderr, complaint.take)
        await _read(process.stdout, take)
    return complaint.data.decode("utf-8", "replace")


async def _feed(pipe: ByteSendStream, data: bytes) -> None:
    async with pipe:
        try:
            if data:
                await pipe.send(data)
        except (anyio.BrokenResourceError, ConnectionError):
            return  # it ended before it had read all; its exit code says why


async def _read(pipe: ByteReceiveStream, take: Callable[[bytes], None]) -> None:
    async for chunk in pipe:
        take(chunk)
