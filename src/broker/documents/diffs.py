"""The document of a job's diff: `{"files": {name: entry}}`, and what a hash in Redis makes of it.

An entry is what a producer wrote for one file (PROTOCOL.md, section R), read with care: whatever a field holds, it
is one file, and what cannot be read says so in `omitted`. The field's name is the file's; the name within the value
is not believed.

Entries are only ever put and removed whole, on `/files/<name>`. So an entry taken out of the document never changes,
and a copy of the mapping is a snapshot: no reader of one copies or encodes 16 MiB of patches at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from fantail.broker.documents.json_patch import pointer
from fantail.broker.masking.masker import masked_patch, masked_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from fantail.broker.documents.json_patch import JsonValue, Operation
    from fantail.broker.documents.patch_store import PatchStore

FILES: Final = "files"
NO_CHANGE: Final = "none"
"""The change of a file that no longer differs, where that must be said of the file by itself."""

Entry = dict[str, "JsonValue"]


def stored_entry(field: bytes, value: bytes) -> Entry:
    """Reads one field of the hash; never fails.

    Returns:
        `{file, diff, change, additions, deletions, oldPath?, omitted?, masked?}`, in this order. What is no JSON
        object is a file whose patch is omitted because of its encoding.
    """
    file = field.decode("utf-8", "replace")
    try:
        said = orjson.loads(value)
    except orjson.JSONDecodeError:
        said = None
    if not isinstance(said, dict):
        return {"file": file, "diff": "", "change": "modified", "additions": 0, "deletions": 0, "omitted": "encoding"}
    entry: Entry = {
        "file": file,
        "diff": _text(said, "diff") or "",
        "change": _text(said, "change") or "modified",
        "additions": _count(said, "additions"),
        "deletions": _count(said, "deletions"),
    }
    for name in ("oldPath", "omitted"):
        if text := _text(said, name):
            entry[name] = text
    if said.get("masked") is True:
        entry["masked"] = True
    return entry


def masked_entry(entry: Entry) -> Entry:
    """The same file with the secrets masked in its patch and its names; `masked` says that there were any."""
    shown: Entry = {name: _masked(name, value) for name, value in entry.items()}
    return entry if shown == entry else {**shown, "masked": True}


def _masked(name: str, value: JsonValue) -> JsonValue:
    if not isinstance(value, str):
        return value
    return masked_patch(value) if name == "diff" else masked_text(value)


def without_patch(entry: Mapping[str, Any], reason: str = "size") -> Entry:
    """The same file with its statistics alone, and why."""
    return {**entry, "diff": "", "omitted": entry.get("omitted", reason)}


def files_in(diff: PatchStore) -> Mapping[str, Mapping[str, Any]]:
    """The entries there are now, by file; copy the mapping to keep it over an await."""
    files: Mapping[str, Mapping[str, Any]] = diff.document.get(FILES, {})
    return files


def opening() -> list[Operation]:
    """What makes the empty document one without files."""
    return [{"op": "add", "path": pointer(FILES), "value": {}}]


def file_changes(
    before: Mapping[str, Any], changed: Mapping[str, Entry], gone: Iterable[str]
) -> Iterator[tuple[Operation, int]]:
    """The operations that put and remove entries, those that remove first: an old name goes before the new one comes.

    Args:
        before: the entries as they are.
        changed: those to put.
        gone: files that no longer differ.

    Returns:
        Each operation, and about how many bytes it is long.
    """
    for file in gone:
        if file in before:
            yield {"op": "remove", "path": pointer(FILES, file)}, len(file)
    for file, entry in changed.items():
        size = len(file) + len(str(entry["diff"]))
        if file not in before:
            yield {"op": "add", "path": pointer(FILES, file), "value": entry}, size
        elif before[file] != entry:
            yield {"op": "replace", "path": pointer(FILES, file), "value": entry}, size


def _text(said: Mapping[str, Any], name: str) -> str | None:
    value = said.get(name)
    return value if isinstance(value, str) else None


def _count(said: Mapping[str, Any], name: str) -> int:
    value = said.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0
