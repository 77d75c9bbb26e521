"""A job's output read in pages: for one answer, for a download, for a search.

Two ways, as lines exist twice. A page shows records, from the window in memory and the archive behind it, with overlong
lines cut as the streams cut them. A download and a search want lines whole: they read entries as they are stored,
straight from the source, and leave the window alone, which belongs to those who watch.

Both end at the length seen at the start, hold one page in memory, and notice when the log is written anew under their
hands, which starts a new generation of it: a page begins anew, and of whole entries there are none any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fantail.broker.log.msg_store import Batch
from fantail.broker.log.outcomes import CaughtUp, Closed, Diverged, Lost
from fantail.broker.log.position import Position, log_position
from fantail.web.errors import busy
from fantail.web.limits import OUTPUT_TRIES_MAX

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from fantail.broker import Broker, Job, MsgStore
    from fantail.broker.source import Source


@dataclass(frozen=True, slots=True)
class OutputPage:
    """Consecutive records of one log.

    Attributes:
        records: their JSON, as viewers get it.
        first: the offset of the first; where lines are lost for good, it lies after the one that was asked for.
        total: the length of the log.
        position: of the last record, or of the one before `first`, to go on with as a stream; None: from the start,
            or it is not known.
    """

    records: Sequence[bytes]
    first: int
    total: int
    position: Position | None

    @property
    def next(self) -> int:
        """Where the next page begins."""
        return self.first + len(self.records)


async def read_page(broker: Broker, job: Job, start: int, records_max: int, bytes_max: int) -> OutputPage:
    """Reads a page of a watched job's output.

    Args:
        broker: whose source is the archive.
        job: is being watched.
        start: an offset; past the end it counts as the end.
        records_max: at most so many, and they end before a gap.
        bytes_max: at most about so much; one record may be longer.

    Raises:
        SourceUnavailableError: the archive must be asked and does not answer.
        ProblemError: 503, the log is written anew all the time.
    """
    for _ in range(OUTPUT_TRIES_MAX):
        page = await _read_page(broker, job, start, records_max, bytes_max)
        if page is not None:
            return page
    raise busy("The output is being written anew")


async def _read_page(broker: Broker, job: Job, start: int, records_max: int, bytes_max: int) -> OutputPage | None:
    subscription = broker.subscribe(job)
    subscription.cursor = job.output.start(start)
    first = subscription.cursor.offset
    records: list[bytes] = []
    crc: int | None = None
    size = 0
    while len(records) < records_max and size < bytes_max:
        match await subscription.next():
            case Batch() as batch:
                for record in batch.records()[: records_max - len(records)]:
                    if records and size + len(record.data) > bytes_max:
                        size = bytes_max
                        break
                    records.append(record.data)
                    crc = record.crc
                    size += len(record.data)
            case Lost():
                if records:
                    break
                first = subscription.cursor.offset
            case Diverged():
                return None
            case CaughtUp() | Closed():
                break
    position = _position_before(job.output, first) if crc is None else log_position(first + len(records) - 1, crc)
    return OutputPage(records, first, job.output.tail, position)


def _position_before(log: MsgStore, offset: int) -> Position | None:
    crc = log.crc_at(offset - 1) if offset else None
    return None if crc is None else log_position(offset - 1, crc)


def whole_entries(
    broker: Broker, job: Job, start: int, stop: int
) -> AsyncGenerator[tuple[int, Sequence[bytes]] | Lost, None]:
    """Reads entries as they are stored, `start <= offset < stop`, page by page; close it when done with it.

    Yields:
        The offset of a page's first entry and the page; or Lost, for entries that nobody has any more. Lost up to
        `stop` also where the log was deleted or written anew meanwhile: what follows would be another log's.

    Raises:
        SourceUnavailableError: the source does not answer.
    """
    if broker.source is None:
        return _from_store(broker, job, start, stop)
    return _from_source(broker.source, job, start, stop)


async def _from_source(
    source: Source, job: Job, start: int, stop: int
) -> AsyncGenerator[tuple[int, Sequence[bytes]] | Lost, None]:
    log, offset = job.output, start
    generation = log.generation
    while offset < stop:
        entries = await source.entries(job, offset, stop)
        if log.generation != generation or not (entries or offset < log.floor):
            yield Lost(offset, stop)
            return
        if entries:
            yield offset, entries
            offset += len(entries)
        else:  # the list's front was trimmed
            yield Lost(offset, min(stop, log.floor))
            offset = log.floor


async def _from_store(
    broker: Broker, job: Job, start: int, stop: int
) -> AsyncGenerator[tuple[int, Sequence[bytes]] | Lost, None]:
    subscription = broker.subscribe(job)
    subscription.cursor = job.output.start(start)
    while (offset := subscription.cursor.offset) < stop:
        match await subscription.next():
            case Batch() as batch:
                yield batch.first, [record.data for record in batch.records()[: stop - batch.first]]
            case Lost(first, end):
                yield Lost(first, min(end, stop))
            case Diverged() | CaughtUp() | Closed():
                yield Lost(offset, stop)
                return
