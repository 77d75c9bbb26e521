"""How much was published: counted where it is taken in, told once a minute, and never what it was.

Lines are counted as a server takes them in at a log's tail: not those that a page of the archive brings back, nor those
of a burst that was passed over because nobody reads it. So the figure says what this server had to do, and only that.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fantail.broker.limits import PUBLISHED_LOG_S

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("fantail.broker.published")


@dataclass(frozen=True, slots=True)
class Published:
    """Counts since some moment.

    Attributes:
        lines: of output.
        changes: operations on documents: fields of jobs, files of diffs, rows.
    """

    lines: int = 0
    changes: int = 0

    def __add__(self, other: Published) -> Published:
        return Published(self.lines + other.lines, self.changes + other.changes)

    def __sub__(self, other: Published) -> Published:
        return Published(self.lines - other.lines, self.changes - other.changes)


class PublishedLog:
    """Tells the log once a minute what was published in it; nothing where nothing was.

    Args:
        total: what was published so far.
        now_s: a monotonic clock, in seconds.
    """

    def __init__(self, total: Callable[[], Published], now_s: Callable[[], float]) -> None:
        self._total = total
        self._now_s = now_s
        self._since_s = now_s()
        self._before = total()

    def tell_when_due(self) -> None:
        """Tells, if a minute is over; call it now and then."""
        past_s = self._now_s() - self._since_s
        if past_s < PUBLISHED_LOG_S:
            return
        total = self._total()
        new = total - self._before
        self._since_s, self._before = self._since_s + past_s, total
        if new.lines or new.changes:
            log.info("published in %.0f s: %d lines, %d changes", past_s, new.lines, new.changes)
