"""Follows a job's diff in the terminal: the patch of each file, once, and again whenever it changes.

On stdout are patches alone, each whole: the output for a job that has ended is one patch that `git apply` takes. What
is said of files without a patch (left out for its size, no longer differing), or with secrets masked in it, goes to
stderr. A snapshot that comes
after a cut prints what differs from what was printed before, and nothing twice.

In a terminal patches are coloured as git colours them, and control characters are shown instead of obeyed: a file may
hold anything, and a diff is there to be looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from fantail.web.cli.follower import FAILED, OUT, SUCCEEDED, Follower
from fantail.web.cli.terminal_text import visible, visible_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fantail.web.cli.event_parser import ServerEvent

_BOLD: Final = "\x1b[1m"
_RED: Final = "\x1b[31m"
_GREEN: Final = "\x1b[32m"
_CYAN: Final = "\x1b[36m"
_PLAIN: Final = "\x1b[m"


@dataclass(slots=True)
class DiffFollower(Follower):
    """Follows the diff of one job.

    Attributes:
        shown: the files as they were last printed.
        snapshot: the files of a snapshot that is not whole yet.
    """

    shown: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    snapshot: dict[str, Mapping[str, Any]] | None = None

    def show(self, event: ServerEvent, data: Mapping[str, Any]) -> None:
        """See `Follower`."""
        match event.name:
            case "snapshot":
                self.snapshot = {}
            case "ready":
                self._take_snapshot()
            case "message" if "file" in data:
                file = str(data["file"])
                if self.snapshot is None:
                    self._file(file, data, event.data)
                else:
                    self.snapshot[file] = data
            case "finished":
                if data.get("status") == "deleted":
                    self.notice("the job is gone")
                self.code = SUCCEEDED if data.get("status") == "success" else FAILED
            case _:
                pass

    def _take_snapshot(self) -> None:
        snapshot, self.snapshot = self.snapshot, None
        if snapshot is None:
            return  # it goes on where it was
        for file in [file for file in self.shown if file not in snapshot]:
            self._file(file, {"file": file, "change": "none"}, None)
        for file, entry in snapshot.items():
            self._file(file, entry, None)

    def _file(self, file: str, entry: Mapping[str, Any], encoded: bytes | None) -> None:
        if self.shown.get(file) == entry:
            return
        if self.followed.as_json:
            self.waiting.append((OUT, self.json_line(encoded or _json(entry))))
        elif entry.get("change") == "none":
            self.notice(f"{visible(file)} no longer differs")
        elif entry.get("omitted"):
            counts = f"+{entry.get('additions', 0)} -{entry.get('deletions', 0)}"
            self.notice(f"{visible(file)} ({counts}): its patch is left out ({visible(str(entry['omitted']))})")
        else:
            patch = str(entry.get("diff", ""))
            if entry.get("masked"):
                self.notice(f"{visible(file)}: secrets are masked in its patch; do not apply it")
            if self.followed.coloured:
                patch = coloured(patch)
            elif OUT in self.followed.terminals:
                patch = visible_text(patch)
            self.waiting.append((OUT, patch.encode("utf-8", "replace")))
        if entry.get("change") == "none":
            self.shown.pop(file, None)
        else:
            self.shown[file] = entry


def coloured(patch: str) -> str:
    """A patch in git's colours, its control characters shown."""
    lines: list[str] = []
    in_header = True
    for line in patch.split("\n"):
        if line.startswith("diff --git "):
            in_header = True
        elif line.startswith("@@ "):
            in_header = False
        lines.append(_painted(visible_text(line), in_header=in_header))
    return "\n".join(lines)


def _painted(line: str, *, in_header: bool) -> str:
    if not line:
        return line
    if in_header:
        return f"{_BOLD}{line}{_PLAIN}"
    if line.startswith("@@ "):
        ranges, mark, context = line[3:].partition(" @@")
        return f"{_CYAN}@@ {ranges}{mark}{_PLAIN}{context}"
    colour = {"+": _GREEN, "-": _RED}.get(line[0])
    return f"{colour}{line}{_PLAIN}" if colour else line


def _json(entry: Mapping[str, Any]) -> bytes:
    import orjson  # noqa: PLC0415 - for --json alone

    return orjson.dumps(entry)
