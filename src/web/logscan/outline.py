"""The outline of a log: where its errors are and where its groups begin and end, kept for as long as it may grow.

A log only grows, and so does its outline: what was looked through once is not looked through again, and twenty tabs on
a running job cost one pass over its new lines. What holds:

 - An outline belongs to one job of one owner, as titles of groups are content: a new owner, or a new job of the same
   id, gets another one (trap 50). It belongs to one list: it goes on only where the last entry that it has seen is
   still in its place (the checksum says so, as it does for positions); otherwise it begins anew (trap 34).
 - What a slice says and how far the outline has come change together, in one thread, or not at all; a request that is
   given up in the middle leaves it as it was before the slice or after it.
 - An answer takes a second of looking at most. It says where the next one goes on.
 - What is kept is bounded: marks of one log, and logs. Where one log has more errors than are kept, the answer says
   so (`full`), and a search for errors from there on finds the rest.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import OrderedDict
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING
from weakref import ref
from zlib import crc32

import anyio

from fantail.broker.jobs import number
from fantail.web.errors import busy
from fantail.web.limits import (
    GROUP_MARK_BYTES,
    OUTLINE_ERRORS_MAX,
    OUTLINE_GROUP_MARKS_MAX,
    OUTLINE_MARKS_PAGE,
    OUTLINE_S_MAX,
    OUTLINES_BYTES_MAX,
    OUTLINES_MAX,
    OUTPUT_TRIES_MAX,
)
from fantail.web.logscan.line_marks import Mark, MarkReader
from fantail.web.logscan.scan import slices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fantail.broker import Broker, Job, MsgStore
    from fantail.web.logscan.scan import SearchSlots

_offset = attrgetter("offset")


@dataclass(frozen=True, slots=True)
class OutlinePage:
    """Some marks of an outline, in the order of their offsets.

    Attributes:
        marks: those of `first <= offset < next`.
        first: where it begins.
        next: where the next page begins.
        total: the length of the log.
        errors: how many errors there are in all that was looked through.
        complete: whether everything up to `total` was looked through, and nothing comes after this page.
        full: whether no more marks are kept; `next` says where that was.
    """

    marks: Sequence[Mark]
    first: int
    next: int
    total: int
    errors: int
    complete: bool
    full: bool


@dataclass(slots=True)
class Outline:
    """What is known of one log.

    Attributes:
        looked: the offset behind the last entry that was looked at.
        errors: the offsets of errors.
        groups: where groups begin and end.
        lock: held by who looks on.
    """

    looked: int = 0
    errors: array[int] = field(default_factory=lambda: array("Q"))
    groups: list[Mark] = field(default_factory=list)
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    _reader: MarkReader = field(default_factory=MarkReader)
    _crc: int = 0
    _log: ref[MsgStore] | None = None
    _generation: int = 0

    @property
    def full(self) -> bool:
        """Whether it keeps no more marks."""
        return len(self.errors) >= OUTLINE_ERRORS_MAX or len(self.groups) >= OUTLINE_GROUP_MARKS_MAX

    @property
    def held_bytes(self) -> int:
        """What it holds in memory, about."""
        return self.errors.itemsize * len(self.errors) + GROUP_MARK_BYTES * len(self.groups)

    def follows(self, log: MsgStore) -> bool:
        """Whether it is known to be this log's, as it is now."""
        return self._log is not None and self._log() is log and self._generation == log.generation

    def belongs(self, log: MsgStore) -> None:
        """Learns that it is this log's."""
        self._log, self._generation = ref(log), log.generation

    def begin(self) -> None:
        """Forgets everything: the list is another one."""
        self.looked = 0
        self.errors, self.groups, self._reader = array("Q"), [], MarkReader()

    def goes_on_behind(self, entry: bytes) -> bool:
        """Whether this is the last entry that was looked at."""
        return crc32(entry) == self._crc

    def add(self, first: int, entries: Sequence[bytes], fallback_timestamp_ms: int) -> None:
        """Looks at the next entries; those before may be gone."""
        self._keep(self._reader.read(first, entries, fallback_timestamp_ms))
        self.looked = first + len(entries)
        self._crc = crc32(entries[-1])

    def end(self) -> None:
        """Learns that no more will come, as a rule: a header that stands last is one."""
        self._keep(self._reader.flush())

    def _keep(self, marks: Sequence[Mark]) -> None:
        for mark in marks:
            if mark.kind == "error":
                self.errors.append(mark.offset)
            else:
                self.groups.append(mark)

    def page(self, start: int, total: int) -> OutlinePage:
        """The marks from an offset on."""
        waiting = self._reader.waiting
        decided = self.looked if waiting is None else waiting.offset
        first = min(start, total)
        marks, cut = self._marks(first, decided)
        complete = cut is None and (self.looked >= total)
        return OutlinePage(
            marks=marks,
            first=first,
            next=max(first, decided if cut is None else cut),
            total=total,
            errors=len(self.errors),
            complete=complete,
            full=not complete and cut is None and self.full,
        )

    def has_page(self, start: int) -> bool:
        """Whether it knows a whole page of marks from an offset on."""
        known = len(self.errors) - bisect_left(self.errors, start)
        return known + len(self.groups) - bisect_left(self.groups, start, key=_offset) > OUTLINE_MARKS_PAGE

    def _marks(self, start: int, stop: int) -> tuple[Sequence[Mark], int | None]:
        """At most a page of marks, and the offset of the first that has no place on it; an offset's are not parted."""
        at, end = bisect_left(self.errors, start), bisect_left(self.errors, stop)
        marks = [
            Mark(offset, "error", "", header=False, timestamp_ms=0)
            for offset in self.errors[at : min(end, at + OUTLINE_MARKS_PAGE + 1)]
        ]
        at, end = (bisect_left(self.groups, offset, key=_offset) for offset in (start, stop))
        marks.extend(self.groups[at : min(end, at + OUTLINE_MARKS_PAGE + 1)])
        marks.sort(key=_offset)  # stable: an entry's error stays before its groups
        if len(marks) <= OUTLINE_MARKS_PAGE:
            return marks, None
        cut = marks[OUTLINE_MARKS_PAGE].offset
        return marks[: bisect_left(marks, cut, key=_offset)], cut


