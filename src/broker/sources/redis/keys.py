"""The grammar of the keys that are followed: which key feeds which job and which row (PROTOCOL.md, section R).

A table's pattern has exactly one `*`, which stands for an id and therefore never matches a colon: `job:*` is fed by
`job:42` and not by `job:42:output`. Keys whose id is outside the grammar are nobody's (trap 39).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fantail.broker.errors import InvalidIdError
from fantail.broker.jobs import JOB, WORK_SESSION, checked_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fantail.broker.jobs import JobKind

KINDS: Final[tuple[JobKind, ...]] = (JOB, WORK_SESSION)
OUTPUT: Final = b"output"
LEASE: Final = b"lease"
DIFF: Final = b"diff"
# What has content of a job, beside its hash and its output.
SIDE_PARTS: Final = ("diff", "open", "jobs")


@dataclass(frozen=True, slots=True)
class TablePattern:
    """Which hashes are the rows of one table.

    Attributes:
        table: its name.
        prefix: of the keys, up to the star.
        suffix: of the keys, after the star.
    """

    table: str
    prefix: str
    suffix: str = ""

    @classmethod
    def parse(cls, table: str, pattern: str) -> TablePattern:
        """Reads a pattern as an operator writes it.

        Raises:
            ValueError: it does not have exactly one star.
        """
        parts = pattern.split("*")
        if len(parts) != 2:  # noqa: PLR2004
            raise ValueError(f"the pattern of table {table!r} needs exactly one '*': {pattern!r}")
        return cls(table, parts[0], parts[1])

    def id_of(self, key: str) -> str | None:
        """The id of the row that a key feeds; None: none of this table."""
        if not (key.startswith(self.prefix) and key.endswith(self.suffix)):
            return None
        try:
            return checked_id(key[len(self.prefix) : len(key) - len(self.suffix)])
        except InvalidIdError:
            return None

    def key_of(self, row_id: str) -> str:
        """The hash of a row."""
        return f"{self.prefix}{row_id}{self.suffix}"


def parse_patterns(table_patterns: Mapping[str, str]) -> tuple[TablePattern, ...]:
    """Reads the patterns of all tables, by their names.

    Raises:
        ValueError: one of them is malformed.
    """
    return tuple(TablePattern.parse(table, pattern) for table, pattern in table_patterns.items())


def output_key(key: str) -> str:
    """The list of a job's lines; `key` is its hash."""
    return f"{key}:{OUTPUT.decode()}"


def side_keys(key: str) -> list[str]:
    """The other keys with content of a job, and its last state as a run; `key` is its hash."""
    parts = [f"{key}:{part}" for part in SIDE_PARTS]
    # A job's state as a run is kept by `fantail.broker.sources.status`.
    return [*parts, f"fantail:status:run:{key.removeprefix(JOB.prefix)}"] if key.startswith(JOB.prefix) else parts


def index_key(user: str) -> str:
    """The sorted set of a user's jobs."""
    return f"jobs:user:{user}"


def has_lease(key: str) -> bool:
    """Whether a hash is a job's, so that a lease may stand beside it."""
    return any(key.startswith(kind.prefix) for kind in KINDS)


def without_overlaps(prefixes: Iterable[str]) -> list[str]:
    """The prefixes that cover all the others: Redis refuses overlapping ones on one connection."""
    covering: list[str] = []
    for prefix in sorted(set(prefixes)):
        if not (covering and prefix.startswith(covering[-1])):
            covering.append(prefix)
    return covering
