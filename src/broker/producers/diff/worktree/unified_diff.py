"""One file's patch, in the form that `git apply` takes.

The lines of change come from git. The header is written here, for all files in one way, because the content of a
renamed file is compared in place (`fantail.broker.producers.diff.worktree.snapshot`): git itself never sees a rename
there.

What holds: the patches of all entries, joined in any order, are one patch that `git apply` takes on the base; git's
format has no order among files (git-apply(1); apply.c, `previous_patch`).
"""

from __future__ import annotations

from typing import Final

from fantail.broker.producers.diff.worktree.raw_diff import NO_MODE, Change, quoted

_HUNK: Final = b"\n@@ "
_WHITESPACE: Final = b" \t"


def hunks_of(section: bytes) -> bytes:
    """The part of one `diff --git` section behind its header: empty where no line differs."""
    start = section.find(_HUNK)
    return b"" if start < 0 else section[start + 1 :]


def patch_of(change: Change, sections: list[bytes]) -> bytes:
    """The patch of one change.

    Args:
        change: the change.
        sections: the lines of change: one for each section, two where the type changed, none where the content did
            not.
    """
    if change.type_changed:
        old, new = sections
        return _section(_deletion(change), old) + _section(_addition(change), new)
    return _section(change, b"".join(sections))


def _section(change: Change, hunks: bytes) -> bytes:
    lines = [_first_line(change), *_mode_lines(change), *_name_lines(change)]
    if change.old_oid != change.new_oid:
        mode = f" {change.new_mode}" if change.old_mode == change.new_mode else ""
        lines.append(f"index {change.old_oid}..{change.new_oid}{mode}")
    if hunks:
        lines += [
            f"--- {_side(b'a/', change.old_path, change.old_mode)}",
            f"+++ {_side(b'b/', change.path, change.new_mode)}",
        ]
    return "".join(f"{line}\n" for line in lines).encode() + hunks


def _first_line(change: Change) -> str:
    return f"diff --git {quoted(b'a/' + change.old_path)} {quoted(b'b/' + change.path)}"


def _mode_lines(change: Change) -> list[str]:
    if change.kind == "added":
        return [f"new file mode {change.new_mode}"]
    if change.kind == "deleted":
        return [f"deleted file mode {change.old_mode}"]
    if change.old_mode != change.new_mode:
        return [f"old mode {change.old_mode}", f"new mode {change.new_mode}"]
    return []


def _name_lines(change: Change) -> list[str]:
    if change.similarity is None:
        return []
    verb = "rename" if change.kind == "renamed" else "copy"
    return [
        f"similarity index {change.similarity}%",
        f"{verb} from {quoted(change.old_path)}",
        f"{verb} to {quoted(change.path)}",
    ]


def _side(prefix: bytes, path: bytes, mode: str) -> str:
    if mode == NO_MODE:
        return "/dev/null"
    # A name with blanks ends with a tab, for GNU patch, which takes what follows a blank for a date.
    return quoted(prefix + path) + ("\t" if any(byte in path for byte in _WHITESPACE) else "")


def _deletion(change: Change) -> Change:
    none = "0" * len(change.old_oid)
    return Change("deleted", None, change.old_mode, NO_MODE, change.old_oid, none, change.old_path, change.old_path)


def _addition(change: Change) -> Change:
    none = "0" * len(change.new_oid)
    return Change("added", None, NO_MODE, change.new_mode, none, change.new_oid, change.path, change.path)
