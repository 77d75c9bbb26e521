"""`GET /api/jobs/{id}/output/search?q&regex&case&limit&from`: which lines say something, and how many.

    {"hits":[{"offset":n,"line":"…","match":[a,b]}],"total":n,"lines":n,"complete":bool}

`total` is exact over the `lines` lines that were looked through, and `complete` says whether those are all that the log
had at the start; they are not where some are gone, or where the time was up. `hits` are the first `limit` of those from
`from` on.

A search reads the whole log, so it is bounded on every side: the pattern's length and memory (`web.search`), the time,
a slice of a page at once in a worker thread, a few searches at once and some more waiting; and it is given up as soon
as its client leaves.
"""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from broker.limits import (
    HITS_PAGE,
    HITS_PAGE_MAX,
    PATTERN_CHARS_MAX,
    SEARCH_S_MAX,
    SEARCH_SLICE_BYTES,
    SEARCHES_MAX,
    SEARCHES_WAITING_MAX,
)
from broker.outcomes import Lost
from web.api_exchange import flag, json_response, seen_job, while_connected, whole_number
from web.api_log import whole_entries
from web.ingest import batches
from web.problems import bad_request, busy
from web.search import BadPatternError, Matcher

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from broker import Broker, Job, JobKind
    from web.context import Context
    from web.search import Hit


class Searches:
    """How many searches there are: some run, some wait, more are sent away."""

    def __init__(self) -> None:
        self.present = 0
        self._running = anyio.CapacityLimiter(SEARCHES_MAX)
        self._threads = anyio.CapacityLimiter(SEARCHES_MAX)

    async def run(self, broker: Broker, job: Job, matcher: Matcher, hits_from: int, hits_max: int) -> dict[str, Any]:
        """Searches a watched job's output.

        Raises:
            ProblemError: 503, too many are waiting.
            SourceUnavailableError: the source does not answer.
        """
        if self.present >= SEARCHES_MAX + SEARCHES_WAITING_MAX:
            raise busy("Too many searches at once")
        self.present += 1
        try:
            async with self._running:
                return await self._search(broker, job, matcher, hits_from, hits_max)
        finally:
            self.present -= 1

    async def _search(
        self, broker: Broker, job: Job, matcher: Matcher, hits_from: int, hits_max: int
    ) -> dict[str, Any]:
        hits: list[Hit] = []
        total, lines, stop = 0, 0, job.output.tail
        ends_at_s = anyio.current_time() + SEARCH_S_MAX
        async with aclosing(_slices(broker, job, stop)) as slices:
            async for first, entries in slices:
                look = partial(matcher.count, first, entries, hits, hits_from, hits_max)
                total += await anyio.to_thread.run_sync(look, limiter=self._threads)
                lines += len(entries)
                if anyio.current_time() >= ends_at_s:
                    break
        shown = [{"offset": hit.offset, "line": hit.line, "match": [hit.start, hit.end]} for hit in hits]
        return {"hits": shown, "total": total, "lines": lines, "complete": lines == stop}


async def _slices(broker: Broker, job: Job, stop: int) -> AsyncGenerator[tuple[int, Sequence[bytes]], None]:
    async with aclosing(whole_entries(broker, job, 0, stop)) as pages:
        async for page in pages:
            if isinstance(page, Lost):
                continue
            first, entries = page
            for part in batches(entries, len(entries), SEARCH_SLICE_BYTES):
                yield first, part
                first += len(part)


async def answer_search(context: Context, searches: Searches, request: Request, kind: JobKind) -> Response:
    """Answers `GET …/output/search`."""
    async with seen_job(context.broker, request, kind) as job:
        matcher = _matcher(request)
        hits_from = whole_number(request, "from", 0)
        hits_max = whole_number(request, "limit", HITS_PAGE, HITS_PAGE_MAX)
        search = partial(searches.run, context.broker, job, matcher, hits_from, hits_max)
        return json_response(await while_connected(request.receive, search))


def _matcher(request: Request) -> Matcher:
    pattern = request.query_params.get("q", "")
    if not pattern:
        raise bad_request("`q` says what to look for")
    if len(pattern) > PATTERN_CHARS_MAX:
        raise bad_request(f"`q` has at most {PATTERN_CHARS_MAX} characters")
    try:
        return Matcher(pattern, regex=flag(request, "regex"), case=flag(request, "case"))
    except BadPatternError as fault:
        raise bad_request(f"`q` is no pattern: {fault}") from None
