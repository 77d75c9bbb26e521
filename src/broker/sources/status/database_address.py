"""The address of the status database: what is understood of it, and why another one is refused.

Addresses of PostgreSQL come from libpq, Prisma, node-postgres and SQLAlchemy, each with options of its own. Those of
libpq go to asyncpg, which reads them from an address (`dsn`) as libpq would; Prisma's `schema` becomes a search path;
settings of the session (`options`, `application_name`, `search_path`) are sent to the server. Options that only set
up another client's pool are ignored and named in `DatabaseAddress.ignored`. Every other option is an error: asyncpg
would send it to the server, which then refuses each connection.

Decided against: SQLAlchemy's own reading of the address, which hands each option to `asyncpg.connect` as an argument
and fails with a TypeError at the first question.
"""

from __future__ import annotations

import os
import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from fantail.broker.errors import BrokerError
from fantail.broker.limits import DATABASE_TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

POSTGRESQL: Final = "postgresql+asyncpg"
SQLITE: Final = "sqlite+aiosqlite"
_SCHEMES: Final = {"postgresql": POSTGRESQL, "postgres": POSTGRESQL, "sqlite": SQLITE}
_FORM: Final = "a database's address is like postgresql://user@host/name or sqlite:///path"
# As SQLAlchemy reads it: a password may have every character but @.
_ADDRESS: Final = re.compile(
    r"(?P<scheme>\w+)(?:\+\w+)?://(?:(?P<user>[^:/@]*)(?::(?P<password>[^@]*))?@)?"
    r"(?P<hosts>[^/?@]*)(?:/(?P<name>[^?]*))?(?:\?(?P<query>.*))?",
    re.ASCII | re.DOTALL,
)
_HOST: Final = re.compile(
    r"(?:(?P<socket>/[^:\0]*)|\[(?P<bracketed>[0-9A-Fa-f:.%\w]+)\]|(?P<name>[^\[\]:/\s]+))(?::(?P<port>[^:]+))?"
)
PORT_MAX: Final = 65_535
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,39}")

# Read by asyncpg as libpq does.
_PASSED: Final = frozenset(
    {
        "database", "dbname", "gsslib", "krbsrvname", "passfile", "password", "service", "sslcert", "sslcrl",
        "sslkey", "sslmode", "sslnegotiation", "sslpassword", "sslrootcert", "ssl_max_protocol_version",
        "ssl_min_protocol_version", "target_session_attrs", "user",
    }
)  # fmt: skip
# Sent to the server for the session.
_SESSION: Final = frozenset(
    {
        "application_name", "client_encoding", "default_transaction_read_only", "extra_float_digits",
        "idle_in_transaction_session_timeout", "lock_timeout", "options", "search_path", "statement_timeout",
        "timezone",
    }
)  # fmt: skip
_IGNORED: Final = frozenset(
    {
        "channel_binding", "command_timeout", "connect_timeout", "connection_limit", "connection_timeout",
        "fallback_application_name", "gssencmode", "keepalives", "keepalives_count", "keepalives_idle",
        "keepalives_interval", "load_balance_hosts", "max_connection_lifetime", "max_idle_connection_lifetime",
        "pgbouncer", "pool_size", "pool_timeout", "prepared_statement_cache_size", "prepared_statement_name_func",
        "prepared_statements", "socket_timeout", "sslcompression", "sslsni", "statement_cache_size",
        "tcp_user_timeout", "timeout", "uselibpqcompat",
    }
)  # fmt: skip
_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_ATTRIBUTES: Final = ("any", "primary", "standby", "read-write", "read-only", "prefer-standby")
_VERSIONS: Final = ("TLSv1.2", "TLSv1.3")
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "sslmode": _MODES,
    "sslnegotiation": ("postgres", "direct"),
    "ssl_min_protocol_version": _VERSIONS,
    "ssl_max_protocol_version": _VERSIONS,
    "target_session_attrs": _ATTRIBUTES,
    "gsslib": ("gssapi", "sspi"),
}


class WrongDatabaseError(BrokerError, ValueError):
    """The address is not one of a database that can be read here; the message is one line."""


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """An address that was understood.

    Attributes:
        url: for SQLAlchemy; without anything but the driver for PostgreSQL, where `arguments` has the rest.
        arguments: of the driver's connect function.
        ignored: the names of options that are not used, sorted.
    """

    url: URL
    arguments: Mapping[str, Any] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()


