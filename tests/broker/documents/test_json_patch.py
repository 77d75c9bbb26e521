"""What the suite of RFC 6902 does not ask: in place, all or nothing, strict, and errors that give nothing away."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from fantail.broker.documents.json_patch import JsonValue, apply_in_place, diff, escape, normalise, pointer
from fantail.broker.errors import PatchError
from support.json_equality import canonical

ROWS: Any = {"jobs": {"1": {"status": "running", "lines": 3}, "2": {"status": "pending", "secret": "sesame"}}}


def check(document: JsonValue, operations: list[Any], expected: JsonValue) -> None:
    assert canonical(apply_in_place(document, operations)) == canonical(expected)


def refused(document: JsonValue, operations: list[Any]) -> str:
    before = copy.deepcopy(document)
    with pytest.raises(PatchError) as caught:
        apply_in_place(document, operations)
    assert repr(document) == repr(before)  # the order of members included
    return str(caught.value)


def test_the_document_itself_is_changed() -> None:
    document = copy.deepcopy(ROWS)
    row = document["jobs"]["1"]
    patched = apply_in_place(document, [{"op": "replace", "path": "/jobs/1/status", "value": "success"}])
    assert patched is document
    assert row == {"status": "success", "lines": 3}


def test_a_new_root_is_returned_and_the_old_one_left_alone() -> None:
    document: JsonValue = {"a": 1}
    assert apply_in_place(document, [{"op": "add", "path": "", "value": [1]}]) == [1]
    assert document == {"a": 1}


def test_a_patch_that_fails_late_changes_nothing() -> None:
    document = copy.deepcopy(ROWS)
    refused(
        document,
        [
            {"op": "remove", "path": "/jobs/1"},
            {"op": "add", "path": "/jobs/3", "value": {}},
            {"op": "replace", "path": "/jobs/2/status", "value": "running"},
            {"op": "remove", "path": "/jobs/1"},
        ],
    )


def test_a_patch_that_fails_after_replacing_the_root_changes_nothing() -> None:
    refused({"a": [1]}, [{"op": "replace", "path": "", "value": {}}, {"op": "remove", "path": "/a"}])


def test_a_kept_patch_does_not_change_with_the_document() -> None:
    value: JsonValue = {"status": "running"}
    operations: list[Any] = [{"op": "add", "path": "/1", "value": value}]
    document = apply_in_place({}, operations)
    apply_in_place(document, [{"op": "replace", "path": "/1/status", "value": "failed"}])
    assert value == {"status": "running"}


@pytest.mark.parametrize(
    ("document", "operations"),
    [
        ([1], [{"op": "add", "path": "/01", "value": 2}]),
        ([1], [{"op": "remove", "path": "/-"}]),
        ([1], [{"op": "replace", "path": "/-", "value": 2}]),
        ([1], [{"op": "add", "path": "/-1", "value": 2}]),
        ([1], [{"op": "add", "path": "/+0", "value": 2}]),
        ([1], [{"op": "add", "path": "/1e0", "value": 2}]),
        ([1], [{"op": "add", "path": "/ 0", "value": 2}]),
        ([1], [{"op": "add", "path": "/0\n", "value": 2}]),
        ([1, 2], [{"op": "remove", "path": "/\u0661"}]),
        ([1, 2], [{"op": "remove", "path": "/" + "9" * 5000}]),
        ([1], [{"op": "add", "path": "/2", "value": 2}]),
        ({"a": 1}, [{"op": "remove", "path": ""}]),
        ({"a": 1}, [{"op": "remove", "path": "a"}]),
        ({"a": 1}, [{"op": "remove", "path": "/~2"}]),
        ({"a": 1}, [{"op": "remove", "path": "/a~"}]),
        ({"a": 1}, [{"op": "remove", "path": None}]),
        ({"a": 1}, [{"op": "remove"}]),
        ({"a": 1}, [{"op": "add", "path": "/a"}]),
        ({"a": 1}, [{"op": "replace", "path": "/b", "value": 1}]),
        ({"a": 1}, [{"op": "add", "path": "/a/b", "value": 1}]),
        ({"a": "text"}, [{"op": "remove", "path": "/a/0"}]),
        ({"a": None}, [{"op": "add", "path": "/a/b", "value": 1}]),
        ({"a": {"b": 1}}, [{"op": "move", "from": "/a", "path": "/a/b"}]),
        ({"a": 1}, [{"op": "move", "path": "/b"}]),
        ({"a": 1}, [{"op": "copy", "from": 5, "path": "/b"}]),
        ({"a": 1}, [{"op": "test", "path": "/a", "value": True}]),
        ({"a": False}, [{"op": "test", "path": "/a", "value": 0}]),
        ({"a": [1]}, [{"op": "test", "path": "/a", "value": [True]}]),
        ({"a": "1"}, [{"op": "test", "path": "/a", "value": 1}]),
        ({"a": 1}, [{"op": "test", "path": "/a"}]),
        ({"a": 1}, [{"op": "append", "path": "/a", "value": "x"}]),
        ({"a": 1}, [{"path": "/a", "value": "x"}]),
        ({"a": 1}, [["op", "path"]]),
        ({"a": 1}, ["op"]),
        ({"a": 1}, [None]),
    ],
    ids=repr,
)
def test_what_is_no_patch_or_does_not_fit_is_refused(document: JsonValue, operations: list[Any]) -> None:
    refused(document, operations)
    with pytest.raises(PatchError):
        apply_in_place(document, normalise(operations, document))


def test_a_patch_that_is_no_list_is_refused() -> None:
    operations: Any = {"op": "remove", "path": "/a"}
    refused({"a": 1}, operations)


def test_numbers_are_compared_by_value_and_members_without_order() -> None:
    document: JsonValue = {"a": 1.0, "b": {"x": 1, "y": 2}}
    check(
        document,
        [{"op": "test", "path": "/a", "value": 1}, {"op": "test", "path": "/b", "value": {"y": 2, "x": 1}}],
        document,
    )


def test_members_of_any_name_can_be_reached() -> None:
    names = ["", "/", "~", "~1", "~0", "-", "0", "01", "a b", "é", "\u0000", "\ud800", "__proto__", "%20"]
    for name in names:
        check({name: {name: 1}}, [{"op": "replace", "path": pointer(name, name), "value": 2}], {name: {name: 2}})
        check({}, [{"op": "add", "path": pointer(name), "value": 1}], {name: 1})
        check({name: 1}, [{"op": "remove", "path": pointer(name)}], {})


def test_an_error_says_nothing_of_the_rest_of_the_document() -> None:
    for operations in (
        [{"op": "remove", "path": "/jobs/3/status"}],
        [{"op": "remove", "path": "/jobs/3"}],
        [{"op": "test", "path": "/jobs", "value": 1}],
        [{"op": "move", "from": "/jobs/3", "path": "/x"}],
    ):
        message = refused(copy.deepcopy(ROWS), operations)
        assert "sesame" not in message
        assert len(message) < 400


def test_values_nested_without_end_are_refused_and_not_a_crash() -> None:
    deep: JsonValue = 1
    for _ in range(5000):
        deep = [deep]
    refused({}, [{"op": "add", "path": "/a", "value": deep}])
    deep_too: JsonValue = 2
    for _ in range(5000):
        deep_too = [deep_too]
    with pytest.raises(PatchError):
        diff({"a": deep}, {"a": deep_too})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"a": 1}, {"a": True}),
        ({"a": 0}, {"a": False}),
        ({"a": [1, 0]}, {"a": [True, False]}),
        ([{"a": 1}], [{"a": True}]),
        ([1, True, 0, False], [True, 1, False, 0]),
        ([[1], [2], [3]], [[3], [1], [2]]),
        ([1, 2, 3], []),
        ([], [1, 2, 3]),
        ({"a": {}}, {"a": []}),
        ({"a": None}, {}),
        ({}, {"a": None}),
        ({"": 1}, {"": 2}),
        ({"a/b": {"~": 1}}, {"a/b": {"~": 2}}),
        ([], {}),
        (1, True),
        (None, "x"),
        ("x", None),
    ],
    ids=repr,
)
def test_a_difference_is_found_and_told_in_three_operations(before: JsonValue, after: JsonValue) -> None:
    operations = diff(before, after)
    assert operations
    assert {operation["op"] for operation in operations} <= {"add", "replace", "remove"}
    check(copy.deepcopy(before), list(operations), after)


def test_no_difference_no_operation() -> None:
    assert diff(ROWS, copy.deepcopy(ROWS)) == []
    assert diff({"a": 1, "b": 2}, {"b": 2, "a": 1}) == []


def test_one_changed_field_is_one_operation() -> None:
    after = copy.deepcopy(ROWS)
    after["jobs"]["1"]["status"] = "success"
    assert diff(ROWS, after) == [{"op": "replace", "path": "/jobs/1/status", "value": "success"}]


def test_a_move_is_told_as_remove_and_add() -> None:
    assert normalise([{"op": "move", "from": "/a", "path": "/b"}], {"a": [1]}) == [
        {"op": "remove", "path": "/a"},
        {"op": "add", "path": "/b", "value": [1]},
    ]


def test_a_copy_takes_what_the_operations_before_it_made() -> None:
    document: JsonValue = {"a": {"x": 1}}
    operations = normalise(
        [
            {"op": "replace", "path": "/a/x", "value": 2},
            {"op": "copy", "from": "/a", "path": "/b"},
            {"op": "test", "path": "/b/x", "value": 2},
        ],
        document,
    )
    assert operations == [
        {"op": "replace", "path": "/a/x", "value": 2},
        {"op": "add", "path": "/b", "value": {"x": 2}},
    ]
    assert document == {"a": {"x": 1}}


def test_a_move_onto_itself_is_nothing() -> None:
    assert normalise([{"op": "move", "from": "/a", "path": "/a"}], {"a": 1}) == []
    assert normalise([{"op": "move", "from": "", "path": ""}], {"a": 1}) == []


def test_a_copy_into_itself_takes_the_value_from_before() -> None:
    operations = normalise([{"op": "copy", "from": "/a", "path": "/a/again"}], {"a": {"x": 1}})
    assert operations == [{"op": "add", "path": "/a/again", "value": {"x": 1}}]


def test_pointers_are_escaped() -> None:
    assert escape("a/b~c") == "a~1b~0c"
    assert escape("~1") == "~01"
    assert pointer("jobs", "a/b", 3, "") == "/jobs/a~1b/3/"
    assert pointer() == ""
