"""One budget for all that is held in memory: what was read longest ago goes first, whosever it is.

Documents are counted and stay, as they are what a viewer sees now; old lines make room for them, down to half of the
budget, without which no page of the archive would stay long enough to be read.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from fantail.broker.jobs import Job
    from fantail.broker.log.msg_store import MsgStore
    from fantail.broker.tables import Tables


def keep_within(total_bytes_max: int, jobs: Collection[Job], tables: Tables, now_s: float) -> None:
    """Frees memory until every log is within its own bounds, and all that is held together within this one.

    Args:
        total_bytes_max: the budget.
        jobs: all that are in memory.
        tables: the global ones.
        now_s: the time by the broker's monotonic clock.
    """
    logs = [log for job in jobs for log in job.stores()]
    for log in logs:
        log.evict(now_s)
    for job in jobs:
        job.forget_old_snapshots()
    tables.forget_old_snapshots()
    log_bytes = sum(log.retained_bytes for log in logs)
    held = sum(job.retained_bytes for job in jobs) + tables.retained_bytes
    _evict(logs, log_bytes - max(total_bytes_max - (held - log_bytes), total_bytes_max // 2))


def _evict(logs: Sequence[MsgStore], over_bytes: int) -> None:
    """Frees so many bytes: what was read longest ago goes first, whosever it is."""
    oldest = [(use, number) for number, log in enumerate(logs) if (use := log.oldest_use()) is not None]
    heapq.heapify(oldest)
    while over_bytes > 0 and oldest:
        number = oldest[0][1]
        log = logs[number]
        before = log.retained_bytes
        log.evict_one()
        over_bytes -= before - log.retained_bytes
        use = log.oldest_use()
        if use is None:
            heapq.heappop(oldest)
        else:
            heapq.heapreplace(oldest, (use, number))
