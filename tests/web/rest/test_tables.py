"""`POST /api/tables/{table}`: rows of the global tables, written by admins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.wait import eventually

if TYPE_CHECKING:
    from support.servers.web_client import WebClient


@pytest.fixture
def client_settings() -> dict[str, Any]:
    return {"jwt": True}


async def write(client: WebClient, body: Any, table: str = "tasks", *, admin: bool = True) -> Any:
    return await client.http.post(f"/api/tables/{table}", json=body, headers=client.bearer("ada", admin=admin))


async def test_a_row_is_inserted_changed_and_deleted(client: WebClient) -> None:
    rows = client.broker.tables.rows
    inserted = await write(client, {"operation": "insert", "id": "t1", "data": {"title": "A", "user_id": "bob"}})
    assert (inserted.status_code, inserted.json()) == (200, {"table": "tasks", "operation": "insert", "id": "t1"})
    await eventually(lambda: rows("tasks").get("t1", {}).get("title") == "A")
    await write(client, {"operation": "update", "id": "t1", "data": {"title": "B", "user_id": None}})
    await eventually(lambda: rows("tasks")["t1"].get("title") == "B" and "user_id" not in rows("tasks")["t1"])
    await write(client, {"operation": "delete", "id": "t1"})
    await eventually(lambda: "t1" not in rows("tasks"))


async def test_what_does_not_fit_the_rows_there_are_is_refused(client: WebClient) -> None:
    assert (await write(client, {"operation": "update", "id": "t1", "data": {"a": 1}})).status_code == 404
    assert (await write(client, {"operation": "delete", "id": "t1"})).status_code == 404
    assert (await write(client, {"operation": "insert", "id": "t1", "data": {"a": 1}})).status_code == 200
    assert (await write(client, {"operation": "insert", "id": "t1", "data": {"a": 1}})).status_code == 409


async def test_only_admins_write_tables(client: WebClient) -> None:
    body = {"operation": "insert", "id": "t1", "data": {"a": 1}}
    assert (await write(client, body, admin=False)).status_code == 403
    assert (await client.http.post("/api/tables/tasks", json=body)).status_code == 401


@pytest.mark.parametrize("table", ["nothing", "__proto__", "tasks:1", "%2e%2e", "a" * 5000])
async def test_an_unknown_table_is_not_there(client: WebClient, table: str) -> None:
    assert (await write(client, {"operation": "delete", "id": "t1"}, table)).status_code == 404


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "JSON object"),
        ({}, "`operation` must be one of `insert`, `update`, `delete`"),
        ({"operation": ["insert"]}, "`operation` must be"),
        ({"operation": "insert"}, "`id` must be"),
        ({"operation": "insert", "id": "t1:diff", "data": {"a": 1}}, "`id` must be"),
        ({"operation": "insert", "id": 7, "data": {"a": 1}}, "`id` must be"),
        ({"operation": "insert", "id": "t1"}, "`data` must be"),
        ({"operation": "insert", "id": "t1", "data": {}}, "`data` must be"),
        ({"operation": "insert", "id": "t1", "data": [1]}, "`data` must be"),
        ({"operation": "insert", "id": "t1", "data": {"a": {"b": 1}}}, "`a` must be"),
        ({"operation": "insert", "id": "t1", "data": {"": 1}}, "A field's name"),
        ({"operation": "insert", "id": "t1", "data": {f"f{number}": 1 for number in range(200)}}, "at most 128"),
    ],
)
async def test_a_change_that_is_none_is_refused_with_what_is_wrong(client: WebClient, body: Any, words: str) -> None:
    answer = await write(client, body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]
    assert not client.broker.tables.rows("tasks")
