"""Where the truth is written, and a truth of our own for programs without Redis.

The server writes (HTTP ingest, `POST /api/tables`) through a `Ledger`, never into a store: what is written comes back
through the source like anybody's. `InProcessLedger` is for a program that uses the broker as a library with no Redis:
there the stores are the truth, and what retention evicts is gone, which readers are told as a gap.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from fantail.broker.documents.diffs import FILES, opening
from fantail.broker.errors import AlreadyExistsError, LengthMismatchError, NotFoundError
from fantail.broker.jobs import Presence, number
from fantail.broker.log.records import records_of
from fantail.broker.masking.foreign import EntryMasker, masked_fields, masked_members

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fantail.broker.jobs import Job
    from fantail.broker.tables import DatabaseChange, Tables


class Ledger(Protocol):
    """Writes the truth. Every method raises SourceUnavailableError where it cannot be reached."""

    async def create_job(self, job_id: str, fields: Mapping[str, str]) -> None:
        """Creates a job with all its fields, owner included, in one step (trap 40).

        Raises:
            AlreadyExistsError: there is one with that id; it is as it was.
        """

    async def append_output(
        self,
        job_id: str,
        entries: Sequence[bytes],
        expected: int | None = None,
        *,
        where: Mapping[str, str] | None = None,
    ) -> int:
        """Appends entries to a job's output, all or none, in one step.

        Args:
            job_id: the job.
            entries: as `fantail.broker.log.records.entry_of` makes them.
            expected: the offset that the first shall get.
            where: the `created_at` and `user_id` that the job must have, either or both; empty: it must have none. A
                job with others is another one, or has another owner by now.

        Returns:
            The offset of the first.

        Raises:
            NotFoundError: no such job, or not as `where` says.
            LengthMismatchError: the log's length is not `expected`; nothing was written.
        """

    async def update_job(self, job_id: str, fields: Mapping[str, str | None]) -> None:
        """Sets fields of a job; None removes one.

        Raises:
            NotFoundError: no such job.
        """

    async def delete_job(self, job_id: str) -> None:
        """Deletes a job with all that belongs to it.

        Raises:
            NotFoundError: no such job.
        """

    async def change_table(self, change: DatabaseChange) -> None:
        """Inserts, updates or deletes a row of a table.

        Raises:
            NotFoundError: no such table, or no such row to update or delete.
            AlreadyExistsError: a row to insert is there already.
        """

    async def aclose(self) -> None:
        """Gives back what it holds (a connection); the next write takes it anew."""


class MaskingLedger:
    """Masks secrets in fields and rows, then writes them to another ledger. Entries are masked where they come from."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def create_job(self, job_id: str, fields: Mapping[str, str]) -> None:
        """See `Ledger`."""
        await self._ledger.create_job(job_id, masked_fields(fields))

    async def append_output(
        self,
        job_id: str,
        entries: Sequence[bytes],
        expected: int | None = None,
        *,
        where: Mapping[str, str] | None = None,
    ) -> int:
        """See `Ledger`."""
        return await self._ledger.append_output(job_id, entries, expected, where=where)

    async def update_job(self, job_id: str, fields: Mapping[str, str | None]) -> None:
        """See `Ledger`."""
        kept = masked_fields({name: value for name, value in fields.items() if value is not None})
        removed = masked_fields({name: "" for name, value in fields.items() if value is None})
        await self._ledger.update_job(job_id, {**kept, **dict.fromkeys(removed)})

    async def delete_job(self, job_id: str) -> None:
        """See `Ledger`."""
        await self._ledger.delete_job(job_id)

    async def change_table(self, change: DatabaseChange) -> None:
        """See `Ledger`."""
        if change.data is not None:
            change = replace(change, data=masked_members(change.data))
        await self._ledger.change_table(change)

    async def aclose(self) -> None:
        """See `Ledger`."""
        await self._ledger.aclose()


