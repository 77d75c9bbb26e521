"""The tables: which operations a change of a row becomes, and whose eyes each of them is for."""

from __future__ import annotations

from typing import Any

import pytest

from fantail.broker.documents.json_patch import apply_in_place
from fantail.broker.documents.patch_store import operation_of
from fantail.broker.limits import ROW_TEXT_CHARS_MAX
from fantail.broker.log.msg_store import Batch
from fantail.broker.tables import ChangeKind, DatabaseChange, Tables, owner_of

EVERYONE = None


def tables_of(**rows: dict[str, Any]) -> Tables:
    tables = Tables(("jobs", "tasks"), "e1")
    for row_id, row in rows.items():
        tables.put_row("jobs", row_id, row, 0.0)
    return tables


def after(tables: Tables, applied: int) -> list[tuple[Any, Any]]:
    batch = tables.log.read(tables.log.start(applied))
    return [operation_of(record) for record in batch.records()] if isinstance(batch, Batch) else []


def check(tables: Tables, row_id: str, row: dict[str, Any] | None, expected: list[tuple[str, str, Any]]) -> None:
    """Putting the row writes these operations: (op, path, whose)."""
    applied = tables.log.tail
    tables.put_row("jobs", row_id, row, 0.0)
    assert [(operation["op"], operation["path"], owner) for operation, owner in after(tables, applied)] == expected


def test_each_table_is_there_and_empty_at_first() -> None:
    tables = tables_of()
    assert tables.document == {"jobs": {}, "tasks": {}}
    assert apply_in_place({}, [operation for operation, _ in after(tables, 0)]) == tables.document


def test_a_row_comes_changes_field_by_field_and_goes() -> None:
    tables = tables_of()
    check(tables, "1", {"status": "running"}, [("add", "/jobs/1", EVERYONE)])
    check(tables, "1", {"status": "running"}, [])
    check(
        tables,
        "1",
        {"status": "success", "exit_code": "0"},
        [("replace", "/jobs/1/status", EVERYONE), ("add", "/jobs/1/exit_code", EVERYONE)],
    )
    check(tables, "1", {"exit_code": "0"}, [("remove", "/jobs/1/status", EVERYONE)])
    check(tables, "1", None, [("remove", "/jobs/1", EVERYONE)])
    check(tables, "1", None, [])


def test_what_the_rows_hold_is_counted_through_every_change() -> None:
    tables = tables_of()

    def rows_bytes() -> int:
        return tables.retained_bytes - tables.log.retained_bytes

    assert rows_bytes() == 0
    for row, held in (
        ({"status": "running"}, 13),
        ({"status": "running", "name": "x" * 100}, 117),
        ({"status": "failed", "user_id": "ada"}, 22),
        (None, 0),
        (None, 0),
    ):
        tables.put_row("jobs", "1", row, 0.0)
        assert rows_bytes() == held
    tables.snapshot("face", lambda _: [b"x" * 50, b"y" * 50])
    assert rows_bytes() == 100


def test_each_operation_is_noted_with_the_owner_of_its_row() -> None:
    tables = tables_of()
    check(tables, "1", {"user_id": "ada"}, [("add", "/jobs/1", "ada")])
    check(tables, "1", {"user_id": "ada", "x": 1}, [("add", "/jobs/1/x", "ada")])
    check(tables, "1", None, [("remove", "/jobs/1", "ada")])


@pytest.mark.parametrize(
    ("before", "later"),
    [("ada", "bob"), (None, "bob"), ("ada", None)],
    ids=["to another", "from everyone to one", "from one to everyone"],
)
def test_a_row_that_changes_hands_leaves_its_old_owner_and_comes_whole_to_its_new_one(  # trap 40
    before: str | None, later: str | None
) -> None:
    tables = tables_of(**{"1": {"user_id": before, "status": "running"}})
    check(
        tables,
        "1",
        {"user_id": later, "status": "secret"},
        [("remove", "/jobs/1", before), ("add", "/jobs/1", later)],
    )
    check(tables, "1", {"user_id": later, "status": "more"}, [("replace", "/jobs/1/status", later)])


