"""What a broker holds at one moment: every live store with its bytes, its head and tail, and who reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fantail.broker.jobs import Job
    from fantail.broker.source import Source
    from fantail.broker.tables import Tables


@dataclass(frozen=True, slots=True)
class JobStats:
    """One live job: what it holds and who reads it. `lag_max` is in records."""

    kind: str
    id: str
    status: str
    retained_bytes: int
    head: int
    tail: int
    watchers: int
    lag_max: int

    @classmethod
    def of(cls, job: Job) -> JobStats:
        """What this job holds."""
        # A cursor whose reader has left lives on until it is collected, and lags more and more.
        lag_max = max((subscription.lag for subscription in job.subscriptions), default=0) if job.watchers else 0
        return cls(
            kind=job.kind.name,
            id=job.id,
            status=job.status,
            retained_bytes=job.retained_bytes,
            head=job.output.head,
            tail=job.output.tail,
            watchers=job.watchers,
            lag_max=lag_max,
        )


@dataclass(frozen=True, slots=True)
class BrokerStats:
    """What the broker holds now."""

    jobs: tuple[JobStats, ...]
    total_bytes: int
    total_bytes_max: int
    tables_bytes: int
    tables_watchers: int
    source_available: bool
    source_mode: str
    tables_lack: str

    @classmethod
    def of(
        cls, jobs: Iterable[Job], tables: Tables, *, tables_watchers: int, total_bytes_max: int, source: Source | None
    ) -> BrokerStats:
        """What these jobs and tables hold."""
        each = tuple(map(JobStats.of, jobs))
        return cls(
            jobs=each,
            total_bytes=sum(job.retained_bytes for job in each),
            total_bytes_max=total_bytes_max,
            tables_bytes=tables.retained_bytes,
            tables_watchers=tables_watchers,
            source_available=source is None or source.available,
            source_mode="none" if source is None else source.mode,
            tables_lack="" if source is None else source.tables_lack,
        )
