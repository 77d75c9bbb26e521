"""What an error reply of Redis is about: one command, or the server that gave it.

A server that was demoted, is loading, or has lost its primary keeps its connections open and answers each command with
an error. Whoever keeps such a connection gets that error for ever, although the address may lead to another server by
now: a proxy, a DNS name and a virtual IP address move new connections only. So the connection is closed, and the next
one is made through the same address.
"""

from __future__ import annotations

import re
from typing import Final

from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    NoPermissionError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)

# MASTERDOWN is a subclass of CLUSTERDOWN in redis-py.
_ROLE_ERRORS: Final = (ReadOnlyError, BusyLoadingError, ClusterDownError, TryAgainError)
# Those without a class of their own; and any of them where Redis 6 puts the error of a script's command into a sentence
# about the script (" -READONLY …").
_ROLE_CODES: Final = re.compile(
    r"(?:^| -)(?:READONLY|MASTERDOWN|LOADING|CLUSTERDOWN|NOREPLICAS|UNBLOCKED|TRYAGAIN|BUSY)\b"
)


def is_role_error(error: BaseException | None) -> bool:
    """Whether an error reply speaks of the server's role or state. The command was not carried out."""
    if isinstance(error, _ROLE_ERRORS):
        return True
    return isinstance(error, ResponseError) and _ROLE_CODES.search(str(error)) is not None


def is_unsupported(error: object) -> bool:
    """Whether an error reply says that the command is unknown to the server, or not allowed to this user."""
    if isinstance(error, NoPermissionError):
        return True
    return isinstance(error, ResponseError) and "unknown command" in str(error).lower()
