"""Real git repositories for tests, and the proof of a diff: applied to the base, it gives the worktree.

Nothing of the machine's own configuration takes part. `files_of` says what a worktree holds as far as git looks at it:
contents, permissions and symlinks of what is tracked or not ignored.
"""

from __future__ import annotations

import os
import stat
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from fantail.broker.documents.diffs import stored_entry
from fantail.web.rest.diff import patch_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fantail.broker.producers.diff.entry import DiffEntry

HERMETIC = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_EDITOR": "true",
    "LC_ALL": "C",
}


class GitRepository:
    """A repository with a worktree at `root`, on branch main, with one commit unless told otherwise."""

    def __init__(self, root: Path, *, empty: bool = False, arguments: Iterable[str] = ()) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main", *arguments)
        self.git("config", "gc.auto", "0")
        if not empty:
            self.git("commit", "-q", "--allow-empty", "-m", "first")

    def git(self, *arguments: str | bytes, ok: bool = True, stdin: bytes = b"") -> bytes:
        """Run git here; what it printed. With `ok=False` it may fail."""
        return self.git_at(self.root, *arguments, ok=ok, stdin=stdin)

    @staticmethod
    def git_at(place: Path, *arguments: str | bytes, ok: bool = True, stdin: bytes = b"") -> bytes:
        """Run git in any directory."""
        finished = subprocess.run(
            ["git", *arguments],
            cwd=place,
            env={**_environment(), **HERMETIC},
            input=stdin,
            capture_output=True,
            check=False,
            start_new_session=True,
        )
        assert finished.returncode == 0 or not ok, f"git {arguments}: {finished.stderr.decode(errors='replace')}"
        return finished.stdout

    def path(self, name: str | bytes) -> Path:
        """A path in the worktree."""
        return self.root / os.fsdecode(name)

    def write(self, name: str | bytes, content: str | bytes = "") -> Path:
        """Write a file, making its directories."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def commit(self, message: str = "more") -> str:
        """Commit all there is; the commit's name."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.head()

    def head(self, revision: str = "HEAD") -> str:
        """The name of a commit."""
        return self.git("rev-parse", revision).decode().strip()

    def files(self, root: Path | None = None) -> dict[bytes, tuple[str, bytes]]:
        """What git looks at in the worktree."""
        place = root or self.root
        names = self.git_at(place, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
        return files_of(place, {name.rstrip(b"/") for name in names.split(b"\0") if name})

    def files_after(self, base: str, entries: Iterable[DiffEntry], place: Path) -> dict[bytes, tuple[str, bytes]]:
        """What the base becomes when the patch that is served of these entries is applied to it, in a new directory."""
        place.mkdir(parents=True)
        archive = self.git("archive", "--format=tar", base) if self.git("ls-tree", base) else b""
        if archive:
            with tarfile.open(fileobj=BytesIO(archive)) as tar:
                tar.extractall(place, filter="fully_trusted")  # noqa: S202 - it is our own
        patch = patch_of([stored_entry(entry.file.encode(), entry.encode()) for entry in entries])
        if b"diff --git" in patch:
            self.git_at(place, "apply", "--whitespace=nowarn", "-", stdin=patch)
        return files_of(place, _names_below(place))


def files_of(root: Path, names: Iterable[bytes]) -> dict[bytes, tuple[str, bytes]]:
    """Kind and content of those of the names that are files or symlinks."""
    found: dict[bytes, tuple[str, bytes]] = {}
    for name in names:
        path = root / os.fsdecode(name)
        try:
            status = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        if any((root / parent).is_symlink() for parent in Path(os.fsdecode(name)).parents):
            continue
        if stat.S_ISLNK(status.st_mode):
            found[name] = ("symlink", os.fsencode(path.readlink()))
        elif stat.S_ISREG(status.st_mode):
            found[name] = ("program" if status.st_mode & stat.S_IXUSR else "file", path.read_bytes())
    return found


def _names_below(root: Path) -> set[bytes]:
    return {
        os.fsencode(os.path.relpath(Path(folder) / name, root))
        for folder, folders, files in os.walk(root)
        for name in [*files, *folders]
    }


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
