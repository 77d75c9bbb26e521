"""Reading what a REST request says, and answering in JSON: the small things that all its routes do alike."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio
import orjson

from fantail.broker import InvalidIdError, NotFoundError, Presence, SourceUnavailableError
from fantail.broker.jobs import JOB, WORK_SESSION, checked_id
from fantail.web.auth.viewer import check_token, viewer_required
from fantail.web.errors import bad_request, forbidden
from fantail.web.http.request_body import whole_body
from fantail.web.http.side_tasks import side_tasks
from fantail.web.limits import DOCUMENT_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

    from starlette.requests import Request
    from starlette.types import Receive

    from fantail.broker import Broker, Job, JobKind, Tables

T = TypeVar("T")

NUMBER_MAX: Final = 10**15 - 1  # an offset has 15 digits at most: exact in JavaScript too
_WORDS: Final = {JOB.name: "Job", WORK_SESSION.name: "Work session"}
_TRUE: Final = frozenset({"1", "true", "yes"})
_FALSE: Final = frozenset({"", "0", "false", "no"})


def whole_number(request: Request, name: str, default: int, highest: int = NUMBER_MAX) -> int:
    """A number of the query; one above `highest` counts as `highest`.

    Raises:
        ProblemError: 400, it is no whole number, or is negative.
    """
    given = request.query_params.get(name)
    if given is None:
        return default
    if not (given.isascii() and given.isdigit() and len(given) <= len(str(NUMBER_MAX))):
        raise bad_request(f"`{name}` must be a whole number from 0 on")
    return min(int(given), highest)


def flag(request: Request, name: str) -> bool:
    """A yes or no of the query: `1`, `true`, `yes` or `0`, `false`, `no`; absent means no.

    Raises:
        ProblemError: 400, it is none of them.
    """
    given = request.query_params.get(name, "").lower()
    if given not in _TRUE | _FALSE:
        raise bad_request(f"`{name}` must be 1 or 0")
    return given in _TRUE


async def document(request: Request) -> Any:
    """The JSON document in a request's body.

    Raises:
        ProblemError: 413, it is longer than `DOCUMENT_BYTES_MAX`; 408, it came too slowly; 400, it is cut off or no
            JSON; 401, the viewer's token expired meanwhile.
    """
    body = await whole_body(request, DOCUMENT_BYTES_MAX)
    check_token(request.scope)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as fault:
        raise bad_request(f"The body is not JSON: {fault.msg} at character {fault.pos}") from None


async def while_connected(
    receive: Receive, work: Callable[[], Awaitable[T]], beside: Callable[[], Coroutine[Any, Any, None]] | None = None
) -> T | None:
    """Does some work, and gives it up when the client leaves; the request's body must have been read.

    Args:
        receive: of the request.
        work: what is done.
        beside: what goes on meanwhile; it must not raise.

    Returns:
        What the work returns; None: the client has left, nobody reads an answer.

    Raises:
        What the work raises.
    """
    result: T | None = None
    fault: Exception | None = None
    async with side_tasks() as start:
        with anyio.CancelScope() as until_disconnect:
            start(_cancel_at_disconnect, receive, until_disconnect)
            if beside is not None:
                start(beside)
            try:
                result = await work()
            except Exception as error:  # noqa: BLE001 (carried out of the group, which would wrap it)
                fault = error
    try:
        if fault is not None:
            raise fault
    finally:
        del fault  # its traceback refers to this frame
    return result


async def _cancel_at_disconnect(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


@asynccontextmanager
async def seen_job(broker: Broker, request: Request, kind: JobKind = JOB) -> AsyncIterator[Job]:
    """Watches the job that the path names, as fresh as the source has it, while its output or diff is read.

    The viewer's right is checked at the start and again at the end, because what was read in between may have been
    written after the job changed hands or the viewer's token expired. With the source unavailable, a job that is in
    memory is shown as it was.

    Raises:
        ProblemError: 401, 403.
        NotFoundError: there is no such job, or the id is outside the grammar.
        SourceUnavailableError: the job is not in memory, and the source does not answer.
    """
    async with _watched_job(broker, request, kind) as job:
        yield job
        _check_right(request, job)


def check_may_change(request: Request, job: Job) -> None:
    """Checks that the viewer may still change a watched job, after something was awaited.

    Raises:
        ProblemError: 401, 403.
        NotFoundError: the job was deleted.
    """
    _check_right(request, job)
    if not viewer_required(request.scope).may_change(job.owner):
        raise forbidden()


def _check_right(request: Request, job: Job) -> None:
    if job.presence is not Presence.PRESENT:
        raise NotFoundError(_WORDS.get(job.kind.name, "Job"))
    check_token(request.scope)
    if not viewer_required(request.scope).may_see(job.owner):
        raise forbidden()


@asynccontextmanager
async def _watched_job(broker: Broker, request: Request, kind: JobKind) -> AsyncIterator[Job]:
    viewer_required(request.scope)
    absent = NotFoundError(_WORDS.get(kind.name, "Job"))
    try:
        job_id = checked_id(request.path_params["id"])
    except InvalidIdError:
        raise absent from None
    known = broker.find(job_id, kind)
    cached = known is not None and known.loaded and known.presence is Presence.PRESENT
    async with broker.watch(job_id, kind) as job:
        if cached and broker.source is not None:
            with suppress(SourceUnavailableError):
                await broker.source.refresh(job)
        _check_right(request, job)
        yield job


async def fresh_tables(broker: Broker) -> Tables:
    """The tables as the source has them now; with the source away, as they were.

    Raises:
        SourceUnavailableError: they have never been read: an empty list would say that there is nothing.
    """
    if broker.source is not None:
        await broker.source.refresh_tables()
    return broker.tables


@asynccontextmanager
async def own_job(broker: Broker, request: Request) -> AsyncIterator[Job]:
    """Watches the job that the path names, if the viewer may change it.

    Raises:
        As `seen_job`.
    """
    async with _watched_job(broker, request, JOB) as job:
        check_may_change(request, job)
        yield job
