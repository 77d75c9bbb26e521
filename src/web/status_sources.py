"""What status dashboards are fed from: a poller of pipelines, the channels of tests and runs, a database; and routes.

Like the broker they are made without doing anything, and run while `run` does. Each is there only if it is set: a
pipeline backend by `FANTAIL_PIPELINE_URL`, a database by `FANTAIL_DATABASE_URL`; the channels need Redis alone. Without
a database our own jobs are what is known of runs beside the channels.
"""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from fantail.broker.limits import DATABASE_CLOSE_S_MAX, POLL_HIDDEN_S, POLL_STEADY_S
from fantail.broker.sources.pipelines.backend import PipelineBackend
from fantail.broker.sources.pipelines.board import TABLE
from fantail.broker.sources.pipelines.health_poller import HealthPoller
from fantail.broker.sources.pipelines.schedule import Pace
from fantail.broker.sources.status.jobs_as_runs import OwnRuns
from fantail.broker.sources.status.pubsub import StatusPubSub
from fantail.web.settings import WrongSettingError
from fantail.web.streams import pipelines as pipeline_status
from fantail.web.streams import queue_stats, supercheck, supercheck_rest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Self

    from starlette.routing import Route

    from fantail.broker import Broker
    from fantail.broker.sources.status.database import StatusDatabase
    from fantail.web.context import Context
    from fantail.web.settings import Settings

logger = logging.getLogger("fantail.server")


@dataclass(frozen=True, slots=True)
class StatusSources:
    """The sources of one application; None: not there."""

    pipelines: HealthPoller | None = None
    statuses: StatusPubSub | None = None
    database: StatusDatabase | None = None

    @classmethod
    def of(cls, broker: Broker, settings: Settings, redis_url: str | None) -> Self:
        """Makes what the settings ask for.

        Args:
            broker: whose tables get a row per pipeline, if there is a table `pipelines`.
            settings: of the server.
            redis_url: where the channels are; None: there are none.

        Raises:
            WrongSettingError: the database's address or its names cannot be used.
        """
        database = _database(settings)
        statuses = None
        if redis_url is not None:
            statuses = StatusPubSub(
                redis_url,
                database=database or (None if broker.source is None else OwnRuns(broker)),
                ttl_s=round(settings.status_ttl_s),
                check_s=settings.status_check_s,
                masks=broker.masks_secrets,
            )
        return cls(_pipelines(broker, settings), statuses, database)

    def routes(self, context: Context) -> list[Route]:
        """The routes of all status dashboards."""
        return [
            *pipeline_status.routes(context, self.pipelines),
            *supercheck.routes(context, self.statuses, self.database),
            *supercheck_rest.routes(context, self.statuses, self.database),
            *queue_stats.routes(context),
        ]

    async def run(self) -> None:
        """Follows for ever; cancelling it closes all connections."""
        try:
            async with anyio.create_task_group() as tasks:
                for source in (self.pipelines, self.statuses):
                    if source is not None:
                        tasks.start_soon(source.run)
        finally:
            if self.database is not None:
                with anyio.move_on_after(DATABASE_CLOSE_S_MAX, shield=True):
                    await self.database.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Runs them while the block is active."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.run)
            try:
                yield self
            finally:
                tasks.cancel_scope.cancel()


def check_database(settings: Settings) -> None:
    """Checks the settings of the database and the files they name, and logs which options are ignored.

    Raises:
        WrongSettingError: see `StatusSources.of`; or a file is missing or cannot be read.
    """
    if settings.database_url is None or _database(settings) is None:
        return
    from fantail.broker.sources.status import database_address  # noqa: PLC0415 - as in `_database`

    try:
        ignored = database_address.check_address(settings.database_url).ignored
    except database_address.WrongDatabaseError as fault:
        raise WrongSettingError(f"FANTAIL_DATABASE_URL is not allowed: {fault}") from fault
    if ignored:
        logger.warning("FANTAIL_DATABASE_URL has options that are ignored: %s", ", ".join(ignored))


def status_tables(settings: Settings) -> list[str]:
    """The names of the global tables: those that mirror Redis, and that of the pipelines if there is a backend."""
    names = dict.fromkeys(settings.tables)
    if settings.pipeline_url is not None:
        names[TABLE] = None
    return list(names)


def _pipelines(broker: Broker, settings: Settings) -> HealthPoller | None:
    if settings.pipeline_url is None:
        return None
    backend = PipelineBackend(
        settings.pipeline_url, path=settings.pipeline_health_path, timeout_s=settings.pipeline_timeout_s
    )
    fast_s = settings.pipeline_poll_s
    pace = Pace(fast_s, max(fast_s, POLL_STEADY_S), max(fast_s, POLL_HIDDEN_S))
    return HealthPoller(backend, tables=broker.tables, pace=pace, now_s=broker.now_s)


def _database(settings: Settings) -> StatusDatabase | None:
    if settings.database_url is None:
        return None
    try:
        # Only here, and only now: the extra `sql` need not be installed where no database is set.
        from fantail.broker.sources.status import database as status_database  # noqa: PLC0415
        from fantail.broker.sources.status import database_address, schema  # noqa: PLC0415
    except ImportError as fault:
        raise WrongSettingError(
            f"FANTAIL_DATABASE_URL needs packages that are not installed ({fault.name}): pip install 'fantail-hub[sql]'"
        ) from fault
    try:
        names = schema.Names(settings.database_names)
        return status_database.StatusDatabase(settings.database_url, names)
    except schema.WrongNameError as fault:
        raise WrongSettingError(f"FANTAIL_DATABASE_NAMES is not allowed: {fault}") from fault
    except database_address.WrongDatabaseError as fault:
        raise WrongSettingError(f"FANTAIL_DATABASE_URL is not allowed: {fault}") from fault
