"""Names, claims, headers and forms that nobody means: they are answered 401 or 400, never with a fault of ours."""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any

import anyio
import jwt
import pytest

from fantail.web.auth.identity import COOKIE
from support.servers.web_client import SECRET, web_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.servers.web_client import WebClient

PATHS = ["/", "/jobs/42", "/api/jobs", "/api/jobs/42", "/api/jobs/42/stream", "/api/events/", "/api/system", "/metrics"]
NOT_NAMES: dict[str, Any] = {
    "a high surrogate": "\ud800",
    "a low surrogate in a name": "ada\udcff",
    "a surrogate pair the wrong way around": "\ude00\ud83d",
    "a line feed": "ada\nroot",
    "an escape": "\x1b[31mada",
    "a NUL": "ada\0",
    "a delete": "ada\x7f",
    "a C1 control": "ada\x9b31m",
    "nothing": "",
    "too long": "a" * 257,
    "a megabyte": "a" * 2**20,
    "a number": 42,
    "true": True,
    "null": None,
    "a list": ["ada"],
    "an object": {"name": "ada"},
}
ODD_CLAIMS: dict[str, dict[str, Any]] = {
    "exp: text": {"exp": "soon"},
    "exp: null": {"exp": None},
    "exp: a list": {"exp": [1]},
    "exp: NaN": {"exp": float("nan")},
    "exp: infinite": {"exp": float("inf")},
    "exp: larger than a float": {"exp": 10**400},
    "iat: text": {"iat": "now"},
    "iat: infinite": {"iat": float("inf")},
    "nbf: an object": {"nbf": {}},
    "nbf: infinite": {"nbf": float("inf")},
    "aud: an object": {"aud": {"a": {}}},
    "iss: a surrogate": {"iss": "\ud800", "aud": "\ud800"},
}
NOT_ADMINS: dict[str, Any] = {"a list": ["admin"], "an object": {"admin": True}, "true": True, "a surrogate": "\ud800"}


