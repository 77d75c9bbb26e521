"""Jobs over REST: made, listed, read, changed and deleted, by whoever may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.servers.web_client import redis_web_client

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from support.servers.web_client import WebClient


@pytest.fixture
def client_settings() -> dict[str, Any]:
    return {"jwt": True}


async def ask(client: WebClient, user: str, method: str, path: str, *, admin: bool = False, **more: Any) -> Any:
    return await client.http.request(method, path, headers=client.bearer(user, admin=admin), **more)


async def test_a_job_is_made_and_shown_with_numbers_as_numbers(client: WebClient) -> None:
    body = {"id": "42", "name": "Build", "prompt": "Do it", "repoUrl": "https://x/y", "lines_added": "7", "exitCode": 3}
    made = await ask(client, "ada", "POST", "/api/jobs", json=body)
    assert made.status_code == 201
    assert made.headers["location"] == "/api/jobs/42"
    shown = (await ask(client, "ada", "GET", "/api/jobs/42")).json()
    assert shown == made.json()
    created_ms, started_ms = shown.pop("createdAt"), shown.pop("startedAt")
    assert isinstance(created_ms, int)
    assert started_ms == created_ms
    assert shown == {
        "id": "42",
        "userId": "ada",
        "name": "Build",
        "prompt": "Do it",
        "repoUrl": "https://x/y",
        "status": "running",
        "branch": "",
        "linesAdded": 7,
        "linesRemoved": 0,
        "exitCode": 3,
    }


async def test_an_id_is_made_up_where_none_is_given(client: WebClient) -> None:
    ids = [(await ask(client, "ada", "POST", "/api/jobs", json={})).json()["id"] for _ in range(3)]
    assert len(set(ids)) == 3
    for job_id in ids:
        assert (await ask(client, "ada", "GET", f"/api/jobs/{job_id}")).status_code == 200


async def test_a_job_is_made_once(client: WebClient) -> None:
    assert (await ask(client, "ada", "POST", "/api/jobs", json={"id": "42"})).status_code == 201
    again = await ask(client, "bob", "POST", "/api/jobs", json={"id": "42", "name": "mine now"})
    assert (again.status_code, again.json()) == (409, {"error": "job 42 exists already"})
    assert "name" not in (await ask(client, "ada", "GET", "/api/jobs/42")).json()


@pytest.mark.parametrize("name", ["user_id", "userId"])
async def test_the_owner_comes_from_the_token_and_never_from_the_body(client: WebClient, name: str) -> None:
    made = await ask(client, "ada", "POST", "/api/jobs", json={"id": "42", name: "bob"})
    assert made.json()["userId"] == "ada"
    await ask(client, "ada", "PATCH", "/api/jobs/42", json={name: "bob"})
    assert (await ask(client, "ada", "GET", "/api/jobs/42")).json()["userId"] == "ada"
    assert (await ask(client, "bob", "GET", "/api/jobs/42")).status_code == 403


async def test_what_the_server_finds_out_itself_is_not_taken(client: WebClient) -> None:
    await ask(client, "ada", "POST", "/api/jobs", json={"id": "42", "stale": True, "outputExpired": True, "leaseS": 30})
    shown = (await ask(client, "ada", "GET", "/api/jobs/42")).json()
    assert not {"stale", "outputExpired", "leaseS"} & shown.keys()


async def test_how_long_a_runner_lives_without_a_sign_is_shown_as_a_number(redis_url: str, redis_client: Redis) -> None:
    await redis_client.hset("job:42", mapping={"id": "42", "status": "running", "lease_s": "30"})
    async with redis_web_client(redis_url) as client:
        shown = (await client.http.get("/api/jobs/42")).json()
        assert (shown["leaseS"], shown["stale"]) == (30, True)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"id":"42:diff"}', "`id` must be"),
        (b'{"id":"../42"}', "`id` must be"),
        (b'{"id":7}', "`id` must be"),
        (b'{"id":"%b"}' % (b"x" * 129), "`id` must be"),
        (b'{"name":["a"]}', "`name` must be"),
        (b'{"name":{"a":1}}', "`name` must be"),
        (b'{"a b":"c"}', "Not a field's name"),
        (b'{"":"c"}', "Not a field's name"),
        (b'{"%b":1}' % (b"x" * 65), "Not a field's name"),
        (b'{"status":""}', "A status is"),
        (b'{"status":"not a word"}', "A status is"),
        (b"{%b}" % b",".join(b'"f%d":1' % number for number in range(129)), "at most 128 fields"),
        (b'{"name":"\\ud800"}', "not JSON"),
        (b'{"name":"\xff"}', "not JSON"),
        (b"[" * 5000, "not JSON"),
    ],
)
async def test_a_job_that_cannot_be_is_refused_with_what_is_wrong(client: WebClient, body: bytes, words: str) -> None:
    answer = await ask(client, "ada", "POST", "/api/jobs", content=body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]
    assert (await ask(client, "ada", "GET", "/api/jobs")).json()["total"] == 0


async def test_a_document_that_is_too_long_is_refused(client: WebClient) -> None:
    answer = await ask(client, "ada", "POST", "/api/jobs", json={"prompt": "x" * (1 << 20)})
    assert answer.status_code == 413


# -- the list ---------------------------------------------------------------------------------------------------------


async def make_jobs(client: WebClient, count: int, user: str = "ada") -> None:
    for number in range(count):
        body = {"id": f"{user}-{number}", "name": f"Run {number}", "created_at": 1000 + number}
        await ask(client, user, "POST", "/api/jobs", json=body)


async def listed(client: WebClient, user: str = "ada", *, admin: bool = False, **params: Any) -> dict[str, Any]:
    answer = await ask(client, user, "GET", "/api/jobs", admin=admin, params=params)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


async def test_jobs_are_listed_newest_first_page_by_page(client: WebClient) -> None:
    await make_jobs(client, 5)
    pages = [await listed(client, offset=offset, limit=2) for offset in (0, 2, 4, 6)]
    ids = [[job["id"] for job in page["jobs"]] for page in pages]
    assert ids == [["ada-4", "ada-3"], ["ada-2", "ada-1"], ["ada-0"], []]
    assert [(page["total"], page["hasMore"]) for page in pages] == [(5, True), (5, True), (5, False), (5, False)]
    assert pages[0]["jobs"][0]["createdAt"] == 1004


async def test_a_list_shows_each_user_their_own_jobs_and_an_admin_all(client: WebClient) -> None:
    await make_jobs(client, 2, "ada")
    await make_jobs(client, 3, "bob")
    await client.broker.ledger.create_job("everyones", {})
    assert (await listed(client, "ada"))["total"] == 3
    assert (await listed(client, "bob"))["total"] == 4
    assert (await listed(client, "eve"))["total"] == 1
    assert (await listed(client, "root", admin=True))["total"] == 6


async def test_jobs_are_found_by_status_and_text(client: WebClient) -> None:
    await make_jobs(client, 3)
    await ask(client, "ada", "PATCH", "/api/jobs/ada-1", json={"status": "failed", "error_message": "Disk FULL"})
    assert [job["id"] for job in (await listed(client, status="failed,success"))["jobs"]] == ["ada-1"]
    assert [job["id"] for job in (await listed(client, q="disk full"))["jobs"]] == ["ada-1"]
    assert [job["id"] for job in (await listed(client, q="run 2"))["jobs"]] == ["ada-2"]
    assert (await listed(client, q="nothing of the kind"))["total"] == 0


@pytest.mark.parametrize(
    "params",
    [{"offset": "-1"}, {"limit": "x"}, {"offset": "1e3"}, {"limit": "٣"}, {"offset": "9" * 30}, {"q": "x" * 300}],
)
async def test_a_wrong_parameter_is_told(client: WebClient, params: dict[str, str]) -> None:
    answer = await ask(client, "ada", "GET", "/api/jobs", params=params)
    assert answer.status_code == 400
    assert f"`{next(iter(params))}`" in answer.json()["error"]


async def test_a_page_is_bounded_whatever_is_asked_for(client: WebClient) -> None:
    for number in range(501):
        await client.broker.ledger.create_job(f"j{number}", {"user_id": "ada"})
    page = await listed(client, limit=100_000)
    assert (len(page["jobs"]), page["total"], page["hasMore"]) == (500, 501, True)


# -- changes ----------------------------------------------------------------------------------------------------------


async def test_fields_are_set_and_removed_and_the_answer_shows_the_whole(client: WebClient) -> None:
    await make_jobs(client, 1)
    answer = await ask(client, "ada", "PATCH", "/api/jobs/ada-0", json={"branch": "main", "name": None})
    assert answer.status_code == 200
    assert answer.json()["branch"] == "main"
    assert "name" not in answer.json()
    assert (await ask(client, "ada", "GET", "/api/jobs/ada-0")).json() == answer.json()


async def test_the_end_of_a_job_is_noted_and_taken_back_when_it_runs_again(client: WebClient) -> None:
    await make_jobs(client, 1)
    over = (await ask(client, "ada", "PATCH", "/api/jobs/ada-0", json={"status": "success", "exitCode": 0})).json()
    assert over["finishedAt"] >= over["startedAt"]
    assert over["exitCode"] == 0
    again = (await ask(client, "ada", "PATCH", "/api/jobs/ada-0", json={"status": "running"})).json()
    assert "finishedAt" not in again
    told = await ask(client, "ada", "PATCH", "/api/jobs/ada-0", json={"status": "failed", "finishedAt": 77})
    assert told.json()["finishedAt"] == 77


async def test_a_deleted_job_is_gone(client: WebClient) -> None:
    await make_jobs(client, 1)
    answer = await ask(client, "ada", "DELETE", "/api/jobs/ada-0")
    assert (answer.status_code, answer.content) == (204, b"")
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/output"), ("POST", "/output")):
        again = await ask(client, "ada", method, f"/api/jobs/ada-0{path}", json={})
        assert (again.status_code, again.json()["error"]) == (404, "Job not found"), method
    assert (await listed(client))["total"] == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/jobs/ada-0"),
        ("PATCH", "/api/jobs/ada-0"),
        ("DELETE", "/api/jobs/ada-0"),
        ("GET", "/api/jobs/ada-0/output"),
        ("GET", "/api/jobs/ada-0/output?download=1"),
        ("GET", "/api/jobs/ada-0/output/search?q=a"),
        ("POST", "/api/jobs/ada-0/output"),
    ],
)
async def test_a_job_is_its_owners_and_the_admins(client: WebClient, method: str, path: str) -> None:
    await make_jobs(client, 1)
    stranger = await ask(client, "bob", method, path, json={})
    assert stranger.status_code == 403
    assert stranger.json()["error"] == "Forbidden"
    assert (await client.http.request(method, path, json={})).status_code == 401
    assert (await ask(client, "root", method, path, admin=True, json={})).status_code in (200, 204)


@pytest.mark.parametrize(("method", "path"), [("PATCH", ""), ("DELETE", ""), ("POST", "/output")])
async def test_what_is_everyones_is_changed_by_admins_only(client: WebClient, method: str, path: str) -> None:
    await client.broker.ledger.create_job("everyones", {})
    assert (await ask(client, "ada", "GET", "/api/jobs/everyones")).status_code == 200
    assert (await ask(client, "ada", method, f"/api/jobs/everyones{path}", json={})).status_code == 403
    changed = await ask(client, "root", method, f"/api/jobs/everyones{path}", admin=True, json={})
    assert changed.status_code in (200, 204)


async def test_a_wrong_method_is_told_of_the_right_ones(client: WebClient) -> None:
    answer = await ask(client, "ada", "PUT", "/api/jobs/42")
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "PATCH", "DELETE"}
    assert answer.json() == {"error": "Method Not Allowed"}