class Outlines:
    """The outlines of the logs that were asked for last.

    Attributes:
        places: for those who look through logs, for an outline or otherwise.
    """

    def __init__(self, places: SearchSlots) -> None:
        self.places = places
        self._kept: OrderedDict[tuple[str, str, str | None, str | None], Outline] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def held_bytes(self) -> int:
        """What they hold in memory, about."""
        return sum(kept.held_bytes for kept in self._kept.values())

    async def page(self, broker: Broker, job: Job, start: int) -> OutlinePage:
        """A page of a watched job's outline; looks on for it where that is needed.

        Args:
            broker: whose source has the entries.
            job: is being watched.
            start: an offset; past the end it counts as the end.

        Raises:
            ProblemError: 503, too many are waiting, or the log is written anew all the time.
            SourceUnavailableError: the source does not answer.
        """
        outline = self._of(job)
        async with outline.lock:
            for _ in range(OUTPUT_TRIES_MAX):
                total = job.output.tail
                if not (outline.follows(job.output) and self._suffices(outline, job, start)):
                    async with self.places.place():
                        await self._look_on(outline, broker, job, start, total)
                if outline.follows(job.output):
                    if job.ended and outline.looked >= job.output.tail:
                        outline.end()
                    return outline.page(start, max(total, outline.looked))
        raise busy("The output is being written anew")

    @staticmethod
    def _suffices(outline: Outline, job: Job, start: int) -> bool:
        return outline.full or outline.looked >= job.output.tail or outline.has_page(start)

    async def _look_on(self, outline: Outline, broker: Broker, job: Job, start: int, stop: int) -> None:
        """Looks through what is new, for as long as one answer may take."""
        log = job.output
        generation = log.generation
        if not outline.follows(log) and not await self._is_of(outline, broker, job):
            outline.begin()
        outline.belongs(log)
        created_ms = number(str(job.fields.get("created_at", ""))) or 0
        ends_at_s = anyio.current_time() + OUTLINE_S_MAX
        async with aclosing(slices(broker, job, outline.looked, stop)) as parts:
            async for first, entries in parts:
                if log.generation != generation:
                    return  # it follows no more, and is begun anew
                await self.places.in_thread(partial(outline.add, first, entries, created_ms))
                if anyio.current_time() >= ends_at_s or outline.full or outline.has_page(start):
                    return
        if log.generation == generation:
            outline.looked = max(outline.looked, stop)  # what is gone has no marks

    @staticmethod
    async def _is_of(outline: Outline, broker: Broker, job: Job) -> bool:
        """Whether the list still has the last entry that was looked at, in its place."""
        if not 0 < outline.looked <= job.output.tail:
            return False
        async with aclosing(slices(broker, job, outline.looked - 1, outline.looked)) as parts:
            async for first, entries in parts:
                return first == outline.looked - 1 and outline.goes_on_behind(entries[0])
        return False

    def _of(self, job: Job) -> Outline:
        key = (job.kind.name, job.id, job.owner, job.fields.get("created_at"))
        outline = self._kept.setdefault(key, Outline())
        self._kept.move_to_end(key)
        held = self.held_bytes
        while len(self._kept) > 1 and (len(self._kept) > OUTLINES_MAX or held > OUTLINES_BYTES_MAX):
            _, dropped = self._kept.popitem(last=False)
            held -= dropped.held_bytes
        return outline
