"""Reading the hash of a job or of a row: whole, or in part where somebody made it huge.

A hash with a hundred thousand fields, of which a bug in a producer makes one quickly, would hold up every stream for a
second each time it changes. So a hash is asked for with one step of HSCAN, which gives all of an ordinary one, as
HGETALL would, and says when there is more. Such a hash is read again in another way, and from then on: the fields that
have a meaning (HMGET: its status, whose it is), as many others as one step gives, and a field `fields_left_out` that
says how many there are besides. Decided against: HLEN before every reading, which is a round trip more for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fantail.broker.jobs import KNOWN_FIELDS, fields_of_hash
from fantail.broker.limits import HASH_SCAN_COUNT
from fantail.broker.masking.foreign import masked_fields
from fantail.broker.tables import OWNER, owner_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fantail.broker.sources.redis.connection import Command

Fields = dict[str, str]

LEFT_OUT_FIELD: Final = "fields_left_out"
_KNOWN: Final = tuple(name.encode() for name in KNOWN_FIELDS)
_KNOWN_NAMES: Final = frozenset(_KNOWN)
_END: Final = (b"0", 0)
_OWNER_NAMES: Final = (OWNER.encode(), b"userId")


@dataclass(frozen=True, slots=True)
class HashReading:
    """What a reading gave.

    Attributes:
        fields: None: there is no such hash, or it must be read again.
        huge: whether the next reading must be one of a huge hash.
        again: whether this one said only that.
    """

    fields: Fields | None
    huge: bool
    again: bool


def hash_commands(key: bytes, *, huge: bool) -> list[Command]:
    """What to send to read a hash.

    The owner of a huge one is read last: no other field can then have been written after that owner lost the job.
    """
    scan: Command = ("HSCAN", key, 0, "COUNT", HASH_SCAN_COUNT)
    return [scan, ("HLEN", key), ("HMGET", key, *_KNOWN)] if huge else [scan]


def taken_hash(replies: Iterator[Any], *, huge: bool, masks: bool = True) -> HashReading:
    """Takes the replies to `hash_commands`; masks secrets in the values or not."""
    reply = next(replies)
    length, values = (next(replies), next(replies)) if huge else (0, [])
    if not isinstance(reply, list) or not reply[1]:
        return HashReading(None, huge=False, again=False)
    cursor, page = reply
    more = cursor not in _END
    if more and not huge:
        return HashReading(None, huge=True, again=True)
    stored: dict[bytes, bytes] = dict(zip(page[::2], page[1::2], strict=True))
    if more:
        known = zip(_KNOWN, values, strict=True) if isinstance(values, list) else ()
        stored = {name: value for name, value in stored.items() if name not in _KNOWN_NAMES}
        stored |= {name: value for name, value in known if value is not None}
    fields = fields_of_hash(stored)
    if masks:
        fields = masked_fields(fields)
    if more and isinstance(length, int) and length > len(stored):
        fields[LEFT_OUT_FIELD] = str(length - len(stored))
    return HashReading(fields, huge=more, again=False)


def owner_command(key: bytes) -> Command:
    """What to send to read the owner of a hash alone."""
    return ("HMGET", key, *_OWNER_NAMES)


def owner_in(reply: Any) -> str | None:
    """The owner in a reply to `owner_command`; None: the hash has none, or does not exist."""
    values = reply if isinstance(reply, list) else []
    stored = {name: value for name, value in zip(_OWNER_NAMES, values, strict=False) if value is not None}
    return owner_of(fields_of_hash(stored))
