"""Keeps directories of ours out of git: a home, data or temporary directory may be within somebody's worktree."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def hide_from_git(directory: Path) -> None:
    """Has git ignore all that is in a directory, itself included.

    The rule lies in the directory, so no other one of the worktree overrides it. Where it cannot be written, the files
    are listed as new ones.
    """
    with suppress(OSError), (directory / ".gitignore").open("x", encoding="ascii") as file:
        file.write("*\n")
