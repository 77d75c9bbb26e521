"""The tables' rows, mirrored from Redis hashes: which to read next, and what the answers mean.

Like a follower it decides and never waits. Rows are read when an invalidation names their key, however often it was
named; a SCAN finds the rows there are at the start, after every reconnect, and now and then, for those that vanished
unseen. A scan only finds names: what is gone is read like any other row, and found to be absent.

A table holds `rows_max` rows at most, the newest by `created_at`: a row that is newer than the oldest one takes its
place, whatever order the rows are read in. Rows that are left out are not remembered, only counted: by each scan
exactly, and between scans by what comes and goes. Once kept rows have gone, a scan looks for those that now fit.

Rows of jobs whose runner holds a lease say `stale` when it is lost (`leases`).
"""

from __future__ import annotations

import heapq
import itertools
import logging
from collections import Counter, deque
from functools import partial
from typing import TYPE_CHECKING, Any

from fantail.broker.jobs import JOB, WORK_SESSION, number
from fantail.broker.limits import ROUND_ROWS_MAX, SCAN_COUNT, TABLE_REFILL_PART, TABLE_ROWS_MAX, TRACKING_RETRY_S
from fantail.broker.log.notify import Notifier
from fantail.broker.sources.redis.hash_reading import hash_commands, taken_hash
from fantail.broker.sources.redis.keys import LEASE, has_lease

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from fantail.broker.sources.redis.connection import Command
    from fantail.broker.sources.redis.hash_reading import Fields, HashReading
    from fantail.broker.sources.redis.keys import TablePattern
    from fantail.broker.sources.redis.leases import Leases
    from fantail.broker.tables import Tables

log = logging.getLogger("fantail.sources.redis")

_TERMINAL = {kind.prefix: kind.terminal for kind in (JOB, WORK_SESSION)}
_GLOB = {ord(special): f"\\{special}" for special in "*?[]\\^-"}
_LEASE_SUFFIX = b":" + LEASE


class _Scan:
    """One walk over all keys under the tables' prefixes."""

    def __init__(self, patterns: Sequence[TablePattern], number: int, *, reread: bool) -> None:
        self.number = number
        self.reread = reread
        self.todo = deque(sorted({pattern.prefix for pattern in patterns}))
        self.cursor: bytes | int = 0
        self.rows: set[bytes] = set()
        self.leases: set[bytes] = set()


class _Oldest:
    """Finds the oldest row of a table that is full: a heap, made when it is first asked and mended as it is used."""

    def __init__(self, rows: Callable[[], Mapping[str, Mapping[str, Any]]]) -> None:
        self._rows = rows
        self._heap: list[tuple[float, str]] = []

    def add(self, row_id: str, row: Mapping[str, Any]) -> None:
        """Takes a row that is new, or whose age has changed. Entries that no longer fit are dropped when met."""
        if self._heap:
            heapq.heappush(self._heap, (_age(row), row_id))

    def first(self) -> tuple[float, str]:
        """The age and the id of the oldest row; there must be one."""
        rows = self._rows()
        if len(self._heap) > 2 * len(rows):  # rows changed their age again and again
            self._heap = []
        while self._heap:
            age, row_id = self._heap[0]
            if row_id in rows and _age(rows[row_id]) == age:
                return age, row_id
            heapq.heappop(self._heap)
        self._heap = [(_age(row), row_id) for row_id, row in rows.items()]
        heapq.heapify(self._heap)
        return self._heap[0]


def _age(row: Mapping[str, Any]) -> float:
    return number(row.get("created_at")) or 0.0


