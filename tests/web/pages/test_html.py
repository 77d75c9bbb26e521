"""The dashboard's pages: their first data, for whom, how it is escaped, and what a browser may do with them."""

from __future__ import annotations

import gzip
import json
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.applications import Starlette

from fantail.broker import Broker, BrokerLimits, ChangeKind, DatabaseChange
from fantail.broker.sources.redis.tailer import RedisTailer
from fantail.web.app import create_context
from fantail.web.auth.identity import COOKIE, middleware, mint_token
from fantail.web.errors import exception_handlers
from fantail.web.pages import html as pages
from fantail.web.pages import login
from fantail.web.pages.html import script
from fantail.web.settings import load_settings
from support.servers.web_client import SECRET, redis_web_client, web_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

INDEX = "<!doctype html><html><head><!--fantail:initial-data--></head><body><div id=root></div></body></html>"


class Site:
    """An application with a small dashboard of its own."""

    def __init__(self, http: httpx.AsyncClient, broker: Broker, token: str | None) -> None:
        self.http = http
        self.broker = broker
        self.headers = {} if token is None else {"Cookie": f"{COOKIE}={token}"}

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.http.get(path, headers={**self.headers, **headers})

    async def data(self, path: str, status: int = 200) -> dict[str, Any]:
        """The first data of a page."""
        answer = await self.get(path)
        assert answer.status_code == status, answer.text
        return first_data(answer.text)


