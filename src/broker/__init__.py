"""An event-sourced, in-process broker: bounded logs and JSON documents, fanned out to cursors.

    from fantail.broker import Broker

    async with Broker().running() as broker:
        await broker.create_job("42")
        await broker.publish("42", "hello")

No HTTP here (that is `fantail.web`), and no Redis outside `sources`, `producers` and `embedded`. The rooms: `log`,
`documents`, `readers`, `embedded`, `sources`, `producers`. Beside them:

    broker.py            the registry of jobs, their watchers and cleanup
    errors.py            every error
    jobs.py              what a job is, and when it is over
    ledger.py            where changes are written
    lenient_json.py      untrusted JSON, read only as far as it can be written again
    limits.py            every limit, with its reason
    memory_budget.py     what may stay in memory
    own_directories.py   hides directories of this program from git
    published.py         how much was taken in
    source.py            the protocol that a source implements
    stats.py             what the broker holds
    tables.py            the global tables, and who may see a row
"""

from __future__ import annotations

from fantail.broker.broker import Broker, BrokerLimits
from fantail.broker.documents.patch_store import PatchStore
from fantail.broker.errors import (
    AlreadyExistsError,
    BrokerError,
    InvalidIdError,
    LengthMismatchError,
    NotFoundError,
    PatchError,
    SourceUnavailableError,
    StoreClosedError,
    TooManyJobsError,
)
from fantail.broker.jobs import JOB, WORK_SESSION, Job, JobKind, Presence
from fantail.broker.log.msg_store import Batch, MsgStore, Retention
from fantail.broker.log.outcomes import Behind, CaughtUp, Closed, Diverged, Located, Lost, Reason
from fantail.broker.log.position import Cursor, Position, parse_position
from fantail.broker.log.records import Record, Records, entry_of
from fantail.broker.log.segment import Encoding
from fantail.broker.readers.subscription import Subscription
from fantail.broker.stats import BrokerStats, JobStats
from fantail.broker.tables import ChangeKind, DatabaseChange, Tables

__all__ = [
    "JOB",
    "WORK_SESSION",
    "AlreadyExistsError",
    "Batch",
    "Behind",
    "Broker",
    "BrokerError",
    "BrokerLimits",
    "BrokerStats",
    "CaughtUp",
    "ChangeKind",
    "Closed",
    "Cursor",
    "DatabaseChange",
    "Diverged",
    "Encoding",
    "InvalidIdError",
    "Job",
    "JobKind",
    "JobStats",
    "LengthMismatchError",
    "Located",
    "Lost",
    "MsgStore",
    "NotFoundError",
    "PatchError",
    "PatchStore",
    "Position",
    "Presence",
    "Reason",
    "Record",
    "Records",
    "Retention",
    "SourceUnavailableError",
    "StoreClosedError",
    "Subscription",
    "Tables",
    "TooManyJobsError",
    "entry_of",
    "parse_position",
]
