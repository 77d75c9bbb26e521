"""Trusted proxies (`FANTAIL_PROXY_ADDRESSES`) and what they say about the request that they forward.

A proxy replaces the client's address, and may replace the scheme and the authority that the browser asked for. It
passes them on in `X-Forwarded-For`, `-Host`, `-Port` and `-Proto`, or in `Forwarded` (RFC 7239). These headers count
only if the connection comes from a listed address. From anybody else they are ignored.

Most proxies pass a client's own `X-Forwarded-Host` through, or append to it, unless they are told to replace it. A
program can therefore choose it, but a page of another origin cannot: it may add no such header without a preflight
request, and preflights are answered for `FANTAIL_CORS_ORIGINS` only. So every forwarded authority may be compared with
the `Origin` header, whichever proxy of a chain added it.

A page under a rebound name (trap 30) is of the same origin and can send these headers. It must not hide the authority
that a proxy appends: of many, the last are kept, and a `Forwarded` header that is malformed counts as an authority
that is no host, so that nothing equals it and it is not local.

Pure functions over the ASGI scope.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final, TypeAlias

from fantail.web.limits import FORWARDED_HOSTS_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from starlette.datastructures import Headers

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

# One `name=value` pair of RFC 7239, section 4; the value is a token or a quoted string.
_FORWARDED_PAIR: Final = re.compile(
    r'(?:^|[;,])[ \t]*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*))'
)
_PORT: Final = re.compile(r":[0-9]+$")


class TrustedProxies:
    """The proxies whose forwarding headers are believed.

    Args:
        networks: their addresses or networks, as in `FANTAIL_PROXY_ADDRESSES`.
    """

    def __init__(self, networks: Iterable[str]) -> None:
        self.networks: tuple[Network, ...] = tuple(ipaddress.ip_network(network, strict=False) for network in networks)

    def trusts(self, scope: Mapping[str, Any]) -> bool:
        """Whether the connection comes from one of them."""
        client = scope.get("client")
        address = parsed_address(str(client[0])) if client else None
        return address is not None and is_among(address, self.networks)


def parsed_address(text: str) -> Address | None:
    """The address that a text is, IPv4 in IPv6 form as IPv4; None: it is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def is_among(address: Address, networks: Sequence[Network]) -> bool:
    """Whether an address is in one of the networks."""
    return any(address in network for network in networks)


def forwarded_hosts(headers: Headers) -> list[str]:
    """The authorities that a proxy says the client asked for, each also with `X-Forwarded-Port` where it has no port.

    With a forwarded port and no forwarded host, the port belongs to the `Host` header. Of each of the two headers, the
    last `FORWARDED_HOSTS_MAX` authorities count. Malformed `Forwarded` headers are given as they are.
    """
    listed, forwarded = _listed(headers, "x-forwarded-host"), _forwarded(headers, "host") + _malformed(headers)
    hosts = listed[-FORWARDED_HOSTS_MAX:] + forwarded[-FORWARDED_HOSTS_MAX:]
    ports = _listed(headers, "x-forwarded-port")[:1]
    without_port = [host for host in hosts or headers.getlist("host")[:1] if _PORT.search(host) is None]
    return hosts + [f"{host}:{port}" for host in without_port for port in ports]


def forwarded_scheme(headers: Headers) -> str | None:
    """The scheme that the client used, as the outermost proxy says it; None: none says."""
    schemes = [*_listed(headers, "x-forwarded-proto"), *_forwarded(headers, "proto")]
    return schemes[0].lower() if schemes else None


def _listed(headers: Headers, name: str) -> list[str]:
    return [part for value in headers.getlist(name) for part in map(str.strip, value.split(",")) if part]


def _forwarded(headers: Headers, name: str) -> list[str]:
    found = []
    for value in headers.getlist("forwarded"):
        for key, quoted, token in _FORWARDED_PAIR.findall(value):
            if key.lower() == name and (quoted or token):
                found.append(re.sub(r"\\(.)", r"\1", quoted) or token)
    return found


def _malformed(headers: Headers) -> list[str]:
    return [value for value in headers.getlist("forwarded") if _FORWARDED_PAIR.sub("", value).strip(" \t;,")]
