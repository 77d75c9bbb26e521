"""JSON that other people's programs wrote, read as far as it can be read, so that it can be written again.

orjson is strict and fast, and it reads what it does not write. Three things that come in practice are let in:

    a lone surrogate     Node writes one where it cut a string in an emoji; it becomes U+FFFD
    broken UTF-8         a byte that belongs to nothing; it becomes U+FFFD
    NaN and the like     Python writes them; where the reader says so they become null, else the text is no JSON

And one is told: arrays in arrays, some 250 deep, are read and raise when they are written. Whoever passes on a value
that came from outside asks `can_be_written` first: one message of a kilobyte would end the task that writes it.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

import orjson

from fantail.broker.limits import NESTING_MAX

# The last quote may be missing, so that whatever is tried is taken: what is no JSON costs one pass too.
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)


def parsed(text: bytes, *, not_a_number_is_null: bool = False) -> Any:
    """The value that a text is; None where it is no JSON. Broken UTF-8 and lone surrogates are let in, unrepaired.

    Args:
        text: of any length and kind.
        not_a_number_is_null: whether NaN, infinities and numbers past a double's range are null. Else they are no JSON.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    if _brackets(text) > NESTING_MAX:
        return None
    number = _number_or_null if not_a_number_is_null else _number
    try:
        return json.loads(text.decode("utf-8", "replace"), parse_int=number, parse_float=number, parse_constant=number)
    except ValueError:
        return None


def parsed_object(text: bytes) -> dict[str, Any] | None:
    """The object that a text is, repaired; None where it is none. `can_be_written` is to be asked still."""
    value = parsed(text, not_a_number_is_null=True)
    return repaired(value) if isinstance(value, dict) else None


def can_be_written(value: Any) -> bool:
    """Whether orjson writes it, inside some more objects and arrays too."""
    try:
        orjson.dumps([[[[value]]]])
    except TypeError:
        return False
    return True


def without_surrogates(text: str) -> str:
    """Replaces each lone surrogate by U+FFFD; a pair that was written as two halves becomes its character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def repaired(value: Any) -> Any:
    """The value with each text of it `without_surrogates`; the value itself where none had any.

    Nested past what Python's stack holds, it has none: orjson has read it, and lets none in.
    """
    return value if can_be_written(value) else _repaired(value, NESTING_MAX)


def _repaired(value: Any, levels: int) -> Any:
    if isinstance(value, str):
        return without_surrogates(value)
    if levels and isinstance(value, dict):
        return {without_surrogates(name): _repaired(member, levels - 1) for name, member in value.items()}
    if levels and isinstance(value, list):
        return [_repaired(element, levels - 1) for element in value]
    return value


def _brackets(text: bytes) -> int:
    """How many arrays and objects are opened, which is no less than how deep they are nested."""
    outside_strings = _STRING.sub(b"", text)
    return outside_strings.count(b"[") + outside_strings.count(b"{")


def _number(text: str) -> int | float:
    """A number as orjson takes it: past 64 bits a float, never one that JSON cannot write."""
    if text.lstrip("-").isdigit() and -(2**63) <= (whole := int(text)) < 2**64:
        return whole
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text[:40])
    return value


def _number_or_null(text: str) -> int | float | None:
    try:
        return _number(text)
    except ValueError:
        return None
