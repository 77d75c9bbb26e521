"""The pipeline backend, asked one question: how is this pipeline? One request, one answer as a value.

The backend is another program and may send anything, so every answer is bounded in time and in bytes, is never
followed to another place, and becomes one of three values:

    Health    a status, with the document that it was read from
    Unknown   the backend answers and has no such pipeline (404)
    Trouble   everything else: refused, silent, an error, HTML, a redirect, a body past the bound

Trouble says nothing about the pipeline (trap 17): whoever is told keeps the status that was known before.

The connections are kept in several small pools. One pool of 64 looks through all its connections for each of them at
each poll (httpcore 1.0): 3.1 ms of CPU and 150 polls a second, where sixteen pools of 4 take 0.45 ms.

Decided against: httpx's own body reading (it would take 100 MB into memory before anybody can look, and unpack what
is compressed, so we ask for no compression and refuse it) and the proxies of the environment (the backend is a
neighbour; a proxy set for something else would answer in its place).
"""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import quote

import anyio
import httpx

from fantail.broker.lenient_json import can_be_written, parsed_object
from fantail.broker.limits import (
    HEALTH_BYTES_MAX,
    PIPELINE_STATUS_CHARS_MAX,
    POLL_CONNECT_TIMEOUT_S,
    POLL_TIMEOUT_S,
    POLLS_MAX,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

    from fantail.broker.documents.json_patch import JsonValue

logger = logging.getLogger("fantail.sources.pipelines")

# Small pools of connections, each of POLLS_MAX / POOLS.
POOLS: Final = 16
HEALTH_PATH: Final = "/pipeline/{id}/health"

_ID: Final = re.compile(r"[a-z](?:[a-z0-9]|-(?!-)){0,38}[a-z0-9]", re.ASCII)
_STATUS: Final = re.compile(rf"[a-z0-9][a-z0-9_ .-]{{0,{PIPELINE_STATUS_CHARS_MAX - 1}}}", re.ASCII)

# The backend's word -> what dashboards know (PROTOCOL.md, L9). Words that are not here pass as they are.
_STATUSES: Final = {
    "running": "active",
    "active": "active",
    "no_configuration": "active",
    "unknown": "active",
    "created": "starting",
    "deploying": "starting",
    "stopped": "stopped",
    "terminated": "stopped",
    "deleted": "stopped",
    "terminating": "terminating",
    "deleting": "terminating",
    "error": "failed",
}
# What httpcore and h11 say of a connection that ended too early; all else that they say is about what came over it.
_CUT: Final = ("disconnected", "closed connection")
# Statuses that are on their way to another one.
PASSING: Final = frozenset({"starting", "stopping", "pausing", "resuming", "terminating"})


class Cause(Enum):
    """What kind of trouble it is; the value is for people and names nothing of our network."""

    SILENT = "the pipeline backend does not answer"
    REFUSED = "the pipeline backend cannot be reached"
    ERROR = "the pipeline backend answers with an error"
    STRANGE = "the pipeline backend answers with something that is no health document"

    @property
    def sentence(self) -> str:
        """For people."""
        return self.value[:1].upper() + self.value[1:]


@dataclass(frozen=True, slots=True)
class Health:
    """What the backend says of a pipeline."""

    status: str
    document: dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Unknown:
    """The backend has no such pipeline."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """There is no usable answer.

    Attributes:
        cause: what kind.
        detail: for the log, not for clients.
    """

    cause: Cause
    detail: str

    @property
    def in_transport(self) -> bool:
        """Whether the backend itself did not speak, rather than say something useless about one pipeline."""
        return self.cause in {Cause.SILENT, Cause.REFUSED}


Answer: TypeAlias = Health | Unknown | Trouble


def is_pipeline_id(text: str) -> bool:
    """Whether it is `[a-z][a-z0-9-]{0,38}[a-z0-9]` without `--`."""
    return _ID.fullmatch(text) is not None


def status_of(overall_status: object) -> str | None:
    """A dashboard's word for the backend's; None where it is no status at all."""
    if not isinstance(overall_status, str):
        return None
    word = overall_status.strip().lower()
    if _STATUS.fullmatch(word) is None:
        return None
    return "failed" if word.endswith("failed") else _STATUSES.get(word, word)


class PipelineBackend:
    """Asks one backend over kept connections. To be entered before it is asked.

    Args:
        url: of the backend, without the path.
        path: of a pipeline's health, with `{id}` in it.
        timeout_s: for one question, from connecting to the last byte.
    """

    def __init__(self, url: str, *, path: str = HEALTH_PATH, timeout_s: float = POLL_TIMEOUT_S) -> None:
        self._address = url.rstrip("/") + "/" + path.lstrip("/")
        self._timeout_s = timeout_s
        tls = httpx.create_ssl_context(trust_env=False)
        self._pools = [_Pool(_client(timeout_s, tls)) for _ in range(POOLS)]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with anyio.move_on_after(POLL_CONNECT_TIMEOUT_S, shield=True):
            for pool in self._pools:
                await pool.client.aclose()

    async def health(self, pipeline_id: str) -> Answer:
        """Asks once; never raises, and takes no longer than the time-out. Cancelling it gives the connection up."""
        address = self._address.replace("{id}", quote(pipeline_id, safe=""))
        try:
            with anyio.fail_after(self._timeout_s), self._least_asked() as client:
                return await _ask(client, address)
        except (TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout, httpx.PoolTimeout):
            return Trouble(Cause.SILENT, f"no answer within {self._timeout_s:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            cause = Cause.STRANGE if _has_spoken(error) else Cause.REFUSED
            return Trouble(cause, f"{type(error).__name__}: {error}")

    @contextmanager
    def _least_asked(self) -> Iterator[httpx.AsyncClient]:
        pool = min(self._pools, key=lambda each: each.asked)
        pool.asked += 1
        try:
            yield pool.client
        finally:
            pool.asked -= 1


@dataclass(slots=True)
class _Pool:
    client: httpx.AsyncClient
    asked: int = 0


def _has_spoken(error: Exception) -> bool:
    """Whether the backend sent something that is no HTTP, rather than nothing or no more."""
    return isinstance(error, httpx.RemoteProtocolError) and not any(words in str(error) for words in _CUT)


def _client(timeout_s: float, tls: ssl.SSLContext) -> httpx.AsyncClient:
    connections_max = POLLS_MAX // POOLS
    return httpx.AsyncClient(
        # None are kept: one for each answer would grow without end.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        headers={"accept": "application/json", "accept-encoding": "identity", "user-agent": "fantail"},
        timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, POLL_CONNECT_TIMEOUT_S), pool=None),
        limits=httpx.Limits(
            max_connections=connections_max, max_keepalive_connections=connections_max, keepalive_expiry=30.0
        ),
        follow_redirects=False,
        trust_env=False,
        verify=tls,
    )


async def _ask(client: httpx.AsyncClient, address: str) -> Answer:
    async with client.stream("GET", address) as response:
        if response.status_code != HTTPStatus.OK and _is_short(response):
            await _bounded(response)  # what it says is not wanted; its connection is, for the next poll
        match response.status_code:
            case 200:
                body = await _bounded(response)
                return Trouble(Cause.STRANGE, "a body past the bound, or packed") if body is None else _read(body)
            case 404:
                return Unknown()
            case status if 300 <= status < 400:  # noqa: PLR2004 - HTTP's own borders
                return Trouble(Cause.STRANGE, f"a redirect ({status}), which is not followed")
            case status:
                return Trouble(Cause.ERROR, f"status {status}")


def _is_short(response: httpx.Response) -> bool:
    length = response.headers.get("content-length", "")
    return len(length) < len(str(HEALTH_BYTES_MAX)) and length.isdecimal()


async def _bounded(response: httpx.Response) -> bytes | None:
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        return None
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > HEALTH_BYTES_MAX:
            return None
    return bytes(body)


def _read(body: bytes) -> Answer:
    document = parsed_object(body)
    if document is None:
        return Trouble(Cause.STRANGE, "no JSON object")
    status = status_of(document.get("overall_status"))
    if status is None:
        return Trouble(Cause.STRANGE, "no overall_status")
    if not can_be_written(document):  # nested too deeply
        document = {"overall_status": document["overall_status"], "truncated": True}
    return Health(status, document)
