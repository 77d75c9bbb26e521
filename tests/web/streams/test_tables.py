"""The tables' stream: snapshot, ready, changes; who sees what; resume; a reader too far behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from fantail.broker import Broker, ChangeKind, DatabaseChange
from fantail.broker.documents.json_patch import apply_in_place
from fantail.broker.log.notify import Waiter
from fantail.web.auth.identity import mint_token
from fantail.web.auth.viewer import Viewer
from fantail.web.limits import TABLES_LAG_RECORDS_MIN
from fantail.web.streams import tables as table_stream
from fantail.web.streams.tables import TableStream, View
from support.clients.sse_client import Event, Stream, open_stream
from support.servers.served_app import ServedApp, served_app
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SECRET = "a secret of more than thirty-two bytes"


@pytest.fixture
async def served() -> AsyncIterator[ServedApp]:
    async with served_app() as app:
        yield app


def put(broker: Broker, row_id: str, table: str = "jobs", **row: Any) -> None:
    broker.tables.put_row(table, row_id, row or None, broker.now_s())


def operations(events: list[Event]) -> list[Any]:
    found: list[Any] = []
    for event in events:
        if event.name == "message":
            found += event.json if isinstance(event.json, list) else [event.json]
    return found


def folded(events: list[Event], document: dict[str, Any] | None = None) -> dict[str, Any]:
    """The document that a client has after these events."""
    held: dict[str, Any] = {} if document is None else document
    apply_in_place(held, operations(events))
    return held


async def until_position(stream: Stream, position: str) -> list[Event]:
    """All events up to that position, which may be one of an id alone."""
    events = []
    while stream.parser.last_id != position:
        await stream._read()
    while stream._waiting:
        events.append(stream._waiting.pop(0))
    return events


async def test_first_a_snapshot_of_every_table_then_ready_then_each_change(served: ServedApp) -> None:
    """Trap 25."""
    put(served.broker, "1", status="running")
    put(served.broker, "a", "tasks", title="t")
    async with open_stream(f"{served.url}/api/events/") as stream:
        snapshot = await stream.until("ready")
        assert operations(snapshot) == [
            {"op": "add", "path": "/jobs", "value": {}},
            {"op": "add", "path": "/jobs/1", "value": {"status": "running"}},
            {"op": "add", "path": "/tasks", "value": {}},
            {"op": "add", "path": "/tasks/a", "value": {"title": "t"}},
        ]
        put(served.broker, "1", status="success", branch="x")
        put(served.broker, "a", "tasks")
        changes = [await stream.next() for _ in range(3)]
    assert operations(changes) == [
        {"op": "replace", "path": "/jobs/1/status", "value": "success"},
        {"op": "add", "path": "/jobs/1/branch", "value": "x"},
        {"op": "remove", "path": "/tasks/a"},
    ]
    assert all(isinstance(event.json, dict) for event in changes)


async def test_only_ready_carries_the_snapshots_position_and_every_change_one_of_its_own(served: ServedApp) -> None:
    """Trap 43: a snapshot that is cut resumes as if it had never begun."""
    for number in range(2000):
        put(served.broker, str(number), status="running", filling="x" * 100)
    async with open_stream(f"{served.url}/api/events/") as stream:
        snapshot = await stream.until("ready")
        put(served.broker, "1", status="success", branch="x")
        changes = [await stream.next(), await stream.next()]
    assert [event.has_id for event in snapshot] == [False] * (len(snapshot) - 1) + [True]
    assert all(event.id == "" for event in snapshot[:-1])
    positions = [int(event.id.partition("-")[0]) for event in (snapshot[-1], *changes)]
    assert positions == [positions[0], positions[0] + 1, positions[0] + 2]


async def test_a_snapshot_cut_in_the_middle_is_sent_again_whole(served: ServedApp) -> None:
    """Trap 43."""
    for number in range(500):
        put(served.broker, str(number), status="running", filling="x" * 1000)
    async with open_stream(f"{served.url}/api/events/") as stream:
        for _ in range(100):
            await stream.next()
        last_id = stream.parser.last_id
    async with open_stream(f"{served.url}/api/events/", last_id=last_id or None) as stream:
        assert len(folded(await stream.until("ready"))["jobs"]) == 500


async def test_batched_frames_are_arrays_of_operations(served: ServedApp) -> None:
    put(served.broker, "1", status="running")
    async with open_stream(f"{served.url}/api/events/?batch=1") as stream:
        snapshot = await stream.until("ready")
        assert all(isinstance(event.json, list) for event in snapshot[:-1])
        put(served.broker, "1", status="success", branch="x")
        change = await stream.next()
    assert len(change.json) == 2
    assert folded([*snapshot, change]) == {"jobs": {"1": {"status": "success", "branch": "x"}}, "tasks": {}}


async def test_rows_of_a_batched_snapshot_come_in_bounded_frames(served: ServedApp) -> None:
    for number in range(300):
        put(served.broker, str(number), filling="x" * 1000)
    async with open_stream(f"{served.url}/api/events/?batch=1") as stream:
        snapshot = await stream.until("ready")
    assert len(snapshot) > 5
    assert max(len(event.data) for event in snapshot) < 64 * 1024
    assert len(folded(snapshot)["jobs"]) == 300


async def test_tables_filters_and_an_unknown_one_is_refused(served: ServedApp) -> None:
    async with open_stream(f"{served.url}/api/events/?tables=tasks") as stream:
        assert folded(await stream.until("ready")) == {"tasks": {}}
        put(served.broker, "1", status="running")
        put(served.broker, "a", "tasks", title="t")
        assert (await stream.next()).json["path"] == "/tasks/a"
    async with open_stream(f"{served.url}/api/events/?tables=tasks,secrets") as stream:
        assert stream.response.status_code == 400
        assert b"secrets" in await stream.response.aread()


async def test_a_client_that_comes_back_gets_the_changes_it_missed(served: ServedApp) -> None:
    put(served.broker, "1", status="running")
    async with open_stream(f"{served.url}/api/events/") as stream:
        ready = (await stream.until("ready"))[-1]
    put(served.broker, "1", status="success")
    async with open_stream(f"{served.url}/api/events/", last_id=ready.id) as stream:
        events = [await stream.next(), await stream.next()]
    assert [event.name for event in events] == ["ready", "message"]
    assert events[0].id == ready.id
    assert events[1].json == {"op": "replace", "path": "/jobs/1/status", "value": "success"}


@pytest.mark.parametrize("position", ["3-otherepoch", "99999-{epoch}", "nonsense"])
async def test_a_position_of_another_process_or_none_gets_a_snapshot(served: ServedApp, position: str) -> None:
    put(served.broker, "1", status="running")
    position = position.replace("{epoch}", served.broker.tables.epoch)
    async with open_stream(f"{served.url}/api/events/", last_id=position) as stream:
        assert folded(await stream.until("ready")) == {"jobs": {"1": {"status": "running"}}, "tasks": {}}


@pytest.mark.parametrize("query", ["", "?batch=1"])
async def test_what_changes_while_the_snapshot_is_on_its_way_follows_it(served: ServedApp, query: str) -> None:
    for number in range(1000):
        put(served.broker, str(number), status="running", filling="x" * 500)
    enough = anyio.Event()

    async def change() -> None:
        number = 0
        while not enough.is_set():
            put(served.broker, str(number % 1000), status=f"s{number}", filling="y")
            put(served.broker, f"new{number}", status="new")
            put(served.broker, f"new{number - 3}")
            number += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks, open_stream(f"{served.url}/api/events/{query}") as stream:
        tasks.start_soon(change)
        events = await stream.until("ready")
        for _ in range(50):
            events.append(await stream.next())
        enough.set()
        events += await until_position(stream, str(served.broker.tables.position()))
    assert folded(events) == served.broker.tables.document


async def test_long_fields_are_left_out(served: ServedApp) -> None:
    change = DatabaseChange("jobs", ChangeKind.INSERT, "1", {"status": "running", "prompt": "x" * 100_000})
    served.broker.tables.apply(change, served.broker.now_s())
    async with open_stream(f"{served.url}/api/events/") as stream:
        assert folded(await stream.until("ready"))["jobs"] == {"1": {"status": "running"}}


# -- who sees what --------------------------------------------------------------------------------------------------


@pytest.fixture
async def guarded() -> AsyncIterator[ServedApp]:
    async with served_app(auth="jwt", jwt_secret=SECRET) as app:
        yield app


def bearer(served: ServedApp, user: str, *, admin: bool = False) -> dict[str, str]:
    return {"Authorization": f"Bearer {mint_token(served.context.settings, user, admin=admin, ttl_s=60)}"}


async def test_nobody_gets_nothing(guarded: ServedApp) -> None:
    async with open_stream(f"{guarded.url}/api/events/") as stream:
        assert stream.response.status_code == 401


@pytest.mark.parametrize("query", ["", "?batch=1"])
async def test_a_user_sees_their_own_rows_and_everyones_an_admin_all(guarded: ServedApp, query: str) -> None:
    put(guarded.broker, "ann1", user_id="ann")
    put(guarded.broker, "bob1", user_id="bob")
    put(guarded.broker, "all1", status="x")
    url = f"{guarded.url}/api/events/{query}"
    async with (
        open_stream(url, headers=bearer(guarded, "ann")) as ann,
        open_stream(url, headers=bearer(guarded, "root", admin=True)) as root,
    ):
        ann_sees, root_sees = await ann.until("ready"), await root.until("ready")
        assert folded(ann_sees)["jobs"].keys() == {"ann1", "all1"}
        assert folded(root_sees)["jobs"].keys() == {"ann1", "bob1", "all1"}
        put(guarded.broker, "bob2", user_id="bob", title="secret")
        put(guarded.broker, "ann2", user_id="ann")
        assert operations([await ann.next()])[0]["path"] == "/jobs/ann2"
        assert operations([await root.next()])[0]["path"] == "/jobs/bob2"
        assert b"secret" not in ann.raw
        assert b"bob" not in ann.raw


async def test_a_row_that_changes_hands_leaves_one_user_and_comes_whole_to_the_other(guarded: ServedApp) -> None:
    """Trap 40."""
    put(guarded.broker, "1", user_id="ann", status="running")
    url = f"{guarded.url}/api/events/"
    async with (
        open_stream(url, headers=bearer(guarded, "ann")) as ann,
        open_stream(url, headers=bearer(guarded, "bob")) as bob,
    ):
        await ann.until("ready")
        await bob.until("ready")
        put(guarded.broker, "1", user_id="bob", status="secret")
        put(guarded.broker, "1", user_id="bob", status="more secret")
        assert (await ann.next()).json == {"op": "remove", "path": "/jobs/1"}
        arrived = (await bob.next()).json
        assert arrived == {"op": "add", "path": "/jobs/1", "value": {"user_id": "bob", "status": "secret"}}
        put(guarded.broker, "2", user_id="ann")
        assert (await ann.next()).json["path"] == "/jobs/2"
    assert b"secret" not in ann.raw


async def test_a_position_moves_on_over_what_is_hidden(guarded: ServedApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_stream, "HIDDEN_ADVANCE_S", 0.0)
    async with open_stream(f"{guarded.url}/api/events/", headers=bearer(guarded, "ann")) as stream:
        await stream.until("ready")
        for number in range(50):
            put(guarded.broker, f"bob{number}", user_id="bob")
        await until_position(stream, str(guarded.broker.tables.position()))
    assert stream.raw.count(b"\nid: ") < 10
    assert b"bob" not in stream.raw


# -- too far behind -------------------------------------------------------------------------------------------------


async def test_a_reader_too_far_behind_gets_a_new_snapshot_in_the_same_stream() -> None:
    broker = Broker(tables=("jobs",))
    put(broker, "1", status="running")
    view = View(("jobs",), batched=False, viewer=Viewer(None, admin=True))
    events = TableStream(broker, view, Waiter(), None).events()
    opening = [await anext(events), await anext(events)]
    assert b"event: ready" in opening[-1]
    for number in range(TABLES_LAG_RECORDS_MIN + 100):
        put(broker, "1", status=f"s{number}")
    snapshot, ready = await anext(events), await anext(events)
    assert snapshot.count(b"data: ") == 2
    assert b'"value":{}' in snapshot
    assert f"s{TABLES_LAG_RECORDS_MIN + 99}".encode() in snapshot
    assert b"event: ready" in ready
    await events.aclose()


async def test_a_reader_whose_changes_are_forgotten_gets_a_new_snapshot_in_the_same_stream() -> None:
    broker = Broker(tables=("jobs",))
    view = View(("jobs",), batched=True, viewer=Viewer(None, admin=True))
    events = TableStream(broker, view, Waiter(), None).events()
    await anext(events)
    await anext(events)
    for number in range(900):
        put(broker, str(number), filling="x" * 200)
    while broker.tables.log.evict_one():
        pass
    assert b'"path":"/jobs","value":{}' in await anext(events)
    await events.aclose()


async def test_clients_that_see_everything_share_one_encoding(served: ServedApp) -> None:
    """Trap 26."""
    urls = [f"{served.url}/api/events/{query}" for query in ("", "", "")]
    async with open_stream(urls[0]) as one:
        await one.until("ready")
        put(served.broker, "1", status="a")
        await one.next()
        held = served.broker.tables.log.retained_bytes
        async with open_stream(urls[1]) as two, open_stream(urls[2]) as three:
            await two.until("ready")
            await three.until("ready")
            assert served.broker.tables.log.retained_bytes == held
            assert served.broker.tables_watchers == 3
    await eventually(lambda: served.broker.tables_watchers == 0, what="all watchers gone")
