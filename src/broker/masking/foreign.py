"""What other programs wrote to Redis, masked when it is read: entries of lists, hashes, diffs, states.

Whether a page of entries is plain (`fantail.broker.log.records`) and whether it may have a secret is found by one
automaton in one pass over the page as it is stored, in JSON: the rules read escaped quotes as well. So a page without
a secret costs what it cost without masking. Only the entries that may have one are decoded, masked and written again.

What holds: the checksum of an entry stays that of the stored one, so positions do not change. What is not masked is
passed on as the very object it was. The body of a private key is known by the entries around it: a masker takes the
pages of one list in their order, and one that begins in the middle is shown the entries before (`needs_before`).
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_right
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson
import re2

from fantail.broker.lenient_json import parsed, repaired
from fantail.broker.limits import KEY_BLOCK_LINES_MAX
from fantail.broker.masking.key_blocks import KEY_TRACE, KeyBlock, ends_key, may_be_body, without_body
from fantail.broker.masking.masker import known_rules, masked_bytes, masked_text
from fantail.broker.masking.rules import ESCAPE_WITHIN, compile_options, scanned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fantail.broker.masking.rules import Rules

# Letters, digits and what joins them, written as escapes: JSON that hides a word from the rules.
_HIDDEN: Final = rb"\\u00(?:2[2bdefBDEF]|3[0-9adAD]|[4-7][0-9a-fA-F])"
_JSON_ESCAPES: Final = re.compile(rb"(?:\x1b|\\u001[bB])\[[0-?]*[ -/]*[@-~]")
_NEVER_MASKED: Final = frozenset(
    {"id", "user_id", "userId", "status", "created_at", "job_id", "lease_s", "stream", "timestamp"}
)


class Look(NamedTuple):
    """What one pass over a page says."""

    plain: bool
    suspicious: bool


class PageSet:
    """Looks at pages: an entry, a line feed, an entry, and so on.

    Args:
        plain: an expression that matches a whole page of ordinary entries.
    """

    def __init__(self, plain: bytes) -> None:
        options = compile_options(captures=False)
        options.longest_match = False
        self._set: Any = re2.Set.FullMatchSet(options)
        self._plain = self._set.Add(plain)
        self._suspicious = self._set.Add(rb"(?s:.*)(?:" + b"|".join(_suspicions()) + rb")(?s:.*)")
        self._escapes = self._set.Add(rb"(?s:.*)(?:" + ESCAPE_WITHIN + rb")(?s:.*)")
        self._set.Compile()

    def look(self, page: bytes) -> Look:
        """Looks at a page. One that the automaton has no memory for is not plain, and suspicious."""
        found = self._set.Match(page) or ()
        suspicious = self._suspicious in found or not found
        if not suspicious and self._escapes in found:
            suspicious = _suspicion().search(_JSON_ESCAPES.sub(b"", page)) is not None
        return Look(self._plain in found, suspicious)


def _suspicions() -> list[bytes]:
    return [*scanned(), _HIDDEN, KEY_TRACE]


@cache
def _suspicion() -> Any:
    return re2.compile(b"|".join(_suspicions()), options=compile_options(captures=False))


@cache
def _escape_within() -> Any:
    return re2.compile(ESCAPE_WITHIN, options=compile_options(captures=False))


class EntryMasker:
    """Masks the entries of one list, page by page, in their order."""

    __slots__ = ("_key",)

    def __init__(self) -> None:
        self._key = KeyBlock()

    @property
    def in_key(self) -> bool:
        """Whether the last entry was in the middle of a private key."""
        return self._key.open

    def mask(self, entries: Sequence[bytes]) -> Sequence[bytes]:
        """The entries that follow, masked; those without a secret are the very ones that were given."""
        page = b"\n".join(entries)
        if self._key.open or KEY_TRACE in page:
            return self._one_by_one(entries)
        suspects = _suspects(page, entries)
        if not suspects:
            return entries
        shown = list(entries)
        for index in suspects:
            shown[index] = masked_entry(entries[index])
        return shown

    def _one_by_one(self, entries: Sequence[bytes]) -> Sequence[bytes]:
        suspicion = _suspicion()
        shown = list(entries)
        for index, entry in enumerate(entries):
            line = _line(entry) if self._key.open or KEY_TRACE in entry else b""
            was_open = self._key.open
            seen = self._without_body(line)
            if seen != line:
                entry = shown[index] = _with_line(entry, seen)  # noqa: PLW2901 - the rest of it is masked as well
            if suspicion.search(_JSON_ESCAPES.sub(b"", entry)) or suspicion.search(entry):
                shown[index] = masked_entry(entry)
            if not was_open and ends_key(line):
                self._mask_before(entries, shown, index)
        return shown

    def _without_body(self, line: bytes) -> bytes:
        """The text of an entry, one line or several, without what it has of a key's body."""
        if not line:
            return line
        text = line.removesuffix(b"\n")
        taken = [(part, self._key.take(part)) for part in text.split(b"\n")]
        return b"\n".join([part if body is None else body for part, body in taken]) + line[len(text) :]

    @staticmethod
    def _mask_before(entries: Sequence[bytes], shown: list[bytes], end: int) -> None:
        """Masks the body of a key whose end is here and whose beginning is not on this page."""
        first = max(0, end - KEY_BLOCK_LINES_MAX)
        lines = [_line(entry) for entry in entries[first:end]]
        for index, body in enumerate(without_body(lines)):
            if body is not lines[index]:
                end_of_line = b"\n" if lines[index].endswith(b"\n") else b""
                shown[first + index] = _with_line(entries[first + index], body + end_of_line)


