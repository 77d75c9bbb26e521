"""The protocol that a source implements: it feeds the stores from the source of truth, and never knows who is
listening.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from fantail.broker.readers.subscription import Archive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fantail.broker.jobs import Job


class Source(Archive, Protocol):
    """Follows the truth of jobs and tables, and is their archive.

    Attributes:
        available: whether it answers now. Streams stay open while it does not.
        mode: how it learns of changes, for people: `tracking`, `polling` or `connecting`.
    """

    available: bool
    mode: str

    @property
    def tables_lack(self) -> str:
        """Why rows of the tables may be missing, for people; empty where none is."""

    async def run(self) -> None:
        """Follows for ever; reconnects by itself."""

    def watch(self, job: Job) -> None:
        """Starts to follow a job; the next `refresh` reads it for the first time."""

    def unwatch(self, job: Job) -> None:
        """Stops following it."""

    async def refresh_diff(self, job: Job) -> None:
        """Reads the diff of a watched job afresh, all of it; goes on while `job.diff_watchers` says that it is watched.

        Raises:
            SourceUnavailableError: it does not answer.
        """

    async def refresh_tables(self) -> None:
        """Makes sure that the tables show the truth as it was when this was called; with it away, as it was last read.

        Raises:
            SourceUnavailableError: it does not answer, and never has.
        """

    async def job_id_of(self, kind: str, alias: str) -> str | None:
        """The member `job_id` of the hash `{kind}:{alias}`; None where there is none.

        Raises:
            SourceUnavailableError: it does not answer.
        """

    async def entries(self, job: Job, start: int, stop: int) -> Sequence[bytes]:
        """Entries as they are stored, from an offset on: at least one of them, as many as make a page.

        For what shows lines whole (download, search). Empty where there are none any more.

        Raises:
            SourceUnavailableError: it does not answer.
        """