class TableMirror:
    """Keeps `Tables` what Redis says.

    Args:
        rows_max: how many rows a table holds.

    Attributes:
        progress: rings when something was read.
        complete: whether all rows that can be found have been read at least once.
        lacks: why rows may be missing, for people; empty where all can be found.
    """

    def __init__(
        self,
        tables: Tables,
        patterns: Sequence[TablePattern],
        leases: Leases,
        now_s: Callable[[], float],
        *,
        rows_max: int = TABLE_ROWS_MAX,
        masks: bool = True,
    ) -> None:
        self.progress = Notifier()
        self.complete = False
        self.lacks = ""
        self._tables = tables
        self._patterns = patterns
        self._leases = leases
        self._now_s = now_s
        self._masks = masks
        self._numbers = 0
        self._rows: dict[bytes, int] = {}
        self._lease_checks: dict[bytes, int] = {}
        self._scan: _Scan | None = None
        self._scan_due: _Scan | None = None
        self._scan_again_s = 0.0
        self._planned: tuple[list[bytes], list[bytes]] = ([], [])
        self._rows_max = rows_max
        # Keys that are still to be read, and that the last scan has found, and so counted, or has not.
        self._counted: set[bytes] = set()
        self._uncounted: set[bytes] = set()
        # Tables from which a row has gone since the last scan began.
        self._shrunk: set[str] = set()
        # Tables that had no room for a row since then, maybe only as rows that have gone were still held.
        self._denied: set[str] = set()
        self._oldest = {table: _Oldest(partial(tables.rows, table)) for table in tables.names}
        self._huge: set[bytes] = set()

    # -- what is to be read -----------------------------------------------------------------------------------------

    def places(self, key: bytes) -> list[tuple[str, str]]:
        """The table and id of each row that a hash feeds."""
        try:
            text = key.decode()
        except UnicodeDecodeError:
            return []
        found = [(pattern.table, pattern.id_of(text)) for pattern in self._patterns]
        return [(table, row_id) for table, row_id in found if row_id is not None]

    def mark(self, key: bytes) -> None:
        """A hash has changed; nothing happens if it is nobody's row."""
        if key not in self._rows and self.places(key):
            self._numbers += 1
            self._rows[key] = self._numbers

    def mark_lease(self, key: bytes) -> None:
        """The lease beside a hash has changed."""
        if key not in self._lease_checks and self.places(key):
            self._numbers += 1
            self._lease_checks[key] = self._numbers

    def scan(self, *, reread: bool) -> int:
        """Asks for a scan that starts after this call; returns its number.

        Args:
            reread: whether rows that are there already are read again.
        """
        self._numbers += 1
        if self.lacks and self._now_s() < self._scan_again_s:
            if reread:
                self._mark_listed()
        elif self._patterns:
            due = self._scan_due
            # One that has not begun serves those who asked for it before, too.
            number = self._numbers if due is None else due.number
            self._scan_due = _Scan(self._patterns, number, reread=reread or (due is not None and due.reread))
        return self._numbers

    def start_over(self) -> None:
        """The replies to the last plan will not come: anything may have changed."""
        self._scan = None
        self._counted.clear()
        self._uncounted.clear()
        self._planned = ([], [])
        self.scan(reread=True)
        if self._scan_due is not None:
            self._scan_due.number = 0  # it stands for all that was lost, whenever it was asked for

    def ask(self) -> int:
        """The number of the last thing that is to be read now; see `has_read`."""
        return self._numbers

    def has_read(self, number: int) -> bool:
        """Whether everything was read that was to be read at that number."""
        rows, leases = self._planned
        scans = (scan for scan in (self._scan, self._scan_due) if scan is not None)
        if rows or leases or any(scan.number <= number for scan in scans):
            return False
        waiting = (next(iter(marks.values()), number + 1) for marks in (self._rows, self._lease_checks))
        return all(first > number for first in waiting)

    def has_work(self, *, leases: bool) -> bool:
        """Whether there is something to read."""
        return bool(self._rows or self.has_much_work or (leases and self._lease_checks))

    @property
    def has_much_work(self) -> bool:
        """Whether one round will not do."""
        return bool(self._scan or self._scan_due) or len(self._rows) > ROUND_ROWS_MAX

    # -- asking -----------------------------------------------------------------------------------------------------

    def plan(self, *, leases: bool, elsewhere: Collection[bytes]) -> list[Command]:
        """The commands to send next.

        Args:
            leases: whether leases are of interest now.
            elsewhere: hashes that are being read anyway; `put` brings them.
        """
        rows = _taken(self._rows, ROUND_ROWS_MAX, elsewhere)
        checks = _taken(self._lease_checks, ROUND_ROWS_MAX) if leases else []
        commands = [command for key in rows for command in hash_commands(key, huge=key in self._huge)]
        commands += [("EXISTS", key + _LEASE_SUFFIX) for key in checks]
        self._planned = (rows, checks)
        return commands

    def plan_scan(self) -> Command | None:
        """The next step of the scan, for a round trip of its own: Redis may refuse it, and nothing else with it."""
        if self._scan is None and self._scan_due is not None:
            self._scan, self._scan_due = self._scan_due, None
            self._shrunk.clear()
            self._denied.clear()
        if self._scan is None or len(self._rows) >= ROUND_ROWS_MAX:
            return None
        match = self._scan.todo[0].translate(_GLOB) + "*"
        return ("SCAN", self._scan.cursor, "MATCH", match, "COUNT", SCAN_COUNT)

    # -- answers ----------------------------------------------------------------------------------------------------

    def take(self, replies: Iterator[Any]) -> None:
        """Takes the replies to the last plan."""
        rows, checks = self._planned
        self._planned = ([], [])
        for key in rows:
            self._take_row(key, taken_hash(replies, huge=key in self._huge, masks=self._masks))
        for key in checks:
            self._leases.learn(key, exists=next(replies) == 1)
            self.show_lease(key)
        self._progressed()

    def take_scan(self, reply: Any) -> None:
        """Takes the reply to a step of the scan."""
        if self._scan is not None:
            self._take_step(self._scan, reply)
        self._progressed()

    def refuse_scan(self, why: str) -> None:
        """Learns that this user, or this server, cannot scan: rows are then found only as they change or are opened.

        Asked again after `TRACKING_RETRY_S`.
        """
        lacks = f"Redis refuses SCAN ({why}), so jobs are listed once they change or are opened"
        if self.lacks != lacks:
            log.warning("%s", lacks)
        self.lacks = lacks
        self._scan_again_s = self._now_s() + TRACKING_RETRY_S
        self._scan = self._scan_due = None
        self._mark_listed()
        self._progressed()

    def _mark_listed(self) -> None:
        """Has all rows that are listed read again."""
        for pattern in self._patterns:
            for row_id in self._tables.rows(pattern.table):
                self.mark(pattern.key_of(row_id).encode())

    def _progressed(self) -> None:
        self.complete = self.complete or not (self._scan or self._scan_due or self._rows)
        self._refill()
        self.progress.notify()

    def _take_row(self, key: bytes, reading: HashReading) -> None:
        if reading.huge:
            self._huge.add(key)
        else:
            self._huge.discard(key)
        if reading.again:
            self._rows = {key: 0, **self._rows}  # first in the queue: whoever waits for it goes on waiting
        else:
            self.put(key, reading.fields)

    def put(self, key: bytes, fields: Fields | None) -> None:
        """Takes a hash that was just read."""
        self._rows.pop(key, None)
        counted, uncounted = key in self._counted, key in self._uncounted
        self._counted.discard(key)
        self._uncounted.discard(key)
        if self._scan is not None and self.places(key):  # later than what it has found, or will find
            (self._scan.rows.discard if fields is None else self._scan.rows.add)(key)
        if self._tables.log.closed:
            return
        for table, row_id in self.places(key):
            if fields is None:
                self._remove(table, row_id, counted=not uncounted)
            elif self._has_room(table, row_id, fields, counted=counted):
                self._put(key, table, row_id, fields)
        if fields is None:
            self._leases.forget(key)

    def show_lease(self, key: bytes) -> None:
        """Shows what was just learnt of a lease."""
        for table, row_id in self.places(key):
            row = self._tables.rows(table).get(row_id)
            if row is not None:
                bare = {name: value for name, value in row.items() if name != "stale"}
                self._tables.put_row(table, row_id, self._with_stale(key, bare), self._now_s())

    def _with_stale(self, key: bytes, fields: Mapping[str, Any]) -> dict[str, Any]:
        text = key.decode()
        if not has_lease(text) or fields.get("status") in _TERMINAL[text[: text.index(":") + 1]]:
            return dict(fields)
        if not self._leases.is_known(key) and "lease_s" in fields:
            self.mark_lease(key)
        return {**fields, "stale": True} if self._leases.lost(key, fields) else dict(fields)

    def _put(self, key: bytes, table: str, row_id: str, fields: Fields) -> None:
        before = self._tables.rows(table).get(row_id)
        age = None if before is None else _age(before)  # now: rows are changed in place
        self._tables.put_row(table, row_id, self._with_stale(key, fields), self._now_s())
        if age != _age(fields):
            self._oldest[table].add(row_id, fields)

    def _has_room(self, table: str, row_id: str, fields: Fields, *, counted: bool) -> bool:
        """Whether the row is to be shown; in a full table it takes the place of the oldest row, if it is newer."""
        rows = self._tables.rows(table)
        if len(rows) < self._rows_max or row_id in rows:
            return True
        self._denied.add(table)
        oldest = self._oldest[table].first()
        if (_age(fields), row_id) <= oldest:
            return False
        self._tables.put_row(table, oldest[1], None, self._now_s())
        if not counted:  # what a scan has found is in its count
            self._note_left_out(table, self._tables.left_out(table) + 1)
        return True

    def _remove(self, table: str, row_id: str, *, counted: bool) -> None:
        rows, left_out = self._tables.rows(table), self._tables.left_out(table)
        if row_id not in rows:
            self._note_left_out(table, max(0, left_out - counted))
            return
        self._tables.put_row(table, row_id, None, self._now_s())
        self._shrunk.add(table)
        self._refill()

    def _refill(self) -> None:
        """Looks for rows that were left out, once all is read and kept ones have gone."""
        if self._scan or self._scan_due or self._rows or self.lacks:
            return
        for table in self._tables.names:
            free = self._rows_max - len(self._tables.rows(table))
            wanted = table in self._denied or self._tables.left_out(table) > 0
            if not wanted or free < self._rows_max * TABLE_REFILL_PART:
                continue
            if table in self._shrunk:
                self.scan(reread=False)
                return
            self._note_left_out(table, 0)  # the last scan found no more rows than these

    def _note_left_out(self, table: str, count: int) -> None:
        if count and not self._tables.left_out(table):
            log.warning("table %s has %d rows; older ones are left out (FANTAIL_TABLE_ROWS)", table, self._rows_max)
        self._tables.note_left_out(table, count)

    def _take_step(self, scan: _Scan, reply: Any) -> None:
        scan.cursor, keys = reply
        for key in keys:
            if key.endswith(_LEASE_SUFFIX):
                self._found_lease(scan, key.removesuffix(_LEASE_SUFFIX))
                continue
            places = self.places(key)
            if not places:
                continue
            scan.rows.add(key)
            new = any(row_id not in self._tables.rows(table) for table, row_id in places)
            if new:
                self._counted.add(key)
            if scan.reread or new:
                self.mark(key)
        if scan.cursor in (b"0", 0):
            scan.todo.popleft()
            scan.cursor = 0
            if not scan.todo:
                self._finish(scan)

    def _found_lease(self, scan: _Scan, key: bytes) -> None:
        if self.places(key):
            scan.leases.add(key)
            self._leases.learn(key, exists=True)
            self.show_lease(key)

    def _finish(self, scan: _Scan) -> None:
        self._scan, self.lacks = None, ""
        found = Counter(table for key in scan.rows for table, _ in self.places(key))
        for table in self._tables.names:
            self._note_left_out(table, max(0, found[table] - self._rows_max))
        self._counted = {key for key in self._rows if key in scan.rows}
        self._uncounted = {key for key in self._rows if key not in scan.rows}
        for pattern in self._patterns:
            for row_id in self._tables.rows(pattern.table):
                key = pattern.key_of(row_id).encode()
                if key not in scan.rows:
                    self.mark(key)
        for key in self._leases.held():
            if key not in scan.leases:
                self.mark_lease(key)


def _taken(marks: dict[bytes, int], count: int, elsewhere: Collection[bytes] = ()) -> list[bytes]:
    """Takes the first marks out."""
    taken = list(itertools.islice((key for key in marks if key not in elsewhere), count))
    for key in taken:
        del marks[key]
    return taken
