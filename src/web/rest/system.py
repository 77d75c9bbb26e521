"""`GET /api/system?jobs=N&by=bytes|watchers|lag`: what a running server holds and does, for admins.

Everything is read when it is asked for, in one step, and bounded: of jobs, the first N (500 at most) in the order asked
for. That takes some two milliseconds with a hundred jobs in memory, so a page that asks every two seconds shows it
live; with ten thousand it takes 70, and is then read so seldom that it costs a twentieth of the time, whoever asks.
Decided against a stream of its own, whose every frame would be the whole again.
"""

from __future__ import annotations

import asyncio
import heapq
import platform
import time
from dataclasses import asdict
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

from starlette.routing import Route

from fantail.web.auth.viewer import admin_required
from fantail.web.errors import bad_request
from fantail.web.http.json_response import json_response
from fantail.web.limits import SYSTEM_CHEAP_S, SYSTEM_JOBS_MAX, SYSTEM_REST_FACTOR
from fantail.web.observability.metrics import sent_bytes, streams_by_label
from fantail.web.observability.status_metrics import status_json
from fantail.web.rest.request import whole_number
from fantail.web.rest.shapes import camel

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from fantail.broker import Broker, BrokerStats
    from fantail.web.context import Context
    from fantail.web.status_sources import StatusSources

_ORDERS: Final = {"bytes": "retained_bytes", "watchers": "watchers", "lag": "lag_max"}
# What `FANTAIL_…` sets, as far as a viewer of the system may want to know why something ended or is not there.
_SETTINGS: Final = (
    "auth",
    "store_bytes",
    "total_bytes",
    "line_bytes",
    "streams",
    "streams_per_user",
    "streams_per_address",
    "max_stream_s",
    "write_timeout_s",
    "keepalive_s",
    "linger_s",
)


def routes(context: Context, sources: StatusSources) -> list[Route]:
    """The routes of this module."""
    started_s = context.broker.now_s()
    sampler = _Sampler(context.broker)

    async def system(request: Request) -> Response:
        admin_required(request.scope)
        by = request.query_params.get("by", "bytes")
        if by not in _ORDERS:
            raise bad_request(f"`by` must be one of {', '.join(_ORDERS)}")
        jobs_max = whole_number(request, "jobs", SYSTEM_JOBS_MAX, SYSTEM_JOBS_MAX)
        uptime_s = context.broker.now_s() - started_s
        return json_response(
            system_json(context, sources, sampler.stats(), uptime_s=uptime_s, jobs_max=jobs_max, by=by)
        )

    return [Route("/api/system", system)]


class _Sampler:
    """Reads what the broker holds, afresh where that is cheap, and else no more often than it may cost."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._stats: BrokerStats | None = None
        self._good_until_s = 0.0

    def stats(self) -> BrokerStats:
        """What is live now, or was a moment ago."""
        began_s = time.monotonic()
        if self._stats is not None and began_s < self._good_until_s:
            return self._stats
        stats = self._broker.stats()
        cost_s = time.monotonic() - began_s
        self._stats = stats if cost_s > SYSTEM_CHEAP_S else None
        self._good_until_s = began_s + cost_s * SYSTEM_REST_FACTOR
        return stats


def system_json(
    context: Context, sources: StatusSources, stats: BrokerStats, *, uptime_s: float, jobs_max: int, by: str
) -> dict[str, Any]:
    """Everything there is to say of a running server; of jobs, the first in the order of `by`."""
    streams, settings, published = context.streams, context.settings, context.broker.published
    return {
        "version": _version(),
        "python": platform.python_version(),
        "uptimeS": round(uptime_s, 1),
        "draining": streams.draining,
        "source": {"available": stats.source_available, "mode": stats.source_mode, "tablesLack": stats.tables_lack},
        **status_json(sources),
        "stores": _stores_json(context, stats),
        "jobs": _jobs_json(stats, jobs_max, _ORDERS[by]),
        "streams": {
            "open": len(streams),
            "byFace": dict(streams_by_label(context)),
            "openedTotal": streams.opened_total,
            "sentBytes": sent_bytes(context),
            "ended": dict(streams.ended),
        },
        "published": {"lines": published.lines, "changes": published.changes},
        "searches": {"present": context.outlines.places.present},
        "outlines": {"kept": len(context.outlines), "bytes": context.outlines.held_bytes},
        "memory": {"residentBytes": _resident_bytes()},
        "tasks": len(asyncio.all_tasks()),
        "cpu": {"usedS": round(time.process_time(), 2)},
        "settings": {camel(name): getattr(settings, name) for name in _SETTINGS},
    }


def _stores_json(context: Context, stats: BrokerStats) -> dict[str, Any]:
    tables = context.broker.tables
    return {
        "bytes": stats.total_bytes,
        "bytesMax": stats.total_bytes_max,
        "tablesBytes": stats.tables_bytes,
        "tablesWatchers": stats.tables_watchers,
        "tableRows": {name: len(tables.rows(name)) for name in tables.names},
        "jobsTotal": len(stats.jobs),
        "watchers": sum(job.watchers for job in stats.jobs),
        "lagMax": max((job.lag_max for job in stats.jobs), default=0),
    }


def _jobs_json(stats: BrokerStats, jobs_max: int, order: str) -> list[dict[str, Any]]:
    first = heapq.nlargest(jobs_max, stats.jobs, key=lambda job: (getattr(job, order), job.retained_bytes, job.id))
    return [{camel(name): value for name, value in asdict(job).items()} for job in first]


@cache
def _version() -> str:
    try:
        return version("fantail-hub")
    except PackageNotFoundError:
        return "unknown"


def _resident_bytes() -> int | None:
    """What the process holds in memory (proc(5), statm); None where the platform does not tell."""
    try:
        with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123 (a file of the kernel's)
            return int(statm.read().split()[1]) * 4096
    except OSError:
        return None
