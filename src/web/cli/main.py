"""The command `fantail`.

Thin: each command reads its flags and calls what does the work, imported only then, so that `fantail run` starts fast.
A mistake in its use is one line on stderr and exit code 2. What cannot be recorded is not run: 125, as of env(1),
timeout(1) and docker-run(1); 126, 127 and 128+n are the command's, as in a shell. A command that succeeded and whose
record is incomplete ends with 125 too; one that failed keeps its own exit code.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import anyio
import typer

from fantail.broker.errors import BrokerError, InvalidIdError
from fantail.broker.limits import DIFF_FILE_BYTES_MAX, DIFF_TOTAL_BYTES_MAX, FLUSH_S_MAX, SPOOL_BYTES_MAX
from fantail.web.cli.options import (
    Base,
    DataDir,
    DiffFileBytes,
    DiffTotalBytes,
    FlushS,
    JobName,
    MaskEnv,
    NoEcho,
    Quiet,
    RedisUrl,
    SpoolBytes,
    Stdin,
    StdinMode,
    User,
)
from fantail.web.cli.publish import publish
from fantail.web.cli.terminal_text import VisibleFormatter, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fantail.broker.producers.writer.job_writer import NewJob, WriterSettings
    from fantail.broker.producers.writer.recording import Ran

MISUSED: Final = 2
NOT_RECORDED: Final = 125
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141
_OUT, _ERR = 1, 2
_UNITS_S: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}

app = typer.Typer(
    name="fantail",
    help="Follow what jobs print, live, in any number of browser tabs and terminals.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


class MisuseError(typer.TyperException):
    """The command was not used as it is meant; the message is one line for whoever typed it."""

    exit_code = MISUSED


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the entry point.

    Args:
        arguments: what was typed behind `fantail`; those of this process where None.

    Returns:
        The exit code.
    """
    command = typer.main.get_command(app)
    typed = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        code = command.main(typed, "fantail", standalone_mode=False)
    except typer.TyperException as error:
        _say(" ".join(error.format_message().split()))
        return error.exit_code
    except typer.Abort:
        return INTERRUPTED
    return code if isinstance(code, int) else 0


def _version(*, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - slow, and rarely asked

        typer.echo(f"fantail {version('fantail-hub')}")
        raise typer.Exit


@app.callback()
def _common(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=lambda value: _version(wanted=value), is_eager=True, help="Its version."),
    ] = False,
) -> None: ...


@app.command(context_settings={"allow_interspersed_args": False})
def run(
    command: Annotated[list[str], typer.Argument(metavar="COMMAND", help="What to run, and its arguments.")],
    *,
    job_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="The job's id; a new one without it.")
    ] = None,
    name: JobName = "",
    user: User = "",
    merge: Annotated[
        bool, typer.Option("--merge", help="One terminal for stdout and stderr: their exact order, as one stream.")
    ] = False,
    no_pty: Annotated[bool, typer.Option("--no-pty", help="Pipes instead of terminals.")] = False,
    diff: Annotated[
        Path | None,
        typer.Option("--diff", metavar="WORKTREE", help="Publish what changes in this git worktree meanwhile."),
    ] = None,
    base: Base = None,
    diff_file_bytes: DiffFileBytes = DIFF_FILE_BYTES_MAX,
    diff_total_bytes: DiffTotalBytes = DIFF_TOTAL_BYTES_MAX,
    stdin: Stdin = StdinMode.AUTO,
    mask_env: MaskEnv = None,
    redis_url: RedisUrl = None,
    data_dir: DataDir = None,
    spool_bytes: SpoolBytes = SPOOL_BYTES_MAX,
    flush_s: FlushS = FLUSH_S_MAX,
    quiet: Quiet = False,
    no_echo: NoEcho = False,
) -> int:
    """Run a command as a job: record what it prints, and exit as it does.

    Exit code: the command's own (126: it cannot be run, 127: not found, 128+n: ended by signal n); 125 if it could not
    be recorded and was not run, or succeeded and its record is incomplete, which stderr says; 2 for a wrong option.
    """
    from fantail.broker.producers.diff.companion import Watched  # noqa: PLC0415
    from fantail.broker.producers.diff.worktree_diff import DiffLimits  # noqa: PLC0415
    from fantail.broker.producers.runner.process_runner import Command, run_command  # noqa: PLC0415
    from fantail.broker.producers.runner.terminals import Capture  # noqa: PLC0415

    if merge and no_pty:
        raise MisuseError("--merge and --no-pty exclude each other")
    if base is not None and diff is None:
        raise MisuseError("--base is the base of --diff, which is not given")
    limits = DiffLimits(file_bytes=diff_file_bytes, total_bytes=diff_total_bytes)
    capture = Capture.PIPES if no_pty else Capture.ONE_TERMINAL if merge else Capture.TWO_TERMINALS
    what = Command(
        command,
        capture,
        columns=_columns(),
        environment=os.environ,
        secrets=_secrets(mask_env),
        echo=not no_echo,
        inherit_stdin=stdin.inherits(),
        diff=None if diff is None else Watched(diff, base, limits),
    )
    _configure_logging(quiet=quiet)

    async def recorded(url: str, new: NewJob, settings: WriterSettings, on_open: Callable[[str], None]) -> Ran:
        return await run_command(url, new, what, settings, on_open=on_open, flush_s=flush_s)

    return _recorded(recorded, _new_job(job_id, name, user), redis_url, data_dir, spool_bytes, quiet=quiet)


