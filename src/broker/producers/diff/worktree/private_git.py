"""A private git directory that stands in for the repository's own, so that none of the user's programs runs.

Git learns from a repository's configuration which programs to start: hooks, file system monitors, filters, textconv
and diff programs, credential helpers, remotes for lazy fetches. There is no list of all of them, and each version of
git adds some. So the processes that look at files never see that configuration. They run with a git directory of ours:

    config              settings from a list of those that are data (`_DATA`), and ours
    info/exclude        a copy of the user's
    info/attributes     a copy of the user's
    info/sparse-checkout  a copy of the user's
    index               a copy of the user's, which `Snapshot` stages into
    sharedindex.*       copies of the user's, for a split index
    objects             new objects; the repository's are read as alternates
    HEAD                the base of the diff

Files in the worktree (.gitignore, .gitattributes, .gitmodules) are read as they are; they can name a program but not
define one. The user's ignore and attributes files outside of the repository apply too.

The user's git directory itself is only asked for names of commits, by commands that start no program.

Decided against: switching off each setting with `-c`. It needs the name of each filter, merge driver and remote, and a
complete list of the settings, also of future versions of git.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fantail.broker.producers.diff.worktree.raw_diff import quoted

if TYPE_CHECKING:
    from pathlib import Path

    from fantail.broker.producers.diff.worktree.git_process import Git

_DATA: Final = (
    "core.attributesfile",
    "core.autocrlf",
    "core.bigfilethreshold",
    "core.checkstat",
    "core.eol",
    "core.excludesfile",
    "core.filemode",
    "core.ignorecase",
    "core.precomposeunicode",
    "core.sparsecheckout",
    "core.sparsecheckoutcone",
    "core.symlinks",
    "core.trustctime",
)
"""Settings that say how files are read and that start no program, as `git config --list` writes their names."""

_ASKED: Final = (
    f"^({'|'.join(name.replace('.', '[.]') for name in _DATA)}"
    "|filter[.].*[.](clean|process|required)|lfs[.]extension[.].*)$"
)
_OURS: Final = """\
[core]
    bare = false
    fsmonitor = false
    fsync = none
    hooksPath = /dev/null
    looseCompression = 0
    protectHFS = false
    protectNTFS = false
    quotePath = true
    repositoryFormatVersion = 1
    safecrlf = false
    splitIndex = false
    untrackedCache = false
[diff]
    suppressBlankEmpty = false
[gc]
    auto = 0
[index]
    sparse = false
"""
_FALSE: Final = frozenset({b"false", b"no", b"off", b"0"})
_SHARED_INDEX: Final = "sharedindex."
_VERSION_WITHOUT_FLAGS: Final = 2
_LINK_MODE: Final = 0o160000.to_bytes(4, "big")
_COPIED: Final = ("exclude", "attributes", "sparse-checkout")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user's configuration says, as far as it takes part.

    Attributes:
        data: names and values of settings that start no program.
        filters: names of the filters that are programs, or that have to succeed.
        lfs_extensions: whether pointers of Git LFS have members of their own.
    """

    data: tuple[tuple[str, str], ...] = ()
    filters: frozenset[bytes] = frozenset()
    lfs_extensions: bool = False

    @property
    def ignores_modes(self) -> bool:
        """Whether the execute bits on disk mean nothing: `core.fileMode` is false."""
        value = dict(self.data).get("core.filemode", "true")
        return value.lower().encode() in _FALSE


async def read_settings(git: Git) -> Settings:
    """Reads the user's configuration with one git process.

    Args:
        git: of the located worktree.

    Raises:
        WorktreeError: git cannot read it.
    """
    finished = await git.run("config", "-z", "--includes", "--get-regexp", _ASKED, accepted=(0, 1))
    return parse_settings(finished.output)


def parse_settings(output: bytes) -> Settings:
    """Sorts what `git config -z --get-regexp` printed."""
    data: list[tuple[str, str]] = []
    filters: set[bytes] = set()
    lfs_extensions = False
    for record in output.split(b"\0"):
        name, _, value = record.partition(b"\n")
        if name.startswith(b"filter."):
            driver, _, variable = name.removeprefix(b"filter.").rpartition(b".")
            # An empty command is none; a filter that is required fails without one.
            if value.strip() and (variable != b"required" or value.lower() not in _FALSE):
                filters.add(driver)
        elif name.startswith(b"lfs.extension."):
            lfs_extensions = True
        elif name:
            # A name without a value is a boolean that is true.
            data.append((os.fsdecode(name), os.fsdecode(value) if b"\n" in record else "true"))
    return Settings(tuple(data), frozenset(filters), lfs_extensions)


