"""What others wrote as JSON, as far as it can be read, and only as it can be written again."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fantail.broker.lenient_json import can_be_written, parsed, parsed_object, repaired

leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8)
values: st.SearchStrategy[Any] = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3)
)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (b'{"a":1}', {"a": 1}),
        (b'{"a":NaN,"b":[-Infinity,1e999]}', {"a": None, "b": [None, None]}),
        (b'{"a":"cut \\ud83d"}', {"a": "cut �"}),
        (b'{"\\ud83d":1}', {"�": 1}),
        (b'{"a":"\xff"}', {"a": "�"}),
        (b'{"a":' + b"9" * 5000 + b"}", {"a": None}),
        (b'{"a":1} and more', None),
        (b'["a"]', None),
        (b"NaN", None),
        (b"", None),
    ],
)
def test_an_object_is_read_as_far_as_it_can_be(text: bytes, read: object) -> None:
    assert parsed_object(text) == read


def test_what_is_no_number_is_no_json_unless_that_is_asked_for() -> None:
    assert parsed(b"[NaN]") is None
    assert parsed(b"[NaN]", not_a_number_is_null=True) == [None]


@pytest.mark.parametrize("depth", [300, 1000])
def test_what_is_read_and_cannot_be_written_is_told(depth: int) -> None:
    deep = parsed_object(b'{"a":' + b"[" * depth + b"]" * depth + b"}")
    assert deep is not None
    assert not can_be_written(deep)
    assert repaired(deep) is not None


@given(values)
def test_what_python_writes_can_be_read_and_written_again(value: Any) -> None:
    read = parsed_object(json.dumps({"value": value}).encode())
    assert read is not None
    assert orjson.loads(orjson.dumps(read)) == read


@given(st.binary())
def test_no_bytes_raise(text: bytes) -> None:
    assert parsed_object(text) is None or can_be_written(parsed_object(text))
