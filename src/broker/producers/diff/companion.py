"""The diff of a worktree beside the command that changes it, and by itself for a job that somebody else writes.

    async with diff_beside(job, redis_url, Watched(Path(".")), attention):
        ...  # run the command
    ...  # the last pass is in Redis; now the terminal status

What holds:
- The last pass is made after the command has ended and before the job's status is written (`record` does that after the
  block), so whoever reads the status has the diff that goes with it.
- No trouble of the diff's ends or fails the job: it is a line of stream `system`, and the command runs on (a directory
  that is no worktree, a base that does not exist, git missing, Redis away).
- A signal during the last pass ends the waiting for it, as it ends the waiting for Redis.
"""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

import anyio
from redis.exceptions import RedisError

from fantail.broker.errors import NotFoundError, SourceUnavailableError
from fantail.broker.jobs import JOB, checked_id
from fantail.broker.limits import DIFF_LAST_PASS_S_MAX, DIFF_NOTICES_MAX, DIFF_STATUS_S, FLUSH_TOLD_S, REDIS_TIMEOUT_S
from fantail.broker.masking.rules import Rules
from fantail.broker.producers.diff.publisher import DiffPublisher
from fantail.broker.producers.diff.watcher import watching_diff
from fantail.broker.producers.diff.worktree.git_process import WorktreeError
from fantail.broker.producers.writer.recording import OBEYED
from fantail.broker.producers.writer.redis_job import connected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from anyio.streams.memory import MemoryObjectReceiveStream
    from redis.asyncio import Redis

    from fantail.broker.producers.diff.watcher import DiffWatcher
    from fantail.broker.producers.diff.worktree_diff import DiffLimits
    from fantail.broker.producers.writer.job_writer import JobWriter
    from fantail.broker.producers.writer.recording import Attention

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Watched:
    """Which diff is published.

    Attributes:
        worktree: any directory of it.
        base: a ref; the diff is against its merge base with HEAD. None: origin/HEAD, main or master, else HEAD.
        limits: of size; None: those of `fantail.broker.limits`.
    """

    worktree: Path
    base: str | None = None
    limits: DiffLimits | None = None


@dataclass(slots=True)
class DiffBeside:
    """What became of the diff.

    Attributes:
        complete: false once the block is left and Redis lacks the worktree's last state.
    """

    complete: bool = True


@asynccontextmanager
async def diff_beside(
    job: JobWriter, redis_url: str, watched: Watched | None, attention: Attention
) -> AsyncIterator[DiffBeside]:
    """Publishes a worktree's diff while the block lasts, then once more; without `watched` it does nothing."""
    outcome = DiffBeside()
    if watched is None:
        yield outcome
        return
    failure: Exception | None = None
    put, notices = anyio.create_memory_object_stream[str](DIFF_NOTICES_MAX)

    def notice(text: str) -> None:
        with suppress(anyio.WouldBlock):
            put.send_nowait(text)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_append_all, notices, job)
        async with put, AsyncExitStack() as stack:
            watcher = await _opened(stack, job, redis_url, watched, notice)
            try:
                yield outcome
            except Exception as error:  # noqa: BLE001 - raised again below, outside of the task group
                failure = error
            if watcher is not None and not watcher.ended:
                outcome.complete = await _last_pass(watcher, attention, notice)
    if failure is not None:
        raise failure


async def _opened(
    stack: AsyncExitStack, job: JobWriter, redis_url: str, watched: Watched, notice: Callable[[str], None]
) -> DiffWatcher | None:
    """A running watcher; None where there can be none, which is told."""
    client = await stack.enter_async_context(connected(redis_url))
    publisher = DiffPublisher(client, job.id, rules=job.rules)
    try:
        return await stack.enter_async_context(
            watching_diff(watched.worktree, publisher, base=watched.base, limits=watched.limits, on_notice=notice)
        )
    except (WorktreeError, OSError) as error:
        _log.warning("no diff: %s", error)
        notice(f"no diff: {error}")
        return None


async def _append_all(notices: MemoryObjectReceiveStream[str], job: JobWriter) -> None:
    """Appends notices to the output as they come, to the last."""
    async with notices:
        async for text in notices:
            await job.append([text], "system")


async def _last_pass(watcher: DiffWatcher, attention: Attention, notice: Callable[[str], None]) -> bool:
    """Makes the last pass; whether Redis has the worktree's last state, or the worktree is gone."""
    before = attention.on_signal
    done = False
    async with anyio.create_task_group() as waiting:
        attention.on_signal = lambda _: waiting.cancel_scope.cancel()
        waiting.start_soon(_tell_of_waiting)
        done = await watcher.last_pass()
        waiting.cancel_scope.cancel()
    attention.on_signal = before
    if not done and not watcher.lost:
        notice("the last state of the diff could not be published")
    return done or watcher.lost


async def _tell_of_waiting() -> None:
    await anyio.sleep(FLUSH_TOLD_S)
    _log.warning("the last state of the diff is still to be published; waiting for up to %.0f s", DIFF_LAST_PASS_S_MAX)


async def publish_diff(
    redis_url: str, job_id: str, watched: Watched, tell: Callable[[str], None], secrets: Sequence[bytes] = ()
) -> bool:
    """Publishes a worktree's diff for a job that somebody else writes, until that ends or a signal comes.

    For the main thread, as it takes the signals. The last pass is made before it returns.

    Args:
        redis_url: where the job is.
        job_id: the job.
        watched: which diff.
        tell: shows a notice.
        secrets: values that are masked in the patches, beside what looks like a secret by itself.

    Returns:
        Whether Redis has the worktree as it was at the end.

    Raises:
        InvalidIdError: the id is outside the grammar.
        NotFoundError: there is no such job.
        SourceUnavailableError: Redis does not answer at the start.
        WorktreeError: see `watching_diff`.
    """
    done = False
    key = f"{JOB.prefix}{checked_id(job_id)}"
    async with connected(redis_url) as client:
        if await _status(client, key) is None:
            raise NotFoundError(f"job {job_id}")
        publisher = DiffPublisher(client, job_id, rules=Rules(secrets))
        following = watching_diff(watched.worktree, publisher, base=watched.base, limits=watched.limits, on_notice=tell)
        async with following as watcher:
            with anyio.open_signal_receiver(*OBEYED) as signals:
                async with anyio.create_task_group() as tasks:

                    async def until_signal() -> None:
                        async for _ in signals:
                            tasks.cancel_scope.cancel()

                    tasks.start_soon(until_signal)
                    await _until_over(client, key, watcher)
                    tasks.cancel_scope.cancel()
            if not watcher.ended:
                done = await watcher.last_pass()
    return done


async def _until_over(client: Redis, key: str, watcher: DiffWatcher) -> None:
    """Returns when the job has ended or is gone, or the worktree is."""
    while not watcher.ended:
        await anyio.sleep(DIFF_STATUS_S)
        try:
            status = await _status(client, key)
        except SourceUnavailableError:
            continue
        if status is None or status in JOB.terminal:
            return


async def _status(client: Redis, key: str) -> str | None:
    """The job's status; None: there is no such job."""
    try:
        with anyio.fail_after(REDIS_TIMEOUT_S):
            stored = cast("list[bytes | None]", await client.hmget(key, ["id", "status"]))
    except (RedisError, OSError, TimeoutError) as error:
        raise SourceUnavailableError("Redis does not answer") from error
    if not any(stored):
        return None
    return (stored[1] or b"").decode("utf-8", "replace")
