"""Looking through a whole log for one answer: in slices small enough for a thread, a few readers at once.

A search and an outline read every line of a log, which takes seconds for a million of them. So that nobody else waits
for that, a slice at once is looked at in a worker thread, which cannot be stopped and therefore gets little; only
`SEARCHES_MAX` look at once, some wait, and more are sent away.
"""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread

from fantail.broker.log.outcomes import Lost
from fantail.web.errors import busy
from fantail.web.limits import SEARCH_SLICE_BYTES, SEARCHES_MAX, SEARCHES_WAITING_MAX
from fantail.web.logscan.batches import batches
from fantail.web.logscan.pages import whole_entries

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

    from fantail.broker import Broker, Job

T = TypeVar("T")


class SearchSlots:
    """Places for those who look through logs: some look, some wait, more are sent away.

    Attributes:
        present: how many look or wait.
    """

    def __init__(self) -> None:
        self.present = 0
        self._running = anyio.CapacityLimiter(SEARCHES_MAX)
        self._threads = anyio.CapacityLimiter(SEARCHES_MAX)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A place, waited for.

        Raises:
            ProblemError: 503, too many are waiting.
        """
        if self.present >= SEARCHES_MAX + SEARCHES_WAITING_MAX:
            raise busy("Too many searches at once")
        self.present += 1
        try:
            async with self._running:
                yield
        finally:
            self.present -= 1

    async def in_thread(self, look: Callable[[], T]) -> T:
        """Looks at a slice in a thread; a cancellation waits until it is done with that."""
        return await anyio.to_thread.run_sync(look, limiter=self._threads)


async def slices(broker: Broker, job: Job, start: int, stop: int) -> AsyncGenerator[tuple[int, Sequence[bytes]], None]:
    """Reads entries as they are stored, `start <= offset < stop`, in slices; close it when done with it.

    Yields:
        The offset of a slice's first entry, and the slice. Entries that are gone are passed over.

    Raises:
        SourceUnavailableError: the source does not answer.
    """
    async with aclosing(whole_entries(broker, job, start, stop)) as pages:
        async for page in pages:
            if isinstance(page, Lost):
                continue
            first, entries = page
            for part in batches(entries, len(entries), SEARCH_SLICE_BYTES):
                yield first, part
                first += len(part)
