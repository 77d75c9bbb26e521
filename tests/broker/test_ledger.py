"""The broker's own stores as the truth: what is written, what is refused, and that a refusal changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fantail.broker.broker import Broker
from fantail.broker.errors import AlreadyExistsError, LengthMismatchError, NotFoundError, PatchError
from fantail.broker.jobs import Presence
from fantail.broker.log.msg_store import Batch
from fantail.broker.log.outcomes import CaughtUp, Diverged
from fantail.broker.log.records import entry_of, line_of
from fantail.broker.tables import ChangeKind, DatabaseChange

if TYPE_CHECKING:
    from fantail.broker.documents.json_patch import JsonValue


def entries(*lines: str) -> list[bytes]:
    return [entry_of(1, line, "stdout") for line in lines]


async def broker_with(**jobs: dict[str, str]) -> Broker:
    broker = Broker()
    for job_id, fields in jobs.items():
        await broker.ledger.create_job(job_id, fields)
    return broker


def check(broker: Broker, job_id: str, fields: dict[str, Any] | None, lines: list[str]) -> None:
    """The job, and its row in the table, are this; None: there is none."""
    job = broker.find(job_id)
    if fields is None:
        assert job is None or job.presence is not Presence.PRESENT
        assert job_id not in broker.tables.rows("jobs")
        return
    assert job is not None
    assert dict(job.fields) == broker.tables.rows("jobs")[job_id] == fields
    read = job.output.read(job.output.start())
    assert ([line_of(record.data) for record in read.records()] if isinstance(read, Batch) else []) == lines


async def test_a_job_is_created_with_all_its_fields_in_one_step() -> None:  # trap 40
    broker = await broker_with()
    await broker.ledger.create_job("j", {"status": "running", "user_id": "ada"})
    check(broker, "j", {"id": "j", "status": "running", "user_id": "ada"}, [])
    assert broker.tables.position().offset == len(broker.tables.names) + 1  # one operation: the whole row


async def test_an_id_is_not_taken_from_the_fields() -> None:
    broker = await broker_with(j={"id": "another"})
    check(broker, "j", {"id": "j"}, [])


async def test_a_job_that_is_there_is_not_created_again() -> None:
    broker = await broker_with(j={"status": "running"})
    await broker.ledger.append_output("j", entries("a"))
    with pytest.raises(AlreadyExistsError):
        await broker.ledger.create_job("j", {"status": "pending"})
    check(broker, "j", {"id": "j", "status": "running"}, ["a"])


async def test_a_job_with_fields_that_cannot_be_sent_is_not_created() -> None:
    broker = await broker_with()
    with pytest.raises(PatchError):
        await broker.ledger.create_job("j", {"prompt": "\ud800"})
    check(broker, "j", None, [])
    await broker.ledger.create_job("j", {})
    check(broker, "j", {"id": "j"}, [])


async def test_lines_are_appended_in_order_and_answered_with_their_offset() -> None:
    broker = await broker_with(j={})
    assert await broker.ledger.append_output("j", entries("a", "b")) == 0
    assert await broker.ledger.append_output("j", entries("c")) == 2
    assert await broker.ledger.append_output("j", []) == 3
    check(broker, "j", {"id": "j"}, ["a", "b", "c"])


async def test_an_append_at_the_length_expected_is_made_and_any_other_is_not() -> None:  # trap 41
    broker = await broker_with(j={})
    assert await broker.ledger.append_output("j", entries("a"), expected=0) == 0
    for expected in (0, 2, -1):
        with pytest.raises(LengthMismatchError) as caught:
            await broker.ledger.append_output("j", entries("again"), expected=expected)
        assert caught.value.length == 1
    check(broker, "j", {"id": "j"}, ["a"])


async def test_a_line_of_any_bytes_is_kept_with_the_time_of_the_job() -> None:
    broker = await broker_with(j={"created_at": "1700000000000"})
    await broker.ledger.append_output("j", [b"\xffnot json"])
    job = broker.find("j")
    assert job is not None
    batch = job.output.read(job.output.start())
    assert isinstance(batch, Batch)
    assert b"1700000000000" in batch.records()[0].data


async def test_fields_are_set_and_removed() -> None:
    broker = await broker_with(j={"status": "running", "branch": "main"})
    await broker.ledger.update_job("j", {"status": "failed", "branch": None, "exit_code": "1", "never": None})
    check(broker, "j", {"id": "j", "status": "failed", "exit_code": "1"}, [])


@pytest.mark.parametrize("job_id", ["absent", "42:diff"])
async def test_what_does_not_exist_cannot_be_written_to(job_id: str) -> None:
    broker = await broker_with()
    for write in (
        broker.ledger.append_output(job_id, entries("a")),
        broker.ledger.update_job(job_id, {"status": "failed"}),
        broker.ledger.delete_job(job_id),
    ):
        with pytest.raises(NotFoundError):
            await write
    assert broker.stats().jobs == ()


async def test_a_deleted_job_is_gone_with_its_lines() -> None:
    broker = await broker_with(j={})
    await broker.ledger.append_output("j", entries("a"))
    await broker.ledger.delete_job("j")
    check(broker, "j", None, [])
    assert broker.find("j") is None
    with pytest.raises(NotFoundError):
        await broker.ledger.append_output("j", entries("b"))


async def test_a_watched_job_that_is_deleted_is_told_as_absent_at_once() -> None:  # trap 5
    broker = await broker_with(j={"status": "running"})
    async with broker.watch("j") as job:
        version = job.notifier.version
        await broker.ledger.delete_job("j")
        assert job.presence is Presence.ABSENT
        assert job.notifier.version > version
    assert broker.find("j") is None


async def test_an_id_that_is_used_again_while_watched_shows_none_of_the_old_lines() -> None:
    broker = await broker_with(j={"status": "running", "user_id": "ada", "secret": "x"})
    await broker.ledger.append_output("j", entries("ada's"))
    async with broker.watch("j") as job:
        reader = broker.subscribe(job)
        assert isinstance(await reader.next(), Batch)
        await broker.ledger.delete_job("j")
        await broker.ledger.create_job("j", {"status": "running", "user_id": "bob"})
        await broker.ledger.append_output("j", entries("bob's"))
        check(broker, "j", {"id": "j", "status": "running", "user_id": "bob"}, ["bob's"])
        assert isinstance(await reader.next(), Diverged)
        step = await reader.next()
        assert isinstance(step, Batch)
        assert step.first == 0
        assert await reader.next() == CaughtUp()


async def test_an_id_that_is_used_again_while_watched_shows_none_of_the_old_files() -> None:
    broker = await broker_with(j={"status": "running", "user_id": "ada"})
    async with broker.watch("j") as job, broker.watch_diff(job) as diff:
        entry: JsonValue = {"file": "a.py", "change": "modified", "diff": "ada's", "additions": 1, "deletions": 0}
        diff.append([{"op": "add", "path": "/files/a.py", "value": entry}], 1.0)
        await broker.ledger.delete_job("j")
        await broker.ledger.create_job("j", {"status": "running", "user_id": "bob"})
        assert diff.document == {"files": {}}


async def test_a_row_of_jobs_that_changes_hands_or_is_deleted_takes_its_job_along() -> None:
    broker = await broker_with(j={"status": "running", "user_id": "ada", "prompt": "p"})
    async with broker.watch("j") as job:
        await broker.ledger.change_table(DatabaseChange("jobs", ChangeKind.UPDATE, "j", {"user_id": "bob"}))
        assert job.owner == "bob"
        assert job.fields["prompt"] == "p"
        await broker.ledger.change_table(DatabaseChange("jobs", ChangeKind.DELETE, "j"))
        assert job.presence is Presence.ABSENT
    assert broker.find("j") is None


async def test_a_broker_without_a_table_of_jobs_has_jobs_all_the_same() -> None:
    broker = Broker(tables=())
    await broker.ledger.create_job("j", {})
    await broker.ledger.delete_job("j")
    assert broker.find("j") is None


def change(operation: str, row_id: str = "1", data: dict[str, Any] | None = None) -> DatabaseChange:
    return DatabaseChange("tasks", ChangeKind(operation), row_id, data)


async def test_rows_are_inserted_updated_and_deleted() -> None:
    broker = await broker_with()
    await broker.ledger.change_table(change("insert", data={"a": 1}))
    await broker.ledger.change_table(change("update", data={"b": 2}))
    assert broker.tables.rows("tasks") == {"1": {"a": 1, "b": 2}}
    await broker.ledger.change_table(change("delete"))
    assert broker.tables.rows("tasks") == {}


async def test_a_row_to_insert_must_not_be_there_and_one_to_change_must() -> None:
    broker = await broker_with()
    for operation in ("update", "delete"):
        with pytest.raises(NotFoundError):
            await broker.ledger.change_table(change(operation, data={}))
    await broker.ledger.change_table(change("insert", data={"a": 1}))
    with pytest.raises(AlreadyExistsError):
        await broker.ledger.change_table(change("insert", data={"a": 2}))
    with pytest.raises(NotFoundError):
        await broker.ledger.change_table(DatabaseChange("users", ChangeKind.INSERT, "1", {}))
    assert broker.tables.rows("tasks") == {"1": {"a": 1}}
