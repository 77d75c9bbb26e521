"""What the tests of worktrees share: a repository, and a git that knows nothing of this machine's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.worktrees.git_repository import HERMETIC, GitRepository

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def hermetic_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment in which our own calls of git read no settings of the machine's."""
    for name, value in HERMETIC.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    """A repository with one empty commit."""
    return GitRepository(tmp_path / "work")
