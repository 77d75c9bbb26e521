"""The jobs that Fantail itself follows, read as runs: what stands in for a database where there is none.

Each job is its own run. Without a database `/api/jobs/status/running` names the jobs that run, so their states must be
answered too: a dashboard that follows one would else wait for ever, as no worker speaks of it on the channels.

A job's words become those of runs (PROTOCOL.md, T11): `success` is `passed`; the others are the same. A job that
nobody knows is left to what workers say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fantail.broker.errors import SourceUnavailableError
from fantail.broker.sources.status.state import RUN, iso, milliseconds, state_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from fantail.broker.broker import Broker
    from fantail.broker.sources.status.state import StatusState, Subject

TABLE: Final = "jobs"
_WORDS: Final = {"success": "passed"}


class OwnRuns:
    """Reads the table of jobs; a `StatusReader`.

    Args:
        broker: whose table it is; without such a table there is nothing to read.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def read(self, subjects: Collection[Subject]) -> Mapping[Subject, StatusState]:
        """The states of those that are jobs of ours.

        Raises:
            SourceUnavailableError: Redis does not answer.
        """
        if not self._broker.source_available:
            raise SourceUnavailableError("the store of jobs does not answer")
        rows = await self.rows()
        return {
            subject: run_state(subject, rows[subject.id])
            for subject in subjects
            if subject.kind is RUN and subject.id in rows
        }

    async def rows(self) -> Mapping[str, Mapping[str, Any]]:
        """All jobs, as Redis has them now; with Redis away, as they were.

        Raises:
            SourceUnavailableError: they have never been read.
        """
        async with self._broker.watch_tables() as tables:
            return tables.rows(TABLE) if TABLE in tables.names else {}


def run_state(subject: Subject, row: Mapping[str, Any]) -> StatusState:
    """A job's row as the state of a run."""
    status = row.get("status") or "waiting"
    started_ms, ended_ms = milliseconds(row.get("started_at")), milliseconds(row.get("finished_at"))
    said = {
        "status": _WORDS.get(status, status),
        "jobId": subject.id,
        "startedAt": iso(started_ms),
        "completedAt": iso(ended_ms),
        "errorDetails": row.get("error_message"),
    }
    present = {name: value for name, value in said.items() if value}
    return state_of(subject, present, complete=False, heard_ms=ended_ms or started_ms)
