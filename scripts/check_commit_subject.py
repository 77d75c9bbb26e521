"""Checks the subject of a commit message: `area: what`, at most 72 characters. Run by the commit-msg hook."""

from __future__ import annotations

import re
import sys
from pathlib import Path

SUBJECT_CHARS_MAX = 72
SUBJECT = re.compile(r"[a-z0-9_./, -]+: \S.*[^.\s]")
GENERATED = ("Merge ", "Revert ", "fixup! ", "squash! ", "amend! ")


def fault_of(subject: str) -> str | None:
    """Returns what is wrong with a commit subject, or None."""
    if subject.startswith(GENERATED):
        return None
    if len(subject) > SUBJECT_CHARS_MAX:
        return f"the subject has {len(subject)} characters, at most {SUBJECT_CHARS_MAX} are allowed"
    if SUBJECT.fullmatch(subject) is None:
        return "the subject must read `area: what`, without a full stop at the end"
    return None


if __name__ == "__main__":
    fault = fault_of(Path(sys.argv[1]).read_text(encoding="utf-8").partition("\n")[0])
    if fault is not None:
        sys.exit(f"{fault}; put the reason for the change into the body")
