"""Follows a job in the terminal: the stream that browsers follow, printed line by line.

It resumes as EventSource does, with the last position it has printed, over cut connections, restarts of the server
and the maximum time of a stream. Each line is printed once, in order; what the log itself lost, or had written anew,
is told on stderr and never passed over.

A connection that was cut is made again soon, with a pause that doubles and is never quite the same (trap 32); one
that the server ended is made again when the server asked for it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpx

from fantail.web.cli.follower import UNREACHABLE, Followed, Follower
from fantail.web.cli.tail_diff import DiffFollower
from fantail.web.limits import TAIL_CONNECT_S_MAX, TAIL_SILENCE_S_MAX

if TYPE_CHECKING:
    from collections.abc import Callable


# Variables of the environment that httpx obeys.
_OF_HTTP: Final = frozenset({"ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"})
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
# Every 30 s comes a keep-alive, so a read that waits longer than two of them waits for nobody.
_TIMEOUTS: Final = httpx.Timeout(TAIL_CONNECT_S_MAX, read=TAIL_SILENCE_S_MAX)


async def follow(followed: Followed, write: Callable[[int, bytes], None], tell: Callable[[str], None]) -> int:
    """Follows a job to its end.

    Args:
        followed: what.
        write: writes bytes to stdout (1) or stderr (2), whole; an OSError of it is passed on.
        tell: shows a message beside the output.

    Returns:
        SUCCEEDED, FAILED, REFUSED or UNREACHABLE.
    """
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-cache"}
    if followed.token:
        headers["Authorization"] = f"Bearer {followed.token}"
    # A proxy of the environment is for the world outside of this machine.
    through_proxies = urlsplit(followed.url).hostname not in _LOOPBACK
    try:
        client = httpx.AsyncClient(headers=headers, timeout=_TIMEOUTS, trust_env=through_proxies)
    except (ValueError, OSError, ImportError, httpx.InvalidURL) as error:  # of proxies and of certificates
        named = [name for name in os.environ if name.upper() in _OF_HTTP]
        tell(f"{followed.shown_url} cannot be asked as {', '.join(sorted(named))} say: {error}")
        return UNREACHABLE
    async with client:
        return await _follower(followed, client, write, tell).follow()


def _follower(
    followed: Followed, client: httpx.AsyncClient, write: Callable[[int, bytes], None], tell: Callable[[str], None]
) -> Follower:
    if followed.diff:
        return DiffFollower(followed, client, write, tell)
    return Follower(followed, client, write, tell)
