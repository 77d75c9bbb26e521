"""One entry of an output list, from what a producer pushed to what every viewer may be sent.

A well-formed entry is a JSON object `{"timestamp":ms,"line":str,"stream":…,"source"?:str}` (PROTOCOL.md, section R).
Producers are other people's programs, so anything can be in the list. Whatever it is, it becomes exactly one
record: an entry that is not of that shape is shown as a line of its own text, and never stops a stream.

What holds for `Record.data`: it is one JSON object of that shape, valid UTF-8, with no raw CR, LF or NUL and no lone
surrogate, at most six times `line_bytes_max` and a KiB long (JSON writes a control character in six bytes). The same
entry gives the same record at every read and on every node. `Record.crc` is the checksum of the entry as it is
stored, before any of this.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, overload
from zlib import crc32

import orjson
import re2

from fantail.broker.lenient_json import parsed, repaired, without_surrogates
from fantail.broker.limits import LINE_BYTES_MAX
from fantail.broker.log.position import checksum
from fantail.broker.masking.foreign import Look, PageSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fantail.broker.masking.foreign import EntryMasker

STREAMS: Final = frozenset({"stdout", "stderr", "system", "error"})
# An entry as nearly every producer writes it: the three or four members in this order, no spaces, no escapes but the
# short ones and those of control characters. A whole page of such is recognised at 600 MB/s, where parsing its
# entries one by one takes 1.7 µs each.
_PLAIN_ENTRY: Final = (
    rb'\{"timestamp":(?:0|[1-9][0-9]{0,14}),"line":"STRING",'
    rb'"stream":"(?:stdout|stderr|system|error)"(?:,"source":"STRING")?\}'
)
_PLAIN_STRING: Final = rb'(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u00[0-9a-fA-F]{2}))*'
_PLAIN: Final = rb"(?:" + _PLAIN_ENTRY.replace(b"STRING", _PLAIN_STRING) + rb"\n)*"
_PLAIN_PAGE: Final = re2.compile(_PLAIN)


class Record(NamedTuple):
    """One record of a log: what viewers may be sent, and the checksum of what is stored."""

    data: bytes
    crc: int


class Records(Sequence[Record]):
    """Consecutive records by columns: a page of thousands costs two lists, and no object for each.

    Attributes:
        data: what viewers may be sent of each.
        crcs: the checksum of each, 32 bits.
    """

    __slots__ = ("crcs", "data")

    def __init__(self, data: list[bytes], crcs: array[int]) -> None:
        self.data = data
        self.crcs = crcs

    @classmethod
    def of(cls, records: Iterable[Record]) -> Records:
        """The same records by columns."""
        if isinstance(records, Records):
            return records
        listed = list(records)
        return cls([record.data for record in listed], array("I", [record.crc for record in listed]))

    def __len__(self) -> int:
        return len(self.data)

    def extend(self, others: Records) -> None:
        """Takes the records that follow."""
        self.data += others.data
        self.crcs += others.crcs

    def __iter__(self) -> Iterator[Record]:
        return map(Record, self.data, self.crcs)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Records: ...
    def __getitem__(self, index: int | slice) -> Record | Records:
        if isinstance(index, slice):
            return Records(self.data[index], self.crcs[index])
        return Record(self.data[index], self.crcs[index])


def record_of(entry: bytes, fallback_timestamp_ms: int, line_bytes_max: int = LINE_BYTES_MAX) -> Record:
    """Turns one stored entry into a record; never fails.

    Args:
        entry: the list entry as it is stored.
        fallback_timestamp_ms: the time given to an entry that has none (the job's `created_at`, or 0).
        line_bytes_max: a longer line is cut, with a mark that says by how much.
    """
    try:
        value = orjson.loads(entry)
    except orjson.JSONDecodeError:
        return Record(_repaired(entry, fallback_timestamp_ms, line_bytes_max), checksum(entry))
    if _is_output(value) and len(entry) <= line_bytes_max and b"\n" not in entry and b"\r" not in entry:
        return Record(entry, checksum(entry))
    return Record(_shaped(value, entry, fallback_timestamp_ms, line_bytes_max), checksum(entry))


def records_of(
    entries: Sequence[bytes],
    fallback_timestamp_ms: int,
    line_bytes_max: int = LINE_BYTES_MAX,
    masker: EntryMasker | None = None,
) -> Records:
    """Turns a page of stored entries into records, one for each, as `record_of` does.

    Args:
        entries: as they are stored.
        fallback_timestamp_ms: see `record_of`.
        line_bytes_max: see `record_of`.
        masker: masks secrets in what viewers are sent, and is given all entries of a list in order; None: nothing is
            masked. Checksums stay those of the stored entries.
    """
    page = _page(entries, line_bytes_max)
    if masker is None:
        plain = page is not None and _PLAIN_PAGE.fullmatch(page) is not None
    else:
        look = Look(plain=False, suspicious=True) if page is None else _pages().look(page)
        if look.suspicious or masker.in_key:
            masked = masker.mask(entries)
            if masked is not entries:
                shown = records_of(masked, fallback_timestamp_ms, line_bytes_max)
                return Records(shown.data, array("I", map(crc32, entries)))
        plain = look.plain
    if plain and page is not None and (page.isascii() or _is_utf8(page)):
        # `checksum`, without a Python frame for each: 13 ms against 26 for 100,000 entries.
        return Records(list(entries), array("I", map(crc32, entries)))
    return Records.of(record_of(entry, fallback_timestamp_ms, line_bytes_max) for entry in entries)


def entry_of(timestamp_ms: int, line: str, stream: str, source: str | None = None) -> bytes:
    """The entry that a producer pushes for one line; lone surrogates are replaced."""
    value: dict[str, Any] = {"timestamp": timestamp_ms, "line": line, "stream": stream}
    if source is not None:
        value["source"] = source
    return _encoded(value)


def line_of(entry: bytes) -> str:
    """The whole text of a stored entry, uncut: what a download shows."""
    value = parsed(entry)
    if _is_output(value):
        return without_surrogates(str(value["line"]))
    return _text(entry)


@cache
def _pages() -> PageSet:
    """Looks for plain pages and for secrets in one pass."""
    return PageSet(_PLAIN)


def _page(entries: Sequence[bytes], line_bytes_max: int) -> bytes | None:
    """The entries with a line feed behind each; None where viewers cannot be sent all of them as they are stored."""
    if b"\n" in b"".join(entries):
        return None  # an entry that holds a line feed would pass for two
    page = b"\n".join([*entries, b""])
    if len(page) > line_bytes_max and max(map(len, entries)) > line_bytes_max:
        return None
    return page


def _is_utf8(page: bytes) -> bool:
    try:
        page.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_output(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    timestamp, stream = value.get("timestamp"), value.get("stream")
    return (
        type(value.get("line")) is str
        and type(stream) is str
        and stream in STREAMS
        and (type(timestamp) is int or type(timestamp) is float)
        and type(value.get("source", "")) is str
    )


def _repaired(entry: bytes, fallback_timestamp_ms: int, line_bytes_max: int) -> bytes:
    """For what orjson refuses: broken UTF-8 and lone surrogates inside JSON, or no JSON at all."""
    return _shaped(parsed(entry), entry, fallback_timestamp_ms, line_bytes_max)


def _shaped(value: Any, entry: bytes, fallback_timestamp_ms: int, line_bytes_max: int) -> bytes:
    if not _is_output(value):
        value = {"timestamp": fallback_timestamp_ms, "line": _text(entry), "stream": "stdout"}
    value["line"] = _cut(without_surrogates(value["line"]), line_bytes_max)
    try:
        data = _encoded(value)
    except (TypeError, RecursionError):  # orjson reads deeper nesting than it writes
        data = None
    if data is None or len(data) > 2 * line_bytes_max + 1024:
        # The trouble is in members nobody asked for, or in control characters: keep the three that make a line.
        data = _encoded({name: value[name] for name in ("timestamp", "line", "stream")})
    return data


def compact(data: bytes) -> bytes:
    """The same bytes without the room that orjson leaves behind what it made.

    For what is kept: an entry of 60 bytes held 4 KiB of memory (measured with orjson 3.13), and a log holds many.
    """
    return bytes(memoryview(data))


def _encoded(value: dict[str, Any]) -> bytes:
    try:
        return compact(orjson.dumps(value))
    except TypeError:  # lone surrogates
        return compact(orjson.dumps(repaired(value)))


def _text(entry: bytes) -> str:
    return entry.decode("utf-8", "replace")


def _cut(line: str, line_bytes_max: int) -> str:
    whole = line.encode()
    if len(whole) <= line_bytes_max:
        return line
    kept = whole[:line_bytes_max].decode("utf-8", "ignore")
    left_out = len(whole) - len(kept.encode())
    return f"{kept} … [{left_out:,} of {len(whole):,} bytes left out here; the download has the whole line]"
