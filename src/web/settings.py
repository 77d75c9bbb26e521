"""Every setting of the server, with its default, its meaning and what is allowed: one place for all.

A setting comes from a flag of `fantail serve`, else from the environment (`FANTAIL_<NAME>`; an empty value counts as
none), else it has its default. `REDIS_URL` stands in for `FANTAIL_REDIS_URL`, because hosts set it. docs/OPERATIONS.md
lists what `described()` returns, and a test compares the two.

A wrong value stops the start with one line that names the setting, the value and what is allowed; a name under
`FANTAIL_` that nobody knows is told about in the log (`unknown_names`), with the nearest that exists. A secret's
value is never repeated.

Decided against: a configuration file (a unit file or a container has the environment already) and settings that can
be changed while the server runs (a restart costs a viewer a few seconds and no line).
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - pydantic reads the annotation
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from fantail.broker import limits as broker_limits
from fantail.broker.errors import BrokerError
from fantail.broker.sources.redis.address import check_address
from fantail.web import limits
from fantail.web.http.origin import origin_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails

PREFIX: Final = "FANTAIL_"
# Read by the commands and the producers, not by the server (docs/OPERATIONS.md).
OTHERS: Final = frozenset({"FANTAIL_URL", "FANTAIL_TOKEN", "FANTAIL_SPOOL_BYTES", "FANTAIL_CHROMIUM"})
SECRETS: Final = frozenset({"jwt_secret", "redis_url", "database_url", "pipeline_url"})


class WrongSettingError(BrokerError, ValueError):
    """A setting has a value that is not allowed; the message is one line for whoever starts the server."""


def _listed(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


Listed = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
Seconds = Annotated[float, Field(gt=0, le=7 * 86_400, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=10_000_000)]
Bytes = Annotated[int, Field(ge=64 * broker_limits.KIB, le=1 << 40)]

_TABLE: Final = re.compile(r"([A-Za-z][A-Za-z0-9_]{0,63})=([^\s,=]*\*)")


class Settings(BaseSettings):
    """The settings of one server; immutable. Names in the environment are `FANTAIL_` and the name in capitals."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True, populate_by_name=True
    )

    # -- where it listens
    host: str = Field(
        default="127.0.0.1", description="address to listen on; other than loopback it needs `jwt` or `proxy`"
    )
    port: int = Field(default=8765, ge=0, le=65_535, description="port to listen on; 0 takes a free one")
    fd: int | None = Field(
        default=None, ge=0, description="file descriptor of a listening socket to inherit, instead of host and port"
    )
    backlog: Count = Field(default=2048, description="connections that wait to be accepted")
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s]+$",
        description="address under which browsers reach it: its pages may ask, and it is the address that is shown",
    )

    # -- where the truth is
    redis_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("FANTAIL_REDIS_URL", "REDIS_URL"),
        description="Redis or Valkey to follow; without one a private Valkey is started in the data directory",
    )
    data_dir: Path | None = Field(
        default=None,
        description="directory of the private Valkey; without one `fantail` in $XDG_DATA_HOME or ~/.local/share",
    )
    tables: Annotated[dict[str, str], NoDecode] = Field(
        default_factory=lambda: {"jobs": "job:*", "tasks": "task:*"},
        description="tables of the global stream, and the keys of the hashes that are their rows: `name=pattern,…`",
    )
    table_rows: int = Field(
        default=broker_limits.TABLE_ROWS_MAX,
        ge=1,
        le=1_000_000,
        description="rows of a table that are kept, the newest by `created_at`; how many are left out is told",
    )
    pipeline_url: str | None = Field(
        default=None, pattern=r"^https?://", description="backend that knows pipelines' health"
    )
    database_url: str | None = Field(
        default=None, description="SQL database with the state of tests and runs (SQLAlchemy URL)"
    )

    # -- status dashboards
    pipeline_health_path: str = Field(
        default="/pipeline/{id}/health", pattern=r"^/[^\s]*\{id\}", description="path of a pipeline's health there"
    )
    pipeline_timeout_s: Seconds = Field(
        default=broker_limits.POLL_TIMEOUT_S, description="a pipeline backend that has not answered by then is silent"
    )
    pipeline_poll_s: Seconds = Field(
        default=broker_limits.POLL_FAST_S,
        description="pipelines are polled so often, and less often while their status stays",
    )
    database_names: Annotated[dict[str, str], NoDecode] = Field(
        default_factory=dict,
        description="tables and columns of the database that are called otherwise: `runs=ci.runs,runs.user_id=owner,…`",
    )
    status_check_s: Seconds = Field(
        default=broker_limits.STATUS_CHECK_S, description="tests and runs that are watched are looked up again so often"
    )
    status_ttl_s: Seconds = Field(
        default=broker_limits.STATUS_TTL_S, description="the last state known of a test or run is kept in Redis so long"
    )
    running_capacity: Count = Field(default=5, description="jobs that may run at a time, as queue statistics show it")
    queued_capacity: Count = Field(default=50, description="jobs that may wait, as queue statistics show it")

    # -- who may see what
    auth: Literal["none", "jwt", "proxy"] = Field(
        default="none", description="who is asking: nobody is told apart, a signed token says, or a proxy in front says"
    )
    jwt_secret: SecretStr | None = Field(
        default=None, description="secret of HS256 tokens (32 bytes or more), or the PEM public key of RS256 tokens"
    )
    jwt_algorithm: Literal["HS256", "RS256"] = Field(default="HS256", description="how tokens are signed")
    proxy_header: str = Field(
        default="X-Forwarded-User",
        pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$",
        description="header in which the proxy names the user",
    )
    proxy_addresses: Listed = Field(
        default=(), description="addresses or networks of the proxies that are believed, `a,b,…`"
    )
    proxy_admins: Listed = Field(
        default=(), description="users named by the proxy who see and may change everything, `a,b,…`"
    )
    metrics: Literal["admin", "user", "open"] = Field(
        default="admin", description="who may read `/metrics`: admins, whoever is signed in, or everybody"
    )
    cors_origins: Listed = Field(
        default=(), description="origins whose pages may read the answers, exactly, `https://a,…`"
    )
    allowed_hosts: Listed = Field(
        default=(),
        description="host names, with or without a port, under which it may be asked beside its own address, "
        "with auth `none`, `a,b,…`",
    )

    mask_secrets: bool = Field(
        default=True,
        description="whether secrets are masked in what other programs wrote to Redis, before anything of it is sent",
    )

    # -- streams
    keepalive_s: Seconds = Field(default=30.0, description="a comment is sent after so long with nothing sent")
    max_stream_s: Seconds = Field(
        default=3600.0, description="a stream ends after so long; clients come back where they were"
    )
    write_timeout_s: Seconds = Field(
        default=30.0, description="a client that acknowledges no byte for so long is cut off"
    )
    drain_s: float = Field(default=5.0, ge=0, le=60, description="at shutdown, streams end spread over so long")

    # -- memory
    store_bytes: Bytes = Field(
        default=broker_limits.STORE_BYTES_MAX, description="what the log of one job may hold in memory"
    )
    total_bytes: Bytes = Field(
        default=broker_limits.TOTAL_BYTES_MAX,
        description="what all logs and documents together may hold in memory; old lines make room",
    )
    line_bytes: int = Field(
        default=broker_limits.LINE_BYTES_MAX,
        ge=1024,
        le=64 * broker_limits.MIB,
        description="a longer line is cut for viewers, visibly",
    )
    linger_s: Seconds = Field(
        default=broker_limits.LINGER_S, description="a finished job stays in memory so long after its last viewer"
    )

    # -- limits per client
    streams: Count = Field(default=limits.STREAMS_MAX, description="streams at a time, all clients together")
    streams_per_user: Count = Field(default=limits.STREAMS_PER_USER_MAX, description="streams at a time of one user")
    streams_per_address: Count = Field(
        default=limits.STREAMS_PER_ADDRESS_MAX, description="streams at a time of one address"
    )
    streams_per_s: float = Field(
        default=limits.STREAM_RATE_PER_S,
        gt=0,
        le=1e6,
        description="new streams per second of one user or address, over time",
    )
    streams_burst: Count = Field(default=limits.STREAM_BURST, description="new streams of one user or address at once")
    ingest_bytes_per_s: Bytes = Field(
        default=limits.INGEST_BYTES_PER_S,
        description="bytes of ingest per second of one user or address; more is slowed down",
    )
    body_bytes: Bytes = Field(default=limits.BODY_BYTES_MAX, description="the longest body of one ingest request")

    # -- what it says
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="what is logged")
    log_format: Literal["text", "json"] = Field(default="text", description="how it is logged")
    access_log: bool = Field(default=False, description="whether every request is logged")
    use_sse_status: bool = Field(default=True, description="whether pages follow pipelines by stream; else they poll")

    @field_validator("tables", mode="before")
    @classmethod
    def _parse_tables(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        tables = {}
        for part in filter(None, map(str.strip, value.split(","))):
            match = _TABLE.fullmatch(part)
            if match is None or match[1] in tables:
                raise ValueError("allowed is `name=pattern,…`, each name once, each pattern ending in `*`")
            tables[match[1]] = match[2]
        return tables

    @field_validator("database_names", mode="before")
    @classmethod
    def _parse_names(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        names = {}
        for part in filter(None, map(str.strip, value.split(","))):
            ours, separator, theirs = (each.strip() for each in part.partition("="))
            if not (ours and separator and theirs):
                raise ValueError("allowed is `table=name,table.column=name,…`")
            names[ours] = theirs
        return names

    @field_validator("proxy_addresses")
    @classmethod
    def _check_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            try:
                ipaddress.ip_network(network, strict=False)
            except ValueError:
                raise ValueError(f"allowed are addresses and networks; `{network}` is neither") from None
        return value

    @field_validator("public_url")
    @classmethod
    def _check_public_url(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                origin_of(value)
            except ValueError:
                raise ValueError("allowed is an address such as `https://fantail.example:8443`") from None
        return value

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if re.fullmatch(r"https?://[^/\s*@?#]+", origin) is None or not _is_address(origin):
                raise ValueError(f"allowed are exact origins such as `https://example.org`; `{origin}` is none")
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _check_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for host in value:
            if re.search(r"[/\s*@?#]", host) is not None or not _is_address(f"http://{host}"):
                raise ValueError(
                    f"allowed are host names such as `example.org` or `example.org:8080`; `{host}` is none"
                )
        return value

    @field_validator("host")
    @classmethod
    def _check_host(cls, value: str) -> str:
        if re.search(r"[\s/\x00-\x1f]", value) is not None:
            raise ValueError("it is an address or a host name, without a scheme or a path")
        return value

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, value: str | None) -> str | None:
        if value is not None:
            check_address(value)
        return value

    @field_validator("pipeline_url")
    @classmethod
    def _check_pipeline_url(cls, value: str | None) -> str | None:
        if value is not None and not _is_address(value):
            raise ValueError("a backend's address is like `http://host:8080` or `https://host/path`")
        return value

    @field_validator("data_dir", mode="before")
    @classmethod
    def _check_data_dir(cls, value: Any) -> Any:
        if value == "":
            raise ValueError("it is empty; the directory of the moment is `.`")
        return value

    @field_validator("jwt_secret")
    @classmethod
    def _check_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < limits.JWT_SECRET_BYTES_MIN:
            raise ValueError(f"it must have at least {limits.JWT_SECRET_BYTES_MIN} bytes")
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Settings:
        if self.auth == "jwt" and self.jwt_secret is None:
            raise ValueError("FANTAIL_AUTH=jwt needs FANTAIL_JWT_SECRET")
        if self.auth == "proxy" and not self.proxy_addresses:
            raise ValueError("FANTAIL_AUTH=proxy needs FANTAIL_PROXY_ADDRESSES: the proxies that are believed")
        if self.auth == "none" and self.fd is None and not is_loopback(self.host):
            raise ValueError(
                f"FANTAIL_AUTH=none is for loopback addresses only, and FANTAIL_HOST is {self.host}: "
                "anybody who reaches it could read and write everything; set FANTAIL_AUTH to jwt or proxy"
            )
        if self.store_bytes > self.total_bytes:
            raise ValueError("FANTAIL_STORE_BYTES must not exceed FANTAIL_TOTAL_BYTES")
        return self


def _is_address(text: str) -> bool:
    """Whether a server could be there, and paths can be put behind it."""
    try:
        parts = urlsplit(text)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets without an end, a port past 65,535
        return False
    return named and not (parts.query or parts.fragment) and re.search(r"\s", text) is None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on that address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load_settings(**given: Any) -> Settings:
    """Reads the settings: what is given, else the environment, else the defaults.

    Args:
        given: values by name, as flags give them; None counts as not given.

    Raises:
        WrongSettingError: one of them is not allowed.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as fault:
        raise WrongSettingError(_one_line(fault.errors()[0], given)) from None


def _one_line(error: ErrorDetails, given: Mapping[str, Any]) -> str:
    what = error["msg"].removeprefix("Value error, ").replace("\n", " ")
    if not error["loc"]:
        return what
    name = str(error["loc"][0]).lower().removeprefix(PREFIX.lower())
    if error["type"] == "extra_forbidden":
        return f"there is no setting {name}"
    shown = "(not shown)" if name in SECRETS else repr(error["input"])[:80]
    if name == "redis_url" and given.get(name) is None and not os.environ.get("FANTAIL_REDIS_URL"):
        shown += " (from REDIS_URL)"
    return f"{PREFIX}{name.upper()}={shown} is not allowed: {what[0].lower()}{what[1:]}"


def unknown_names(environment: Mapping[str, str] | None = None) -> dict[str, str | None]:
    """Names in the environment that look like settings and are none, each with the nearest that is one."""
    settings = [name.upper() for name in Settings.model_fields]
    given = os.environ if environment is None else environment
    found: dict[str, str | None] = {}
    for name in sorted(given):
        bare = name.removeprefix(PREFIX)
        if name.startswith(PREFIX) and name not in OTHERS and bare not in settings:
            nearest = difflib.get_close_matches(bare, settings, 1)
            found[name] = PREFIX + nearest[0] if nearest else None
    return found


@dataclass(frozen=True, slots=True)
class DescribedSetting:
    """One setting, for people: its name in the environment, its default as it would be written, what it means."""

    name: str
    default: str
    description: str


def described() -> list[DescribedSetting]:
    """All settings, in the order in which they are explained."""
    found = []
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        found.append(DescribedSetting(f"{PREFIX}{name.upper()}", _written(default), field.description or ""))
    return found


def _written(value: Any) -> str:
    match value:
        case None | ():
            return ""
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case dict():
            return ",".join(f"{key}={pattern}" for key, pattern in value.items())
        case _:
            return str(value)
