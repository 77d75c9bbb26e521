"""Sources: what feeds the stores. A source never knows who is listening.

Redis, followed:

    redis_tailer.py      all watched jobs and all tables, for the whole server: start here
    redis_tracking.py    how Redis wakes us
    redis_marks.py       which of what is followed is to be read
    redis_follower.py    one job: what to ask next, and what the answer means
    list_tail.py         the end of one list
    tail_proof.py        the last known entries, which prove that it is still that list
    page_size.py         how many entries to ask for at once
    hash_reading.py      the hash of a job or row, whole or in part
    leases.py            which runners have died
    table_mirror.py      rows of the tables
    redis_diffs.py       diffs, while they are watched
    redis_archive.py     older pages of lists
    redis_ledger.py      writing
    redis_keys.py        which key feeds what
    redis_link.py        one connection
    redis_address.py     what an address may say
    redis_replies.py     what an error reply is about
    backoff.py           the wait before the next attempt

Pipelines, polled:

    health_poller.py     one poll for all who watch: start here
    poll_schedule.py     which is polled next
    pipeline_backend.py  one question to the backend
    pipeline_board.py    what is known, and what viewers are told

Tests and runs, heard and looked up:

    status_pubsub.py     all that are watched: start here
    status_channels.py   what workers publish
    status_state.py      which of two things known is the later one
    status_log.py        one test or run that is watched
    status_keeper.py     the last state known, kept in Redis
    status_database.py   a dashboard's own database
    database_address.py  what its address may say
    status_schema.py     what is really in it
    own_runs.py          our own jobs, where there is no database
    gathered.py          questions asked at the same time, asked together
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from broker.source import Source
from broker.subscription import Archive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.jobs import Job
