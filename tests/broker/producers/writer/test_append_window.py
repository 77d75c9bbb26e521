"""The writer's decision against a simulated Redis that loses replies, keeps late requests, and crashes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import example, given, settings
from hypothesis import strategies as st

from fantail.broker.limits import TAIL_COMPARED
from fantail.broker.producers.writer.append_window import AppendWindow, Resume, Seen, resume

if TYPE_CHECKING:
    from collections.abc import Sequence


def entries(*numbers: int) -> list[bytes]:
    return [b"%d" % number for number in numbers]


def check(known: Sequence[bytes], confirmed: int, stored: Sequence[bytes], expected: Resume, first: int = 0) -> None:
    for seen in (1, TAIL_COMPARED):
        assert resume(first, known, confirmed, Seen(len(stored), stored[-seen:])) == expected


def test_a_lost_reply_of_an_append_that_was_carried_out_skips_what_is_there() -> None:
    check(entries(1, 2, 3, 4), 2, entries(1, 2, 3, 4), Resume(4))


def test_a_lost_reply_of_an_append_that_was_not_carried_out_sends_it() -> None:
    check(entries(1, 2, 3, 4), 2, entries(1, 2), Resume(2))


def test_a_tail_lost_in_a_crash_is_written_anew() -> None:
    check(entries(1, 2, 3, 4), 4, entries(1), Resume(1))
    check(entries(1, 2, 3, 4), 4, [], Resume(0))


def test_equal_lines_are_told_apart_by_their_places() -> None:
    check([b"y"] * 10, 7, [b"y"] * 5, Resume(5))
    check([b"y"] * 10, 7, [b"y"] * 10, Resume(10))


def test_a_loss_that_reaches_further_back_than_memory_is_counted() -> None:
    check(entries(10, 11, 12), 3, entries(0, 1, 2, 3), Resume(0, lost=6), first=10)
    check(entries(10, 11, 12), 3, [], Resume(0, lost=10), first=10)


def test_a_list_cut_at_its_head_goes_on_behind_what_was_sent() -> None:
    check(entries(10, 11, 12, 13), 3, entries(11, 12), Resume(3), first=10)


def test_what_somebody_else_wrote_behind_ours_does_not_double_ours() -> None:
    known = entries(1, 2, 3, 4)
    assert resume(0, known, 2, Seen(5, [*known, b"foreign"])) == Resume(4)
    assert resume(0, known, 2, Seen(20, [b"foreign"] * 8)) == Resume(2)


GAP = re.compile(rb"gap (\d+)")


@dataclass
class SimulatedRedis:
    """One list, requests that arrive late, and a crash that takes the tail and every request under way."""

    stored: list[bytes] = field(default_factory=list)
    late: list[tuple[int, bytes, list[bytes]]] = field(default_factory=list)

    def append(self, length: int, last: bytes, batch: list[bytes]) -> bool:
        if len(self.stored) != length or (self.stored and self.stored[-1] != last):
            return False
        self.stored += batch
        return True

    def deliver_late(self) -> None:
        if self.late:
            self.append(*self.late.pop(0))

    def crash(self, lost: int) -> None:
        self.late.clear()
        self.stored = self.stored[: max(0, len(self.stored) - lost)]


@dataclass
class Writer:
    """What the real writer does with the window, without the network."""

    redis: SimulatedRedis
    window: AppendWindow

    def attempt(self, fault: str) -> None:
        request = self.window.length, self.window.last, self.window.batch(records_max=5)
        if fault == "late":
            self.redis.late.append(request)
        elif self.redis.append(*request):
            if fault != "reply lost":
                self.window.confirm(len(request[2]))
        else:
            self.look()

    def look(self) -> None:
        seen = Seen(len(self.redis.stored), self.redis.stored[-TAIL_COMPARED:])
        plan = self.window.plan(seen)
        self.window.follow(plan, seen, b"gap %d" % plan.lost if plan.lost else None)

    def settle(self) -> None:
        for _ in range(1000):
            if not self.window.unsent and self.redis.append(self.window.length, self.window.last, []):
                return
            self.attempt("")
        raise AssertionError("never settled")


# Found by Hypothesis when the length alone was the condition: the late request met its length again.
SHIFTED = [("push", 1), ("crash", 2), ("late", 0)]

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.integers(1, 12)),
        st.tuples(st.sampled_from(["", "", "reply lost", "late", "deliver late"]), st.just(0)),
        st.tuples(st.just("crash"), st.integers(0, 30)),
    ),
    max_size=60,
)


def simulated(
    steps: list[tuple[str, int]], *, distinct: int, rewrite_bytes_max: int
) -> tuple[list[bytes], list[bytes]]:
    redis = SimulatedRedis([b"older"] * 3)
    writer = Writer(redis, AppendWindow(Seen(3, [b"older"]), rewrite_bytes_max=rewrite_bytes_max))
    pushed: list[bytes] = []
    for step, count in steps:
        match step:
            case "push":
                lines = [b"line %d" % ((len(pushed) + index) // distinct) for index in range(count)]
                pushed += lines
                writer.window.push(lines)
            case "crash":
                redis.crash(min(count, len(redis.stored) - 3) if rewrite_bytes_max > 10_000 else count)
            case "deliver late":
                redis.deliver_late()
            case fault:
                writer.attempt(fault)
    writer.settle()
    redis.deliver_late()
    return pushed, redis.stored


@given(steps=STEPS, distinct=st.sampled_from([1, 4, 1000]))
@settings(max_examples=400, deadline=None)
def test_every_line_is_stored_once_in_order_whatever_is_lost_on_the_way(
    steps: list[tuple[str, int]], distinct: int
) -> None:
    pushed, stored = simulated(steps, distinct=distinct, rewrite_bytes_max=1_000_000)
    assert stored[3:] == pushed


@given(steps=STEPS)
@example(steps=SHIFTED)
@settings(max_examples=400, deadline=None)
def test_what_is_lost_for_good_is_counted_and_nothing_is_doubled(steps: list[tuple[str, int]]) -> None:
    pushed, stored = simulated(steps, distinct=1, rewrite_bytes_max=60)
    ours = [entry for entry in stored if entry != b"older"]
    lines = [entry for entry in ours if not GAP.fullmatch(entry)]
    numbers = [int(line.split()[1]) for line in lines]
    assert numbers == sorted(set(numbers))
    assert set(lines) <= set(pushed)
    gaps = len(ours) - len(lines)
    breaks = sum(1 for before, after in zip([-1, *numbers], numbers, strict=False) if after != before + 1)
    assert breaks <= gaps
    if pushed:
        assert not numbers or numbers[-1] == len(pushed) - 1 or gaps
