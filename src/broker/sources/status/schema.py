"""Where states stand in somebody else's database: names of tables and columns, and what is really there.

The names are Supercheck's unless they are set otherwise. What is there is looked up once: databases of one application
differ between its versions, so an optional table or column that is absent reads as NULL, and a table that is absent
knows nothing and forbids nothing.

Values are read as the text that the database makes of them, because the same column is a timestamp, a string or a
number in different databases; only ids have the type of their column, so that its index is used.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from fantail.broker.errors import BrokerError
from fantail.broker.limits import STATUS_TEXT_CHARS_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy.engine import Connection, Inspector
    from sqlalchemy.sql import ColumnElement, FromClause

COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "runs": (
        "id", "job_id", "status", "duration", "started_at", "completed_at", "artifact_paths", "error_details",
        "updated_at", "user_id",
    ),
    "reports": ("entity_type", "entity_id", "report_path", "status", "s3_url", "updated_at"),
    "jobs": ("id", "name"),
    "tests": ("id", "user_id"),
}  # fmt: skip
# Without these a table of that name is another one.
_NEEDED: Final = {"runs": ("id", "status"), "reports": ("entity_id", "status"), "jobs": ("id",), "tests": ("id",)}


class WrongNameError(BrokerError, ValueError):
    """A name was given to a table or column that there is none of."""


@dataclass(frozen=True, slots=True)
class Names:
    """What tables and columns are called there, where it is not what they are called here.

    Attributes:
        given: `{"runs": "ci.test_runs", "runs.user_id": "created_by"}`; a table's name may carry its schema.
    """

    given: Mapping[str, str]

    def __post_init__(self) -> None:
        known = set(COLUMNS) | {f"{table}.{column}" for table, columns in COLUMNS.items() for column in columns}
        for name in self.given:
            if name not in known:
                raise WrongNameError(f"there is no table or column {name}; there are {', '.join(sorted(known))}")

    def table(self, table: str) -> tuple[str | None, str]:
        """The schema, None for the usual one, and the table's name."""
        schema, _, name = self.given.get(table, table).rpartition(".")
        return schema or None, name

    def column(self, table: str, column: str) -> str:
        """The column's name."""
        return self.given.get(f"{table}.{column}", column)


class Table:
    """One table as it is."""

    def __init__(self, source: FromClause, columns: Mapping[str, str], uuids: frozenset[str]) -> None:
        self.source = source
        self._columns = columns
        self._uuids = uuids

    def has(self, column: str) -> bool:
        """Whether it has that column."""
        return column in self._columns

    def column(self, column: str) -> ColumnElement[Any]:
        """The column itself, to compare with."""
        return self.source.c[self._columns[column]]

    def text(self, column: str) -> ColumnElement[str]:
        """The column's value as text; NULL where there is no such column."""
        return sa.cast(self.column(column) if self.has(column) else sa.null(), sa.String).label(column)

    def opening(self, column: str) -> ColumnElement[str]:
        """The value's text, cut after one character more than is shown (`shown`): a column may hold megabytes."""
        return sa.func.substr(self.text(column), 1, STATUS_TEXT_CHARS_MAX + 1).label(column)

    def ids(self, column: str, given: Iterable[str]) -> list[Any]:
        """Ids in the forms in which that column may have them. One that cannot be in it is left out."""
        if column in self._uuids:
            return [found for each in given if (found := uuid_of(each)) is not None]
        forms: dict[str, None] = {}
        for each in given:
            forms[each] = None
            if (found := uuid_of(each)) is not None:
                forms |= {str(found): None, found.hex: None}
        return list(forms)


@dataclass(frozen=True, slots=True)
class Schema:
    """The tables that are there."""

    tables: Mapping[str, Table]

    @property
    def whole(self) -> bool:
        """Whether all of them are."""
        return len(self.tables) == len(COLUMNS)

    def get(self, table: str) -> Table | None:
        """A table, None where it is not there."""
        return self.tables.get(table)


def shown(text: str | None) -> str | None:
    """What is shown of a text that `Table.opening` has read: all of it, or its beginning and a mark."""
    if text is None or len(text) <= STATUS_TEXT_CHARS_MAX:
        return text
    return f"{text[:STATUS_TEXT_CHARS_MAX]} … [cut off here; the database has the whole text]"


def uuid_of(text: str) -> uuid.UUID | None:
    """The UUID that a text is, if it is one."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def plain(text: str) -> str:
    """An id in the one form in which two of them can be compared."""
    found = uuid_of(text)
    return text if found is None else str(found)


def reflect(connection: Connection, names: Names) -> Schema:
    """Looks what is there."""
    inspector = sa.inspect(connection)
    tables = {table: found for table in COLUMNS if (found := _reflect_table(inspector, names, table)) is not None}
    return Schema(tables)


def _reflect_table(inspector: Inspector, names: Names, table: str) -> Table | None:
    schema, name = names.table(table)
    if not inspector.has_table(name, schema=schema):
        return None
    types = {column["name"]: column["type"] for column in inspector.get_columns(name, schema=schema)}
    there = {column: theirs for column in COLUMNS[table] if (theirs := names.column(table, column)) in types}
    if any(column not in there for column in _NEEDED[table]):
        return None
    uuids = frozenset(column for column, theirs in there.items() if isinstance(types[theirs], sa.Uuid))
    columns = [sa.column(theirs, sa.Uuid() if column in uuids else sa.String()) for column, theirs in there.items()]
    return Table(sa.table(name, *columns, schema=schema), there, uuids)
