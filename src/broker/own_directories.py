"""Keeps directories of ours out of git: a home, data or temporary directory may be within somebody's worktree."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def hide_from_git(directory: Path) -> None:
    """Has git ignore all that is in a directory, itself included.

    The rule lies in the directory, so no other one of the worktree overrides it. Where it cannot be written, the files
    are listed as new ones.
    """
    with suppress(OSError):
        # Never through a link, and readable by this user alone, as all our files are.
        fileno = os.open(directory / ".gitignore", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fileno, "w", encoding="ascii") as file:
            file.write("*\n")
