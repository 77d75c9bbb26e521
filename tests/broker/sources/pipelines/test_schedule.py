"""Which pipeline is polled next, and how long after: decided without a clock."""

from __future__ import annotations

import random

from fantail.broker.limits import POLL_FAST_S, POLL_HIDDEN_S, POLL_STEADY_S
from fantail.broker.sources.pipelines.schedule import Lane, Pace, PollSchedule


def intervals(count: int, *, visible: bool, settled: bool = True) -> list[float]:
    pace, interval_s, found = Pace(), 0.0, []
    for _ in range(count):
        interval_s = pace.next_s(interval_s, visible=visible, settled=settled)
        found.append(round(interval_s, 2))
    return found


def test_a_status_that_stays_is_polled_at_two_seconds_and_slower_up_to_five() -> None:
    assert intervals(7, visible=True) == [2.0, 2.5, 3.12, 3.91, 4.88, POLL_STEADY_S, POLL_STEADY_S]


def test_where_no_visible_page_watches_the_interval_grows_to_thirty_seconds() -> None:
    found = intervals(20, visible=False)
    assert found[0] == POLL_FAST_S
    assert found[-1] == POLL_HIDDEN_S
    assert found == sorted(found)


def test_a_status_on_its_way_to_another_is_polled_every_two_seconds() -> None:
    assert intervals(20, visible=True, settled=False) == [POLL_FAST_S] * 20


def test_after_a_change_the_interval_starts_again() -> None:
    assert Pace().next_s(POLL_HIDDEN_S, visible=False, settled=False) == POLL_FAST_S


def test_a_page_that_becomes_visible_shortens_the_interval_at_once() -> None:
    assert Pace().next_s(POLL_HIDDEN_S, visible=True, settled=True) == POLL_STEADY_S


def test_of_what_is_due_the_visible_goes_first_in_the_order_of_its_times() -> None:
    schedule = PollSchedule()
    schedule.put("hidden", 1.0, Lane.HIDDEN)
    schedule.put("suspect", 0.5, Lane.SUSPECT)
    schedule.put("late", 9.0, Lane.VISIBLE)
    schedule.put("second", 3.0, Lane.VISIBLE)
    schedule.put("first", 2.0, Lane.VISIBLE)
    assert [schedule.take(5.0) for _ in range(5)] == ["first", "second", "hidden", "suspect", None]
    assert schedule.next_due_s() == 9.0


def test_the_hidden_waits_behind_the_visible_but_not_for_ever() -> None:
    schedule = PollSchedule()
    schedule.put("hidden", 0.0, Lane.HIDDEN)
    for number in range(100):
        schedule.put(f"visible-{number}", 40.0, Lane.VISIBLE)
    assert schedule.take(40.0) == "hidden"


def test_a_closed_lane_is_passed_over() -> None:
    schedule = PollSchedule()
    schedule.put("dead", 0.0, Lane.SUSPECT)
    schedule.put("alive", 1.0, Lane.VISIBLE)
    open_lanes = (Lane.VISIBLE, Lane.HIDDEN)
    assert schedule.take(2.0, open_lanes) == "alive"
    assert schedule.take(2.0, open_lanes) is None
    assert schedule.next_due_s(open_lanes) is None
    assert schedule.take(2.0) == "dead"


def test_a_key_that_was_taken_is_gone_until_it_is_put_back() -> None:
    schedule = PollSchedule()
    schedule.put("a", 1.0, Lane.VISIBLE)
    schedule.put("a", 2.0, Lane.HIDDEN)
    assert len(schedule) == 1
    assert schedule.take(1.5) is None
    assert schedule.take(2.0) == "a"
    assert schedule.take(9.0) is None
    assert "a" not in schedule


def test_against_a_plain_list_over_a_thousand_random_steps() -> None:
    """Every key is taken when it is due, none twice, none that was dropped."""
    chance = random.Random(4)
    schedule, oracle, now_s = PollSchedule(), dict[str, float](), 0.0
    for _ in range(5_000):
        key = f"k{chance.randrange(50)}"
        match chance.randrange(4):
            case 0 | 1:
                oracle[key] = now_s + chance.random() * 10
                schedule.put(key, oracle[key], chance.choice(list(Lane)))
            case 2:
                oracle.pop(key, None)
                schedule.drop(key)
            case _:
                now_s += chance.random()
                due = {each for each, due_s in oracle.items() if due_s <= now_s}
                taken = set()
                while (found := schedule.take(now_s)) is not None:
                    assert found not in taken
                    taken.add(found)
                assert taken == due
                for each in due:
                    del oracle[each]
        assert len(schedule) == len(oracle)
        assert schedule.next_due_s() == min(oracle.values(), default=None)
    assert all(len(heap) < 500 for heap in schedule._heaps.values()), "what was replaced is thrown away"
