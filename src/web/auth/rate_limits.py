"""How much one user and one address may have: streams at a time, new ones per second, bytes of ingest.

A limit is there so that one client gone wild (a page that reconnects in a loop, a producer without brakes) costs the
others nothing. It is answered with values, not exceptions: each door words its own refusal.

Rates are token buckets: a full bucket of `burst` tokens, refilled steadily. What is remembered is bounded: buckets
that are full again carry no information and go first, and past `LIMITER_KEYS_MAX` the longest unused go too. An IPv6
client is counted by its /64, which is what one household or machine is given; by single addresses it would have 2**64.

Synchronous and without a clock of its own. One process counts for itself; nodes behind a load balancer each do.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fantail.web.http.proxies import is_among, parsed_address
from fantail.web.limits import LIMITER_KEYS_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Self

    from fantail.web.auth.viewer import Viewer
    from fantail.web.http.proxies import Address, Network


@dataclass(frozen=True, slots=True)
class Rate:
    """Tokens per second, and how many may be taken at once after a pause."""

    per_s: float
    burst: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What the limiter allows; the defaults are those of `fantail.web.settings`.

    Attributes:
        proxies: proxies in front, which are believed about the address they were asked from.
    """

    streams_max: int
    streams_per_user_max: int
    streams_per_address_max: int
    stream_rate: Rate
    ingest_rate: Rate
    proxies: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no stream now, in words for the client."""

    reason: str


class StreamLease:
    """One stream that is counted, until it is released (once, or by leaving the `with`)."""

    __slots__ = ("_keys", "_limiter")

    def __init__(self, limiter: Limiter, keys: tuple[str, ...]) -> None:
        self._limiter: Limiter | None = limiter
        self._keys = keys

    def release(self) -> None:
        """Gives the place back."""
        if self._limiter is not None:
            self._limiter._release(self._keys)  # noqa: SLF001 - one module
            self._limiter = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Limiter:
    """Counts streams and meters rates.

    Args:
        limits: what is allowed.
        now_s: a monotonic clock, in seconds.
    """

    def __init__(self, limits: Limits, now_s: Callable[[], float]) -> None:
        self.limits = limits
        self._now_s = now_s
        self._streams: Counter[str] = Counter()
        self._stream_buckets = _Buckets(limits.stream_rate)
        self._ingest_buckets = _Buckets(limits.ingest_rate)

    @property
    def streams(self) -> int:
        """How many streams are counted now."""
        return self._streams[""]

    def address_of(self, scope: Mapping[str, Any]) -> str:
        """The address that a request is counted under."""
        return _address_of(scope, self.limits.proxies)

    def open_stream(self, viewer: Viewer, address: str) -> StreamLease | Refusal:
        """Counts a new stream of a viewer from an address, or says why not."""
        limits = self.limits
        keys: tuple[str, ...] = ("", f"address {address}")
        if viewer.name is not None:
            keys += (f"user {viewer.name}",)
        bounds = (
            (limits.streams_max, "the server has as many streams as it may"),
            (limits.streams_per_address_max, "too many streams from this address"),
            (limits.streams_per_user_max, "too many streams of this user"),
        )
        for key, (bound, reason) in zip(keys, bounds, strict=False):
            if self._streams[key] >= bound:
                return Refusal(reason)
        now_s = self._now_s()
        if not self._stream_buckets.take(address, 1.0, now_s):
            return Refusal("too many new streams from this address")
        if viewer.name is not None and not self._stream_buckets.take(f"user {viewer.name}", 1.0, now_s):
            return Refusal("too many new streams of this user")
        self._streams.update(keys)
        return StreamLease(self, keys)

    def ingest(self, viewer: Viewer, address: str, size_bytes: int) -> float:
        """Counts bytes that a producer sent.

        Returns:
            The seconds for which it should not be read on (0: it may go on). The bytes are counted either way, so a
            producer that is slowed down by waiting gets on at the rate and is not refused.
        """
        key = f"user {viewer.name}" if viewer.name is not None else address
        return self._ingest_buckets.owe(key, float(size_bytes), self._now_s())

    def _release(self, keys: tuple[str, ...]) -> None:
        for key in keys:
            self._streams[key] -= 1
            if not self._streams[key]:
                del self._streams[key]


class _Buckets:
    """Token buckets by key; a key that is not there has a full bucket."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._held: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, tokens: float, now_s: float) -> bool:
        """Takes tokens if they are there; says whether they were."""
        held = self._refilled(key, now_s)
        enough = held >= tokens
        self._keep(key, held - tokens if enough else held, now_s)
        return enough

    def owe(self, key: str, tokens: float, now_s: float) -> float:
        """Takes tokens whether they are there or not; returns the seconds until the debt is paid."""
        held = self._refilled(key, now_s) - tokens
        self._keep(key, held, now_s)
        return max(0.0, -held / self._rate.per_s)

    def _refilled(self, key: str, now_s: float) -> float:
        held, at_s = self._held.get(key, (self._rate.burst, now_s))
        return min(self._rate.burst, held + (now_s - at_s) * self._rate.per_s)

    def _keep(self, key: str, held: float, now_s: float) -> None:
        self._held[key] = (held, now_s)
        self._held.move_to_end(key)
        while self._held:
            oldest, (tokens, at_s) = next(iter(self._held.items()))
            full = tokens + (now_s - at_s) * self._rate.per_s >= self._rate.burst
            if not full and len(self._held) <= LIMITER_KEYS_MAX:
                break
            del self._held[oldest]


def _address_of(scope: Mapping[str, Any], proxies: Sequence[Network]) -> str:
    """The client's address, or `local` for a Unix socket.

    Where a proxy of ours asks, it is the last address in `X-Forwarded-For` that is none of our proxies: each appends
    the one it was asked by, and what stands before may be anybody's invention.
    """
    client = scope.get("client")
    if not client:
        return "local"
    found = parsed_address(str(client[0]))
    if found is None or not is_among(found, proxies):
        return str(client[0])[:64] if found is None else _shown(found)
    forwarded = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
    for entry in reversed(forwarded.decode("latin-1").split(",")):
        before = parsed_address(entry.strip())
        if before is None:
            break
        found = before
        if not is_among(before, proxies):
            break
    return _shown(found)


def _shown(address: Address) -> str:
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.ip_network((address, 64), strict=False))
