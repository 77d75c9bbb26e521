"""The options that several commands of `fantail` share: each is named, bounded and explained once."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class StdinMode(StrEnum):
    """Where a command's standard input comes from."""

    AUTO = "auto"
    INHERIT = "inherit"
    NONE = "none"

    def inherits(self) -> bool:
        """Whether it is ours; never if ours was closed at our start, as its number may be another file's by now."""
        if self is StdinMode.NONE or sys.stdin is None:
            return False
        return self is StdinMode.INHERIT or not os.isatty(0)


RedisUrl = Annotated[
    str | None,
    typer.Option(
        "--redis-url",
        metavar="URL",
        help="Redis or Valkey. Without it: FANTAIL_REDIS_URL, REDIS_URL, or the running server's own.",
    ),
]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", metavar="DIR", help="Data directory of the server, by which it is found.")
]
JobName = Annotated[str, typer.Option("--name", help="What the job is called.")]
User = Annotated[str, typer.Option("--user", help="Whose job it is; everyone's without it.")]
MaskEnv = Annotated[
    list[str] | None,
    typer.Option(
        "--mask-env",
        metavar="NAME",
        help="Mask this variable's value in what is recorded, beside those that look like secrets. Repeatable.",
    ),
]
Base = Annotated[
    str | None,
    typer.Option(
        "--base",
        metavar="REF",
        help="What the diff is against: its merge base with HEAD. Without it: origin/HEAD, main or master.",
    ),
]
DiffFileBytes = Annotated[
    int,
    typer.Option(
        "--diff-file-bytes", metavar="BYTES", min=0, help="One file's patch; past it only its statistics are shown."
    ),
]
DiffTotalBytes = Annotated[
    int,
    typer.Option(
        "--diff-total-bytes", metavar="BYTES", min=0, help="All patches of the diff; past it the largest are left out."
    ),
]
Stdin = Annotated[
    StdinMode,
    typer.Option(
        "--stdin",
        help="What the command reads: our standard input (inherit), nothing (none), or ours unless that is a terminal.",
    ),
]
FlushS = Annotated[
    float,
    typer.Option(
        "--flush", metavar="SECONDS", min=0, help="How long Redis has, after the end, to take what is not recorded yet."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
NoEcho = Annotated[bool, typer.Option("--no-echo", help="Only record; print nothing of it here.")]
SpoolBytes = Annotated[
    int,
    typer.Option(
        "--spool-bytes",
        metavar="BYTES",
        min=0,
        help="Output kept on disk while Redis is away.",
    ),
]
