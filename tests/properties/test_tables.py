"""What each viewer is shown of the tables folds into the rows that viewer may see, and nothing else (trap 40).

A face shows a viewer the operations that are noted with nobody or with that viewer. The rows here are random and
change hands at random; every viewer folds what it is shown, and after each change has just what it may see.
"""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fantail.broker.documents.json_patch import apply_in_place
from fantail.broker.documents.patch_store import operation_of
from fantail.broker.log.msg_store import Batch
from fantail.broker.log.position import Cursor
from fantail.broker.tables import ChangeKind, DatabaseChange, Tables
from support.json_equality import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

VIEWERS = ("ada", "bob")
TABLES = ("jobs", "tasks")

owners = st.sampled_from([None, "", "ada", "bob", "eve"])
rows = st.fixed_dictionaries(
    {"user_id": owners},
    optional={"status": st.sampled_from(["running", "failed"]), "n": st.sampled_from([0, 1, True, None, [1], [True]])},
)
ids = st.sampled_from(["1", "2", "a/b"])
puts = st.tuples(st.just("put"), st.sampled_from(TABLES), ids, st.none() | rows)
changes = st.tuples(st.sampled_from(list(ChangeKind)), st.sampled_from(TABLES), ids, st.just({}) | rows)


def may_see(row: dict[str, Any], viewer: str) -> bool:
    return row.get("user_id") in (None, "", viewer)


def rows_for(document: Mapping[str, Any], viewer: str) -> dict[str, Any]:
    return {
        table: {row_id: dict(row) for row_id, row in found.items() if may_see(row, viewer)}
        for table, found in document.items()
    }


def visible(tables: Tables, viewer: str) -> dict[str, Any]:
    return rows_for(tables.document, viewer)


class View:
    """What one viewer has: a document folded from what it was shown."""

    def __init__(self, tables: Tables, viewer: str) -> None:
        self.tables = tables
        self.viewer = viewer
        self.document: Any = {}
        self.cursor = Cursor(tables.log.generation, 0)

    def catch_up(self) -> list[Any]:
        shown: list[Any] = []
        while isinstance(batch := self.tables.log.read(self.cursor), Batch):
            noted = [operation_of(record) for record in batch.records()]
            shown += [operation for operation, owner in noted if owner in (None, self.viewer)]
            self.cursor = batch.next
        apply_in_place(self.document, shown)
        return shown


def check(tables: Tables, views: list[View], before: dict[str, Any]) -> None:
    for view in views:
        shown = view.catch_up()
        now = visible(tables, view.viewer)
        assert canonical(view.document) == canonical(now)
        for operation in shown:
            assert operation["op"] in ("add", "replace", "remove")
            _, table, *rest = operation["path"].split("/")
            assert len(rest) <= 2
            if rest and operation["op"] != "remove":
                row_id = rest[0].replace("~1", "/")
                assert row_id in now[table]  # nothing of a row that is another's, not even for a moment
            elif rest:
                assert rest[0].replace("~1", "/") in {**before[view.viewer][table], **now[table]}


@given(st.lists(puts | changes, max_size=40))
@settings(max_examples=200, deadline=None)
def test_every_viewer_has_at_every_point_the_rows_it_may_see(steps: list[Any]) -> None:
    tables = Tables(TABLES, "e1")
    views = [View(tables, viewer) for viewer in VIEWERS]
    check(tables, views, {viewer: {table: {} for table in TABLES} for viewer in VIEWERS})
    for what, table, row_id, row in steps:
        before = {viewer: visible(tables, viewer) for viewer in VIEWERS}
        if what == "put":
            tables.put_row(table, row_id, row, 0.0)
        else:
            tables.apply(DatabaseChange(table, what, row_id, row), 0.0)
        check(tables, views, before)


@given(st.lists(puts, min_size=1, max_size=40), st.data())
@settings(deadline=None)
def test_a_viewer_that_comes_later_with_a_snapshot_has_the_same(steps: list[Any], data: st.DataObject) -> None:
    tables = Tables(TABLES, "e1")
    late = data.draw(st.integers(0, len(steps)))
    views: list[View] = []
    for number, (_, table, row_id, row) in enumerate(itertools.chain(steps, [steps[-1]])):
        if number == late:
            views = [View(tables, viewer) for viewer in VIEWERS]
            for view in views:
                encode = partial(rows_for, viewer=view.viewer)
                view.document, position = tables.snapshot(view.viewer, encode)
                view.cursor = Cursor(tables.log.generation, position.offset)
        tables.put_row(table, row_id, row, 0.0)
    for view in views:
        view.catch_up()
        assert canonical(view.document) == canonical(visible(tables, view.viewer))