@pytest.fixture(autouse=True)
def nothing_is_logged_as_a_fault(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def signed(**claims: Any) -> str:
    """A token with a true signature over any claims: PyJWT checks them itself before it signs."""
    whole = {"sub": "ada", "exp": time.time() + 60, **claims}
    return jwt.api_jws.encode(json.dumps(whole).encode(), SECRET, algorithm="HS256")


async def assert_a_stranger(client: WebClient, token: str) -> None:
    for path in PATHS:
        for headers in ({"Authorization": f"Bearer {token}"}, {"Cookie": f"{COOKIE}={token}"}):
            with anyio.fail_after(10):  # a stream that began would go on
                answer = await client.http.get(path, headers=headers)
            pages = path in {"/", "/jobs/42"}
            assert answer.status_code == (303 if pages else 401), path
    signed_in = await client.http.post("/login", json={"token": token}, headers={"Origin": "http://localhost:8765"})
    assert signed_in.status_code == (413 if len(token) > 64 * 1024 else 401)


@pytest.mark.parametrize("name", NOT_NAMES.values(), ids=NOT_NAMES)
async def test_a_token_for_what_is_no_name_is_no_token(name: Any) -> None:
    async with web_client(jwt=True) as client:
        await assert_a_stranger(client, signed(sub=name))


@pytest.mark.parametrize("claims", ODD_CLAIMS.values(), ids=ODD_CLAIMS)
async def test_a_token_with_claims_of_odd_types_is_no_token(claims: dict[str, Any]) -> None:
    async with web_client(jwt=True) as client:
        await assert_a_stranger(client, signed(**claims))


@pytest.mark.parametrize("role", NOT_ADMINS.values(), ids=NOT_ADMINS)
async def test_a_role_of_another_type_makes_nobody_an_admin(role: Any) -> None:
    async with web_client(jwt=True) as client:
        headers = {"Authorization": f"Bearer {signed(role=role)}"}
        assert (await client.http.get("/api/jobs", headers=headers)).status_code == 200
        assert (await client.http.get("/api/system", headers=headers)).status_code == 403


@pytest.mark.parametrize("payload", [b"[]", b"null", b'"ada"', b"{", b"\xff", b"[" * 2000, b'{"sub":"\xed\xa0\x80"}'])
async def test_a_token_whose_payload_is_no_object_is_no_token(payload: bytes) -> None:
    async with web_client(jwt=True) as client:
        await assert_a_stranger(client, jwt.api_jws.encode(payload, SECRET, algorithm="HS256"))


@pytest.mark.parametrize(
    "head", [{"alg": ["HS256"]}, {"alg": "HS256", "kid": 1}, {"alg": "HS256", "crit": [[]]}, {"alg": None}, [], "x"]
)
async def test_a_token_with_an_odd_header_is_no_token(head: Any) -> None:
    encoded = jwt.utils.base64url_encode(json.dumps(head).encode()).decode()
    rest = signed().partition(".")[2]
    async with web_client(jwt=True) as client:
        await assert_a_stranger(client, f"{encoded}.{rest}")


@pytest.mark.parametrize("name", [name for name in NOT_NAMES.values() if isinstance(name, str)])
async def test_no_token_is_made_for_what_is_no_name(name: str) -> None:
    async with web_client(jwt=True) as client:
        with pytest.raises(ValueError, match="name"):
            client.token(name)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("header", ["authorization", "cookie", "host", "origin", "x-forwarded-host", "forwarded"])
@pytest.mark.parametrize(
    "value", [b"\xff\xfe", b"[", b"http://[", b"Bearer \xed\xa0\x80.\xff.\xff", b"]:x", b"a" * 70_000]
)
async def test_odd_header_values_are_no_fault(path: str, header: str, value: bytes) -> None:
    async with web_client(jwt=True, proxy_addresses="127.0.0.1") as client:
        assert (await client.http.head(path, headers=[(header.encode(), value)])).status_code < 500
    async with web_client() as client:
        assert (await client.http.head(path, headers=[(header.encode(), value)])).status_code < 500


@pytest.mark.parametrize(
    "name", [b"\xff", b"\xed\xa0\x80", b"ada\x80", b"\xc2\x9b", b"ada\x1b[31m", b"a" * 257, b"", "ü".encode() * 257]
)
async def test_a_proxys_user_that_is_no_name_is_nobody(name: bytes) -> None:
    async with web_client(auth="proxy", proxy_addresses="127.0.0.1", proxy_header="X-User") as client:
        for path in PATHS:
            answer = await client.http.get(path, headers=[(b"x-user", name)])
            assert answer.status_code == 401, path


async def test_a_proxys_user_is_read_as_utf_8() -> None:
    settings: dict[str, Any] = {
        "proxy_addresses": "127.0.0.1",
        "proxy_header": "X-User",
        "proxy_admins": "Zoë Groß",
    }
    async with web_client(auth="proxy", **settings) as client:
        named = [(b"x-user", "Zoë Groß".encode()), (b"origin", b"http://localhost:8765")]
        made = await client.http.post("/api/jobs", json={"id": "42"}, headers=named)
        assert made.json()["userId"] == "Zoë Groß"
        assert (await client.http.get("/api/system", headers=named)).status_code == 200


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"token":"\\ud800"}', "application/json"),
        (b'{"token":"\xed\xa0\x80"}', "application/json"),
        (b'{"token":["a"]}', "application/json"),
        (b'{"token":{"token":{}}}', "application/json"),
        (b"[" * 5000, "application/json"),
        (b"token=%ED%A0%80&next=%00", "application/x-www-form-urlencoded"),
        (b"token=%FF%00&token=b", "application/x-www-form-urlencoded"),
        (b"\xff\xfe\x00", "application/x-www-form-urlencoded"),
        (b"&" * 5000, "application/x-www-form-urlencoded"),
        (b"", "multipart/form-data"),
    ],
)
async def test_odd_bodies_sign_nobody_in(body: bytes, kind: str) -> None:
    async with web_client(jwt=True) as client:
        sent = {"Origin": "http://localhost:8765", "Content-Type": kind}
        answer = await client.http.post("/login", content=body, headers=sent)
        assert answer.status_code in {400, 401}
        assert "set-cookie" not in answer.headers
