"""What a client of a diff's stream makes of its frames, in either form; as docs/PROTOCOL.md says it shall."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fantail.broker.documents.json_patch import apply_in_place

if TYPE_CHECKING:
    from support.clients.sse_client import Event


@dataclass(slots=True)
class DiffClient:
    """A client's document, over any number of connections.

    Attributes:
        patch: whether it asked for JSON Patch.
        files: what it shows: entries by file.
        position: what it comes back with.
        finished: the data of the frame that ended the stream.
    """

    patch: bool = False
    files: dict[str, Any] = field(default_factory=dict)
    position: str = ""
    snapshots: int = 0
    finished: Any = None
    _new: dict[str, Any] | None = None

    def connected(self) -> None:
        """A connection begins: half a snapshot of the last one is nothing."""
        self._new = None

    def take(self, event: Event) -> None:
        """Takes one event."""
        match event.name:
            case "snapshot":
                self._new = {}
            case "ready":
                self._ready()
            case "finished":
                self.finished = event.json
            case _ if self.patch:
                self._operation(event.json)
            case _:
                self._file(event.json)
        if event.has_id:
            self.position = event.id

    def _ready(self) -> None:
        if self._new is not None:
            self.files, self._new = self._new, None
            self.snapshots += 1

    def _file(self, entry: dict[str, Any]) -> None:
        files = self.files if self._new is None else self._new
        if entry["change"] == "none":
            assert entry.get("diff", "") == ""
            files.pop(entry["file"], None)
        else:
            files[entry["file"]] = entry

    def _operation(self, operation: Any) -> None:
        if operation == {"op": "add", "path": "/files", "value": {}}:
            self._new = {}
            return
        document = {"files": self.files if self._new is None else self._new}
        apply_in_place(document, [operation])  # type: ignore[arg-type]