def needs_before(entries: Sequence[bytes]) -> bool:
    """Whether the first entry may be in the middle of a private key that began before it."""
    return bool(entries) and may_be_body(_line(entries[0]).partition(b"\n")[0])


def _suspects(page: bytes, entries: Sequence[bytes]) -> set[int]:
    """The indices of entries that may have a secret, a colour inside it or not."""
    found = set(_found(page, entries))
    if _escape_within().search(page) and _suspicion().search(_JSON_ESCAPES.sub(b"", page)):
        seen = [_JSON_ESCAPES.sub(b"", entry) for entry in entries]
        found.update(_found(b"\n".join(seen), seen))
    return found


def _found(page: bytes, entries: Sequence[bytes]) -> list[int]:
    suspicion = _suspicion()
    starts: list[int] = []
    found: list[int] = []
    place = 0
    while match := suspicion.search(page, place):
        starts = starts or list(itertools.accumulate((len(entry) + 1 for entry in entries), initial=0))
        index = bisect_right(starts, max(match.end() - 1, match.start())) - 1
        found.append(min(index, len(entries) - 1))
        place = starts[found[-1] + 1]
        if place > len(page):
            break
    return found


def masked_entry(entry: bytes) -> bytes:
    """One stored entry, whatever it holds, with its secrets masked; the very entry where it has none."""
    value = parsed(entry)
    if not isinstance(value, dict):
        return masked_bytes(entry)
    shown = masked_value(value)
    return entry if shown == value else _encoded(shown, entry)


def masked_value(value: Any, name: str = "", rules: Rules | None = None) -> Any:
    """What JSON holds, with its secrets masked: texts, names, and members whose names say that they are secret."""
    if isinstance(value, str):
        return _masked_member(name, value, rules)
    if isinstance(value, dict):
        return {_masked_name(key, rules): masked_value(member, key, rules) for key, member in value.items()}
    if isinstance(value, list):
        return [masked_value(element, name, rules) for element in value]
    return value


def masked_members(value: Mapping[str, Any], rules: Rules | None = None) -> dict[str, Any]:
    """A row, or a state, with its secrets masked. Whose it is, its id and its status stay."""
    return {
        _masked_name(name, rules): member
        if name in _NEVER_MASKED and not isinstance(member, (dict, list))
        else masked_value(member, name, rules)
        for name, member in value.items()
    }


def masked_object(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """A JSON object that can be written, with its secrets masked; the very one where it has none."""
    data = orjson.dumps(value)
    if not _suspicion().search(data) and not _escape_within().search(data):
        return value
    shown = masked_members(value)
    return value if shown == value else shown


def masked_fields(fields: Mapping[str, str]) -> dict[str, str]:
    """The fields of a hash, with their secrets masked. Whose it is, and its id, stay."""
    text = "\n".join([f'"{name}":"{value}"' for name, value in fields.items() if name not in _NEVER_MASKED])
    data = text.encode("utf-8", "replace")
    if not known_rules().has_candidate(data) and KEY_TRACE not in data:
        return dict(fields)
    return masked_members(fields)


def _masked_name(name: str, rules: Rules | None) -> str:
    return masked_text(name, rules) if (rules or known_rules()).has_candidate(name.encode("utf-8", "replace")) else name


def _masked_member(name: str, value: str, rules: Rules | None = None) -> str:
    rules = rules or known_rules()
    said = f'"{name}":"{value}"'
    data = said.encode("utf-8", "replace")
    if not rules.has_candidate(data) and KEY_TRACE not in data:
        return value
    shown, start = masked_text(said, rules), len(name) + 4
    if shown.startswith(said[:start]) and shown.endswith('"') and "\n" not in value:
        return shown[start:-1]
    return masked_text(value, rules)


def _line(entry: bytes) -> bytes:
    """The text of an entry, in UTF-8."""
    value = parsed(entry)
    line = value.get("line") if isinstance(value, dict) else None
    return repaired(line).encode() if isinstance(line, str) else entry


def _with_line(entry: bytes, line: bytes) -> bytes:
    """The same entry with another text."""
    value = parsed(entry)
    if not isinstance(value, dict) or not isinstance(value.get("line"), str):
        return line
    return _encoded({**value, "line": line.decode("utf-8", "replace")}, entry)


def _encoded(value: Mapping[str, Any], entry: bytes) -> bytes:
    try:
        return orjson.dumps(repaired(dict(value)))
    except (TypeError, RecursionError):  # nested deeper than it can be written: as text
        return masked_bytes(entry)