class JobRegistry(Protocol):
    """What `InProcessLedger` needs of the broker: see `Broker` for each."""

    @property
    def tables(self) -> Tables:
        """The global tables."""

    @property
    def now_s(self) -> Callable[[], float]:
        """A monotonic clock, in seconds."""

    @property
    def line_bytes_max(self) -> int:
        """A longer line is cut for viewers."""

    @property
    def masks_secrets(self) -> bool:
        """Whether secrets are masked in what is written."""

    def find(self, job_id: str) -> Job | None:
        """The job if it is in the registry now."""

    def job(self, job_id: str) -> Job:
        """The job of the registry, put there if need be."""

    def forget_if_unwatched(self, job: Job) -> None:
        """Lets a job go that nobody watches."""


class InProcessLedger:
    """A ledger whose truth is the broker's own stores."""

    def __init__(self, broker: JobRegistry) -> None:
        self._broker = broker

    async def create_job(self, job_id: str, fields: Mapping[str, str]) -> None:
        """See `Ledger`."""
        job = self._broker.job(job_id)
        if job.presence is Presence.PRESENT:
            raise AlreadyExistsError(f"job {job_id}")
        # A job of that id was deleted while somebody watched it: its lines and files are not those of the new one.
        if job.output.tail:
            job.output.restart()
        if FILES in job.diff.document:
            job.diff.append(opening(), self._broker.now_s())
        self._set(job, {**fields, "id": job_id})

    async def append_output(
        self,
        job_id: str,
        entries: Sequence[bytes],
        expected: int | None = None,
        *,
        where: Mapping[str, str] | None = None,
    ) -> int:
        """See `Ledger`."""
        job = self._present(job_id)
        if any(job.fields.get(name, "") != value for name, value in (where or {}).items()):
            raise NotFoundError(f"job {job_id}")
        if expected is not None and expected != job.output.tail:
            raise LengthMismatchError(expected, job.output.tail)
        created_ms = number(job.fields.get("created_at")) or 0
        masker = EntryMasker() if self._broker.masks_secrets else None
        records = records_of(entries, created_ms, self._broker.line_bytes_max, masker)
        return job.output.append(records, self._broker.now_s())

    async def update_job(self, job_id: str, fields: Mapping[str, str | None]) -> None:
        """See `Ledger`."""
        job = self._present(job_id)
        merged = {**job.fields, **fields}
        self._set(job, {name: value for name, value in merged.items() if value is not None})

    async def delete_job(self, job_id: str) -> None:
        """See `Ledger`."""
        job = self._present(job_id)
        job.set_fields(None, self._broker.now_s())
        if "jobs" in self._broker.tables.names:
            self._broker.tables.put_row("jobs", job_id, None, self._broker.now_s())
        self._broker.forget_if_unwatched(job)

    async def change_table(self, change: DatabaseChange) -> None:
        """See `Ledger`."""
        tables = self._broker.tables
        if change.table not in tables.names:
            raise NotFoundError(f"table {change.table}")
        exists = change.id in tables.rows(change.table)
        if change.operation == "insert" and exists:
            raise AlreadyExistsError(f"row {change.id}")
        if change.operation != "insert" and not exists:
            raise NotFoundError(f"row {change.id}")
        tables.apply(change, self._broker.now_s())
        if change.table == "jobs":
            self._follow_row(change.id)

    def _follow_row(self, job_id: str) -> None:
        """Gives a job what its row was made: another owner, or its deletion."""
        job = self._broker.find(job_id)
        if job is None or job.presence is not Presence.PRESENT:
            return
        row = self._broker.tables.rows("jobs").get(job_id)
        kept = {name: job.fields[name] for name in self._broker.tables.omitted if name in job.fields}
        job.set_fields(None if row is None else {**kept, **row}, self._broker.now_s())
        if row is None:
            self._broker.forget_if_unwatched(job)

    async def aclose(self) -> None:
        """See `Ledger`: it holds nothing."""

    def _present(self, job_id: str) -> Job:
        job = self._broker.find(job_id)
        if job is None or job.presence is not Presence.PRESENT:
            raise NotFoundError(f"job {job_id}")
        return job

    def _set(self, job: Job, fields: Mapping[str, str]) -> None:
        job.set_fields(fields, self._broker.now_s())
        if "jobs" in self._broker.tables.names:
            self._broker.tables.put_row("jobs", job.id, dict(fields), self._broker.now_s())
