"""Where a request comes from: whether a page of our own sent it, or any page of the web.

A browser lets every page send requests to every address, loopback included. Two headers that no page can forge tell
its requests from ours: `Host`, the name that was resolved (a rebound name is not ours, trap 30), and `Origin`, the
page that sends. `Sec-Fetch-Site` tells for the requests that carry no Origin: images, scripts, plain GETs.

Origins are compared with the authority that was asked, without the scheme: in front of us TLS may end. Pure functions
over headers; what is refused, and how, is decided in `web.auth`.
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


def asks_local_host(headers: Headers) -> bool:
    """Whether the one Host header names this machine: localhost, 127.0.0.0/8 or [::1], with any port."""
    host = only(headers, "host")
    match = None if host is None else _AUTHORITY.fullmatch(host)
    if match is None:
        return False
    name = match[1].strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def comes_from_elsewhere(
    headers: Headers, allowed: Collection[str], hosts: Collection[str] = (), *, changes: bool = False
) -> bool:
    """Whether a page of another origin sent this, as far as the browser says; a request without such headers is ours.

    Args:
        headers: of the request.
        allowed: origins that may, exactly as a browser writes them.
        hosts: further authorities under which this server is known (`X-Forwarded-Host` of a trusted proxy).
        changes: the request may change something, so that a page need not read the answer: a form that it sends.
    """
    origins = headers.getlist("origin")
    if origins:
        return not all(
            origin in allowed or _is_origin_of(origin, [*headers.getlist("host"), *hosts]) for origin in origins
        )
    site = headers.get("sec-fetch-site", "none")
    return site not in ("same-origin", "none") and (changes or not _is_navigation(headers))


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
