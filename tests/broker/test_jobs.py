"""A job: which ids are ids, what its hash says, and what its status means."""

from __future__ import annotations

from typing import Any

import pytest

from fantail.broker.errors import InvalidIdError, PatchError, StoreClosedError
from fantail.broker.jobs import JOB, WORK_SESSION, Job, JobKind, Presence, checked_id, fields_of_hash, number
from fantail.broker.log.outcomes import Closed
from fantail.broker.log.records import Record


def job_of(fields: dict[str, Any] | None = None, kind: JobKind = JOB) -> Job:
    job = Job(kind, "42", epoch="e1", archived=False)
    if fields is not None:
        job.set_fields(fields, 0.0)
    return job


def check(kind: JobKind, status: str, *, ended: bool) -> None:
    job = job_of({"status": status}, kind)
    assert (job.status, job.ended) == (status, ended)
    assert (job.ended_since_s is not None) == ended


# -- ids: trap 39 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["0", "a", "42", "A.b-c_d", "0" * 128, "3f0c7e1a-0000-4000-8000-000000000000"])
def test_an_id_within_the_grammar_is_an_id(given: str) -> None:
    assert checked_id(given) == given


@pytest.mark.parametrize(
    "given",
    [
        "",
        "42:diff",
        "42:output",
        ":",
        "-a",
        ".a",
        "_a",
        "..",
        "a/b",
        "a b",
        "a\n",
        "a\0",
        "\n",
        "*",
        "a*",
        "é",
        "٤٢",
        "0" * 129,
        "a{b}",
        "a%3Ab",
    ],
    ids=repr,
)
def test_an_id_outside_the_grammar_is_refused_before_any_key_is_made_of_it(given: str) -> None:
    with pytest.raises(InvalidIdError) as caught:
        checked_id(given)
    assert caught.value.given == given
    with pytest.raises(InvalidIdError):
        Job(JOB, given, epoch="e1", archived=True)


def test_a_refused_id_is_shown_shortened() -> None:
    with pytest.raises(InvalidIdError) as caught:
        checked_id("x" * 100_000)
    assert len(str(caught.value)) < 200


def test_a_job_knows_its_key() -> None:
    assert job_of().key == "job:42"
    assert job_of(kind=WORK_SESSION).key == "work_session:42"


# -- status: trap 14 ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["success", "failed", "cancelled"])
def test_a_terminal_status_ends_a_job(status: str) -> None:
    check(JOB, status, ended=True)


@pytest.mark.parametrize("status", ["pending", "running", "", "Success", "pushed", "paused by an operator"])
def test_any_other_status_does_not_end_a_job(status: str) -> None:
    check(JOB, status, ended=False)


@pytest.mark.parametrize("status", ["pushed", "archived", "failed"])
def test_a_terminal_status_ends_a_work_session(status: str) -> None:
    check(WORK_SESSION, status, ended=True)


@pytest.mark.parametrize("status", ["initializing", "ready", "running", "success"])
def test_any_other_status_does_not_end_a_work_session(status: str) -> None:
    check(WORK_SESSION, status, ended=False)


def test_a_job_without_a_status_has_an_empty_one() -> None:
    job = job_of({"name": "x"})
    assert (job.status, job.ended) == ("", False)


def test_the_time_of_the_end_is_that_of_the_first_terminal_status_also_at_zero() -> None:
    job = job_of({"status": "success"})
    job.set_fields({"status": "failed"}, 9.0)
    assert job.ended_since_s == 0.0


def test_a_job_that_runs_again_has_not_ended() -> None:
    job = job_of({"status": "success"})
    job.set_fields({"status": "running"}, 5.0)
    assert (job.ended, job.ended_since_s) == (False, None)
    job.set_fields({"status": "failed"}, 7.0)
    assert job.ended_since_s == 7.0


# -- its hash -------------------------------------------------------------------------------------------------------


def test_a_hash_is_read_in_snake_case_without_what_is_empty_with_what_is_unknown() -> None:
    stored = {b"userId": b"ada", b"startedAt": b"5", b"branch": b"", b"Custom-Field": b"\xffx", b"status": b"running"}
    assert fields_of_hash(stored) == {
        "user_id": "ada",
        "started_at": "5",
        "Custom-Field": "\ufffdx",
        "status": "running",
    }


