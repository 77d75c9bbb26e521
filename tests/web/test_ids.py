"""The grammar of ids at every door (trap 39): no id reaches into another key.

The doors are found in the application's own routes, so one that is added later is tried too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from starlette.routing import Route

from fantail.broker import Broker
from fantail.web.app import create_app
from fantail.web.settings import load_settings
from support.servers.web_client import redis_web_client, web_client

if TYPE_CHECKING:
    from redis.asyncio import Redis

SECRET_TEXT = "what nobody may read"
HOSTILE = [
    "42:diff",
    "42%3Adiff",
    "42%3adiff",
    "42:output",
    "42:lease",
    "user:ada",
    "%2e%2e",
    "..%2f..%2fetc%2fpasswd",
    "42%00",
    "42%0a",
    "42%0d%0aX:y",
    "42*",
    "42%20",
    "%2042",
    "-42",
    "_42",
    ".42",
    "a" * 129,
    "%EF%BC%94%EF%BC%92",
    "%ff",
    "<script>",
]


def doors() -> list[tuple[str, str]]:
    """Every method and path of the application with an id in it."""
    app = create_app(Broker(), load_settings())
    routes = [route for route in app.routes if isinstance(route, Route) and "{id}" in route.path]
    return [(method, route.path) for route in routes for method in sorted(route.methods or {"GET"}) if method != "HEAD"]


def test_there_are_doors() -> None:
    found = doors()
    assert ("GET", "/api/jobs/{id}") in found
    assert ("POST", "/api/jobs/{id}/output") in found
    assert ("GET", "/jobs/{id}") in found
    assert len(found) >= 12


@pytest.mark.parametrize(("method", "path"), doors())
async def test_an_id_outside_the_grammar_is_an_unknown_id(
    method: str, path: str, redis_url: str, redis_client: Redis
) -> None:
    for key in ("job:42", "work_session:42"):
        await redis_client.hset(key, mapping={"id": "42", "user_id": "ada", "status": "failed"})
        await redis_client.hset(f"{key}:diff", mapping={"status": "failed", "line": SECRET_TEXT})
        await redis_client.rpush(f"{key}:diff:output", SECRET_TEXT)
    before = await redis_client.dbsize()
    async with redis_web_client(redis_url, jwt=True) as client:
        for given in HOSTILE:
            url = path.replace("{id}", given)
            answer = await client.http.request(method, url, params={"q": "a"}, json={}, headers=client.bearer("bob"))
            assert answer.status_code == 404, given
            assert SECRET_TEXT not in answer.text
        assert not client.broker.stats().jobs
    assert await redis_client.dbsize() == before


@pytest.mark.parametrize("given", ["42:diff", "..", "", " ", "42\n", "4/2", "４２", "a" * 129])
async def test_no_body_names_an_id_outside_the_grammar(given: str, redis_url: str, redis_client: Redis) -> None:
    async with redis_web_client(redis_url) as client:
        for path, body in (
            ("/api/jobs", {"id": given or "\0"}),
            ("/api/tables/jobs", {"operation": "insert", "id": given, "data": {"a": 1}}),
            ("/api/tables/jobs", {"operation": "update", "id": given, "data": {"a": 1}}),
            ("/api/tables/jobs", {"operation": "delete", "id": given}),
        ):
            assert (await client.http.post(path, json=body)).status_code == 400
    assert await redis_client.dbsize() == 0


async def test_in_a_library_too() -> None:
    async with web_client() as client:
        for given in HOSTILE:
            assert (await client.http.get(f"/api/jobs/{given}/output")).status_code == 404
            assert (await client.http.get(f"/jobs/{given}")).status_code == 404
        assert not client.broker.stats().jobs
