"""A document and the patches that made it: a log of JSON Patch operations, and what they fold into.

The document changes in one way only: by appending operations. They are encoded, read back, applied in place as a
whole, and logged, so a snapshot and the operations after it always fold into the document as it is now, down to what
JSON makes of a value (the stateful test in tests/properties/test_patch_store.py says so).

The position of a document is `<number of operations applied>-<epoch>`. The epoch is a random id of the process that
holds the document: another process may have reached the same state in other steps, so a reader that comes with
another epoch gets a snapshot, and so does one whose next operation is no longer in memory.

In place, because copying a document of 5,000 rows for one field takes thousands of times longer than the change
itself; the price is that a snapshot must be encoded before the next change, so it is handed to an encoder at once
and only what the encoder made is kept.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from fantail.broker.documents.json_patch import WIRE_OPERATIONS, apply_in_place, pointer
from fantail.broker.errors import PatchError, StoreClosedError
from fantail.broker.limits import PATCH_STORE_BYTES_MAX, PATCH_STORE_RECORDS_MAX
from fantail.broker.log.msg_store import MsgStore, Retention
from fantail.broker.log.outcomes import Diverged, Located, Reason
from fantail.broker.log.position import Cursor, Position
from fantail.broker.log.records import Record, compact

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

    from fantail.broker.documents.json_patch import JsonValue, Operation

T = TypeVar("T")


class PatchStore:
    """A JSON object that is only ever changed by appending JSON Patch operations to its log.

    Attributes:
        log: the operations; each record's data is the JSON array `[operation, note]`, read with `operation_of`.
        document: what they fold into. To be read, never changed, and not to be kept over an await.
        epoch: the tag of all positions.

    Args:
        epoch: a random id of this process, of `[0-9A-Za-z_-]`.
        on_change: called after every append.
        uses: see `MsgStore`.
    """

    def __init__(
        self,
        epoch: str,
        *,
        retention: Retention | None = None,
        on_change: Callable[[], None] = lambda: None,
        uses: Iterator[int] | None = None,
    ) -> None:
        self.epoch = epoch
        self.document: dict[str, Any] = {}
        self.log = MsgStore(
            retention or Retention(bytes_max=PATCH_STORE_BYTES_MAX, records_max=PATCH_STORE_RECORDS_MAX),
            on_change=on_change,
            uses=uses,
        )
        self._snapshots: dict[Hashable, tuple[int, object, int]] = {}

    def append(self, operations: Sequence[Operation], now_s: float, notes: Sequence[JsonValue] | None = None) -> None:
        """Applies operations to the document and logs them, all or none.

        Args:
            operations: only `add`, `replace` and `remove`, none on the whole document (path `""`).
            now_s: for retention.
            notes: one for each operation: what a face must know of it later, and no client sees.

        Raises:
            PatchError: they are others, do not apply, or hold what JSON cannot carry; nothing has changed.
            StoreClosedError: the log has ended; nothing has changed.
        """
        if not operations:
            return
        if self.log.closed:
            raise StoreClosedError("append to a closed document")
        noted = zip(operations, notes or repeat(None, len(operations)), strict=True)
        records = [Record(_encoded(operation, note), 0) for operation, note in noted]
        apply_in_place(self.document, [operation_of(record)[0] for record in records])
        self.log.append(records, now_s)

    def position(self) -> Position:
        """The position of the document as it is now."""
        return self.position_at(self.log.tail)

    def position_at(self, applied: int) -> Position:
        """The position after so many operations."""
        return Position(applied, self.epoch)

    def locate(self, position: Position) -> Located | Diverged:
        """Finds where the reader of a position goes on; Diverged means: it needs a snapshot."""
        if position.tag != self.epoch:
            return Diverged(Reason.TAG)
        if not self.log.head <= position.offset <= self.log.tail:
            return Diverged(Reason.OFFSET)
        return Located(Cursor(self.log.generation, position.offset))

    def snapshot(self, key: Hashable, encode: Callable[[Mapping[str, Any]], T]) -> tuple[T, Position]:
        """The document as an encoder writes it, and its position; made once for all who ask between two changes.

        Args:
            key: names the encoder; equal keys must encode equally.
            encode: takes the document and keeps no part of it.
        """
        kept = self._snapshots.get(key)
        if kept is None or kept[0] != self.log.tail:
            self.forget_old_snapshots()
            made = encode(self.document)
            kept = self._snapshots[key] = (self.log.tail, made, held_bytes(made))
        return kept[1], self.position()  # type: ignore[return-value]  # a key has one encoder, so one T

    @property
    def snapshot_bytes(self) -> int:
        """What the snapshots that are kept take, about."""
        return sum(size for _, _, size in self._snapshots.values())

    def forget_old_snapshots(self) -> None:
        """Gives up the snapshots of what the document was before; nobody is given them any more."""
        if self._snapshots:
            self._snapshots = {name: kept for name, kept in self._snapshots.items() if kept[0] == self.log.tail}


def held_bytes(value: object) -> int:
    """What texts, bytes, and lists and objects of them take, about: their lengths. Other values count nothing."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(held_bytes(name) + held_bytes(member) for name, member in value.items())
    if isinstance(value, list | tuple):
        return sum(map(held_bytes, value))
    return 0


def _encoded(operation: Operation, note: JsonValue) -> bytes:
    if operation["op"] not in WIRE_OPERATIONS or operation["path"] == "":
        raise PatchError("a document is changed by add, replace and remove of its members")
    try:
        return compact(orjson.dumps([operation, note]))
    except TypeError as fault:
        raise PatchError(f"a value cannot be written as JSON: {fault}") from fault


def operation_of(record: Record) -> tuple[Operation, Any]:
    """The operation and the note of a logged record."""
    operation, note = orjson.loads(record.data)
    return operation, note


def flat_changes(path: Sequence[str], before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Operation]:
    """The operations that turn one flat object (a Redis hash, a row) into another, member by member.

    Args:
        path: where the object is in its document, as unescaped tokens.
        before: its members as they are.
        after: its members as they shall be.
    """
    changes: list[Operation] = [{"op": "remove", "path": pointer(*path, name)} for name in before if name not in after]
    for name, value in after.items():
        if name not in before:
            changes.append({"op": "add", "path": pointer(*path, name), "value": value})
        elif not _same(before[name], value):
            changes.append({"op": "replace", "path": pointer(*path, name), "value": value})
    return changes


def _same(one: Any, other: Any) -> bool:
    """JSON's equality: `true` is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(member, other[name]) for name, member in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)
