"""Git, with a witness before it that notes each start, and when two of them run in one worktree at once."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class GitWitness:
    """What was seen so far.

    Attributes:
        path: PATH for programs that shall meet it.
        started: one line for each git process.
        overlapped: one line for each that began while another was running.
    """

    path: str
    started: Path
    overlapped: Path

    @property
    def starts(self) -> int:
        """How many git processes were started."""
        return len(self.started.read_text().splitlines())


def git_witness(place: Path) -> GitWitness:
    """Makes it, in a directory of its own."""
    git = shutil.which("git")
    witness = place / "bin" / "git"
    witness.parent.mkdir(parents=True)
    started, overlapped = place / "started", place / "overlapped"
    for file in (started, overlapped):
        file.write_text("")
    witness.write_text(
        f'#!/bin/sh\necho "$*" >>"{started}"\nexec 9>"{place}/running"\n'
        f'flock -n 9 || echo "$*" >>"{overlapped}"\n"{git}" "$@"\nexit $?\n'
    )
    witness.chmod(0o755)
    return GitWitness(f"{witness.parent}{os.pathsep}{os.environ['PATH']}", started, overlapped)
