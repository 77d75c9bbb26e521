"""JSON's own equality, for asserting: Python takes `True == 1` for true, JSON does not.

Numbers are compared by value (1 is 1.0) and members without order, as RFC 6902, section 4.6 has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fantail.broker.documents.json_patch import JsonValue


def canonical(value: JsonValue) -> object:
    """A value that equals another's canonical form exactly where the two are the same JSON."""
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, list):
        return [canonical(element) for element in value]
    if isinstance(value, dict):
        return {name: canonical(member) for name, member in value.items()}
    return value
