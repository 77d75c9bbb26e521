"""Which of two things known of a test or run is the later one."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import orjson
import pytest

from fantail.broker.limits import STATUS_BYTES_MAX
from fantail.broker.sources.status.channels import PATTERNS, channel_of
from fantail.broker.sources.status.log import StatusLog, end_of
from fantail.broker.sources.status.state import (
    RERUN_MS,
    RUN,
    TERMINAL,
    TEST,
    Rank,
    StatusState,
    Subject,
    from_message,
    from_stored,
    iso,
    merged,
    milliseconds,
    rank_of,
    state_of,
    to_stored,
)

RUN_1 = Subject(RUN, "1")
TEST_1 = Subject(TEST, "1")
T = 1_700_000_000_000


def said(status: str | None, at: int = T, *, complete: bool = False, **members: Any) -> StatusState:
    return state_of(RUN_1, {"status": status, **members}, complete=complete, heard_ms=at)


@pytest.mark.parametrize("status", ["completed", "passed", "failed", "error", "cancelled", "blocked"])
def test_these_statuses_are_the_end_of_a_test_and_of_a_run(status: str) -> None:
    """Trap 14."""
    assert rank_of(status) is Rank.TERMINAL
    assert said(status.upper()).terminal
    assert status in TERMINAL


@pytest.mark.parametrize(("status", "rank"), [("running", 1), ("retrying", 1), ("waiting", 0), ("queued", 0), ("", 1)])
def test_other_statuses_are_not_the_end(status: str, rank: int) -> None:
    assert rank_of(status) == rank


@pytest.mark.parametrize("word", ["success", "timeout", None, "", 7])
def test_what_comes_on_the_channel_for_the_end_is_the_end_whatever_its_word(word: Any) -> None:
    assert said(word, complete=True).terminal
    assert said(word, complete=True).complete


def test_payloads_are_passed_on_with_the_id_and_the_status_in_lower_case() -> None:
    data = b'{"status":"PASSED","duration":"3s","artifactPaths":{"a":[1]},"runId":"forged"}'
    state = from_message(RUN_1, data, complete=False, heard_ms=T)
    assert state is not None
    assert state.payload == {"status": "passed", "duration": "3s", "artifactPaths": {"a": [1]}, "runId": "1"}
    made = from_message(TEST_1, b'{"status":"running"}', complete=False, heard_ms=T)
    assert made is not None
    assert made.payload == {"status": "running", "testId": "1"}


@pytest.mark.parametrize("data", [b"", b"running", b"[1]", b"null", b"\xff", b'{"a":', b'"x"'])
def test_a_message_that_is_no_object_is_nothing(data: bytes) -> None:
    assert from_message(RUN_1, data, complete=True, heard_ms=T) is None


def test_a_message_past_the_bound_is_taken_for_its_status_alone() -> None:
    data = orjson.dumps({"status": "failed", "completedAt": T, "errorDetails": "x" * STATUS_BYTES_MAX})
    state = from_message(RUN_1, data, complete=True, heard_ms=T)
    assert state is not None
    assert state.payload == {"status": "failed", "completedAt": T, "truncated": True, "runId": "1"}


def test_in_whatever_order_they_come_the_end_wins() -> None:
    states = [said("waiting"), said("running"), said("passed", complete=True, completedAt=iso(T))]
    for order in permutations(states):
        known = None
        for state in order:
            known = merged(known, state, heard=True)
        assert known is states[2]


def test_of_two_ends_the_later_by_its_own_account_counts() -> None:
    early, late = said("failed", completedAt=iso(T)), said("passed", completedAt=iso(T + 1))
    for order in permutations([early, late]):
        known = merged(merged(None, order[0], heard=True), order[1], heard=True)
        assert known.status == "passed"


def test_the_same_end_said_twice_is_one() -> None:
    first = said("passed", T, complete=True, completedAt=iso(T - 5), duration="1s")
    again = said("passed", T + 9, complete=True, completedAt=iso(T - 5), duration="1s")
    read_back = said("passed", T + 20, complete=True, completedAt=iso(T - 5), duration="1s", errorDetails=None)
    for other in (again, read_back):
        assert merged(first, other, heard=True) is first


def test_an_end_that_was_only_progress_gives_way_to_the_one_that_says_more() -> None:
    first = said("completed", T)
    full = said("passed", T + 3, complete=True, artifactPaths=["a"])
    assert merged(first, full, heard=True) == full
    assert merged(full, first, heard=True) is full


def test_progress_counts_when_it_is_heard_and_not_when_it_is_read_back() -> None:
    half, more = said("running", progress=50), said("running", progress=70)
    assert merged(half, more, heard=True) is more
    assert merged(half, said("running", progress=50), heard=True) is half
    assert merged(half, more, heard=False) is half


def test_a_late_running_does_not_undo_the_end() -> None:
    end = said("passed", T, complete=True)
    assert merged(end, said("running", T + 50), heard=True) is end
    assert merged(end, said("running", T + RERUN_MS + 1, startedAt=iso(T - 60_000)), heard=True) is end


def test_the_same_test_may_be_run_again() -> None:
    end = said("passed", T, complete=True)
    again = said("running", T + 50, startedAt=iso(T + 40))
    assert merged(end, again, heard=True) is again
    unsaid = said("running", T + RERUN_MS + 1)
    assert merged(end, unsaid, heard=True) is unsaid
    next_end = said("failed", T + RERUN_MS + 1, complete=True)
    assert merged(end, next_end, heard=True).status == "failed", "the next end, of which no beginning was heard"


def test_what_is_kept_reads_back_as_it_was() -> None:
    for state in (
        said("running", startedAt=iso(T)),
        said("passed", complete=True, completedAt=iso(T)),
        said("success", complete=True),
    ):
        assert from_stored(RUN_1, to_stored(state)) == state


@pytest.mark.parametrize("stored", [b"", b"{}", b"2 1 0 0", b"2 1 0 0 0\n[]", b"x 1 0 0 0\n{}", b"\xff\xfe"])
def test_a_key_that_somebody_else_wrote_is_nothing(stored: bytes) -> None:
    assert from_stored(RUN_1, stored) is None


@pytest.mark.parametrize(
    ("time", "ms"),
    [
        ("2023-11-14T22:13:20.000Z", T),
        ("2023-11-14 22:13:20", T),
        ("2023-11-14 22:13:20.123+00", T + 123),
        ("2023-11-14T23:13:20+01:00", T),
        (T, T),
        (T / 1000, T),
        (str(T), T),
        (datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC), T),
        ("yesterday", 0),
        ("", 0),
        (None, 0),
        (True, 0),
        (-5, 0),
        (10**30, 0),
        (float("nan"), 0),
        ("9" * 100, 0),
        ([1], 0),
    ],
)
def test_times_in_any_form(time: object, ms: int) -> None:
    assert milliseconds(time) == ms
    assert iso(time) == (None if not ms else f"2023-11-14T22:13:20.{ms % 1000:03d}Z")


@pytest.mark.parametrize(
    ("name", "kind", "complete"),
    [(b"job:a-1:status", RUN, False), (b"job:a-1:complete", RUN, True), (b"test:a-1:status", TEST, False)],
)
def test_channels_say_whom_they_are_about(name: bytes, kind: Any, complete: bool) -> None:
    assert channel_of(name) == (Subject(kind, "a-1"), complete)


@pytest.mark.parametrize(
    "name", [b"job:a:b:status", b"job::status", b"job:a:output", b"x:a:status", b"job:\xff:status"]
)
def test_other_channels_are_nobodys(name: bytes) -> None:
    """Trap 39: the patterns also match ids with colons in them."""
    assert channel_of(name) is None
    assert len(PATTERNS) == 4


def test_a_log_holds_what_differs_for_clients_and_rings_for_the_rest() -> None:
    log = StatusLog(RUN_1)
    log.take(said("running"), heard=True, now_s=0.0)
    log.take(said("running"), heard=True, now_s=0.0)
    log.take(said("passed"), heard=True, now_s=0.0)
    version = log.notifier.version
    over = [log.over]
    log.take(said("passed", complete=True), heard=True, now_s=0.0)
    assert [*over, log.over] == [False, True]
    assert log.notifier.version == version + 1
    assert log.log.tail == 2
    assert str(end_of(RUN_1, log.known)).endswith(".end")


def test_the_log_of_a_chatty_run_is_bounded() -> None:
    log = StatusLog(RUN_1)
    for number in range(10_000):
        log.take(said("running", progress=number, text="x" * 100), heard=True, now_s=0.0)
    assert log.log.tail == 10_000
    assert log.log.retained_bytes < 1_000_000


@pytest.mark.parametrize("depth", [300, 1000])
def test_a_message_that_cannot_be_written_again_is_taken_for_its_status(depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    state = from_message(
        RUN_1, b'{"status":"failed","duration":"5s","errorDetails":' + deep + b"}", complete=True, heard_ms=T
    )
    assert state is not None
    assert state.payload == {"status": "failed", "duration": "5s", "truncated": True, "runId": "1"}
    assert from_stored(RUN_1, to_stored(state)) == state


def test_a_long_message_whose_members_are_strange_is_taken_for_its_status() -> None:
    data = orjson.dumps({"status": "failed", "duration": ["x" * STATUS_BYTES_MAX], "startedAt": {"a": 1}})
    state = from_message(RUN_1, data, complete=True, heard_ms=T)
    assert state is not None
    assert state.payload == {"status": "failed", "truncated": True, "runId": "1"}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b'{"status":"failed","errorDetails":"cut \\ud83d"}', {"errorDetails": "cut \ufffd"}),
        (b'{"status":"failed","errorDetails":"\xff"}', {"errorDetails": "\ufffd"}),
        (b'{"status":"failed","duration":NaN}', {"duration": None}),
    ],
)
def test_the_end_is_heard_though_json_is_not_quite_what_was_said(said: bytes, told: dict[str, Any]) -> None:
    """Node writes half an emoji and Python writes NaN; neither may cost the end of a run."""
    state = from_message(RUN_1, said, complete=True, heard_ms=T)
    assert state is not None
    assert state.payload == {"status": "failed", "runId": "1", **told}


def test_what_is_kept_with_numbers_that_nobody_wrote_is_nothing() -> None:
    assert from_stored(RUN_1, b"1 0 0 0 " + b"9" * 5000 + b'\n{"status":"running"}') is None
