"""The tables as a stream of JSON Patch: a snapshot, `ready`, then each change (traps 25, 40 and 43).

A client folds frames into a document. A snapshot opens with `add /<table> {}`, goes on with `add` of each row, and is
whole at `ready`, the only frame of it that carries a position: one that was cut resumes as if it had never begun. What
changed while the snapshot was on its way follows, from the very operation after it.

A table that is full has the newest rows only. How many older ones are left out is told by the event `left-out`, with
`{"jobs": 10000}` as its data and no position: before `ready` where there are any, and whenever a number changes.

Who sees what. Every operation is noted with its row's owner (`fantail.broker.tables`), so whether it is shown is
decided for each operation by itself. A position that moves on over what is hidden is sent as a frame of an id alone,
now and then, so that a client who sees little does not come back to a log that has forgotten where it was.

Shared bytes. Who sees everything shares encodings with everybody who does. A user's own view is encoded for that
user: kept with the log, a thousand users' encodings would push the log itself out of its memory.

A reader too far behind gets a new snapshot in the same stream, once that is less than what it missed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from fantail.broker import Batch, CaughtUp, Closed, Encoding
from fantail.broker.documents.json_patch import pointer
from fantail.broker.documents.patch_store import operation_of
from fantail.broker.log.outcomes import Located
from fantail.broker.tables import owner_of
from fantail.web.limits import HIDDEN_ADVANCE_S, SNAPSHOT_PIECE_BYTES, TABLES_LAG_PER_ROW, TABLES_LAG_RECORDS_MIN
from fantail.web.sse.response import comment, frame, position_only

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence

    from fantail.broker import Broker, Record, Tables
    from fantail.broker.log.notify import Waiter
    from fantail.broker.log.position import Cursor, Position
    from fantail.web.auth.viewer import Viewer


@dataclass(frozen=True, slots=True)
class View:
    """What one client sees, and in which form.

    Attributes:
        tables: their names, in order.
        batched: whether a frame is an array of operations or one bare operation.
        viewer: whose rows are shown.
    """

    tables: tuple[str, ...]
    batched: bool
    viewer: Viewer

    @property
    def shared(self) -> bool:
        """Whether everybody else with these tables sees the same."""
        return self.viewer.admin

    @property
    def key(self) -> tuple[str, tuple[str, ...], bool]:
        """Names the shared encoding."""
        return ("tables", self.tables, self.batched)


class Changes:
    """Writes the operations that a view shows.

    It does not refer to the stream: the stream's encoding refers to it, and would make a reference cycle.

    Args:
        tables: whose operations.
        view: what the client sees.
    """

    def __init__(self, tables: Tables, view: View) -> None:
        self._tables = tables
        self._view = view
        self._pointers = frozenset(pointer(table) for table in view.tables)

    def encoded(self, first: int, records: Sequence[Record]) -> list[bytes]:
        """Each operation as a frame of its own, or, batched, as an element of an array with its comma."""
        encoded = []
        for offset, record in enumerate(records, first):
            operation, owner = operation_of(record)
            if not self._shows(operation["path"], owner):
                encoded.append(b"")
            elif self._view.batched:
                encoded.append(orjson.dumps(operation) + b",")
            else:
                encoded.append(frame(orjson.dumps(operation), position=self._tables.position_at(offset + 1)))
        return encoded

    def _shows(self, path: str, owner: str | None) -> bool:
        return "/" + path.split("/", 2)[1] in self._pointers and self._view.viewer.may_see(owner)


class TableStream:
    """One client's way through the tables.

    Args:
        broker: whose tables; they must be counted as watched.
        view: what the client sees.
        waiter: how it sleeps.
        position: what the client came back with.
    """

    def __init__(self, broker: Broker, view: View, waiter: Waiter, position: Position | None) -> None:
        self._broker = broker
        self._tables = broker.tables
        self._notifier = broker.tables_notifier
        self._now_s = broker.now_s
        self._view = view
        self._waiter = waiter
        self._changes = Changes(broker.tables, view)
        self._encoding = Encoding((*view.key, self._tables.epoch), self._changes.encoded)
        self._cursor: Cursor | None = None
        self._told = 0
        self._told_at_s = 0.0
        self._told_left_out: dict[str, int] = {}
        if position is not None and isinstance(located := self._tables.locate(position), Located):
            self._cursor = located.cursor

    async def events(self) -> AsyncGenerator[bytes, None]:
        """Follows the tables; yields whole frames, and `b""` when it was woken for nothing."""
        if self._cursor is not None:
            self._tell(self._cursor.offset)
            yield self._ready(self._cursor.offset)
        spoke = True
        while True:
            cursor = self._cursor
            if cursor is None or self._too_far_behind(cursor):
                for piece in self._begin_anew():
                    yield piece
                spoke = True
                continue
            version = self._notifier.version
            match self._tables.log.read(cursor):
                case Batch() as batch:
                    self._cursor = batch.next
                    frames = self._frames(batch)
                    if frames:
                        yield frames
                        spoke = True
                case CaughtUp():
                    advance = self._left_out_frame() + self._hidden_advance(cursor)
                    if advance or not spoke:
                        yield advance
                    spoke = False
                    await self._waiter.sleep(self._notifier, version)
                case Closed():
                    return
                case _:
                    self._cursor = None

    # -- the snapshot -----------------------------------------------------------------------------------------------

    def _begin_anew(self) -> Sequence[bytes]:
        """The snapshot and its `ready`, all encoded now: the next change is made in place."""
        self._cursor = self._tables.log.start(self._tables.log.tail)
        self._tell(self._cursor.offset)
        return [*self._snapshot(), self._ready(self._cursor.offset)]

    def _snapshot(self) -> Sequence[bytes]:
        if self._view.shared:
            pieces, _ = self._tables.snapshot(self._view.key, self._pieces)
            return pieces
        return self._pieces(self._tables.document)

    def _pieces(self, document: Mapping[str, Any]) -> Sequence[bytes]:
        """The snapshot's frames, joined to pieces of bounded size."""
        pieces: list[bytes] = []
        held: list[bytes] = []
        size = 0
        for operation in self._rows(document):
            held.append(operation)
            size += len(operation)
            if size >= SNAPSHOT_PIECE_BYTES:
                pieces.append(self._snapshot_frames(held))
                held, size = [], 0
        if held:
            pieces.append(self._snapshot_frames(held))
        return pieces

    def _rows(self, document: Mapping[str, Any]) -> Iterator[bytes]:
        for table in self._view.tables:
            yield orjson.dumps({"op": "add", "path": pointer(table), "value": {}})
            for row_id, row in document[table].items():
                if self._view.viewer.may_see(owner_of(row)):
                    yield orjson.dumps({"op": "add", "path": pointer(table, row_id), "value": row})

    def _snapshot_frames(self, operations: Sequence[bytes]) -> bytes:
        if self._view.batched:
            return frame(b"[" + b",".join(operations) + b"]")
        return b"".join([frame(operation) for operation in operations])

    def _too_far_behind(self, cursor: Cursor) -> bool:
        """Whether the changes missed are more than a snapshot would be."""
        lag = self._tables.log.tail - cursor.offset
        if lag < TABLES_LAG_RECORDS_MIN:
            return False
        return lag > TABLES_LAG_PER_ROW * sum(len(self._tables.rows(table)) for table in self._view.tables)

    # -- changes ----------------------------------------------------------------------------------------------------

    def _frames(self, batch: Batch) -> bytes:
        """The frames of a batch; empty where all of it is hidden."""
        if self._view.shared:
            frames = batch.encoded(self._encoding)
        else:
            frames = b"".join(self._changes.encoded(batch.first, batch.records()))
        if frames and self._view.batched:
            frames = _array(frames, str(self._tables.position_at(batch.next.offset)))
            self._tell(batch.next.offset)
        return frames

    # -- positions --------------------------------------------------------------------------------------------------

    def _ready(self, applied: int) -> bytes:
        lack = self._broker.tables_lack
        before = (comment(lack) if lack else b"") + self._left_out_frame()
        return before + frame(b"{}", event="ready", position=self._tables.position_at(applied))

    def _left_out_frame(self) -> bytes:
        """Tells how many rows are left out of each table of the view, if that is not what was told last."""
        counts = {table: count for table in self._view.tables if (count := self._tables.left_out(table))}
        if counts == self._told_left_out:
            return b""
        self._told_left_out = counts
        return frame(orjson.dumps(counts), event="left-out")

    def _tell(self, applied: int) -> None:
        self._told = applied
        self._told_at_s = self._now_s()

    def _hidden_advance(self, cursor: Cursor) -> bytes:
        """Moves the client's position on over what it may not see, if that was not done a moment ago."""
        if cursor.offset == self._told or self._now_s() - self._told_at_s < HIDDEN_ADVANCE_S:
            return b""
        self._tell(cursor.offset)
        return position_only(self._tables.position_at(cursor.offset))


_last_array: tuple[bytes, str, bytes] = (b"", "", b"")


def _array(elements: bytes, position: str) -> bytes:
    """Elements with their commas as one frame; the last one made is kept, for the rest of the crowd."""
    global _last_array  # noqa: PLW0603 - a cache of one, replaced whole
    if _last_array[0] is not elements or _last_array[1] != position:
        _last_array = (elements, position, frame(b"[" + elements[:-1] + b"]", position=position))
    return _last_array[2]
