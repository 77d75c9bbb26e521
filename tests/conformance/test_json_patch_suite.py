"""The community's cases for RFC 6902, every enabled one of them, against the server's applier."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from fantail.broker.documents.json_patch import apply_in_place, normalise
from fantail.broker.errors import PatchError
from support.json_equality import canonical

SUITE = Path(__file__).parent / "json-patch-tests"
ENABLED_RECORDS = 108

Record = dict[str, Any]


def enabled_records() -> list[Record]:
    records: list[Record] = []
    for name in ("spec_tests.json", "tests.json"):
        records += json.loads((SUITE / name).read_text(encoding="utf-8"))
    return [record for record in records if "patch" in record and not record.get("disabled")]


def named(record: Record) -> str:
    return str(record.get("comment") or json.dumps(record["patch"]))[:70]


def test_the_suite_is_complete() -> None:
    assert len(enabled_records()) == ENABLED_RECORDS


@pytest.mark.parametrize("record", enabled_records(), ids=named)
def test_applies_or_refuses_as_the_suite_says(record: Record) -> None:
    document = copy.deepcopy(record["doc"])
    if "error" in record:
        with pytest.raises(PatchError):
            apply_in_place(document, record["patch"])
        assert canonical(document) == canonical(record["doc"])
    else:
        patched = apply_in_place(document, record["patch"])
        assert canonical(patched) == canonical(record.get("expected", record["doc"]))


@pytest.mark.parametrize("record", enabled_records(), ids=named)
def test_means_the_same_in_the_three_operations_of_the_wire(record: Record) -> None:
    document = copy.deepcopy(record["doc"])
    if "error" in record:
        with pytest.raises(PatchError):
            apply_in_place(document, normalise(record["patch"], document))
    else:
        operations = normalise(record["patch"], document)
        assert {operation["op"] for operation in operations} <= {"add", "replace", "remove"}
        assert canonical(document) == canonical(record["doc"])
        patched = apply_in_place(document, operations)
        assert canonical(patched) == canonical(record.get("expected", record["doc"]))