@app.command()
def pipe(
    job: Annotated[str | None, typer.Argument(metavar="[JOB]", help="The job's id; a new one without it.")] = None,
    *,
    job_id: Annotated[str | None, typer.Option("--id", metavar="ID", help="The same, as a flag.")] = None,
    name: JobName = "",
    user: User = "",
    stderr: Annotated[bool, typer.Option("--stderr", help="Record the lines as stderr.")] = False,
    mask_env: MaskEnv = None,
    redis_url: RedisUrl = None,
    data_dir: DataDir = None,
    spool_bytes: SpoolBytes = SPOOL_BYTES_MAX,
    flush_s: FlushS = FLUSH_S_MAX,
    quiet: Quiet = False,
    no_echo: NoEcho = False,
) -> int:
    """Record standard input as a job, until it ends.

    Exit code: 0; 128+n after signal n; 125 if the record could not be begun or is incomplete, which stderr says; 2 for
    a wrong option.
    """
    from fantail.broker.producers.runner.pipe_recorder import record_input  # noqa: PLC0415

    if job is not None and job_id is not None and job != job_id:
        raise MisuseError("two different ids were given")
    secrets = _secrets(mask_env)
    _configure_logging(quiet=quiet)

    async def recorded(url: str, new: NewJob, settings: WriterSettings, on_open: Callable[[str], None]) -> Ran:
        stream = "stderr" if stderr else "stdout"
        echo = not no_echo
        return await record_input(
            url, new, settings, stream=stream, secrets=secrets, echo=echo, on_open=on_open, flush_s=flush_s
        )

    return _recorded(recorded, _new_job(job or job_id, name, user), redis_url, data_dir, spool_bytes, quiet=quiet)


@app.command()
def watch(
    job: Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")],
    worktree: Annotated[Path, typer.Argument(metavar="WORKTREE", help="Any directory of a git worktree.")],
    *,
    base: Base = None,
    diff_file_bytes: DiffFileBytes = DIFF_FILE_BYTES_MAX,
    diff_total_bytes: DiffTotalBytes = DIFF_TOTAL_BYTES_MAX,
    redis_url: RedisUrl = None,
    data_dir: DataDir = None,
    quiet: Quiet = False,
) -> int:
    """Publish what changes in a git worktree as a job's diff, until the job ends.

    Exit code: 0, also after Ctrl-C; 1 if the last state could not be published; 2 if there is no such job or worktree;
    125 if Redis does not answer.
    """
    from fantail.broker.errors import NotFoundError  # noqa: PLC0415
    from fantail.broker.producers.diff.companion import Watched, publish_diff  # noqa: PLC0415
    from fantail.broker.producers.diff.worktree.git_process import WorktreeError  # noqa: PLC0415
    from fantail.broker.producers.diff.worktree_diff import DiffLimits  # noqa: PLC0415
    from fantail.web.cli.locate import NotLocatedError, redis_address  # noqa: PLC0415

    _configure_logging(quiet=quiet)
    try:
        url = redis_address(redis_url, data_dir)
        limits = DiffLimits(file_bytes=diff_file_bytes, total_bytes=diff_total_bytes)
        published = anyio.run(publish_diff, url, job, Watched(worktree, base, limits), lambda _: None, _secrets(None))
        if not published:
            _say(f"job {job}: the last state of the diff is not published")
    except (NotLocatedError, InvalidIdError, NotFoundError, WorktreeError) as error:
        _say(str(error))
        return MISUSED
    except (BrokerError, ValueError) as error:
        _say(str(error))
        return NOT_RECORDED
    return 0 if published else 1


