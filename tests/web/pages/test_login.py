"""Signing in and out with a browser."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any

import pytest

from fantail.web.auth.identity import COOKIE
from fantail.web.pages.login import local_path
from support.servers.web_client import web_client

if TYPE_CHECKING:
    import httpx

    from support.servers.web_client import WebClient

OURS = {"Origin": "http://localhost:8765"}


async def sign_in(client: WebClient, token: str, headers: dict[str, str] = OURS, **fields: str) -> httpx.Response:
    return await client.http.post("/login", data={"token": token, **fields}, headers=headers)


def cookie_of(answer: httpx.Response) -> Any:
    (header,) = answer.headers.get_list("set-cookie")
    return SimpleCookie(header)[COOKIE]


async def test_a_token_in_the_form_becomes_a_cookie_that_opens_the_door() -> None:
    async with web_client(jwt=True) as client:
        assert (await client.http.get("/api/jobs")).status_code == 401
        answer = await sign_in(client, f"  {client.token('ada')}\n", next="/jobs/42?tail=5")
        assert (answer.status_code, answer.headers["location"]) == (303, "/jobs/42?tail=5")
        assert (await client.http.get("/api/jobs")).status_code == 200


async def test_the_cookie_is_for_this_site_alone_and_for_as_long_as_the_token() -> None:
    async with web_client(jwt=True) as client:
        cookie = cookie_of(await sign_in(client, client.token("ada", ttl_s=600)))
        assert cookie["httponly"]
        assert cookie["samesite"].lower() == "strict"
        assert cookie["path"] == "/"
        assert 590 <= int(cookie["max-age"]) <= 600
        assert not cookie["secure"]


@pytest.mark.parametrize(
    "settings", [{"base_url": "https://localhost:8765"}, {"public_url": "https://fantail.example"}]
)
async def test_over_tls_the_cookie_is_never_sent_without(settings: dict[str, Any]) -> None:
    async with web_client(jwt=True, **settings) as client:
        assert cookie_of(await sign_in(client, client.token("ada")))["secure"]


async def test_a_token_as_json_is_answered_in_json() -> None:
    async with web_client(jwt=True) as client:
        body = {"token": client.token("ada", admin=True)}
        answer = await client.http.post("/login", json=body, headers=OURS)
        assert answer.json() == {"user": {"name": "ada", "admin": True}}
        assert cookie_of(answer).value == body["token"]
        wrong = await client.http.post("/login", json={"token": "x"}, headers=OURS)
        assert wrong.status_code == 401
        assert "set-cookie" not in wrong.headers


async def test_a_wrong_token_is_told_on_the_page_and_sets_no_cookie() -> None:
    async with web_client(jwt=True) as client:
        answer = await sign_in(client, "not.a.token", next="/jobs/42")
        assert answer.status_code == 401
        assert "not valid" in answer.text
        assert 'value="/jobs/42"' in answer.text
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/jobs\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
        "jobs",
        "",
        "/" + "a" * 3000,
    ],
)
async def test_nobody_is_sent_elsewhere_after_signing_in(wanted: str) -> None:
    async with web_client(jwt=True) as client:
        answer = await sign_in(client, client.token("ada"), next=wanted)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert local_path(wanted, "otherwise") == "otherwise"


async def test_what_is_wanted_is_escaped_in_the_page() -> None:
    async with web_client(jwt=True) as client:
        answer = await client.http.get("/login", params={"next": '/"><script>alert(1)</script>'})
        assert answer.status_code == 200
        assert "<script>" not in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def test_pages_of_other_sites_sign_nobody_in_or_out() -> None:
    async with web_client(jwt=True) as client:
        for elsewhere in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
            assert (await sign_in(client, client.token("eve"), elsewhere)).status_code == 403
            assert (await client.http.post("/logout", headers=elsewhere)).status_code == 403


async def test_signing_out_takes_the_cookie_away() -> None:
    async with web_client(jwt=True) as client:
        await sign_in(client, client.token("ada"))
        answer = await client.http.post("/logout", headers=OURS)
        assert answer.status_code == 303
        assert (await client.http.get("/api/jobs")).status_code == 401


@pytest.mark.parametrize("body", [b"", b"token", b"token=", b"=", b"%", b"\xff\xfe", b"token=a&" * 9])
async def test_an_odd_form_is_a_wrong_token(body: bytes) -> None:
    async with web_client(jwt=True) as client:
        headers = {**OURS, "Content-Type": "application/x-www-form-urlencoded"}
        assert (await client.http.post("/login", content=body, headers=headers)).status_code in (400, 401)


@pytest.mark.parametrize(("body", "status"), [(b"{", 400), (b"[]", 401), (b'{"token":7}', 401), (b"x" * 20_000, 413)])
async def test_an_odd_document_is_refused(body: bytes, status: int) -> None:
    async with web_client(jwt=True) as client:
        headers = {**OURS, "Content-Type": "application/json"}
        assert (await client.http.post("/login", content=body, headers=headers)).status_code == status


async def test_without_tokens_there_is_nothing_to_sign_in_to() -> None:
    async with web_client() as client:
        answer = await client.http.get("/login")
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
