"""How the server is: alive, ready, in numbers for Prometheus (docs/OPERATIONS.md); in detail, see
`fantail.web.rest.system`.

    /healthz      200 while the process answers at all
    /readyz       200 while the source answers and no drain is under way, else 503
    /metrics      Prometheus; for admins, unless FANTAIL_METRICS says otherwise

Numbers are read when they are asked for; nothing is counted twice. Labels have few values: the family of a job, the
face of a stream, the reason of its end. No id is a label, or a thousand jobs would be a thousand time series.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.responses import Response
from starlette.routing import Route

from fantail.web.auth.viewer import admin_required, viewer_required
from fantail.web.http.json_response import HEADERS, json_response
from fantail.web.observability.status_metrics import status_metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric
    from starlette.requests import Request

    from fantail.web.context import Context
    from fantail.web.status_sources import StatusSources


def routes(context: Context, sources: StatusSources) -> list[Route]:
    """The routes of this module."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(FantailCollector(context, sources))
    ProcessCollector(registry=registry)

    async def alive(_: Request) -> Response:
        return json_response({"status": "ok"})

    async def ready(_: Request) -> Response:
        if context.streams.draining:
            return json_response({"status": "stopping"}, 503, {"Retry-After": "5"})
        if not context.broker.source_available:
            return json_response({"status": "the store of jobs does not answer"}, 503, {"Retry-After": "5"})
        return json_response({"status": "ok"})

    async def numbers(request: Request) -> Response:
        _allow(context, request)
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={**HEADERS, "Content-Type": content_type})

    return [
        Route("/healthz", alive),
        Route("/readyz", ready),
        Route("/metrics", numbers),
    ]


def _allow(context: Context, request: Request) -> None:
    """Lets in whom the setting says: numbers tell how busy others are, and a scraper need not be an admin."""
    match context.settings.metrics:
        case "admin":
            admin_required(request.scope)
        case "user":
            viewer_required(request.scope)
        case "open":
            pass


def streams_by_label(context: Context) -> Counter[str]:
    """How many streams of each face are open; what a face says of itself begins with its name."""
    return Counter(stream.label.partition(" ")[0] for stream in context.streams)


def sent_bytes(context: Context) -> int:
    """What streams were sent since the start, ended ones and open ones."""
    return context.streams.sent_bytes_total + sum(stream.sent_bytes for stream in context.streams)


class FantailCollector(Collector):
    """Reads the broker, the streams and the sources of statuses whenever Prometheus asks."""

    def __init__(self, context: Context, sources: StatusSources) -> None:
        self._context = context
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """Yields what there is to say now."""
        yield from self._of_stores()
        yield from self._of_streams()
        yield from status_metrics(self._sources)

    def _of_stores(self) -> Iterator[Metric]:
        stats = self._context.broker.stats()
        jobs = GaugeMetricFamily("fantail_jobs", "Jobs in memory.", labels=["kind"])
        for kind, count in Counter(job.kind for job in stats.jobs).items():
            jobs.add_metric([kind], count)
        yield jobs
        source = GaugeMetricFamily("fantail_source_up", "Whether the source of jobs answers.", labels=["mode"])
        source.add_metric([stats.source_mode], float(stats.source_available))
        yield source
        published = self._context.broker.published
        yield CounterMetricFamily("fantail_published_lines", "Lines taken in.", published.lines)
        yield CounterMetricFamily("fantail_published_changes", "Changes of documents taken in.", published.changes)
        lag = max((job.lag_max for job in stats.jobs), default=0)
        for name, what, value in (
            ("fantail_job_watchers", "Readers of jobs.", sum(job.watchers for job in stats.jobs)),
            ("fantail_table_watchers", "Readers of the tables.", stats.tables_watchers),
            ("fantail_lag_records", "How far the slowest reader is behind.", lag),
            ("fantail_store_bytes", "What the jobs' stores hold in memory.", stats.total_bytes),
            ("fantail_store_bytes_limit", "What they may hold.", stats.total_bytes_max),
            ("fantail_table_bytes", "What the tables hold in memory: rows, log, snapshots.", stats.tables_bytes),
        ):
            yield GaugeMetricFamily(name, what, value)

    def _of_streams(self) -> Iterator[Metric]:
        streams = self._context.streams
        what = "Streams that are open, uploads and downloads too."
        by_label = GaugeMetricFamily("fantail_streams", what, labels=["face"])
        for label, count in streams_by_label(self._context).items():
            by_label.add_metric([label], count)
        yield by_label
        yield CounterMetricFamily("fantail_streams_opened", "Streams opened.", streams.opened_total)
        yield CounterMetricFamily(
            "fantail_stream_sent_bytes", "Bytes that streams were sent.", sent_bytes(self._context)
        )
        ended = CounterMetricFamily("fantail_streams_ended", "Streams that ended.", labels=["reason"])
        for reason, count in streams.ended.items():
            ended.add_metric([reason], count)
        yield ended
