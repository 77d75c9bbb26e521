"""Where a request comes from: whether a page of our own sent it, or any page of the web.

A browser lets every page send requests to every address, loopback included. Two headers that no page can forge tell
its requests from ours: `Host`, the name that was resolved (a rebound name is not ours, trap 30), and `Origin`, the
page that sends. `Sec-Fetch-Site` is the browser's own comparison of the two.

The order of the checks (`comes_from_elsewhere`):

    1. An `Origin` that is listed (`FANTAIL_CORS_ORIGINS`, `FANTAIL_PUBLIC_URL`) may ask.
    2. `Sec-Fetch-Site: same-origin` is our page. The browser compared the addresses that it sees itself, so this holds
       behind a proxy that changes `Host`, its port, or the scheme.
    3. `cross-site`, `same-site` and unknown values are other pages. `same-site` is not enough: another port of this
       machine, or a sibling of our domain, is somebody else's. Only a link that was followed may come from there.
    4. Without the header, or with `none` (typed into the address bar), `Origin` decides: it must be the authority that
       was asked for, by `Host` or by what a trusted proxy says. Browsers leave `Sec-Fetch-Site` out over plain HTTP,
       except to localhost.

A page under a rebound name is `same-origin` to the browser. That is why `is_local` is checked too, and first,
where nobody signs in (trap 30).

Origins are compared with an authority without the scheme: in front of us TLS may end. Pure functions over headers;
what is refused, and how, is decided in `fantail.web.auth.identity`.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.datastructures import Headers

_AUTHORITY: Final = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::([0-9]{1,5}))?", re.ASCII)
_DEFAULT_PORT: Final = {"http": "80", "https": "443"}


def host_of(authority: str) -> str | None:
    """The host of `host` or `host:port` in lower case, IPv6 in brackets; None: the text is no authority."""
    match = _AUTHORITY.fullmatch(authority)
    return None if match is None else match[1].lower()


def is_local(authority: str) -> bool:
    """Whether an authority names this machine: localhost, 127.0.0.0/8 or [::1], with any port."""
    host = host_of(authority)
    if host is None or host == "localhost":
        return host is not None
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def comes_from_elsewhere(
    headers: Headers, allowed: Collection[str], hosts: Collection[str] = (), *, changes: bool = False
) -> bool:
    """Whether a page of another origin sent this, as far as the browser says; a request without such headers is ours.

    See the top of this file for the order of the checks.

    Args:
        headers: of the request.
        allowed: origins that may, exactly as a browser writes them.
        hosts: further authorities under which this server is known (`X-Forwarded-Host` of a trusted proxy).
        changes: the request may change something, so that a page need not read the answer: a form that it sends.
    """
    origins = headers.getlist("origin")
    if origins and all(origin in allowed for origin in origins):
        return False
    match headers.getlist("sec-fetch-site"):
        case ["same-origin"]:
            return False
        case [] | ["none"]:
            asked = [*headers.getlist("host"), *hosts]
            return not all(origin in allowed or _is_origin_of(origin, asked) for origin in origins)
        case _:
            return bool(origins) or changes or not _is_navigation(headers)


def origin_of(url: str) -> str:
    """The origin of an address as browsers write it: in lower case, punycode, without a default port.

    Raises:
        ValueError: the address has no host, or one that no browser could ask.
    """
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORT or not parts.hostname:
        raise ValueError(f"`{url}` is not an http or https address")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname.encode("idna").decode().lower()
    port = "" if parts.port is None or str(parts.port) == _DEFAULT_PORT[parts.scheme] else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def says_its_origin(headers: Headers) -> bool:
    """Whether the browser said where the request comes from; every browser does for methods that change something."""
    return "origin" in headers or "sec-fetch-site" in headers


def only(headers: Headers, name: str) -> str | None:
    """The value of a header that came exactly once: a second one may have been added by somebody else."""
    values = headers.getlist(name)
    return values[0] if len(values) == 1 else None


def _is_navigation(headers: Headers) -> bool:
    """A link followed, or an address opened: what comes back is shown and never read by the page that sent it."""
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"


def _is_origin_of(origin: str, hosts: Collection[str]) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    default = _DEFAULT_PORT.get(parts.scheme)
    if default is None or origin != f"{parts.scheme}://{parts.netloc}":
        return False
    asked = [_with_port(host, default) for host in hosts]
    return len(asked) > 0 and _with_port(parts.netloc, default) in asked and None not in asked


def _with_port(authority: str, default: str) -> str | None:
    match = _AUTHORITY.fullmatch(authority)
    return None if match is None else f"{match[1].lower()}:{match[2] or default}"
