"""The tables that every dashboard watches: one document `{table: {id: row}}`, changed row by row.

It mirrors Redis hashes, and takes a `DatabaseChange` from code. Each operation is on `/table`, `/table/id` or
`/table/id/field`, and is noted with the owner of its row, so that a face can decide who may see it.

Visibility (trap 40). A row with a `user_id` is its user's; one without is everyone's. A change that hands a row to
another owner is written as `remove` of the row under the old owner and `add` of it under the new: whoever loses it
sees the removal, whoever gains it the whole row, and no field written after the change reaches the old owner.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, assert_never

from fantail.broker.documents.json_patch import pointer
from fantail.broker.documents.patch_store import PatchStore, flat_changes, held_bytes
from fantail.broker.limits import ROW_TEXT_CHARS_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from fantail.broker.documents.json_patch import JsonValue, Operation


OWNER: Final = "user_id"


class ChangeKind(StrEnum):
    """What happened to a row."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class DatabaseChange:
    """One row of one table was inserted, updated in part, or deleted.

    Attributes:
        table: the table's name.
        operation: `insert` sets the whole row, `update` sets the members given (None removes one), `delete` removes it.
        id: the row's id.
        data: the row, or the members that change; None with `delete`.
    """

    table: str
    operation: ChangeKind
    id: str
    data: Mapping[str, JsonValue] | None = None


def owner_of(row: Mapping[str, Any]) -> str | None:
    """Whose row it is, or whose job; None: everyone's."""
    owner = row.get(OWNER)
    return None if owner is None or owner == "" else str(owner)


def _shown(name: str, value: JsonValue) -> JsonValue:
    """A member as a row has it. Its owner is never cut: who may see the row is decided on it."""
    if not isinstance(value, str) or len(value) <= ROW_TEXT_CHARS_MAX or name == OWNER:
        return value
    mark = f"… ({len(value):,} characters)"
    return value[: ROW_TEXT_CHARS_MAX - len(mark)] + mark


class Tables(PatchStore):
    """The global document. Every operation is noted with its row's owner (None: everyone's).

    Args:
        names: the tables there are, each `{}` at first.
        omitted: members that are left out of rows because they are long; the job itself has them.
    """

    def __init__(
        self,
        names: Iterable[str],
        epoch: str,
        *,
        omitted: frozenset[str] = frozenset({"prompt", "environment"}),
        on_change: Callable[[], None] = lambda: None,
        uses: Iterator[int] | None = None,
    ) -> None:
        super().__init__(epoch, on_change=on_change, uses=uses)
        self.names = tuple(names)
        self.omitted = omitted
        self._rows_bytes = 0
        self._left_out: dict[str, int] = {}
        self._on_change = on_change
        self.append([{"op": "add", "path": pointer(name), "value": {}} for name in self.names], 0.0)

    def rows(self, table: str) -> Mapping[str, Mapping[str, Any]]:
        """The rows of a table by id, as they are now; not to be kept over an await."""
        rows: Mapping[str, Mapping[str, Any]] = self.document[table]
        return rows

    def left_out(self, table: str) -> int:
        """How many rows the source has, of all users, that are too old for the bound of the table."""
        return self._left_out.get(table, 0)

    def note_left_out(self, table: str, count: int) -> None:
        """Takes the number of rows that are left out; whoever watches is woken if it has changed."""
        if count != self.left_out(table):
            self._left_out[table] = count
            self._on_change()

    @property
    def retained_bytes(self) -> int:
        """What they hold in memory: the log, the rows, snapshots."""
        return self.log.retained_bytes + self._rows_bytes + self.snapshot_bytes

    def put_row(self, table: str, row_id: str, row: Mapping[str, JsonValue] | None, now_s: float) -> None:
        """Makes a row what it shall be; None removes it. No change appends nothing. Long texts are cut."""
        before = self.document[table].get(row_id)
        after = None if row is None else {name: _shown(name, row[name]) for name in row if name not in self.omitted}
        grown_bytes = held_bytes(after) - held_bytes(before)
        path = (table, row_id)
        removal: Operation = {"op": "remove", "path": pointer(*path)}
        if before is None and after is None:
            return
        if before is None and after is not None:
            self._append([{"op": "add", "path": pointer(*path), "value": after}], [owner_of(after)], now_s)
        elif after is None:
            self._append([removal], [owner_of(before)], now_s)
        elif owner_of(before) != owner_of(after):
            arrival: Operation = {"op": "add", "path": pointer(*path), "value": after}
            self._append([removal, arrival], [owner_of(before), owner_of(after)], now_s)
        else:
            changes = flat_changes(path, before, after)
            self._append(changes, [owner_of(after)] * len(changes), now_s)
        self._rows_bytes += grown_bytes

    def apply(self, change: DatabaseChange, now_s: float) -> None:
        """Applies a change that comes from code.

        Raises:
            KeyError: there is no such table.
        """
        rows = self.rows(change.table)
        row: dict[str, JsonValue] | None = None
        match change.operation:
            case ChangeKind.DELETE:
                pass
            case ChangeKind.INSERT:
                row = dict(change.data or {})
            case ChangeKind.UPDATE:
                merged = {**rows.get(change.id, {}), **(change.data or {})}
                row = {name: value for name, value in merged.items() if value is not None}
            case _:
                assert_never(change.operation)
        self.put_row(change.table, change.id, row, now_s)

    def _append(self, operations: list[Operation], owners: list[str | None], now_s: float) -> None:
        self.append(operations, now_s, notes=list(owners))
