"""The program `fantail serve`: settings, a listening socket, a source, the application, and an orderly end.

The start fails early and in one line: a wrong setting (exit code 2); a port that is taken, a data directory that
cannot be used (1). `Fantail is ready on http://…` is printed when connections are accepted, not before. How it ends is
in `fantail.web.sse.graceful_shutdown`.

Where no Redis is named, a private Valkey runs as a child (`fantail.broker.embedded.valkey`). It is the last to stop,
after the streams and the broker, so nobody is told that Redis is away only because the server stops.
"""

from __future__ import annotations

import errno
import logging
import os
import resource
import socket
import sys
from contextlib import AsyncExitStack, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import anyio

from fantail.broker import Broker, BrokerError, BrokerLimits
from fantail.broker.embedded.valkey import EmbeddedValkey, default_data_dir, remove_server_address, write_server_address
from fantail.broker.sources.redis.address import read_address
from fantail.broker.sources.redis.ledger import RedisLedger
from fantail.broker.sources.redis.tailer import RedisTailer
from fantail.web.app import create_app
from fantail.web.auth.identity import check_token_key
from fantail.web.observability.garbage import memory_upkeep
from fantail.web.observability.logging import configure_logging
from fantail.web.settings import WrongSettingError, is_loopback, load_settings, unknown_names
from fantail.web.sse.graceful_shutdown import serve_app
from fantail.web.status_sources import StatusSources, check_database, status_tables

if TYPE_CHECKING:
    from pathlib import Path

    from fantail.web.settings import Settings

logger = logging.getLogger("fantail.server")

CANNOT_START: Final = 1
WRONG_SETTING: Final = 2
# sd_listen_fds(3): inherited descriptors begin after the three standard ones.
FIRST_INHERITED_FD: Final = 3
# Linux' own default for the hard limit; a higher one costs child processes that close every descriptor they may have.
OPEN_FILES: Final = 524_288


class CannotListenError(BrokerError):
    """The address cannot be listened on; the message is one line for whoever starts the server."""


def serve(**given: Any) -> int:
    """Runs the server until it is told to stop.

    Args:
        given: settings by name, as flags give them; None counts as not given.

    Returns:
        The exit code: 0 after an orderly end, 2 for a wrong setting, 1 where it cannot start.
    """
    try:
        settings = load_settings(**given)
        configure_logging(settings.log_level, settings.log_format)
        _tell_unknown_names()
        _tell_about_redis(settings.redis_url)
        check_database(settings)
        check_token_key(settings)
        _raise_file_limit()
        with listening_socket(settings) as listener:
            anyio.run(_run, settings, listener, backend_options={"use_uvloop": find_spec("uvloop") is not None})
    except WrongSettingError as fault:
        return _refuse(fault, WRONG_SETTING)
    except BrokerError as fault:
        return _refuse(fault, CANNOT_START)
    except BaseExceptionGroup as faults:
        # What a task group was told of; the first of ours is the reason.
        ours = faults.subgroup(BrokerError)
        if ours is None:
            raise
        return _refuse(_first(ours), CANNOT_START)
    return 0


async def _run(settings: Settings, listener: socket.socket) -> None:
    async with AsyncExitStack() as stack:
        data_dir = settings.data_dir or default_data_dir()
        redis_url = settings.redis_url
        if redis_url is None:
            redis_url = (await stack.enter_async_context(EmbeddedValkey(data_dir))).url
        broker = Broker(
            lambda broker: RedisTailer(broker, redis_url, settings.tables, checks_owner=settings.auth != "none"),
            lambda broker: RedisLedger(broker, redis_url, settings.tables),
            tables=status_tables(settings),
            limits=broker_limits(settings),
            masks_secrets=settings.mask_secrets,
        )
        sources = StatusSources.of(broker, settings, redis_url)
        await stack.enter_async_context(broker.running())
        await stack.enter_async_context(sources.running())
        await stack.enter_async_context(memory_upkeep())
        url = public_url(settings, listener)
        if settings.redis_url is None or settings.data_dir is not None:
            stack.callback(remove_server_address, data_dir)
            _note_address(data_dir, url)
        await serve_app(create_app(broker, settings, sources), listener, lambda: _say_ready(url), signals=True)


def broker_limits(settings: Settings) -> BrokerLimits:
    """The broker's bounds, as the settings have them."""
    return BrokerLimits(
        store_bytes_max=settings.store_bytes,
        total_bytes_max=settings.total_bytes,
        line_bytes_max=settings.line_bytes,
        linger_s=settings.linger_s,
        table_rows_max=settings.table_rows,
    )


