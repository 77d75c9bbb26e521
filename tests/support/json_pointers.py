"""The places in a document of JSON, as RFC 6901 writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fantail.broker.documents.json_patch import pointer

if TYPE_CHECKING:
    from fantail.broker.documents.json_patch import JsonValue


def pointers_into(value: JsonValue, above: str = "") -> list[str]:
    """A pointer to the value itself, which is at `above`, and one to each value in it, at any depth."""
    found = [above]
    if isinstance(value, dict):
        for name, member in value.items():
            found += pointers_into(member, above + pointer(name))
    elif isinstance(value, list):
        for index, element in enumerate(value):
            found += pointers_into(element, above + pointer(index))
    return found
