"""What status dashboards are fed from, in numbers for Prometheus and in detail for an admin.

A source that was not set is not shown: a figure of 0 would say that it is there and has nothing to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from fantail.broker.sources.pipelines.health_poller import HealthPoller
    from fantail.broker.sources.status.pubsub import StatusPubSub
    from fantail.web.status_sources import StatusSources


def status_metrics(sources: StatusSources) -> Iterator[Metric]:
    """Yields the figures of those sources that are there."""
    if sources.pipelines is not None:
        yield from _of_pipelines(sources.pipelines)
    if sources.statuses is not None:
        yield from _of_statuses(sources.statuses, has_database=sources.database is not None)


def _of_pipelines(poller: HealthPoller) -> Iterator[Metric]:
    stats = poller.stats()
    yield CounterMetricFamily("fantail_pipeline_polls", "Questions to the pipeline backend.", stats.polls_total)
    for name, what, value in (
        ("fantail_pipelines", "Pipelines that are known.", stats.pipelines),
        ("fantail_pipeline_watchers", "Streams of pipelines.", stats.watches),
        ("fantail_pipeline_polls_under_way", "Questions that wait for their answer.", stats.polls_under_way),
        ("fantail_pipeline_backend_up", "Whether the pipeline backend answers.", float(stats.backend_available)),
    ):
        yield GaugeMetricFamily(name, what, value)


def _of_statuses(statuses: StatusPubSub, *, has_database: bool) -> Iterator[Metric]:
    stats = statuses.stats()
    yield CounterMetricFamily("fantail_status_messages", "What workers said of tests and runs.", stats.messages_total)
    for name, what, value in (
        ("fantail_status_subjects", "Tests and runs that are followed.", stats.subjects),
        ("fantail_status_watchers", "Streams of tests and runs.", stats.watchers),
        ("fantail_status_unwritten", "States that Redis has not taken yet.", stats.unwritten),
        ("fantail_status_channels_up", "Whether the channels are heard.", float(stats.channels_available is True)),
    ):
        yield GaugeMetricFamily(name, what, value)
    if has_database and stats.database_available is not None:
        what = "Whether the database with tests and runs answered last."
        yield GaugeMetricFamily("fantail_status_database_up", what, float(stats.database_available))


def status_json(sources: StatusSources) -> dict[str, Any]:
    """The same for `/api/system`; None for a source that was not set, and for what nobody knows yet."""
    pipelines = sources.pipelines and sources.pipelines.stats()
    statuses = sources.statuses and sources.statuses.stats()
    return {
        "pipelines": pipelines
        and {
            "known": pipelines.pipelines,
            "watchers": pipelines.watches,
            "pollsUnderWay": pipelines.polls_under_way,
            "pollsTotal": pipelines.polls_total,
            "backendAvailable": pipelines.backend_available,
        },
        "statuses": statuses
        and {
            "followed": statuses.subjects,
            "watchers": statuses.watchers,
            "messagesTotal": statuses.messages_total,
            "unwritten": statuses.unwritten,
            "channelsAvailable": statuses.channels_available,
            "databaseAvailable": None if sources.database is None else statuses.database_available,
        },
    }