@pytest.mark.parametrize("order", [1, -1])
def test_whose_a_job_is_does_not_depend_on_the_order_of_its_hash(order: int) -> None:
    items = [(b"user_id", b"ada"), (b"userId", b"eve")][::order]
    assert fields_of_hash(dict(items)) == {"user_id": "ada"}
    emptied = [(b"user_id", b""), (b"userId", b"eve")][::order]
    assert fields_of_hash(dict(emptied)) == {"user_id": "eve"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("1700000000000", 1_700_000_000_000),
        ("-5", -5),
        ("+5", 5),
        (" 7\n", 7),
        ("1.9", 1),
        ("-1.9", -1),
        ("3.", 3),
        ("999999999999999", 999_999_999_999_999),
        (None, None),
        ("", None),
        ("x", None),
        ("NaN", None),
        ("inf", None),
        ("1e5", None),
        ("1_000", None),
        ("٤", None),
        ("0x10", None),
        ("1" * 16, None),
        ("1" * 5000, None),
    ],
)
def test_a_number_of_a_hash_is_one_that_every_client_can_hold(text: str | None, expected: int | None) -> None:
    assert number(text) == expected


@pytest.mark.parametrize(("fields", "owner"), [({}, None), ({"user_id": "ada"}, "ada"), ({"user_id": ""}, None)])
def test_a_job_without_an_owner_is_everyones(fields: dict[str, Any], owner: str | None) -> None:
    assert job_of(fields).owner == owner


# -- what rings and what is counted ---------------------------------------------------------------------------------


def test_every_change_rings_and_no_change_does_not() -> None:  # trap 6
    job = job_of()
    version = job.notifier.version

    def rang() -> bool:
        nonlocal version
        before, version = version, job.notifier.version
        return version > before

    job.set_fields({"status": "running"}, 0.0)
    assert rang()
    job.set_fields({"status": "running"}, 0.0)
    assert not rang()
    job.set_fields({"status": "running", "mr_url": "https://example.org/1"}, 0.0)
    assert rang()
    job.output.append([Record(b"{}", 1)], 0.0)
    assert rang()
    job.diff.append([{"op": "add", "path": "/files", "value": {}}], 0.0)
    assert rang()
    job.set_fields(None, 0.0)
    assert rang()
    job.set_fields(None, 0.0)
    assert not rang()


def test_a_job_is_unknown_until_it_was_read() -> None:
    job = job_of()
    assert (job.presence, job.loaded) == (Presence.UNKNOWN, False)
    job.set_fields(None, 0.0)
    assert (job.presence, job.loaded) == (Presence.ABSENT, True)
    job.set_fields({}, 0.0)
    assert (job.presence, job.loaded) == (Presence.PRESENT, True)


def test_a_job_that_is_gone_has_not_ended() -> None:  # trap 5: told apart from the end
    job = job_of({"status": "success"})
    job.set_fields(None, 1.0)
    assert (job.ended, job.ended_since_s) == (False, None)


def test_fields_that_json_cannot_carry_change_nothing() -> None:
    job = job_of()
    with pytest.raises(PatchError):
        job.set_fields({"status": "success", "prompt": "\ud800"}, 0.0)
    assert (job.presence, job.fields) == (Presence.UNKNOWN, {})


def test_what_its_stores_hold_is_counted_together() -> None:
    job = job_of({"status": "running"})
    job.output.append([Record(b"x" * 1000, 1)], 0.0)
    job.diff.append([{"op": "add", "path": "/files", "value": {"a": "y" * 500}}], 0.0)
    logs = sum(log.retained_bytes for log in job.stores())
    assert job.retained_bytes == logs + len("statusrunning") > 1500


def test_documents_and_what_is_kept_of_them_are_counted() -> None:
    job = job_of({"status": "running", "prompt": "x" * 10_000})
    bare = job.retained_bytes - sum(log.retained_bytes for log in job.stores())
    assert 10_000 < bare < 10_100
    job.state.snapshot("face", lambda document: [str(document["prompt"]).encode() * 3])
    assert job.retained_bytes - sum(log.retained_bytes for log in job.stores()) == bare + 30_000
    job.forget_old_snapshots()
    assert job.state.snapshot_bytes == 30_000  # it is of the document as it is
    job.set_fields({"status": "success"}, 1.0)
    job.forget_old_snapshots()
    assert (job.state.snapshot_bytes, job.state_bytes) == (0, len("statussuccess"))


def test_closing_ends_every_log() -> None:
    job = job_of({"status": "running"})
    job.close()
    assert [log.read(log.start(log.tail)) for log in job.stores()] == [Closed()] * 3
    with pytest.raises(StoreClosedError):
        job.set_fields({"status": "failed"}, 1.0)
    assert job.status == "running"