def read_address(url: str) -> DatabaseAddress:
    """Reads an address; connects to nothing and reads no file.

    Raises:
        WrongDatabaseError: it is malformed, of another database, or has an option that is not understood.
    """
    match = _ADDRESS.fullmatch(url)
    if match is None:
        raise WrongDatabaseError(_FORM)
    driver = _SCHEMES.get(match["scheme"])
    if driver is None:
        raise WrongDatabaseError(f"{match['scheme']} cannot be read here; postgresql and sqlite can")
    return _postgresql(match) if driver == POSTGRESQL else _sqlite(url)


def check_address(url: str) -> DatabaseAddress:
    """Reads an address, and makes sure that the files it names can be used; connects to nothing.

    Raises:
        WrongDatabaseError: see `read_address`; or a file is missing, unreadable, or not what it should be.
    """
    address = read_address(url)
    if address.url.drivername == SQLITE:
        _check_sqlite(address.url)
    else:
        _check_sockets(address.arguments.get("host", ()))
        _check_files(dict(parse_qsl(str(address.arguments["dsn"]).partition("?")[2])))
    return address


# -- SQLite ---------------------------------------------------------------------------------------------------------


def _sqlite(url: str) -> DatabaseAddress:
    try:
        address = make_url(url).set(drivername=SQLITE)
    except (ArgumentError, ValueError) as fault:
        raise WrongDatabaseError(_FORM) from fault
    if address.host:
        raise WrongDatabaseError(
            "the address of an SQLite file begins with three slashes, four if its path is absolute"
        )
    if not address.database or address.database.startswith((":", "file:")):
        return DatabaseAddress(address)
    ignored = tuple(sorted(address.query.keys() - {"mode", "uri"}))
    # A file that is not there is a mistake in the address, not a database to be made.
    return DatabaseAddress(
        address.set(database=f"file:{quote(address.database)}", query={"mode": "rw", "uri": "true"}), ignored=ignored
    )


def _check_sqlite(address: URL) -> None:
    if not address.database or address.database.startswith(":"):
        return
    path = Path(unquote(address.database.removeprefix("file:").removeprefix("//")))
    try:
        with path.open("rb") as file:
            beginning = file.read(16)
    except (OSError, ValueError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "it is not a path"
        raise WrongDatabaseError(f"{str(path)[:200]!r}: {reason}") from fault
    if beginning and beginning != b"SQLite format 3\0":
        raise WrongDatabaseError(f"{str(path)[:200]!r} is not an SQLite database")


# -- PostgreSQL -----------------------------------------------------------------------------------------------------


def _postgresql(match: re.Match[str]) -> DatabaseAddress:
    given = _given(match["query"] or "")
    hosts = [unquote(host) if "%2" in host else host for host in match["hosts"].split(",")]
    arguments = _endpoints(hosts if any(hosts) else given.get("host", "").split(","), given.get("port", ""))
    given = {name: value for name, value in given.items() if name not in ("host", "port")}
    passed, session = _sorted_out(given)
    if passed.get("sslrootcert") == "system":  # libpq: the system's authorities, and the name of the host is checked
        arguments["ssl"] = ssl.create_default_context()
        passed = {name: value for name, value in passed.items() if name not in ("sslrootcert", "sslmode")}
    login = quote(unquote(match["user"] or ""), safe="")
    if match["password"]:
        login += f":{quote(unquote(match['password']), safe='')}"
    name = quote(unquote(match["name"] or ""), safe="")
    arguments["dsn"] = "".join(
        ("postgresql://", login and f"{login}@", name and f"/{name}", f"?{urlencode(passed)}" if passed else "")
    )
    arguments["server_settings"] = {"application_name": "fantail", **session}
    arguments["timeout"] = _connect_timeout_s(given)
    return DatabaseAddress(URL.create(POSTGRESQL), arguments, tuple(sorted(given.keys() & _IGNORED)))


def _given(query: str) -> dict[str, str]:
    """The options; of one that is repeated the last is taken, but hosts and ports are collected (SQLAlchemy's form)."""
    given: dict[str, str] = {}
    for name, value in parse_qsl(query):
        listed = name in ("host", "port") and name in given
        given[name] = f"{given[name]},{value}" if listed else value
    if "ssl" in given and "sslmode" not in given:
        given["sslmode"] = {"true": "require", "1": "require", "false": "disable", "0": "disable"}.get(
            given["ssl"].lower(), given["ssl"]
        )
    given.pop("ssl", None)
    if given.get("sslaccept") == "accept_invalid_certs":  # Prisma's name of what `require` is
        given.setdefault("sslmode", "require")
        del given["sslaccept"]
    return given


def _sorted_out(given: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """What is passed to asyncpg, and what is sent to the server."""
    passed, session = {}, {}
    for name, value in given.items():
        choices = _CHOICES.get(name, (value,))
        if value not in choices:
            raise WrongDatabaseError(f"its option {name} must be one of {', '.join(choices)}")
        if name == "schema":
            session["search_path"] = '"' + value.replace('"', '""') + '"'
        elif name.lower() in _SESSION:
            session[name] = value
        elif name in _PASSED:
            passed[name] = value
        elif name not in _IGNORED:
            shown = name if _NAME.fullmatch(name) else "(not shown)"
            known = ", ".join(sorted(_PASSED | _SESSION | {"host", "port", "schema", "ssl"}))
            raise WrongDatabaseError(f"its option {shown} is not understood; those that are: {known}")
    return passed, session


def _endpoints(hosts: list[str], ports: str) -> dict[str, Any]:
    """The arguments `host` and `port`. A host may carry its port, or `ports` has one for all, or one for each."""
    given = [_port(port) for port in ports.split(",")]
    if hosts == [""]:
        return {} if given == [None] else {"port": given[0]}
    if len(given) not in (1, len(hosts)):
        raise WrongDatabaseError("its option port must have one port, or one for each host")
    names, numbers = [], []
    for place, host in enumerate(hosts):
        match = _HOST.fullmatch(host)
        if match is None:
            raise WrongDatabaseError(_FORM)
        names.append(match["socket"] or match["bracketed"] or match["name"])
        default = given[place % len(given)] or _port(os.environ.get("PGPORT", "")) or 5432
        numbers.append(default if match["port"] is None else _port(match["port"]))
    return {"host": names, "port": numbers}


def _port(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:6]) <= PORT_MAX):
        raise WrongDatabaseError(f"a port is a number from 1 to {PORT_MAX}; {_FORM}")
    return int(text)


