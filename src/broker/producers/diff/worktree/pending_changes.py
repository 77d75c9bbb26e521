"""What a notification means for the diff: which files to look at again, or that everything must be.

The rules, by where something happened:

    in the worktree   a file               look at that file
                      a new directory      look whether git ignores it; if not, watch it and survey
                      a directory gone     survey
                      .gitignore, .gitattributes    survey from the user's index, forget the patches
                      .git                 survey
    in the git dir    index                survey from the user's index (what is tracked may have changed)
                      HEAD, refs, packed-refs, reftable     find the base again
                      config, info/*       all of that
    in a submodule    anything             look at the submodule's entry
    in the directory of a watcher of ours  nothing

A file that git is known to ignore means nothing, so a log written all day starts no git process.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from fantail.broker.limits import DIFF_IGNORED_NAMES_MAX
from fantail.broker.producers.diff.worktree.private_index import is_scratch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fantail.broker.producers.diff.worktree.location import Location

_LOCK: Final = b".lock"
RULES: Final = frozenset({b".gitignore", b".gitattributes"})
_BASE_FILES: Final = frozenset({b"HEAD", b"packed-refs"})
_SETTINGS: Final = frozenset({b"config", b"config.worktree"})


@dataclass(slots=True)
class PendingChanges:
    """What must be looked at.

    Attributes:
        paths: files, relative to the worktree.
        directories: new directories, relative to the worktree.
        survey: all files.
        fresh: begin with the user's index as it is now.
        forget: patches made before may be wrong (attributes).
        base: HEAD or a ref moved.
        cover: directories came or went.
    """

    paths: set[bytes] = field(default_factory=set)
    directories: set[bytes] = field(default_factory=set)
    survey: bool = False
    fresh: bool = False
    forget: bool = False
    base: bool = False
    cover: bool = False

    def __bool__(self) -> bool:
        return bool(
            self.paths or self.directories or self.survey or self.fresh or self.forget or self.base or self.cover
        )

    def add(self, other: PendingChanges) -> None:
        """Takes in what is in another."""
        self.paths |= other.paths
        self.directories |= other.directories
        self.survey |= other.survey
        self.fresh |= other.fresh
        self.forget |= other.forget
        self.base |= other.base
        self.cover |= other.cover


def everything() -> PendingChanges:
    """All there is to look at: at the start, after an overflow, after a fault, and at the end."""
    return PendingChanges(survey=True, fresh=True, base=True, cover=True)


class Meaning:
    """Turns notifications into dirt.

    Attributes:
        ignored: files that git is known to ignore, relative to the worktree.
        nested: repositories inside the worktree, relative to it.
        nested_git: the git directory of each, absolute, and which it belongs to.
        links: those that are submodules: the worktree's index has an entry for them.
    """

    def __init__(self, location: Location) -> None:
        """Takes the place of the worktree and its repository."""
        self.ignored: set[bytes] = set()
        self.nested: set[bytes] = set()
        self.nested_git: dict[bytes, bytes] = {}
        self.links: set[bytes] = set()
        self._root = os.fsencode(location.root)
        git, common = os.fsencode(location.git_dir), os.fsencode(location.common_dir)
        self._git_dirs = {git, common}
        self._info = {git + b"/info", common + b"/info"}
        self._refs = tuple(place + part for place in (git, common) for part in (b"/refs", b"/reftable"))

    def learn_ignored(self, paths: Iterable[bytes]) -> None:
        """Remembers files that git ignores."""
        if len(self.ignored) < DIFF_IGNORED_NAMES_MAX:
            self.ignored.update(paths)

    def note(
        self, pending: PendingChanges, directory: bytes, name: bytes, *, is_directory: bool, came: bool, went: bool
    ) -> None:
        """Adds what one notification means.

        Args:
            pending: what is added to.
            directory: where it happened, absolute.
            name: of what it happened to, in that directory.
            is_directory: whether that is, or was, a directory.
            came: it was created or moved here.
            went: it was deleted or moved away.
        """
        if is_scratch(directory + b"/" + name):
            return  # the temporary directory may be within the worktree
        if directory in self._git_dirs:
            self._note_git(pending, name)
        elif directory in self._info:
            _rules_changed(pending)
        elif directory.startswith(self._refs):
            pending.base |= not name.endswith(_LOCK)
            pending.cover |= is_directory
        elif directory in self.nested_git:
            if not name.endswith(_LOCK):
                pending.paths.add(self.nested_git[directory])
        else:
            self._note_content(pending, directory, name, is_directory=is_directory, came=came, went=went)

    def _note_git(self, pending: PendingChanges, name: bytes) -> None:
        if name == b"index":
            pending.survey = pending.fresh = True
        elif name in _BASE_FILES:
            pending.base = True
        elif name in _SETTINGS:
            _rules_changed(pending)
            pending.base = True

    def _note_content(
        self, pending: PendingChanges, directory: bytes, name: bytes, *, is_directory: bool, came: bool, went: bool
    ) -> None:
        folder = directory[len(self._root) + 1 :]
        path = folder + b"/" + name if folder else name
        if name == b".git":
            # Only where it appears or vanishes: what happens inside is noted there.
            pending.survey |= came or went
            pending.cover |= came or went
        elif (link := self._link_of(folder)) is not None:
            if b"/.git/" not in path + b"/":
                pending.paths.add(link)
                pending.survey |= is_directory
                pending.cover |= is_directory
        elif folder in self.nested:
            return
        elif is_directory:
            if came and not went:
                pending.directories.add(path)
            else:
                pending.survey = pending.cover = True
        elif name in RULES:  # also where it is ignored itself
            _rules_changed(pending)
        elif path not in self.ignored:
            pending.paths.add(path)

    def is_linked(self, folder: bytes) -> bool:
        """Whether a folder is a submodule, or lies in one."""
        return self._link_of(folder) is not None

    def _link_of(self, folder: bytes) -> bytes | None:
        """The submodule that a folder is, or lies in: the outermost."""
        return next((link for link in self.links if folder == link or folder.startswith(link + b"/")), None)

    def forget_ignored(self, known: Iterable[bytes]) -> None:
        """Starts anew with what a survey has found ignored: the rules, or what is tracked, may have changed."""
        self.ignored = set()
        self.learn_ignored(known)

    def set_nested(self, nested: Mapping[bytes, bytes | None]) -> None:
        """Takes the repositories inside the worktree, and the git directory of each where it is known."""
        self.nested = set(nested)
        self.nested_git = {git: path for path, git in nested.items() if git is not None}


def _rules_changed(pending: PendingChanges) -> None:
    pending.survey = pending.fresh = pending.forget = pending.cover = True
