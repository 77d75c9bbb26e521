"""From exception to answer: which status, which words, in which form."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route

from fantail.broker import (
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
from fantail.web.errors import (
    ProblemError,
    bad_request,
    exception_handlers,
    forbidden,
    problem_of,
    refusal,
    too_large,
    unauthorized,
    unsupported,
)

if TYPE_CHECKING:
    from starlette.requests import Request

INTERNALS = "redis://user:password@10.0.0.7 line 42 of /usr/lib/secret.py"


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (bad_request("`a` must be b"), 400, "`a` must be b"),
        (unauthorized(), 401, "Unauthorized"),
        (forbidden(), 403, "Forbidden"),
        (too_large("much"), 413, "much"),
        (unsupported("so"), 415, "so"),
        (InvalidIdError("<b>"), 404, "No such id"),
        (NotFoundError("table x"), 404, "table x not found"),
        (AlreadyExistsError("job 42"), 409, "job 42 exists already"),
        (LengthMismatchError(3, 7), 409, "the log has 7 lines, not 3"),
        (SourceUnavailableError(INTERNALS), 503, "The store of jobs does not answer now"),
        (TooManyJobsError(INTERNALS), 503, "Too many jobs are being watched"),
        (PatchError(INTERNALS), 400, "The change does not apply"),
        (HTTPException(405), 405, "Method Not Allowed"),
        (StoreClosedError(INTERNALS), 500, "Internal error"),
        (BrokerError(INTERNALS), 500, "Internal error"),
        (ValueError(INTERNALS), 500, "Internal error"),
        (KeyError(INTERNALS), 500, "Internal error"),
    ],
)
def test_each_exception_has_its_answer(error: Exception, status: int, message: str) -> None:
    problem = problem_of(error)
    assert (problem.status, problem.message) == (status, message)
    answer = refusal({"type": "http", "path": "/api/jobs"}, error)
    assert answer.status_code == status
    assert json.loads(bytes(answer.body))["error"] == message
    assert INTERNALS not in str(answer.headers) + bytes(answer.body).decode()


def test_who_has_to_wait_is_told_how_long_and_not_all_the_same() -> None:
    waits = {problem_of(SourceUnavailableError()).headers["Retry-After"] for _ in range(100)}
    assert {int(wait) for wait in waits} <= set(range(3, 9))
    assert len(waits) > 1


def test_the_length_there_is_goes_with_the_refusal() -> None:
    answer = refusal({"type": "http", "path": "/api/jobs/42/output"}, LengthMismatchError(3, 7))
    assert json.loads(bytes(answer.body)) == {"error": "the log has 7 lines, not 3", "length": 7}


@pytest.mark.parametrize("path", ["/api/jobs/42/stream", "/api/work-sessions/42/stream", "/fantail/api/jobs/4/stream"])
@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (unauthorized(), 401, "Unauthorized"),
        (unauthorized("The token has expired"), 401, "Unauthorized"),
        (forbidden("for some reason"), 403, "Forbidden"),
        (NotFoundError("Job"), 404, "Job not found"),
        (InvalidIdError("42:diff"), 404, "Job not found"),
        (SourceUnavailableError(), 503, "The store of jobs does not answer now"),
    ],
)
def test_job_streams_are_refused_in_plain_text(path: str, error: Exception, status: int, words: str) -> None:
    answer = refusal({"type": "http", "path": path}, error)
    assert (answer.status_code, answer.body) == (status, words.encode())
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("path", ["/api/jobs/42", "/api/jobs/42/streams/x", "/api/events/", "/", ""])
def test_all_else_is_refused_in_json(path: str) -> None:
    assert refusal({"type": "http", "path": path}, unauthorized()).headers["content-type"] == "application/json"


async def test_a_fault_of_ours_is_answered_without_its_reason_and_reaches_the_log() -> None:
    async def broken(_: Request) -> None:
        raise RuntimeError(INTERNALS)

    async def refused(_: Request) -> None:
        raise ProblemError(problem_of(NotFoundError("Job")))

    app = Starlette(
        routes=[Route("/broken", broken), Route("/refused", refused)], exception_handlers=exception_handlers()
    )
    quiet = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=quiet, base_url="http://localhost") as http:
        answer = await http.get("/broken")
        assert (answer.status_code, answer.json()) == (500, {"error": "Internal error"})
        assert (await http.get("/refused")).status_code == 404
        assert (await http.get("/nowhere")).json() == {"error": "Not Found"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http:
        with pytest.raises(RuntimeError):
            await http.get("/broken")
