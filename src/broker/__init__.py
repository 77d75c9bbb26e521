"""An event-sourced, in-process broker: bounded logs and JSON documents, fanned out to cursors.

    from broker import Broker

    async with Broker().running() as broker:
        await broker.create_job("42")
        await broker.publish("42", "hello")

No HTTP here (that is the package `web`), and no Redis outside `broker.sources`, `broker.producers`, `broker.embedded`.
"""

from __future__ import annotations

from broker.broker import Broker, BrokerLimits
from broker.entries import Record, Records, entry_of
from broker.errors import (
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
from broker.jobs import JOB, WORK_SESSION, Job, JobKind, Presence
from broker.msg_store import Batch, MsgStore, Retention
from broker.outcomes import Behind, CaughtUp, Closed, Diverged, Located, Lost, Reason
from broker.patch_store import PatchStore
from broker.position import Cursor, Position, parse_position
from broker.segment import Encoding
from broker.stats import BrokerStats, JobStats
from broker.subscription import Subscription
from broker.tables import ChangeKind, DatabaseChange, Tables

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