def test_true_is_not_one() -> None:
    tables = tables_of(**{"1": {"done": 0}})
    check(tables, "1", {"done": False}, [("replace", "/jobs/1/done", EVERYONE)])


def test_long_members_are_left_to_the_job_itself() -> None:
    tables = tables_of()
    check(tables, "1", {"prompt": "x" * 9999, "environment": {}, "status": "running"}, [("add", "/jobs/1", EVERYONE)])
    assert tables.rows("jobs") == {"1": {"status": "running"}}
    check(tables, "1", {"prompt": "y", "status": "running"}, [])


def test_a_text_that_no_table_could_show_is_cut_with_a_mark_of_how_much() -> None:
    long = "x" * 20_000_000
    tables = tables_of(a={"name": long, "branch": "x" * ROW_TEXT_CHARS_MAX})
    row = tables.rows("jobs")["a"]
    assert row["name"].startswith("xxx")
    assert row["name"].endswith("… (20,000,000 characters)")
    assert len(row["name"]) == len(row["branch"]) == ROW_TEXT_CHARS_MAX
    check(tables, "a", {"name": row["name"], "branch": "main"}, [("replace", "/jobs/a/branch", EVERYONE)])


def test_an_owner_is_never_cut() -> None:
    owner = "x" * 20_000
    check(tables_of(a={}), "a", {"user_id": owner}, [("remove", "/jobs/a", EVERYONE), ("add", "/jobs/a", owner)])
    check(tables_of(a={"user_id": owner}), "a", {"user_id": owner}, [])


def test_ids_and_fields_are_escaped() -> None:
    tables = tables_of()
    check(tables, "a/b~", {"c/d": 1}, [("add", "/jobs/a~1b~0", EVERYONE)])
    check(tables, "a/b~", {"c/d": 2}, [("replace", "/jobs/a~1b~0/c~1d", EVERYONE)])


@pytest.mark.parametrize(
    ("row", "owner"),
    [({}, None), ({"user_id": None}, None), ({"user_id": ""}, None), ({"user_id": "a"}, "a"), ({"user_id": 0}, "0")],
)
def test_a_row_without_an_owner_is_everyones(row: dict[str, Any], owner: str | None) -> None:
    assert owner_of(row) == owner


def change(operation: str, row_id: str = "1", data: dict[str, Any] | None = None) -> DatabaseChange:
    return DatabaseChange("tasks", ChangeKind(operation), row_id, data)


def test_an_insert_sets_the_whole_row_an_update_the_members_given_a_delete_removes_it() -> None:
    tables = tables_of()
    tables.apply(change("insert", data={"a": 1, "b": None}), 0.0)
    assert tables.rows("tasks") == {"1": {"a": 1, "b": None}}
    tables.apply(change("update", data={"b": 2, "a": None, "c": 3}), 0.0)
    assert tables.rows("tasks") == {"1": {"b": 2, "c": 3}}
    tables.apply(change("insert", data={"d": 4}), 0.0)
    assert tables.rows("tasks") == {"1": {"d": 4}}
    tables.apply(change("update", "2"), 0.0)
    assert tables.rows("tasks") == {"1": {"d": 4}, "2": {}}
    tables.apply(change("delete"), 0.0)
    tables.apply(change("delete"), 0.0)
    assert tables.rows("tasks") == {"2": {}}


def test_a_change_of_a_table_that_is_none_is_refused() -> None:
    with pytest.raises(KeyError):
        tables_of().apply(DatabaseChange("users", ChangeKind.DELETE, "1"), 0.0)


def test_a_word_that_is_no_operation_deletes_nothing() -> None:
    tables = tables_of(**{"1": {"a": 1}})
    wrong: Any = "truncate"
    with pytest.raises(AssertionError):
        tables.apply(DatabaseChange("jobs", wrong, "1"), 0.0)
    assert tables.rows("jobs") == {"1": {"a": 1}}