@app.command()
def tail(
    job: Annotated[str, typer.Argument(metavar="JOB", help="The job's id, or its address.")],
    *,
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="The server. Without it: FANTAIL_URL, or the one on this machine."),
    ] = None,
    from_offset: Annotated[
        int | None, typer.Option("--from", metavar="N", min=0, help="Begin with the line at this offset.")
    ] = None,
    lines: Annotated[
        int | None, typer.Option("--tail", "-n", metavar="N", min=0, help="Begin so many lines before the end.")
    ] = None,
    diff: Annotated[
        bool, typer.Option("--diff", help="Follow what it changes in its worktree, instead of what it prints.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print each entry as JSON, one on a line.")] = False,
    raw: Annotated[
        bool,
        typer.Option(
            "--raw", help="Pass everything on to a terminal; without it, of control sequences only colours and links."
        ),
    ] = False,
    data_dir: DataDir = None,
) -> int:
    """Follow a job: print its lines until it ends.

    Exit code: 0 if it succeeded, 1 if it failed, was cancelled or is gone, 2 if it is refused, 3 if no server answers,
    130 after Ctrl-C. A server that asks who is there is given the token in FANTAIL_TOKEN. What goes to a file or a pipe
    is passed on as it was printed.
    """
    from fantail.broker.jobs import checked_id  # noqa: PLC0415
    from fantail.broker.producers.runner.stream_recorder import write_all  # noqa: PLC0415
    from fantail.web.cli.follower import Followed  # noqa: PLC0415
    from fantail.web.cli.locate import (  # noqa: PLC0415
        DEFAULT_URL,
        address_without_password,
        is_server_address,
        job_address,
        server_address,
    )
    from fantail.web.cli.tail import follow  # noqa: PLC0415

    if diff and (from_offset is not None or lines is not None):
        raise MisuseError("--from and --tail are about lines, and --diff follows none")
    named_url, job_id = job_address(job)
    try:
        checked_id(job_id)
    except InvalidIdError as error:
        raise MisuseError(str(error)) from error
    address = named_url or server_address(url, data_dir)
    if not is_server_address(address):
        shown = address_without_password(address)
        raise MisuseError(f"not the address of a server: {shown!r}; one is like {DEFAULT_URL}")
    token = os.environ.get("FANTAIL_TOKEN", "").strip()
    if not (token.isascii() and token.isprintable()):
        raise MisuseError("FANTAIL_TOKEN holds characters that no token has")
    followed = Followed(
        address,
        job_id,
        token=token or None,
        from_offset=from_offset,
        tail=lines,
        as_json=as_json,
        diff=diff,
        coloured=os.isatty(_OUT) and not os.environ.get("NO_COLOR"),
        terminals=frozenset() if raw else frozenset(fd for fd in (_OUT, _ERR) if os.isatty(fd)),
    )
    try:
        return anyio.run(follow, followed, write_all, _say)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return BROKEN_PIPE


