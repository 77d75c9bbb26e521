"""Where the last known entries of a list stand in what was read, and how much is asked for."""

from __future__ import annotations

import pytest

from fantail.broker.limits import PAGE_RECORDS_FIRST, PROOF_BYTES, PROOF_RECORDS
from fantail.broker.log.position import checksum
from fantail.broker.log.records import entry_of
from fantail.broker.sources.redis.page_size import PageSize
from fantail.broker.sources.redis.tail_proof import TailProof, find_run, has_time


def timed(*names: str) -> list[bytes]:
    return [entry_of(1_700_000_000_000, name, "stdout") for name in names]


def plain(*names: str) -> list[bytes]:
    return [name.encode() for name in names]


def crcs(entries: list[bytes]) -> list[int]:
    return [checksum(entry) for entry in entries]


@pytest.mark.parametrize(
    ("run", "entries", "expected", "found"),
    [
        pytest.param(timed("c"), timed("c", "d"), 0, 0, id="in its place"),
        pytest.param(plain("c"), plain("c", "d"), 0, 0, id="in its place, without a time"),
        pytest.param(timed("c"), timed("a", "c", "d"), 2, 1, id="moved to the front"),
        pytest.param(timed("c"), timed("a", "b", "d"), 2, None, id="nowhere"),
        pytest.param(timed("c"), [], 0, None, id="nothing read"),
        pytest.param(timed("c"), timed("x"), 7, None, id="far less read than expected"),
        pytest.param(timed("c"), timed("c", "x", "c", "y"), 3, None, id="in two places"),
        pytest.param(timed("c"), timed("c", "x", "c"), 2, 2, id="in two places, one of them its own"),
        pytest.param(timed("c"), timed("a", "x", "c"), 1, None, id="only behind its place"),
        pytest.param(plain("ok"), plain("ok", "x"), 1, None, id="one entry without a time tells nothing elsewhere"),
        pytest.param(plain("a", "a", "a", "a"), plain("a", "a", "a", "a", "x"), 1, None, id="nor do four equal ones"),
        pytest.param(plain("a", "b", "c", "d"), plain("a", "b", "c", "d", "x"), 1, 0, id="four unlike ones do"),
        pytest.param(timed("a", "b"), timed("a", "x", "a", "b", "y"), 3, 2, id="the whole run counts"),
    ],
)
def test_a_run_is_found(run: list[bytes], entries: list[bytes], expected: int, found: int | None) -> None:
    assert find_run(crcs(run), entries, expected) == found


def test_a_proof_is_of_the_last_entries_and_of_few_long_ones() -> None:
    proof = TailProof()
    assert proof.run(100) == ()
    entries = timed(*map(str, range(20)))
    proof.extend(entries, crcs(entries))
    assert proof.run(100) == tuple(crcs(entries[-PROOF_RECORDS:]))
    assert proof.run(3) == tuple(crcs(entries[-3:]))
    long = plain("x" * PROOF_BYTES, "y" * PROOF_BYTES)
    proof.extend(long, crcs(long))
    assert proof.run(100) == tuple(crcs(long[-1:]))
    proof.clear()
    assert proof.run(100) == ()


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (timed("a")[0], True),
        (entry_of(0, "a", "stdout"), False),
        (b"no JSON", False),
        (b"[1]", False),
        (b'{"timestamp":"1"}', False),
        (b"\xff", False),
    ],
)
def test_which_entries_carry_a_time(entry: bytes, *, expected: bool) -> None:
    assert has_time(entry) is expected


def test_the_first_page_is_small_and_pages_grow_with_what_is_known() -> None:
    pages = PageSize()
    sizes = [pages.records(1_000_000, 4096)]
    while sizes[-1] < 4096:
        pages.seen([b"x" * 100] * sizes[-1])
        sizes.append(pages.records(1_000_000, 4096))
    assert sizes == [PAGE_RECORDS_FIRST, 256, 1280, 4096]
    assert pages.unit(1_000_000, 5000) == 4096


def test_pages_of_long_entries_are_short_and_never_empty() -> None:
    pages = PageSize()
    pages.seen([b"x" * 100_000] * 64)
    assert pages.records(1_000_000, 4096) == 10
    assert pages.unit(1_000_000, 4096) == 8
    pages.seen([b"x" * 10_000_000] * 64)
    assert pages.records(1_000_000, 4096) == pages.unit(1_000_000, 4096) == 1


def test_short_entries_after_long_ones_are_learnt() -> None:
    pages = PageSize()
    pages.seen([b"x" * 100_000] * 100)
    for _ in range(100):
        pages.seen([b"x" * 100] * 500)
    assert pages.records(1_000_000, 4096) == 4096
