"""What a viewer of pipelines is told, as bytes: the events of PROTOCOL.md, section L, and who gets which.

Before its `batch_update` a stream says nothing of statuses, except to a client that comes back with a position: that
one is first told every change it missed. Afterwards it is a cursor into the board's log (trap 8). A reader that fell
behind the log is sent a `batch_update` again (trap 19). `status_update` and `batch_update` carry positions.

A change is written once, whoever many watch it; so is the snapshot of a set of pipelines between two changes.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import orjson

from fantail.broker import Batch, CaughtUp, Closed, Located
from fantail.broker.documents.patch_store import operation_of
from fantail.broker.sources.pipelines.board import ERROR, STATUS_UPDATE, UNAVAILABLE
from fantail.web.sse.response import frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from fantail.broker.documents.patch_store import PatchStore
    from fantail.broker.log.position import Cursor, Position
    from fantail.broker.log.records import Record
    from fantail.broker.sources.pipelines.health_poller import PipelineWatch

HEARTBEAT: Final = "heartbeat"
BATCH_UPDATE: Final = "batch_update"
INVALID_ID: Final = "INVALID_PIPELINE_ID"
# Frames remembered for the other viewers of the same change; a reader further behind makes its own.
_FRAMES_KEPT: Final = 1024


def event_frame(kind: str, position: Position | None = None, **members: Any) -> bytes:
    """One event; members that are None are left out, and the time is now unless `timestamp` says it (in ms)."""
    timestamp = members.pop("timestamp", None) or time.time_ns() // 1_000_000
    shown = {name: value for name, value in members.items() if value is not None}
    return frame(orjson.dumps({"type": kind, "timestamp": timestamp, **shown}), event=kind, position=position)


def snapshot_frames(ids: Iterable[str], store: PatchStore, document: Mapping[str, Any]) -> bytes:
    """The `batch_update` of these pipelines, and the errors that stand."""
    rows = [(each, document["pipelines"][each]) for each in sorted(ids)]
    updates = [{"pipelineId": each, "status": row["status"]} for each, row in rows if row["status"] is not None]
    frames = [event_frame(BATCH_UPDATE, store.position(), updates=updates)]
    frames += [event_frame(ERROR, pipelineId=each, **row["error"]) for each, row in rows if row["error"] is not None]
    if not document["backend"]["available"]:
        frames.append(event_frame(ERROR, message=document["backend"]["message"], code=UNAVAILABLE))
    return b"".join(frames)


class SharedFrames:
    """What changes are written as: made once for all who watch the same pipeline."""

    def __init__(self, store: PatchStore) -> None:
        self._store = store
        self._made: dict[int, tuple[str | None, bytes]] = {}

    def of(self, offset: int, record: Record) -> tuple[str | None, bytes]:
        """Whom a change is about (None: all), and its frame (empty: nothing to tell)."""
        made = self._made.get(offset)
        if made is None:
            if len(self._made) >= _FRAMES_KEPT:
                self._made.clear()
            made = self._made[offset] = self._make(offset, record)
        return made

    def _make(self, offset: int, record: Record) -> tuple[str | None, bytes]:
        operation, told = operation_of(record)
        if told is None:
            return None, b""
        pipeline_id = told.get("id")
        value: Any = operation.get("value")
        position = self._store.position_at(offset + 1)
        about = {"timestamp": told["at"], "pipelineId": pipeline_id}
        if told["event"] == STATUS_UPDATE:
            made = event_frame(
                STATUS_UPDATE, position, **about, status=value["status"], previousStatus=told["previous"]
            )
        elif pipeline_id is None:
            made = event_frame(ERROR, position, **about, message=value["message"], code=UNAVAILABLE)
        else:
            made = event_frame(ERROR, position, **about, **value["error"])
        return pipeline_id, made


class PipelineFollower:
    """One viewer: what it has been told, and what is to be told next.

    Args:
        store: the board's document.
        frames: shared by all viewers.
        watch: whom this one watches.
        position: where a client that comes back was; one that no longer fits is as none.
    """

    def __init__(
        self, store: PatchStore, frames: SharedFrames, watch: PipelineWatch, position: Position | None
    ) -> None:
        self._store = store
        self._frames = frames
        self._watch = watch
        self._cursor: Cursor | None = None
        if position is not None:
            located = self._store.locate(position)
            self._cursor = located.cursor if isinstance(located, Located) else None
        self._begun = False
        self.closed = False

    def news(self, *, waited: bool) -> bytes:
        """What there is to tell now; `waited`: first answers are not waited for any more."""
        told = b"".join(self._changes())
        if not self._begun and (self._watch.ready or waited):
            self._begun = True
            told += self._snapshot()
        return told

    def _snapshot(self) -> bytes:
        store, ids = self._store, self._watch.ids
        self._cursor = store.log.start(store.log.tail)
        made, _ = store.snapshot(("pipelines", ids), lambda document: snapshot_frames(ids, store, document))
        return made

    def _changes(self) -> Iterator[bytes]:
        while self._cursor is not None:
            outcome = self._store.log.read(self._cursor)
            match outcome:
                case Batch():
                    for offset, record in enumerate(outcome.records(), outcome.first):
                        about, made = self._frames.of(offset, record)
                        if made and (about is None or about in self._watch.ids):
                            yield made
                    self._cursor = outcome.next
                case CaughtUp():
                    return
                case Closed():
                    self.closed = True
                    return
                case _:
                    yield self._snapshot()  # it fell behind what the log keeps
