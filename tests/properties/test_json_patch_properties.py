"""Laws of JSON Patch, over documents and patches of every shape."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import jsonpatch
import jsonpointer
from hypothesis import given, settings
from hypothesis import strategies as st

from fantail.broker.documents.json_patch import apply_in_place, diff, escape, normalise, pointer
from fantail.broker.errors import PatchError
from support.json_equality import canonical
from support.json_pointers import pointers_into

if TYPE_CHECKING:
    from fantail.broker.documents.json_patch import JsonValue

# Few names and few numbers, so that two documents often have something in common: that is where
# the trouble is (true beside 1, an index that is a name, an empty name, a name to be escaped).
names = st.sampled_from(["", "a", "b", "0", "1", "01", "-", "a/b", "~", "~1", "é"])
leaves = st.sampled_from([None, True, False, 0, 1, 1.0, -1, 2, 0.5, "", "a", "1"])
values: st.SearchStrategy[Any] = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(names, inner, max_size=4),
    max_leaves=15,
)


@st.composite
def documents_and_patches(draw: st.DrawFn) -> tuple[JsonValue, list[Any]]:
    document = draw(values)
    paths = st.sampled_from(pointers_into(document))
    somewhere = paths | st.builds(lambda path, name: path + pointer(name), paths, names)
    operations = st.one_of(
        st.fixed_dictionaries({"op": st.sampled_from(["add", "replace", "test"]), "path": somewhere, "value": values}),
        st.fixed_dictionaries({"op": st.just("remove"), "path": somewhere}),
        st.fixed_dictionaries({"op": st.sampled_from(["move", "copy"]), "from": paths, "path": somewhere}),
    )
    return document, draw(st.lists(operations, max_size=6))


@given(before=values, after=values)
def test_applying_a_difference_gives_the_other_document(before: JsonValue, after: JsonValue) -> None:
    wanted = canonical(after)
    operations = diff(before, after)
    assert {operation["op"] for operation in operations} <= {"add", "replace", "remove"}
    assert canonical(apply_in_place(before, operations)) == wanted


@given(documents_and_patches())
@settings(max_examples=300)
def test_a_patch_applies_whole_as_the_package_would_on_a_copy_or_changes_nothing(
    case: tuple[JsonValue, list[Any]],
) -> None:
    document, operations = case
    before, kept = repr(document), copy.deepcopy(operations)
    try:
        expected = jsonpatch.apply_patch(document, operations)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException):
        expected = PatchError
    try:
        patched = apply_in_place(document, operations)
    except PatchError:
        assert expected is PatchError
        assert repr(document) == before
    else:
        assert canonical(patched) == canonical(expected)
    assert repr(operations) == repr(kept)


@given(documents_and_patches())
@settings(max_examples=300)
def test_the_operations_of_the_wire_mean_the_same(case: tuple[JsonValue, list[Any]]) -> None:
    document, operations = case
    before = repr(document)
    try:
        expected = canonical(apply_in_place(copy.deepcopy(document), operations))
    except PatchError:
        expected = PatchError
    try:
        on_the_wire = normalise(operations, document)
        assert repr(document) == before
        assert {operation["op"] for operation in on_the_wire} <= {"add", "replace", "remove"}
        assert canonical(apply_in_place(document, on_the_wire)) == expected
    except PatchError:
        assert expected is PatchError
        assert repr(document) == before


@given(st.lists(st.text()))
def test_tokens_survive_the_pointer(tokens: list[str]) -> None:
    assert jsonpointer.JsonPointer(pointer(*tokens)).parts == tokens


@given(st.text())
def test_an_escaped_token_holds_no_slash_and_no_other_tilde(token: str) -> None:
    escaped = escape(token)
    assert "/" not in escaped
    assert "~" not in escaped.replace("~0", "").replace("~1", "")
