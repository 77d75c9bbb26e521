"""Limits per user and address: counted, given back, refilled, and remembered in bounded memory."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from fantail.web.auth.rate_limits import Limiter, Limits, Rate, Refusal, StreamLease
from fantail.web.auth.viewer import EVERYONE, Viewer
from fantail.web.limits import LIMITER_KEYS_MAX

ANN = Viewer("ann", admin=False)
BOB = Viewer("bob", admin=False)


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def limiter(clock: Clock | None = None, **limits: Any) -> Limiter:
    defaults: dict[str, Any] = {
        "streams_max": 100,
        "streams_per_user_max": 100,
        "streams_per_address_max": 100,
        "stream_rate": Rate(1000, 1000),
        "ingest_rate": Rate(1000, 1000),
    }
    return Limiter(Limits(**{**defaults, **limits}), clock or Clock())


def opened(given: StreamLease | Refusal) -> StreamLease:
    assert isinstance(given, StreamLease)
    return given


def check_refused(given: StreamLease | Refusal, word: str) -> None:
    assert isinstance(given, Refusal)
    assert word in given.reason


def test_streams_are_counted_for_the_address_the_user_and_all() -> None:
    by_address = limiter(streams_per_address_max=2)
    opened(by_address.open_stream(ANN, "a"))
    opened(by_address.open_stream(BOB, "a"))
    check_refused(by_address.open_stream(EVERYONE, "a"), "address")
    opened(by_address.open_stream(EVERYONE, "b"))
    by_user = limiter(streams_per_user_max=1)
    opened(by_user.open_stream(ANN, "a"))
    check_refused(by_user.open_stream(ANN, "b"), "user")
    opened(by_user.open_stream(BOB, "a"))
    for _ in range(3):
        opened(by_user.open_stream(EVERYONE, "a"))
    of_all = limiter(streams_max=1)
    opened(of_all.open_stream(ANN, "a"))
    check_refused(of_all.open_stream(BOB, "b"), "server")


def test_a_place_is_given_back_once() -> None:
    places = limiter(streams_per_address_max=1)
    lease = opened(places.open_stream(ANN, "a"))
    lease.release()
    lease.release()
    assert places.streams == 0
    with opened(places.open_stream(ANN, "a")):
        assert places.streams == 1
    assert places.streams == 0
    assert not places._streams


def test_new_streams_come_at_a_rate_after_a_burst() -> None:
    clock = Clock()
    places = limiter(clock, stream_rate=Rate(per_s=2, burst=3))
    for _ in range(3):
        opened(places.open_stream(ANN, "a"))
    check_refused(places.open_stream(BOB, "a"), "new streams from this address")
    check_refused(places.open_stream(ANN, "b"), "new streams of this user")
    opened(places.open_stream(BOB, "b"))
    clock.now_s += 0.5
    opened(places.open_stream(ANN, "a"))
    check_refused(places.open_stream(ANN, "a"), "new streams")
    clock.now_s += 3600
    for _ in range(3):
        opened(places.open_stream(ANN, "a"))


def test_ingest_is_slowed_down_to_its_rate_per_user_else_per_address() -> None:
    clock = Clock()
    meter = limiter(clock, ingest_rate=Rate(per_s=100, burst=1000))
    assert meter.ingest(ANN, "a", 1000) == 0
    assert meter.ingest(ANN, "b", 50) == pytest.approx(0.5)
    assert meter.ingest(ANN, "b", 50) == pytest.approx(1.0)
    assert meter.ingest(BOB, "a", 1000) == 0
    assert meter.ingest(EVERYONE, "a", 1000) == 0
    assert meter.ingest(EVERYONE, "a", 100) == pytest.approx(1.0)
    clock.now_s += 1
    assert meter.ingest(ANN, "a", 0) == 0


def test_what_is_remembered_is_bounded_and_forgotten_when_it_says_nothing() -> None:
    clock = Clock()
    places = limiter(clock, streams_max=10**6, stream_rate=Rate(per_s=1, burst=2))
    for number in range(LIMITER_KEYS_MAX + 500):
        opened(places.open_stream(EVERYONE, f"address {number}")).release()
    assert len(places._stream_buckets._held) <= LIMITER_KEYS_MAX
    clock.now_s += 10
    opened(places.open_stream(EVERYONE, "z"))
    assert len(places._stream_buckets._held) == 1


PROXIES = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("client", "forwarded", "counted"),
    [
        (("192.0.2.7", 1), None, "192.0.2.7"),
        (("::ffff:192.0.2.7", 1), None, "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 1), None, "2001:db8:1:2::/64"),
        (None, None, "local"),
        (("192.0.2.7", 1), "203.0.113.9", "192.0.2.7"),
        (("10.0.0.1", 1), "203.0.113.9", "203.0.113.9"),
        (("10.0.0.1", 1), "1.1.1.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        (("fd00::1", 1), "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (("10.0.0.1", 1), None, "10.0.0.1"),
        (("10.0.0.1", 1), "10.0.0.9", "10.0.0.9"),
        (("10.0.0.1", 1), "anybody", "10.0.0.1"),
        (("10.0.0.1", 1), "203.0.113.9, unknown", "10.0.0.1"),
    ],
)
def test_the_address_is_the_clients_and_a_proxy_of_ours_is_believed(
    client: tuple[str, int] | None, forwarded: str | None, counted: str
) -> None:
    headers = [] if forwarded is None else [(b"x-forwarded-for", forwarded.encode())]
    assert limiter(proxies=PROXIES).address_of({"client": client, "headers": headers}) == counted
