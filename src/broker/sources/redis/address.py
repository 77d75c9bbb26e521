"""The address of a Redis server: which options it may have, and why an address is refused.

Every address is read here before anything depends on it, by the server and by the commands. Options that other
clients write are translated to what redis-py takes (Celery's `ssl_cert_reqs=CERT_NONE`), or left out and named in
`RedisAddress.ignored` (time-outs and pools, which Fantail sets itself). Every other option is an error: redis-py hands
what it does not know to a constructor, where it fails at the first connection or means something else.

Messages never repeat the address, its password, or an option's unknown name, which may be a part of the password.
"""

from __future__ import annotations

import os
import re
import ssl
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from redis.asyncio.connection import SSLConnection, parse_url
from redis.exceptions import RedisError

from fantail.broker.errors import BrokerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from urllib.parse import SplitResult

# What redis-py and other clients know, and Fantail decides itself.
_IGNORED: Final = frozenset(
    {
        "client_name", "decode_responses", "encoding", "encoding_errors", "family", "health_check_interval",
        "legacy_responses", "lib_name", "lib_version", "max_connections", "protocol", "retry_on_error",
        "retry_on_timeout", "socket_connect_timeout", "socket_read_size", "socket_timeout", "timeout",
    }
)  # fmt: skip
_TRUE: Final = frozenset({"1", "true", "t", "yes", "y", "on"})
_FALSE: Final = frozenset({"0", "false", "f", "no", "n", "off", "none"})
_TLS_FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_FORM: Final = (
    "an address of Redis is like redis://user:password@host:6379/0 or unix:///path, "
    "and a / or @ in a password is written %2F or %40"
)


class WrongRedisAddressError(BrokerError, ValueError):
    """No Redis can be used at the address; the message is one line and does not repeat the address."""


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """An address that was understood.

    Attributes:
        url: as redis-py reads it, without the options that are ignored.
        ignored: the names of these options, sorted.
        path: the Unix socket; None for TCP.
    """

    url: str
    ignored: tuple[str, ...]
    path: Path | None


def read_address(url: str) -> RedisAddress:
    """Reads an address; connects to nothing and reads no file.

    Raises:
        WrongRedisAddressError: it is malformed, or has an option that is not understood.
    """
    try:
        parts = urlsplit(url)
        form_is_right = _has_form(parts) and re.search(r"[\s\x00-\x1f\x7f]", url) is None
    except ValueError as fault:  # a port past 65,535, brackets without an end
        raise WrongRedisAddressError(_FORM) from fault
    if not form_is_right:
        raise WrongRedisAddressError(_FORM)
    options, ignored = _options(parts.query, tls=parts.scheme == "rediss")
    # A path that is written `//…` must not become a host when the address is put together again.
    path = quote(unquote(parts.path)) if parts.scheme == "unix" else parts.path
    query = f"?{urlencode(options)}" if options else ""
    return RedisAddress(
        f"{parts.scheme}://{parts.netloc}{path}{query}",
        ignored,
        Path(unquote(parts.path)) if parts.scheme == "unix" else None,
    )


def check_address(url: str) -> RedisAddress:
    """Reads an address, and makes sure that the files it names can be used; connects to nothing.

    A Unix socket need not exist yet, but its directory must.

    Raises:
        WrongRedisAddressError: see `read_address`; or a file is missing, unreadable, or not what it should be.
    """
    address = read_address(url)
    if address.path is not None:
        _check_socket(address.path)
    if urlsplit(address.url).scheme == "rediss":
        _check_tls(address.url)
    return address


def shown_address(url: str) -> str:
    """The address as it may be shown: without its password and its options."""
    parts = urlsplit(url)
    shown = url.partition("?")[0]
    return shown if parts.password is None else shown.replace(f":{parts.password}@", ":***@", 1)


def _has_form(parts: SplitResult) -> bool:
    if parts.fragment:
        return False
    if parts.scheme == "unix":
        return bool(parts.path) and not parts.hostname
    database = parts.path.strip("/") or "0"
    return parts.scheme in ("redis", "rediss") and parts.port != 0 and database.isascii() and database.isdecimal()


# -- options --------------------------------------------------------------------------------------------------------


