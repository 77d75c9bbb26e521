"""Where Redis and the server are, for commands that were not told.

Redis: what was said, else FANTAIL_REDIS_URL, else REDIS_URL, else the private Valkey of the server of this user on
this machine, found through the data directory. The server: what was said, else FANTAIL_URL, else the address that the
server left in its data directory, else the default.
"""

from __future__ import annotations

import logging
import os
import re
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from fantail.broker.embedded.valkey import DataDirectoryError, default_data_dir, find_url, read_server_address
from fantail.broker.errors import BrokerError, SourceUnavailableError
from fantail.broker.limits import LOCATE_LOOK_S, LOCATE_S_MAX
from fantail.broker.sources.redis.address import WrongRedisAddressError, check_address

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger("fantail")

# Up to the last @ before the path: a password may hold one.
_PASSWORD: Final = re.compile(r"^([a-z][a-z0-9+.-]*://[^/?#:]*):[^/?#]*@", re.IGNORECASE)
DEFAULT_URL: Final = "http://127.0.0.1:8765"


class NotLocatedError(BrokerError):
    """What was named has no address that can be one, or nothing was named and nothing found; the message says it."""


def redis_address(said: str | None, data_dir: Path | None) -> str:
    """The address of Redis.

    Args:
        said: by a flag.
        data_dir: by a flag; it wins over the environment.

    Raises:
        NotLocatedError: none was found, the data directory is open to other users, or the address is not allowed.
        SourceUnavailableError: the server of this machine runs, and its Valkey does not come back in time.
    """
    sources = {"--redis-url": said}
    if said is None and data_dir is None:
        sources = {name: os.environ.get(name) for name in ("FANTAIL_REDIS_URL", "REDIS_URL")}
    for setting, url in sources.items():
        if url:
            return _checked(setting, url)
    directory = data_dir or default_data_dir()
    try:
        found = find_url(directory) or _found_after_restart(directory)
    except DataDirectoryError as error:
        raise NotLocatedError(str(error)) from error
    if found is None:
        raise NotLocatedError(
            f"no Redis was named, and no Fantail server is running in {directory}; "
            "start one with `fantail serve`, or name a Redis with --redis-url or FANTAIL_REDIS_URL"
        )
    return found


def _found_after_restart(directory: Path) -> str | None:
    """The private Valkey of a server that runs and is starting it again; None where no server runs."""
    server = read_server_address(directory)
    if server is None:
        return None
    logger.warning("the Valkey of the server at %s does not answer; waiting for up to %.0f s", server, LOCATE_S_MAX)
    deadline_s = time.monotonic() + LOCATE_S_MAX
    while time.monotonic() < deadline_s and read_server_address(directory) is not None:
        found = find_url(directory)
        if found is not None:
            return found
        time.sleep(LOCATE_LOOK_S)
    if read_server_address(directory) is None:
        return None
    raise SourceUnavailableError(
        f"the server at {server} runs, but its Valkey has not answered for {LOCATE_S_MAX:.0f} s; nothing was recorded"
    )


def _checked(setting: str, url: str) -> str:
    try:
        address = check_address(url)
    except WrongRedisAddressError as error:
        raise NotLocatedError(f"{setting} is not allowed: {error}") from error
    if address.ignored:
        logger.warning("%s has options that are ignored: %s", setting, ", ".join(address.ignored))
    return url


def server_address(said: str | None, data_dir: Path | None) -> str:
    """The address of the server: what was said, or the best guess."""
    named = said or os.environ.get("FANTAIL_URL")
    return (named or read_server_address(data_dir or default_data_dir()) or DEFAULT_URL).rstrip("/")


def is_server_address(url: str) -> bool:
    """Whether a server could be there; nothing is asked."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # of the port
        return False


def address_without_password(url: str) -> str:
    """The address as it may be shown."""
    return _PASSWORD.sub(r"\1:***@", url)


def job_address(said: str) -> tuple[str | None, str]:
    """Reads a job as people name it, by its id or by the address of its page.

    Returns:
        The server's address, None where only an id was said; and the id, not checked.
    """
    try:
        parts = urlsplit(said)
    except ValueError:  # of brackets that hold no IPv6 address
        return None, said
    prefix, mark, job_id = parts.path.rpartition("/jobs/")
    if parts.scheme in ("http", "https") and mark:
        return f"{parts.scheme}://{parts.netloc}{prefix}", job_id.rstrip("/")
    return None, said