@app.command()
def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[str | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    fd: Annotated[str | None, typer.Option(help="Listening socket to inherit, instead of host and port.")] = None,
    public_url: Annotated[str | None, typer.Option(help="Address under which browsers reach it.")] = None,
    redis_url: Annotated[str | None, typer.Option(help="Redis or Valkey; a private Valkey without it.")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Directory of the private Valkey.")] = None,
    auth: Annotated[str | None, typer.Option(help="Who may see what: none, jwt or proxy.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    log_format: Annotated[str | None, typer.Option(help="text or json.")] = None,
) -> int:
    """Start the server. Every setting can be given as FANTAIL_* in the environment too."""
    from fantail.web import server  # noqa: PLC0415

    given = {
        "host": host,
        "port": port,
        "fd": fd,
        "public_url": public_url,
        "redis_url": redis_url,
        "data_dir": data_dir,
        "auth": auth,
        "log_level": log_level,
        "log_format": log_format,
    }
    return server.serve(**{setting: value for setting, value in given.items() if value is not None})


@app.command()
def token(
    *,
    user: Annotated[str, typer.Option("--user", help="Whom the token speaks for.")],
    admin: Annotated[bool, typer.Option("--admin", help="May see and change everything.")] = False,
    ttl: Annotated[str, typer.Option("--ttl", help="How long it is valid: 3600, 90m, 12h, 30d.")] = "12h",
) -> int:
    """Make a token for a user. Needs the server's FANTAIL_JWT_SECRET."""
    from fantail.web.auth.identity import mint_token  # noqa: PLC0415
    from fantail.web.settings import load_settings  # noqa: PLC0415

    ttl_s = _seconds(ttl)
    try:
        typer.echo(mint_token(load_settings(), user, admin=admin, ttl_s=ttl_s))
    except ValueError as error:
        _say(str(error))
        return MISUSED
    return 0


app.command()(publish)


def _recorded(
    recorded: Callable[[str, NewJob, WriterSettings, Callable[[str], None]], Any],
    new: NewJob,
    redis_url: str | None,
    data_dir: Path | None,
    spool_bytes: int,
    *,
    quiet: bool,
) -> int:
    from fantail.broker.producers.writer.job_writer import Deleted, Undelivered, WriterSettings  # noqa: PLC0415
    from fantail.web.cli.locate import NotLocatedError, redis_address, server_address  # noqa: PLC0415

    if redis_url and data_dir:
        raise MisuseError("--redis-url and --data-dir exclude each other")

    def on_open(job_id: str) -> None:
        if not quiet:
            _say(f"{server_address(None, data_dir)}/jobs/{job_id}")

    try:
        url = redis_address(redis_url, data_dir)
        settings = WriterSettings(spool_bytes_max=spool_bytes)
        ran: Ran = anyio.run(recorded, url, new, settings, on_open)
    except (NotLocatedError, InvalidIdError) as error:
        _say(str(error))
        return MISUSED
    except (BrokerError, ValueError) as error:
        _say(str(error))
        return NOT_RECORDED
    match ran.ending:
        case Undelivered() as missing:
            _say(f"job {new.id}: {missing} not recorded" + (f" ({missing.reason})" if missing.reason else ""))
        case Deleted() if not quiet:
            _say(f"job {new.id} was deleted while it ran")
        case _:
            pass
    if ran.ended.unpublished:
        _say(f"job {new.id}: {ran.ended.unpublished} not published")
    if ran.ended.error_message and ran.ended.status == "failed":
        _say(ran.ended.error_message)
    complete = not isinstance(ran.ending, Undelivered) and not ran.ended.unpublished
    return ran.ended.exit_code or (0 if complete else NOT_RECORDED)


def _new_job(job_id: str | None, name: str, user: str) -> NewJob:
    from fantail.broker.producers.writer.job_writer import NewJob, new_job_id  # noqa: PLC0415

    return NewJob(id=new_job_id() if job_id is None else job_id, name=name, user_id=user)


def _secrets(chosen: Sequence[str] | None) -> list[bytes]:
    from fantail.broker.masking.environment import secret_values, unmaskable  # noqa: PLC0415

    environment: Mapping[str, str] = os.environ
    for name in unmaskable(environment, chosen or ()):
        _say(f"the value of {name} is too short to be masked")
    return secret_values(environment, chosen or ())


def _columns() -> int:
    from fantail.broker.limits import RUN_COLUMNS  # noqa: PLC0415

    try:
        return os.get_terminal_size(_OUT).columns or RUN_COLUMNS
    except OSError:
        return RUN_COLUMNS


def _seconds(text: str) -> float:
    match = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text)
    if match is None or not int(match[1]):
        raise MisuseError(f"not a time: {text!r}; say 3600, 90m, 12h or 30d")
    return int(match[1]) * _UNITS_S[match[2]]


def _configure_logging(*, quiet: bool) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(VisibleFormatter("fantail: %(message)s"))
    logging.basicConfig(level=logging.ERROR if quiet else logging.WARNING, handlers=[handler])


def _say(text: str) -> None:
    typer.echo(f"fantail: {visible(text)}", err=True)