class PrivateGit:
    """One private git directory.

    Attributes:
        directory: where it is.
        settings: what the user's configuration said last.
    """

    def __init__(self, directory: Path, *, root: Path, git_dir: Path, common_dir: Path, objects: Path) -> None:
        """Makes it; blocks.

        Args:
            directory: where it is made.
            root: of the worktree.
            git_dir: the user's, of this worktree.
            common_dir: the user's, of the repository.
            objects: the object directory that is read behind ours.

        Raises:
            OSError: there is no room, or no right to.
        """
        self.directory = directory
        self.settings = Settings()
        self._root = root
        self._git_dir = git_dir
        self._common_dir = common_dir
        for part in ("refs", "info", "objects/info"):
            (directory / part).mkdir(parents=True)
        alternates = quoted(os.fsencode(objects))
        (self.objects / "info" / "alternates").write_text(f"{alternates}\n", encoding="utf-8")
        self.point_at(None)

    @property
    def index(self) -> Path:
        """Where the private index is."""
        return self.directory / "index"

    @property
    def objects(self) -> Path:
        """Where new objects are."""
        return self.directory / "objects"

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which git uses this directory, and no settings of the user's or the system's."""
        return {
            "GIT_DIR": os.fspath(self.directory),
            "GIT_WORK_TREE": os.fspath(self._root),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_COUNT": "0",
            "GIT_CONFIG_PARAMETERS": "",
        }

    def point_at(self, commit: str | None) -> None:
        """Sets HEAD; `git status` lists what differs from it, so it lists little where that is the base."""
        text = f"{commit}\n" if commit else "ref: refs/heads/none\n"
        (self.directory / "HEAD").write_text(text, encoding="ascii")

    def follow(self, settings: Settings, *, sha256: bool) -> None:
        """Takes over the user's settings and the files of the user's git directory; blocks.

        Raises:
            OSError: there is no room, or a file of the user's may not be read.
        """
        self.settings = settings
        lines = [f"[core]\n    {name.removeprefix('core.')} = {_quoted(value)}\n" for name, value in settings.data]
        format_lines = "[extensions]\n    objectFormat = sha256\n" if sha256 else ""
        text = "".join([*lines, _OURS, format_lines])
        (self.directory / "config").write_bytes(os.fsencode(text))
        for name in _COPIED:
            # Sparse checkout is a matter of the worktree, the other two of the repository.
            place = self._git_dir if name == "sparse-checkout" else self._common_dir
            _copy(place / "info" / name, self.directory / "info" / name)

    def copy_index(self, index: Path) -> None:
        """Takes the user's index as it is now; blocks."""
        for old in self.directory.glob(f"{_SHARED_INDEX}*"):
            old.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            for shared in self._git_dir.glob(f"{_SHARED_INDEX}*"):
                _copy(shared, self.directory / shared.name)
        _copy(index, self.index)
        self.remove_lock()

    def may_have_links(self) -> bool:
        """Whether the index may have entries of submodules: their mode is 0160000, as four bytes."""
        return any(
            _LINK_MODE in path.read_bytes()
            for path in (self.index, *self.directory.glob(f"{_SHARED_INDEX}*"))
            if path.exists()
        )

    def may_have_skipped(self) -> bool:
        """Whether the index may have entries with the bit skip-worktree: they need version 3 of its format."""
        files = [path for path in (self.index, *self.directory.glob(f"{_SHARED_INDEX}*")) if path.exists()]
        return any(_index_version(path) > _VERSION_WITHOUT_FLAGS for path in files)

    def remove_lock(self) -> None:
        """Removes the lock that a git process leaves when a signal ends it; no other one runs meanwhile."""
        (self.directory / "index.lock").unlink(missing_ok=True)

    def add_attributes(self, lines: bytes) -> None:
        """Adds rules that win over all of the user's."""
        with (self.directory / "info" / "attributes").open("ab") as file:
            file.write(b"\n" + lines)


def _copy(source: Path, target: Path) -> None:
    """Copies a regular file with its time, which git compares an index with; without a source removes the target."""
    try:
        if source.is_file():  # a pipe in its place would be waited for
            shutil.copy2(source, target)
            return
    except FileNotFoundError:
        pass
    target.unlink(missing_ok=True)


def _index_version(path: Path) -> int:
    with path.open("rb") as file:
        return int.from_bytes(file.read(8)[4:], "big")  # four letters, then the version


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