def _options(query: str, *, tls: bool) -> tuple[dict[str, str], tuple[str, ...]]:
    given: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        given.setdefault(name, value)
    kept: dict[str, str] = {}
    for name, value in given.items():
        if name == "protocol" and value not in ("2", "3"):
            raise WrongRedisAddressError("its option protocol must be 2 or 3")
        if name in _IGNORED:
            continue
        if name not in _READERS:
            known = ", ".join(sorted(_READERS))
            raise WrongRedisAddressError(f"an address of Redis may have these options and no others: {known}")
        if name.startswith("ssl_") and not tls:
            raise WrongRedisAddressError(f"its option {name} needs an address that begins with rediss://")
        kept[name] = _READERS[name](name, value)
    return kept, tuple(sorted(given.keys() & _IGNORED))


def _text(name: str, value: str) -> str:
    if not value:
        raise WrongRedisAddressError(f"its option {name} is empty")
    return value


def _number(name: str, value: str) -> str:
    if not (value.isascii() and value.isdecimal() and len(value) < 10):  # noqa: PLR2004 - fits 32 bits
        raise WrongRedisAddressError(f"its option {name} must be a number of 0 or more")
    return value


def _flag(name: str, value: str) -> str:
    word = value.lower()
    if word not in _TRUE | _FALSE:
        raise WrongRedisAddressError(f"its option {name} must be true or false")
    return str(word in _TRUE).lower()


def _cert_reqs(name: str, value: str) -> str:
    word = value.lower().removeprefix("ssl.").removeprefix("cert_")
    if word not in ("none", "optional", "required"):
        raise WrongRedisAddressError(f"its option {name} must be none, optional or required")
    return word


def _tls_version(name: str, value: str) -> str:
    """redis-py takes the number that Python has for a version; people write its name."""
    named = {version.name.lower(): version for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)}
    word = value.lower().removeprefix("tlsversion.").replace(".", "_")
    by_number = {str(version.value): version for version in named.values()}
    found = named.get(word) or by_number.get(word)
    if found is None:
        raise WrongRedisAddressError(f"its option {name} must be TLSv1_2 or TLSv1_3")
    return str(found.value)


_READERS: Final[Mapping[str, Callable[[str, str], str]]] = {
    "db": _number,
    "socket_keepalive": _flag,
    "ssl_ca_certs": _text,
    "ssl_ca_data": _text,
    "ssl_ca_path": _text,
    "ssl_cert_reqs": _cert_reqs,
    "ssl_certfile": _text,
    "ssl_check_hostname": _flag,
    "ssl_ciphers": _text,
    "ssl_keyfile": _text,
    "ssl_min_version": _tls_version,
    "ssl_password": _text,
}


# -- files ----------------------------------------------------------------------------------------------------------


def _check_socket(path: Path) -> None:
    if not os.access(path.parent, os.X_OK):
        raise WrongRedisAddressError(f"there is no directory {str(path.parent)!r} that a socket could be in")
    try:
        found = path.stat()
    except FileNotFoundError:
        return  # Redis makes it when it starts
    except OSError as fault:
        raise WrongRedisAddressError(f"its socket {str(path)!r} cannot be used: {fault.strerror}") from fault
    if not stat.S_ISSOCK(found.st_mode):
        raise WrongRedisAddressError(f"{str(path)!r} is not a socket")


def _check_tls(url: str) -> None:
    tls: dict[str, Any] = {name: value for name, value in parse_url(url).items() if name.startswith("ssl_")}
    for name in _TLS_FILES:
        if name in tls:
            _check_readable(name, tls[name])
    if not Path(tls.get("ssl_ca_path", "/")).is_dir():
        raise WrongRedisAddressError("its option ssl_ca_path does not name a directory")
    certificate, key = tls.get("ssl_certfile"), tls.get("ssl_keyfile")
    if key is not None and certificate is None:
        raise WrongRedisAddressError("its option ssl_keyfile needs ssl_certfile")
    try:
        if certificate is not None:
            # First with a password in any case: without one, OpenSSL would ask for it at the terminal.
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, tls.get("ssl_password", ""))
        SSLConnection(**tls).ssl_context.get()
    except (OSError, ValueError, RedisError) as fault:
        names = ", ".join(sorted(tls))
        reason = fault.strerror if isinstance(fault, OSError) and fault.strerror else type(fault).__name__
        raise WrongRedisAddressError(f"its TLS options ({names}) cannot be used: {reason}") from fault


def _check_readable(name: str, path: str) -> None:
    try:
        with Path(path).open("rb"):
            pass
    except (OSError, ValueError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "it is not a path"
        raise WrongRedisAddressError(f"its option {name} names {path[:200]!r}: {reason}") from fault