def listening_socket(settings: Settings) -> socket.socket:
    """The socket to listen on: inherited (`fd`, or systemd's LISTEN_FDS), else bound to host and port.

    Raises:
        CannotListenError: the port is taken, the address is not this machine's, the descriptor is no socket, or one
            that others than this machine reach while nobody is told apart.
    """
    descriptor = settings.fd
    if descriptor is None and _are_handed_over(os.environ.get("LISTEN_PID"), os.environ.get("LISTEN_FDS")):
        descriptor = FIRST_INHERITED_FD
    if descriptor is not None:
        listener = _inherited(descriptor)
        if settings.auth == "none" and not _only_for_this_machine(listener):
            listener.close()
            raise CannotListenError(
                f"FANTAIL_AUTH=none is for loopback addresses only, and file descriptor {descriptor} listens beyond: "
                "anybody who reaches it could read and write everything; set FANTAIL_AUTH to jwt or proxy"
            )
        return listener
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as fault:
        why = f"cannot listen on {settings.host} (FANTAIL_HOST, --host): {fault.strerror or fault}"
        raise CannotListenError(why) from fault
    except UnicodeError as fault:  # a name with an empty or overlong label
        raise CannotListenError(f"{settings.host[:80]!r} (FANTAIL_HOST, --host) is not a host name") from fault
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # At once, not when all is started: of two servers that bind the same port, the second to listen is refused.
        listener.listen(settings.backlog)
    except OSError as fault:
        listener.close()
        raise CannotListenError(_why_not_bound(settings, fault)) from fault
    return listener


def _are_handed_over(pid: str | None, count: str | None) -> bool:
    return pid == str(os.getpid()) and count not in (None, "", "0")


def _only_for_this_machine(listener: socket.socket) -> bool:
    name = listener.getsockname()
    return isinstance(name, str | bytes) or is_loopback(name[0])


def _inherited(descriptor: int) -> socket.socket:
    try:
        listener = socket.socket(fileno=descriptor)
        listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as fault:
        raise CannotListenError(
            f"file descriptor {descriptor} (FANTAIL_FD, --fd) is no socket: {fault.strerror}"
        ) from fault
    if not listening:
        raise CannotListenError(f"file descriptor {descriptor} (FANTAIL_FD, --fd) is a socket that does not listen")
    return listener


def _why_not_bound(settings: Settings, fault: OSError) -> str:
    where = f"{settings.host}:{settings.port}"
    if fault.errno == errno.EADDRINUSE:
        return f"cannot listen on {where}: the port is taken; stop what uses it, or choose another with --port"
    return f"cannot listen on {where} (FANTAIL_HOST, FANTAIL_PORT): {fault.strerror or fault}"


def public_url(settings: Settings, listener: socket.socket) -> str:
    """The address under which it is reached: what was set, else that of the socket."""
    if settings.public_url is not None:
        return settings.public_url.rstrip("/")
    name = listener.getsockname()
    if isinstance(name, str):
        return f"unix:{name}"
    host, port = name[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _say_ready(url: str) -> None:
    print(f"Fantail is ready on {url}", flush=True)  # noqa: T201 - the one line that programs wait for


def _note_address(data_dir: Path, url: str) -> None:
    with suppress(OSError):
        write_server_address(data_dir, url)


def _tell_unknown_names() -> None:
    for name, nearest in unknown_names().items():
        logger.warning("%s is no setting%s", name, f"; did you mean {nearest}?" if nearest else "")


def _tell_about_redis(url: str | None) -> None:
    """Logs which options of the address are ignored, and that its socket is missing: it may be made later."""
    address = None if url is None else read_address(url)
    if address is None:
        return
    if address.ignored:
        logger.warning("FANTAIL_REDIS_URL has options that are ignored: %s", ", ".join(address.ignored))
    if address.path is not None and not address.path.exists():
        logger.warning("FANTAIL_REDIS_URL names a socket that does not exist yet: %s", address.path)


def _raise_file_limit() -> None:
    """A stream is an open file; the usual soft limit of 1,024 is there for programs that call select(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _first(group: BaseExceptionGroup[BrokerError]) -> BrokerError:
    fault: BaseException = group
    while isinstance(fault, BaseExceptionGroup):
        fault = fault.exceptions[0]
    assert isinstance(fault, BrokerError)
    return fault


def _refuse(why: object, code: int) -> int:
    print(f"fantail: {why}", file=sys.stderr)  # noqa: T201 - the one line for whoever started it
    return code
