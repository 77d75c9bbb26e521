"""The three doors in front of everything: who gets in, who is told apart, who is sent away."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from fantail.web.auth.identity import COOKIE, Tokens, mint_token
from fantail.web.settings import WrongSettingError, load_settings
from support.servers.web_client import SECRET, web_client

if TYPE_CHECKING:
    from fantail.web.settings import Settings
    from support.servers.web_client import WebClient

PATHS = ["/", "/api/jobs", "/api/jobs/42/output", "/api/jobs/42/stream", "/api/system", "/metrics", "/healthz"]


# -- none: trap 30 ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
async def test_a_name_that_was_rebound_to_this_machine_gets_nothing(path: str) -> None:
    async with web_client() as client:
        answer = await client.http.get(path, headers={"Host": "evil.example:8765"})
        assert answer.status_code == 403


@pytest.mark.parametrize("path", PATHS)
async def test_the_browsers_word_helps_no_page_under_a_rebound_name(path: str) -> None:
    """To the browser it is same-origin: the name that it asked for resolves to this machine."""
    async with web_client() as client:
        sent = {"Host": "evil.example:8765", "Origin": "http://evil.example:8765", "Sec-Fetch-Site": "same-origin"}
        assert (await client.http.get(path, headers=sent)).status_code == 403
        assert (await client.http.post(path, headers=sent)).status_code == 403
        forwarded = {**sent, "X-Forwarded-Host": "localhost", "Forwarded": "host=localhost"}
        assert (await client.http.get(path, headers=forwarded)).status_code == 403


async def test_a_rebound_name_is_refused_too_where_a_proxy_passes_it_on_beside_its_own() -> None:
    sent = {"X-Forwarded-Host": "evil.example", "Sec-Fetch-Site": "same-origin"}
    async with web_client(proxy_addresses="127.0.0.1") as client:
        assert (await client.http.get("/api/jobs", headers=sent)).status_code == 403
        local = {**sent, "X-Forwarded-Host": "localhost:8080"}
        assert (await client.http.get("/api/jobs", headers=local)).status_code == 200


@pytest.mark.parametrize(
    "forwarded",
    [
        # What the page sends itself, and what a proxy adds to it; a page may send what it likes to its own origin.
        [("X-Forwarded-Host", ", ".join(["localhost"] * 8 + ["evil.example"]))],
        [("X-Forwarded-Host", "localhost")] * 8 + [("X-Forwarded-Host", "evil.example")],
        [("X-Forwarded-Host", "localhost")] * 8 + [("Forwarded", "host=evil.example")],
        [("X-Forwarded-Host", "evil.example")] + [("Forwarded", "host=localhost")] * 8,
        [("Forwarded", 'for=", for=192.0.2.1;host="evil.example:8080"')],
        [("Forwarded", 'for="\\, for="[2001:db8::1]";host="evil.example:8080"')],
    ],
)
async def test_no_header_of_the_page_hides_the_rebound_name_that_a_proxy_adds(forwarded: list[tuple[str, str]]) -> None:
    async with web_client(proxy_addresses="127.0.0.1") as client:
        sent = [("Sec-Fetch-Site", "same-origin"), *forwarded]
        assert (await client.http.get("/api/jobs", headers=sent)).status_code == 403


async def test_two_hosts_are_none() -> None:
    async with web_client() as client:
        sent = [("Host", "localhost:8765"), ("Host", "evil.example")]
        assert (await client.http.get("/api/jobs", headers=sent)).status_code == 403
        assert (await client.http.get("/api/jobs", headers=[("Host", "")])).status_code == 403


@pytest.mark.parametrize("path", PATHS)
async def test_a_page_of_another_origin_gets_nothing_from_a_server_on_loopback(path: str) -> None:
    async with web_client() as client:
        answer = await client.http.get(path, headers={"Origin": "http://evil.example"})
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers


async def test_a_page_of_another_origin_changes_nothing_on_a_server_on_loopback() -> None:
    async with web_client() as client:
        elsewhere = {"Origin": "http://evil.example", "Content-Type": "text/plain"}
        answer = await client.http.post("/api/jobs", content=b'{"id":"42"}', headers=elsewhere)
        assert answer.status_code == 403
        assert client.broker.find("42") is None
        from_ours = {"Origin": "http://localhost:8765", "Content-Type": "text/plain"}
        assert (await client.http.post("/api/jobs", content=b'{"id":"42"}', headers=from_ours)).status_code == 201


async def test_an_image_of_another_site_is_no_way_in_either() -> None:
    async with web_client() as client:
        image = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
        assert (await client.http.get("/api/jobs", headers=image)).status_code == 403


async def test_job_streams_refuse_in_plain_text_and_all_else_in_json() -> None:
    async with web_client() as client:
        elsewhere = {"Origin": "http://evil.example"}
        stream = await client.http.get("/api/jobs/42/stream", headers=elsewhere)
        assert (stream.text, stream.headers["content-type"]) == ("Forbidden", "text/plain; charset=utf-8")
        page = await client.http.get("/api/jobs", headers=elsewhere)
        assert page.json() == {"error": "Pages of other origins may not ask"}


async def test_a_host_that_was_allowed_may_be_asked() -> None:
    async with web_client(allowed_hosts="box.lan:8765") as client:
        assert (await client.http.get("/healthz", headers={"Host": "box.lan:8765"})).status_code == 200
        assert (await client.http.get("/healthz", headers={"Host": "box.lan.evil.example"})).status_code == 403
        assert (await client.http.get("/healthz", headers={"Host": "box.lan:8766"})).status_code == 403


async def test_a_host_that_was_allowed_without_a_port_may_be_asked_on_any() -> None:
    async with web_client(allowed_hosts="box.lan") as client:
        for host in ("box.lan", "Box.LAN:8443"):
            assert (await client.http.get("/healthz", headers={"Host": host})).status_code == 200
        for host in ("box.lan.evil.example", "evil.example:box.lan", "box.lan:"):
            assert (await client.http.get("/healthz", headers={"Host": host})).status_code == 403


# -- jwt --------------------------------------------------------------------------------------------------------------


async def answer_to(client: WebClient, token: str) -> int:
    answer = await client.http.get("/api/jobs", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code


def token_of(claims: dict[str, Any], secret: str = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, secret, algorithm=algorithm)


def soon() -> int:
    return int(time.time()) + 60


async def test_tokens_made_by_hand_are_good_ones_if_their_claims_are() -> None:
    async with web_client(jwt=True) as client:
        assert await answer_to(client, made_by_hand('{"sub":"ada","exp":4e9}')) == 200


async def test_a_token_opens_the_door_and_nothing_else_does() -> None:
    async with web_client(jwt=True) as client:
        assert await answer_to(client, client.token("ada")) == 200
        for headers in (
            {},
            {"Authorization": "Basic YTpi"},
            {"Authorization": "Bearer"},
            {"Authorization": "Bearer x.y.z"},
        ):
            answer = await client.http.get("/api/jobs", headers=headers)
            assert (answer.status_code, answer.json()) == (401, {"error": "Unauthorized"})
            assert answer.headers["www-authenticate"].startswith("Bearer")


def made_by_hand(claims: str, algorithm: str = "HS256") -> str:
    """A token with claims that no library would sign."""

    def part(text: bytes) -> str:
        return base64.urlsafe_b64encode(text).rstrip(b"=").decode()

    signed = f"{part(json.dumps({'alg': algorithm, 'typ': 'JWT'}).encode())}.{part(claims.encode())}"
    if algorithm == "none":
        return f"{signed}."
    return f"{signed}.{part(jwt.get_algorithm_by_name(algorithm).sign(signed.encode(), SECRET.encode()))}"


@pytest.mark.parametrize(
    ("why", "token"),
    [
        ("expired", lambda: token_of({"sub": "ada", "exp": int(time.time()) - 1})),
        ("without an end", lambda: token_of({"sub": "ada"})),
        ("without a user", lambda: token_of({"exp": soon()})),
        ("with an empty user", lambda: token_of({"sub": "", "exp": soon()})),
        ("whose user is too long", lambda: token_of({"sub": "a" * 300, "exp": soon()})),
        ("whose user is no text", lambda: made_by_hand('{"sub":7,"exp":4e9}')),
        ("of another secret", lambda: token_of({"sub": "ada", "exp": soon()}, "b" * 40)),
        ("of another algorithm", lambda: token_of({"sub": "ada", "exp": soon()}, SECRET * 2, "HS512")),
        ("without a signature", lambda: made_by_hand('{"sub":"ada","exp":4e9,"role":"admin"}', "none")),
        ("for somebody else", lambda: token_of({"sub": "ada", "exp": soon(), "aud": "another-service"})),
        ("not valid yet", lambda: token_of({"sub": "ada", "exp": soon(), "nbf": soon()})),
        ("whose end is no number", lambda: made_by_hand('{"sub":"ada","exp":"soon"}')),
        ("whose end is beyond all numbers", lambda: made_by_hand('{"sub":"ada","exp":1e999}')),
        ("whose end is nothing", lambda: made_by_hand('{"sub":"ada","exp":null}')),
        ("whose claims are a list", lambda: made_by_hand("[1]")),
        ("whose claims are deep", lambda: made_by_hand('{"sub":' + "[" * 900 + "]" * 900 + ',"exp":4e9}')),
        ("with four parts", lambda: token_of({"sub": "ada", "exp": soon()}).replace(".", "..", 1)),
        ("that is too long", lambda: token_of({"sub": "ada", "exp": soon(), "more": "x" * 5000})),
    ],
)
async def test_a_token_that_is_not_valid_is_no_token(why: str, token: Any) -> None:
    async with web_client(jwt=True) as client:
        assert await answer_to(client, token()) == 401, why


async def test_the_algorithm_is_the_one_that_was_set_whatever_the_token_says() -> None:
    """The classic confusion: a token signed with HS256, and the RS256 public key as its secret."""
    key = rsa.generate_private_key(65_537, 2048)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    claims = {"sub": "ada", "exp": soon()}
    async with web_client(auth="jwt", jwt_secret=public.decode(), jwt_algorithm="RS256") as client:
        assert await answer_to(client, jwt.encode(claims, key, algorithm="RS256")) == 200
        head, body, _ = token_of(claims, "x" * 40).split(".")
        signature = jwt.get_algorithm_by_name("HS256").sign(f"{head}.{body}".encode(), public)
        forged = f"{head}.{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
        assert await answer_to(client, forged) == 401


def test_a_key_that_is_none_stops_the_start() -> None:
    with pytest.raises(WrongSettingError, match="FANTAIL_JWT_SECRET is no key for RS256"):
        Tokens(load_settings(auth="jwt", jwt_secret="not a PEM key, but long enough for one", jwt_algorithm="RS256"))


async def test_a_token_in_a_url_is_not_taken() -> None:
    async with web_client(jwt=True) as client:
        for name in ("token", "access_token", "jwt", "authorization", COOKIE):
            answer = await client.http.get("/api/jobs", params={name: client.token("ada")})
            assert answer.status_code == 401, name


async def test_two_authorization_headers_are_none() -> None:
    async with web_client(jwt=True) as client:
        good = f"Bearer {client.token('ada')}"
        answer = await client.http.get("/api/jobs", headers=[("Authorization", good), ("Authorization", good)])
        assert answer.status_code == 401


async def test_with_a_cookie_only_our_own_pages_change_something() -> None:
    async with web_client(jwt=True) as client:
        cookie = {"Cookie": f"{COOKIE}={client.token('ada')}"}
        assert (await client.http.get("/api/jobs", headers=cookie)).status_code == 200
        form = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
        elsewhere: list[dict[str, str]] = [{}, {"Origin": "http://evil.example"}, {"Origin": "null"}]
        for origin in [*elsewhere, {"Sec-Fetch-Site": "same-site"}, form]:
            answer = await client.http.post("/api/jobs", json={}, headers={**cookie, **origin})
            assert answer.status_code == 403, origin
        for origin in ({"Origin": "http://localhost:8765"}, {"Sec-Fetch-Site": "same-origin"}):
            answer = await client.http.post("/api/jobs", json={}, headers={**cookie, **origin})
            assert answer.status_code == 201, origin


async def test_with_a_bearer_a_program_needs_no_origin() -> None:
    async with web_client(jwt=True) as client:
        assert (await client.http.post("/api/jobs", json={}, headers=client.bearer("ada"))).status_code == 201


async def test_health_is_told_to_everybody() -> None:
    async with web_client(jwt=True) as client:
        assert (await client.http.get("/healthz")).status_code == 200
        assert (await client.http.get("/readyz")).status_code == 200


def test_a_minted_token_names_its_user_role_and_end() -> None:
    settings = load_settings(auth="jwt", jwt_secret=SECRET)
    claims = jwt.decode(mint_token(settings, "ada", admin=True, ttl_s=90), SECRET, algorithms=["HS256"])
    assert (claims["sub"], claims["role"], claims["exp"] - claims["iat"]) == ("ada", "admin", 90)
    assert "role" not in jwt.decode(mint_token(settings, "bob", admin=False, ttl_s=90), SECRET, algorithms=["HS256"])


@pytest.mark.parametrize(
    ("settings", "user"),
    [
        (load_settings(), "ada"),
        (load_settings(auth="jwt", jwt_secret=SECRET, jwt_algorithm="RS256"), "ada"),
        (load_settings(auth="jwt", jwt_secret=SECRET), ""),
        (load_settings(auth="jwt", jwt_secret=SECRET), "a" * 257),
    ],
)
def test_a_token_that_cannot_be_made_is_refused_with_words(settings: Settings, user: str) -> None:
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        mint_token(settings, user, admin=False, ttl_s=60)


# -- proxy ------------------------------------------------------------------------------------------------------------

PROXY: dict[str, Any] = {"auth": "proxy", "proxy_addresses": "10.0.0.1,fd00::/8", "proxy_admins": "root"}


@pytest.mark.parametrize("peer", ["10.0.0.1", "::ffff:10.0.0.1", "fd00::7"])
async def test_a_listed_proxy_says_who_asks(peer: str) -> None:
    async with web_client(peer=peer, **PROXY) as client:
        assert (await client.http.get("/api/jobs")).status_code == 401
        assert (await client.http.get("/api/jobs", headers={"X-Forwarded-User": "ada"})).status_code == 200
        assert (await client.http.get("/api/system", headers={"X-Forwarded-User": "ada"})).status_code == 403
        assert (await client.http.get("/api/system", headers={"X-Forwarded-User": "root"})).status_code == 200


@pytest.mark.parametrize("peer", ["10.0.0.2", "127.0.0.1", "::1", "", "not an address"])
async def test_nobody_else_says_who_asks(peer: str) -> None:
    async with web_client(peer=peer, **PROXY) as client:
        sent = {"X-Forwarded-User": "root", "X-Forwarded-For": "10.0.0.1", "Forwarded": "for=10.0.0.1"}
        assert (await client.http.get("/api/jobs", headers=sent)).status_code == 401


async def test_a_user_named_twice_is_nobody() -> None:
    async with web_client(peer="10.0.0.1", **PROXY) as client:
        sent = [("X-Forwarded-User", "root"), ("X-Forwarded-User", "ada")]
        assert (await client.http.get("/api/jobs", headers=sent)).status_code == 401


async def test_behind_a_proxy_too_only_our_own_pages_change_something() -> None:
    async with web_client(peer="10.0.0.1", **PROXY) as client:
        user = {"X-Forwarded-User": "ada"}
        elsewhere = {**user, "Origin": "http://evil.example"}
        assert (await client.http.post("/api/jobs", json={}, headers=elsewhere)).status_code == 403
        ours = {**user, "Origin": "https://fantail.example", "X-Forwarded-Host": "fantail.example"}
        assert (await client.http.post("/api/jobs", json={}, headers=ours)).status_code == 201
        assert (await client.http.post("/api/jobs", json={}, headers=user)).status_code == 201


# -- CORS -------------------------------------------------------------------------------------------------------------


async def test_no_page_elsewhere_may_read_anything_unless_its_origin_is_listed_exactly() -> None:
    async with web_client(jwt=True, cors_origins="https://desk.example") as client:
        sent = client.bearer("ada")
        listed = await client.http.get("/api/jobs", headers={**sent, "Origin": "https://desk.example"})
        assert listed.headers["access-control-allow-origin"] == "https://desk.example"
        for origin in ("https://desk.example.evil", "http://desk.example", "https://desk.example:444", "null"):
            other = await client.http.get("/api/jobs", headers={**sent, "Origin": origin})
            assert "access-control-allow-origin" not in other.headers, origin


async def test_a_listed_origin_is_told_beforehand_what_it_may_send() -> None:
    async with web_client(jwt=True, cors_origins="https://desk.example") as client:
        asked = {
            "Origin": "https://desk.example",
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        answer = await client.http.options("/api/jobs/42", headers=asked)
        assert answer.status_code == 200
        assert "PATCH" in answer.headers["access-control-allow-methods"]
        assert "access-control-allow-credentials" not in answer.headers
