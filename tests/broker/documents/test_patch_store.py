"""A document that is only ever changed by patches, case by case."""

from __future__ import annotations

import copy
import enum
from typing import Any

import pytest

from fantail.broker.documents.json_patch import apply_in_place
from fantail.broker.documents.patch_store import PatchStore, flat_changes, operation_of
from fantail.broker.errors import PatchError, StoreClosedError
from fantail.broker.log.msg_store import Batch, Retention
from fantail.broker.log.outcomes import CaughtUp, Diverged, Located, Lost, Reason
from fantail.broker.log.position import Cursor, Position
from support.json_equality import canonical

EPOCH = "e1"


def add(path: str, value: Any) -> Any:
    return {"op": "add", "path": path, "value": value}


def remove(path: str) -> Any:
    return {"op": "remove", "path": path}


def replace(path: str, value: Any) -> Any:
    return {"op": "replace", "path": path, "value": value}


def store_of(*operations: Any, **bounds: Any) -> PatchStore:
    store = PatchStore(EPOCH, retention=Retention(**bounds) if bounds else None)
    for operation in operations:
        store.append([operation], 0.0)
    return store


def logged(store: PatchStore, applied: int = 0) -> list[tuple[Any, Any]]:
    """The operations and notes after so many."""
    found: list[tuple[Any, Any]] = []
    cursor = store.log.start(applied)
    while isinstance(batch := store.log.read(cursor), Batch):
        found += [operation_of(record) for record in batch.records()]
        cursor = batch.next
    return found


def check(store: PatchStore, operations: list[Any], expected: Any) -> None:
    """The operations make this document, are logged as they are, and fold into the same again."""
    before, applied = copy.deepcopy(store.document), store.log.tail
    store.append(operations, 0.0)
    assert canonical(store.document) == canonical(expected)
    assert [operation for operation, _ in logged(store, applied)] == operations
    assert canonical(apply_in_place(before, operations)) == canonical(expected)
    assert store.position() == Position(applied + len(operations), EPOCH)


def refused(store: PatchStore, operations: list[Any], error: type[Exception] = PatchError) -> None:
    before, position, log = repr(store.document), store.position(), logged(store)
    with pytest.raises(error):
        store.append(operations, 0.0)
    assert (repr(store.document), store.position(), logged(store)) == (before, position, log)


def test_operations_are_applied_and_logged_in_order() -> None:
    store = store_of()
    check(store, [add("/a", 1), add("/b", {"c": []})], {"a": 1, "b": {"c": []}})
    check(store, [add("/b/c/-", 2), replace("/a", None), remove("/b/c/0")], {"a": None, "b": {"c": []}})


def test_no_operation_is_no_change() -> None:
    rings: list[int] = []
    store = PatchStore(EPOCH, on_change=lambda: rings.append(1))
    store.append([], 0.0)
    assert rings == []
    store.append([add("/a", 1), add("/b", 1)], 0.0)
    assert rings == [1]


@pytest.mark.parametrize(
    "operations",
    [
        [add("/a/b", 1)],
        [add("/new", 1), remove("/none")],
        [remove("/a"), replace("/a", 1)],
        [add("/new", {1, 2})],
        [add("/new", 1), add("/x", float)],
        [add("/new", 2**64)],
        [add("/new", "\ud800")],
        [add("/new", {"\ud800": 1})],
        [add("/\ud800", 1)],
        [add("/new", {1: 2})],
        [add("", {})],
        [add("/new", 1), replace("", {})],
        [remove("")],
        [{"op": "move", "from": "/a", "path": "/b"}],
        [{"op": "copy", "from": "/a", "path": "/b"}],
        [{"op": "test", "path": "/a", "value": 1}],
        [{"op": "append", "path": "/a", "value": 1}],
    ],
    ids=repr,
)
def test_a_patch_that_fails_changes_nothing(operations: list[Any]) -> None:
    refused(store_of(add("/a", 1)), operations)


def test_a_value_nested_too_deeply_changes_nothing() -> None:
    deep: Any = []
    for _ in range(400):
        deep = [deep]
    refused(store_of(add("/a", 1)), [add("/new", 1), add("/deep", deep)])


def test_a_closed_document_is_not_changed() -> None:
    store = store_of(add("/a", 1))
    store.log.close()
    refused(store, [add("/b", 1)], StoreClosedError)