def first_data(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="fantail-initial-data">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    value: dict[str, Any] = json.loads(found[1])
    return value


@pytest.fixture
def dashboard(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text(INDEX)
    (tmp_path / "assets" / "app-1a2b.js").write_text("let bird = 'fantail'")
    (tmp_path / "secret.txt").write_text("not an asset")
    return tmp_path


@asynccontextmanager
async def site(
    dashboard: Path, broker: Broker | None = None, *, user: str | None = None, admin: bool = False, **settings: Any
) -> AsyncIterator[Site]:
    """An application with that dashboard; with a user, one that asks for tokens, and whose visitor has one."""
    if user is not None:
        settings |= {"auth": "jwt", "jwt_secret": SECRET}
    made = load_settings(**settings)
    context = create_context(broker or Broker(), made)
    app = Starlette(
        routes=[*pages.routes(context, dashboard), *login.routes(context)],
        middleware=middleware(made),
        exception_handlers=exception_handlers(),
    )
    app.router.default = pages.unknown(context, app.router.default, dashboard)
    token = mint_token(made, user, admin=admin, ttl_s=60) if user else None
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        context.broker.running(),
        httpx.AsyncClient(transport=transport, base_url="http://localhost:8765") as http,
    ):
        yield Site(http, context.broker, token)


# -- the first data ---------------------------------------------------------------------------------------------------


async def test_the_jobs_page_carries_the_rows_and_the_position_they_were_read_at(dashboard: Path) -> None:
    async with site(dashboard) as made:
        await made.broker.create_job("42", {"name": "Build", "prompt": "long"})
        data = await made.data("/")
        assert data == {
            "page": "jobs",
            "tables": {"jobs": {"42": {"id": "42", "status": "running", "name": "Build"}}, "tasks": {}},
            "position": str(made.broker.tables.position()),
            "user": {"name": None, "admin": True},
            "config": {"useSSEStatus": True, "keepAliveS": 30.0},
        }
        assert await made.data("/jobs") == data


async def test_a_page_shows_a_user_what_is_theirs(dashboard: Path) -> None:
    async with site(dashboard, user="ada") as made:
        await made.broker.create_job("hers", {"user_id": "ada"})
        await made.broker.create_job("his", {"user_id": "bob"})
        await made.broker.create_job("everyones")
        data = await made.data("/")
        assert data["tables"]["jobs"].keys() == {"hers", "everyones"}
        assert data["user"] == {"name": "ada", "admin": False}
        assert (await made.data("/jobs/hers"))["job"]["id"] == "hers"
        refused = await made.data("/jobs/his", 403)
        assert (refused["job"], refused["output"], refused["error"]) == (
            None,
            [],
            {"status": 403, "message": "Forbidden"},
        )


async def test_too_many_rows_come_without_a_position_so_that_the_stream_sends_all(dashboard: Path) -> None:
    async with site(dashboard) as made:
        for number in range(501):
            row = {"created_at": str(number)}
            made.broker.tables.apply(DatabaseChange("jobs", ChangeKind.INSERT, f"j{number}", row), 0.0)
        data = await made.data("/")
        assert len(data["tables"]["jobs"]) == 500
        assert "j0" not in data["tables"]["jobs"]
        assert "j500" in data["tables"]["jobs"]
        assert data["position"] is None


async def test_a_job_page_carries_the_job_its_last_lines_and_the_position_after_them(dashboard: Path) -> None:
    async with site(dashboard) as made:
        await made.broker.create_job("42", {"prompt": "long", "exit_code": "0"})
        for number in range(600):
            await made.broker.publish("42", f"line {number}", timestamp_ms=number)
        data = await made.data("/jobs/42")
        assert data["page"] == "job"
        assert (data["job"]["prompt"], data["job"]["exitCode"]) == ("long", 0)
        assert (data["from"], data["total"], len(data["output"])) == (100, 600, 500)
        assert data["output"][0] == {"timestamp": 100, "line": "line 100", "stream": "stdout"}
        assert data["position"] == str(made.broker.job("42").output.last_position())


async def test_a_job_page_is_bounded_in_bytes_and_its_position_is_after_what_it_carries(dashboard: Path) -> None:
    async with site(dashboard) as made:
        await made.broker.create_job("42")
        for number in range(20):
            await made.broker.publish("42", str(number % 10) * 100_000)
        answer = await made.get("/jobs/42")
        assert len(answer.content) < 1 << 19
        data = first_data(answer.text)
        offset = int(data["position"].partition("-")[0])
        assert offset == data["from"] + len(data["output"]) - 1


async def test_a_job_without_lines_has_no_position(dashboard: Path) -> None:
    async with site(dashboard) as made:
        await made.broker.create_job("42")
        data = await made.data("/jobs/42")
        assert (data["output"], data["from"], data["total"], data["position"]) == ([], 0, 0, None)


async def test_an_unknown_job_is_a_page_that_says_so(dashboard: Path) -> None:
    async with site(dashboard) as made:
        data = await made.data("/jobs/nope", 404)
        assert (data["job"], data["error"]["message"]) == (None, "Job not found")


async def test_other_pages_carry_the_user_and_the_configuration(dashboard: Path) -> None:
    async with site(dashboard, keepalive_s=7, use_sse_status=False) as made:
        for page in ("pipelines", "runs", "system"):
            data = await made.data(f"/{page}")
            assert data["page"] == page
            assert data["config"] == {"useSSEStatus": False, "keepAliveS": 7.0}


async def test_a_page_is_shown_with_redis_away(dashboard: Path) -> None:
    broker = Broker(lambda broker: RedisTailer(broker, "redis://127.0.0.1:1/0"))
    async with site(dashboard, broker) as made:
        assert (await made.data("/"))["tables"] == {"jobs": {}, "tasks": {}}
        answer = await made.get("/jobs/42")
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert first_data(answer.text)["job"] is None


async def test_a_page_over_redis_has_what_redis_has(redis_url: str) -> None:
    async with redis_web_client(redis_url) as client:
        await client.http.post("/api/jobs", json={"id": "42"})
        await client.http.post("/api/jobs/42/output", content=b"one\ntwo\n")
        page = await client.http.get("/jobs/42")
        if page.status_code == 503:
            pytest.skip("the dashboard has not been built")
        data = first_data(page.text)
        assert [entry["line"] for entry in data["output"]] == ["one", "two"]
        assert first_data((await client.http.get("/")).text)["tables"]["jobs"].keys() == {"42"}


# -- escaping ---------------------------------------------------------------------------------------------------------

HOSTILE = "</script><script>alert(1)</script><!-- ]]> & \u2028 \u2029 \x00 \\ \" ' <svg/onload=x>"


async def test_nothing_in_the_data_ends_its_element(dashboard: Path) -> None:
    async with site(dashboard) as made:
        await made.broker.create_job("42", {"name": HOSTILE, "prompt": HOSTILE})
        await made.broker.publish("42", HOSTILE)
        for path in ("/", "/jobs/42"):
            html = (await made.get(path)).text
            assert html.lower().count("<script") == html.lower().count("</script") == 1
            assert "<!--" not in html
            assert "<svg" not in html
            assert not {"\u2028", "\u2029", "\x00"} & set(html)
        data = await made.data("/jobs/42")
        assert data["job"]["name"] == data["output"][0]["line"] == HOSTILE


def test_the_element_holds_the_very_data() -> None:
    assert first_data(script({"a": HOSTILE})) == {"a": HOSTILE}


async def test_a_name_that_looks_like_the_place_for_the_data_stays_a_name(dashboard: Path) -> None:
    async with site(dashboard) as made:
        await made.broker.create_job("42", {"name": pages.PLACE + r"\1\g<0>"})
        assert (await made.data("/jobs/42"))["job"]["name"] == pages.PLACE + r"\1\g<0>"


# -- what a browser may do with it ------------------------------------------------------------------------------------


async def test_pages_run_only_what_comes_from_this_server_and_are_framed_by_nobody(dashboard: Path) -> None:
    async with site(dashboard) as made:
        answer = await made.get("/")
        policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == policy["worker-src"] == "'self'"
        assert policy["style-src"] == "'self' 'unsafe-inline'"
        assert policy["frame-ancestors"] == policy["object-src"] == policy["base-uri"] == "'none'"
        assert "script-src" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


async def test_assets_are_kept_for_ever_and_nothing_beside_them_is_served(dashboard: Path) -> None:
    async with site(dashboard) as made:
        asset = await made.get("/assets/app-1a2b.js")
        assert (asset.status_code, asset.text) == (200, "let bird = 'fantail'")
        assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert asset.headers["content-type"].startswith("text/javascript")
        again = await made.get("/assets/app-1a2b.js", **{"If-None-Match": asset.headers["etag"]})
        assert again.status_code == 304
        for path in ("nope.js", "../secret.txt", "%2e%2e/secret.txt", "..%2fsecret.txt", "", "%00", "a" * 5000):
            answer = await made.get(f"/assets/{path}")
            assert answer.status_code == 404, path
            assert "immutable" not in answer.headers.get("cache-control", "")


async def test_an_asset_comes_packed_for_those_who_take_it_so(dashboard: Path) -> None:
    (dashboard / "assets" / "app-1a2b.js.gz").write_bytes(gzip.compress(b"let bird = 'packed'"))
    async with site(dashboard) as made:
        packed = await made.get("/assets/app-1a2b.js", **{"Accept-Encoding": "br, gzip"})
        assert (packed.status_code, packed.text) == (200, "let bird = 'packed'")
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.headers["content-type"].startswith("text/javascript")
        whole = await made.get("/assets/app-1a2b.js", **{"Accept-Encoding": "identity"})
        assert (whole.status_code, whole.text) == (200, "let bird = 'fantail'")
        assert "content-encoding" not in whole.headers
        # A cache between keeps the two apart, and so does a browser that asks whether it has changed.
        assert packed.headers["vary"] == whole.headers["vary"] == "Accept-Encoding"
        assert packed.headers["etag"] != whole.headers["etag"]
        assert packed.headers["cache-control"] == whole.headers["cache-control"]
        held = {"Accept-Encoding": "gzip", "If-None-Match": packed.headers["etag"]}
        assert (await made.get("/assets/app-1a2b.js", **held)).status_code == 304


@pytest.mark.parametrize(
    ("accepted", "is_packed"),
    [("GZIP", True), ("gzip;q=0.5, br", True), ("gzip;q=0", False), ("br, gzip; q=0.000", False), ("x-gzipped", False)],
)
async def test_an_asset_comes_whole_for_those_who_refuse_it_packed(
    dashboard: Path, accepted: str, is_packed: bool
) -> None:
    (dashboard / "assets" / "app-1a2b.js.gz").write_bytes(gzip.compress(b"let bird = 'packed'"))
    async with site(dashboard) as made:
        answer = await made.get("/assets/app-1a2b.js", **{"Accept-Encoding": accepted})
        assert ("content-encoding" in answer.headers) is is_packed


async def test_a_dashboard_that_was_not_built_says_how_to_build_it(dashboard: Path) -> None:
    (dashboard / "index.html").unlink()
    async with site(dashboard) as made:
        answer = await made.get("/")
        assert answer.status_code == 503
        assert "make setup" in answer.text
        (dashboard / "index.html").write_text(INDEX)
        assert (await made.get("/")).status_code == 200


# -- who is not signed in ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/jobs", "/jobs/42?tail=5", "/system"])
async def test_who_is_not_signed_in_is_sent_to_sign_in_and_comes_back(dashboard: Path, path: str) -> None:
    async with site(dashboard, user="ada") as made:
        made.headers = {}
        answer = await made.get(path)
        assert answer.status_code == 303
        target = httpx.URL(answer.headers["location"])
        assert (target.path, target.params["next"]) == ("/login", path)


async def test_a_link_from_another_site_which_brings_no_cookie_is_asked_again_from_here(dashboard: Path) -> None:
    async with site(dashboard, user="ada") as made:
        made.headers = {}
        first = await made.get("/jobs/42", **{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})
        assert first.status_code == 200
        assert 'http-equiv="refresh"' in first.text
        again = await made.get("/jobs/42", **{"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"})
        assert again.status_code == 303


async def test_behind_a_proxy_there_is_nobody_to_sign_in() -> None:
    async with web_client(auth="proxy", proxy_addresses="10.0.0.1") as client:
        assert (await client.http.get("/")).status_code == 401


async def test_a_store_that_lost_lines_shows_what_it_has(dashboard: Path) -> None:
    async with site(dashboard, Broker(limits=BrokerLimits(store_bytes_max=100_000))) as made:
        await made.broker.create_job("42")
        for number in range(400):
            await made.broker.publish("42", f"{number} {'x' * 1000}")
        data = await made.data("/jobs/42")
        assert data["from"] > 0
        assert data["output"][0]["line"].startswith(f"{data['from']} x")


async def test_an_address_without_anything_is_a_page_that_says_so_to_people_and_a_word_to_programs(
    dashboard: Path,
) -> None:
    async with site(dashboard, user="ada") as made:
        answer = await made.get("/nowhere/at/all", Accept="text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
        assert answer.status_code == 404
        assert first_data(answer.text)["page"] == "none"
        assert (await made.get("/nowhere", Accept="*/*")).json() == {"error": "Not Found"}
        made.headers = {}
        assert (await made.get("/nowhere", Accept="text/html")).status_code == 303
    async with web_client() as client:
        assert (await client.http.get("/nowhere", headers={"Accept": "text/html"})).status_code == 404
        assert (await client.http.post("/nowhere", headers={"Accept": "text/html"})).json() == {"error": "Not Found"}
