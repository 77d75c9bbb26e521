"""`GET /api/jobs/{id}/output/search`: which lines say something, and how many.

    {"hits":[{"offset":n,"line":"…","match":[a,b]}],"total":n,"lines":n,"through":n,"next":n,"complete":bool}

    q, regex, case     a text, or a pattern in RE2's syntax; without it, all lines that the next two let through
    stream=stderr,…    only lines of these streams
    kind=error         only lines that are errors, as the outline has them
    since=S            looks at the lines from this offset on; all numbers are of these
    from=K, limit=N    the hits that are sent: the first N from this offset on
    fields=offset      "offsets":[n,…] in place of hits
    ticks=B            "ticks":[n,…]: in how many parts the lines are divided, and how many hits each part has
    stop=1             ends as soon as the hits asked for are there

`total` is exact over the `lines` lines that were looked through, and `complete` says whether those are all that the log
had at the start, from `since` on; they are not where some are gone, where the time was up, or with `stop`. `through` is
the offset behind the last one, where `since` goes on. Further hits are those with `from=next`; with `since=next` too,
the lines before are not looked at again, nor counted.

A search reads the whole log, so it is bounded on every side: the pattern's length and memory
(`fantail.web.logscan.search`), the time, a slice of a page at once in a worker thread, a few searches at once and some
more waiting; and it is given up as soon as its client leaves.
"""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from fantail.broker.log.records import STREAMS
from fantail.web.errors import bad_request
from fantail.web.http.json_response import json_response
from fantail.web.limits import HITS_PAGE, HITS_PAGE_MAX, OFFSETS_PAGE_MAX, PATTERN_CHARS_MAX, SEARCH_S_MAX, TICKS_MAX
from fantail.web.logscan.scan import slices
from fantail.web.logscan.search import BadPatternError, Findings, Matcher, Wanted
from fantail.web.rest.request import flag, seen_job, while_connected, whole_number

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from fantail.broker import Broker, Job, JobKind
    from fantail.web.context import Context
    from fantail.web.logscan.scan import SearchSlots


async def answer_search(context: Context, request: Request, kind: JobKind) -> Response:
    """Answers `GET …/output/search`."""
    async with seen_job(context.broker, request, kind) as job:
        wanted = _wanted(request, job.output.tail)
        stops = flag(request, "stop")
        search = partial(_search, context.broker, job, context.outlines.places, wanted, stops=stops)
        return json_response(await while_connected(request.receive, search))


async def _search(broker: Broker, job: Job, places: SearchSlots, wanted: Wanted, *, stops: bool) -> dict[str, Any]:
    findings = Findings(wanted)
    async with places.place():
        ends_at_s = anyio.current_time() + SEARCH_S_MAX
        async with aclosing(slices(broker, job, wanted.start, wanted.stop)) as parts:
            async for first, entries in parts:
                await places.in_thread(partial(findings.look, first, entries))
                if anyio.current_time() >= ends_at_s or (stops and findings.full):
                    break
            else:
                findings.through = wanted.stop  # lines that are gone at the end cannot be looked at either
    return _json(wanted, findings)


def _json(wanted: Wanted, findings: Findings) -> dict[str, Any]:
    found: dict[str, Any] = (
        {"offsets": findings.offsets}
        if wanted.offsets_only
        else {
            "hits": [{"offset": hit.offset, "line": hit.line, "match": [hit.start, hit.end]} for hit in findings.hits]
        }
    )
    if wanted.ticks:
        found["ticks"] = findings.ticks
    complete = findings.lines == wanted.stop - wanted.start
    return {
        **found,
        "total": findings.total,
        "lines": findings.lines,
        "through": findings.through,
        "next": findings.next,
        "complete": complete,
    }


def _wanted(request: Request, tail: int) -> Wanted:
    """What the query asks for.

    Raises:
        ProblemError: 400, with what is wrong.
    """
    streams, errors = _streams(request), _errors_only(request)
    fields = request.query_params.get("fields", "")
    if fields not in {"", "offset"}:
        raise bad_request("`fields` must be `offset`")
    offsets_only = fields == "offset"
    usual, highest = (OFFSETS_PAGE_MAX, OFFSETS_PAGE_MAX) if offsets_only else (HITS_PAGE, HITS_PAGE_MAX)
    start = min(whole_number(request, "since", 0), tail)
    return Wanted(
        matcher=_matcher(request, needed=streams is None and not errors),
        streams=streams,
        errors=errors,
        start=start,
        stop=tail,
        hits_from=whole_number(request, "from", start),
        hits_max=whole_number(request, "limit", usual, highest),
        offsets_only=offsets_only,
        ticks=whole_number(request, "ticks", 0, TICKS_MAX),
    )


def _streams(request: Request) -> frozenset[str] | None:
    given = request.query_params.get("stream")
    if given is None:
        return None
    streams = frozenset(given.split(","))
    if not streams <= STREAMS:
        raise bad_request(f"`stream` must be one or more of {', '.join(sorted(STREAMS))}, with commas between")
    return streams


def _errors_only(request: Request) -> bool:
    kind = request.query_params.get("kind")
    if kind not in {None, "error"}:
        raise bad_request("`kind` must be `error`")
    return kind is not None


def _matcher(request: Request, *, needed: bool) -> Matcher | None:
    pattern = request.query_params.get("q", "")
    if not pattern and not needed:
        return None
    if not pattern:
        raise bad_request("`q` says what to look for")
    if len(pattern) > PATTERN_CHARS_MAX:
        raise bad_request(f"`q` has at most {PATTERN_CHARS_MAX} characters")
    try:
        return Matcher(pattern, regex=flag(request, "regex"), case=flag(request, "case"))
    except BadPatternError as fault:
        raise bad_request(f"`q` is no pattern: {fault}") from None