def _connect_timeout_s(given: Mapping[str, str]) -> float:
    wanted = given.get("connect_timeout", "0")
    if not (wanted.isascii() and wanted.isdecimal()):
        raise WrongDatabaseError("its option connect_timeout must be a number of seconds")
    return min(float(wanted[:9]) or DATABASE_TIMEOUT_S, DATABASE_TIMEOUT_S)


def _check_sockets(hosts: Collection[str]) -> None:
    for host in hosts:
        if host.startswith("/") and not Path(host).is_dir():
            raise WrongDatabaseError(f"its host {host[:200]!r} is not a directory with a socket of PostgreSQL")


def _check_files(options: Mapping[str, str]) -> None:
    for name in ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile"):
        if name in options:
            _check_readable(name, options[name])
    if options.get("sslmode", "").startswith("verify-") and not _roots(options):
        raise WrongDatabaseError(f"its option sslmode={options['sslmode']} needs sslrootcert (a file, or `system`)")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    used: Collection[str] = ("sslrootcert",)
    try:
        if "sslrootcert" in options:
            context.load_verify_locations(cafile=options["sslrootcert"])
        used = ("sslcrl",)
        if "sslcrl" in options:
            context.load_verify_locations(cafile=options["sslcrl"])
        used = ("sslcert", "sslkey", "sslpassword")
        if "sslcert" in options:
            context.load_cert_chain(options["sslcert"], options.get("sslkey"), lambda: options.get("sslpassword", ""))
    except (OSError, ValueError) as fault:
        names = ", ".join(name for name in used if name in options)
        reason = (fault.strerror if isinstance(fault, OSError) else None) or type(fault).__name__
        raise WrongDatabaseError(f"its TLS options ({names}) cannot be used: {reason}") from fault


def _roots(options: Mapping[str, str]) -> bool:
    return bool(
        options.get("sslrootcert")
        or os.environ.get("PGSSLROOTCERT")
        or (Path.home() / ".postgresql" / "root.crt").exists()
    )


def _check_readable(name: str, path: str) -> None:
    try:
        with Path(path).open("rb"):
            pass
    except (OSError, ValueError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "it is not a path"
        raise WrongDatabaseError(f"its option {name} names {path[:200]!r}: {reason}") from fault