def test_a_note_for_each_operation_or_nothing_happens() -> None:
    store = store_of()
    before = store.position()
    with pytest.raises(ValueError, match="argument"):
        store.append([add("/a", 1), add("/b", 2)], 0.0, notes=["one"])
    assert (store.document, store.position()) == ({}, before)
    store.append([add("/a", 1), add("/b", 2)], 0.0, notes=["one", None])
    assert logged(store) == [(add("/a", 1), "one"), (add("/b", 2), None)]


def test_the_document_is_what_json_makes_of_its_values() -> None:
    class Colour(enum.StrEnum):
        RED = "red"

    store = store_of()
    store.append([add("/a", (1, Colour.RED)), add("/b", float("nan"))], 0.0)
    assert repr(store.document) == repr({"a": [1, "red"], "b": None})


def test_a_value_changed_after_its_patch_changes_neither_document_nor_log() -> None:
    value = {"x": [1]}
    store = store_of(add("/a", value))
    value["x"].append(2)
    assert store.document == {"a": {"x": [1]}}
    store.append([add("/a/x/-", 3)], 0.0)
    assert logged(store)[0][0] == add("/a", {"x": [1]})


# -- positions ------------------------------------------------------------------------------------------------------


def test_a_reader_of_this_epoch_goes_on_after_what_it_has() -> None:
    store = store_of(add("/a", 1), add("/b", 2), add("/c", 3))
    for applied in range(4):
        assert store.locate(store.position_at(applied)) == Located(Cursor(0, applied))
    assert logged(store, 2) == [(add("/c", 3), None)]
    assert store.log.read(Cursor(0, 3)) == CaughtUp()


@pytest.mark.parametrize(
    ("position", "reason"),
    [(Position(1, "e2"), Reason.TAG), (Position(0, "0"), Reason.TAG), (Position(2, EPOCH), Reason.OFFSET)],
)
def test_a_reader_of_another_epoch_or_of_the_future_gets_a_snapshot(position: Position, reason: Reason) -> None:
    assert store_of(add("/a", 1)).locate(position) == Diverged(reason)


def test_a_reader_whose_next_operation_is_gone_gets_a_snapshot() -> None:  # trap 19
    store = store_of(*(add(f"/{number}", "x" * 50) for number in range(2000)), records_max=600)
    head = store.log.head
    assert head > 0
    assert store.locate(store.position_at(head - 1)) == Diverged(Reason.OFFSET)
    assert store.locate(store.position_at(head)) == Located(Cursor(0, head))
    assert store.log.read(Cursor(0, head - 1)) == Lost(head - 1, head)


# -- snapshots ------------------------------------------------------------------------------------------------------


def test_a_snapshot_is_encoded_once_for_all_who_ask_between_two_changes() -> None:
    store = store_of(add("/a", 1))
    asked: list[str] = []

    def encode(document: Any) -> str:
        asked.append("encode")
        return repr(document)

    first, position = store.snapshot("face", encode)
    assert store.snapshot("face", encode) == (first, position) == ("{'a': 1}", Position(1, EPOCH))
    assert store.snapshot("face", encode)[0] is first
    assert asked == ["encode"]
    assert store.snapshot("other", len) == (1, position)
    store.append([add("/b", 2)], 0.0)
    assert store.snapshot("face", encode) == ("{'a': 1, 'b': 2}", Position(2, EPOCH))
    assert len(asked) == 2
    assert set(store._snapshots) == {"face"}  # what was made of an older document is let go


# -- flat objects ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, []),
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 2, "x": 1}}, []),
        ({}, {"a/b": None}, [add("/t/a~1b", None)]),
        ({"~": 1}, {}, [remove("/t/~0")]),
        ({"a": "x"}, {"a": "y"}, [replace("/t/a", "y")]),
        ({"a": 1}, {"a": True}, [replace("/t/a", True)]),
        ({"a": False}, {"a": 0}, [replace("/t/a", 0)]),
        ({"a": [{"b": 1}]}, {"a": [{"b": True}]}, [replace("/t/a", [{"b": True}])]),
        ({"a": [1]}, {"a": [1, 2]}, [replace("/t/a", [1, 2])]),
        ({"a": None}, {}, [remove("/t/a")]),
        ({"a": 1, "b": 2}, {"b": 3, "c": 4}, [remove("/t/a"), replace("/t/b", 3), add("/t/c", 4)]),
    ],
)
def test_one_flat_object_is_turned_into_another_member_by_member(
    before: dict[str, Any], after: dict[str, Any], expected: list[Any]
) -> None:
    changes = flat_changes(("t",), before, after)
    assert canonical(changes) == canonical(expected)  # type: ignore[arg-type]
    assert canonical(apply_in_place({"t": before}, changes)) == canonical({"t": after})
