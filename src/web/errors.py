"""What went wrong, as HTTP says it: one table from exception to answer.

Nothing else in this package decides which status an exception gets, so that the same fault looks the same at every
door. No message carries internals: a broker's error is worded here, not by `str(error)`, unless its words are made for
users. An unforeseen exception is answered with "Internal error" and left to the server's log.

Bodies are `{"error": "…"}`, except for the job streams, whose clients read plain text (PROTOCOL.md, E1).
Which of the two is decided by the path, in `refusal`, and nowhere else.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import orjson
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response

from fantail.broker import (
    AlreadyExistsError,
    BrokerError,
    InvalidIdError,
    LengthMismatchError,
    NotFoundError,
    PatchError,
    SourceUnavailableError,
    TooManyJobsError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request
    from starlette.types import Scope

    from fantail.broker.documents.json_patch import JsonValue

    ExceptionHandlers = Mapping[type[Exception] | int, Callable[[Request, Exception], Awaitable[Response]]]

# Long enough for a restart of Redis, short enough for somebody who waits; each client gets a little more (trap 32).
RETRY_AFTER_S_MIN: Final = 3
RETRY_AFTER_S_MAX: Final = 8

_JOB_STREAM: Final = re.compile(r"/api/(jobs|work-sessions)/[^/]*/stream/?$")
_STREAM_WORDS: Final = {401: "Unauthorized", 403: "Forbidden", 404: "Job not found"}
_NO_STORE: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, slots=True)
class Problem:
    """An answer that is not what was asked for.

    Attributes:
        status: of HTTP.
        message: for a person; no internals.
        members: what else a program needs, beside `error`.
        headers: of the answer.
    """

    status: int
    message: str
    members: Mapping[str, JsonValue] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


class ProblemError(Exception):
    """Raised where a request is to be answered with a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def bad_request(why: str) -> ProblemError:
    """400: the request cannot be understood; `why` says what is wrong with it."""
    return ProblemError(Problem(400, why))


def unauthorized(why: str = "Unauthorized") -> ProblemError:
    """401: nobody knows who asks."""
    return ProblemError(Problem(401, why, headers={"WWW-Authenticate": 'Bearer realm="fantail"'}))


def forbidden(why: str = "Forbidden") -> ProblemError:
    """403: it is known who asks, and that is not enough."""
    return ProblemError(Problem(403, why))


def too_large(why: str, members: Mapping[str, JsonValue] | None = None) -> ProblemError:
    """413: more than is taken; `members` says what was taken."""
    return ProblemError(Problem(413, why, members or {}))


def unsupported(why: str) -> ProblemError:
    """415: a form of the body that is not read here."""
    return ProblemError(Problem(415, why))


def busy(why: str) -> ProblemError:
    """503 with Retry-After."""
    return ProblemError(Problem(503, why, headers=_retry_after()))


def problem_of(error: Exception) -> Problem:  # noqa: PLR0911 (the table)
    """The answer to an exception."""
    match error:
        case ProblemError():
            return error.problem
        case InvalidIdError():
            return Problem(404, "No such id")
        case NotFoundError() | AlreadyExistsError():
            return Problem(404 if isinstance(error, NotFoundError) else 409, str(error))
        case LengthMismatchError():
            return Problem(409, str(error), {"length": error.length})
        case SourceUnavailableError():
            return Problem(503, "The store of jobs does not answer now", headers=_retry_after())
        case TooManyJobsError():
            return Problem(503, "Too many jobs are being watched", headers=_retry_after())
        case PatchError():
            return Problem(400, "The change does not apply")
        case HTTPException():
            return Problem(error.status_code, error.detail, headers=dict(error.headers or {}))
        case _:
            return Problem(500, "Internal error")


def refusal(scope: Scope, error: Exception) -> Response:
    """The answer to an exception, in the words of the door that was asked.

    Plain text for job streams (`Unauthorized`, `Forbidden`, `Job not found`), `{"error": "…"}` elsewhere.
    """
    problem = problem_of(error)
    if _JOB_STREAM.search(scope.get("path", "")):
        words = _STREAM_WORDS.get(problem.status, problem.message)
        return PlainTextResponse(words, problem.status, {**_NO_STORE, **problem.headers})
    body = orjson.dumps({"error": problem.message, **problem.members})
    return Response(body, problem.status, {**_NO_STORE, **problem.headers}, media_type="application/json")


def exception_handlers() -> ExceptionHandlers:
    """For `Starlette(exception_handlers=…)`."""

    async def answer(request: Request, error: Exception) -> Response:
        return refusal(request.scope, error)

    return {ProblemError: answer, BrokerError: answer, HTTPException: answer, Exception: answer}


def _retry_after() -> dict[str, str]:
    return {"Retry-After": str(random.randint(RETRY_AFTER_S_MIN, RETRY_AFTER_S_MAX))}  # noqa: S311 (jitter)
