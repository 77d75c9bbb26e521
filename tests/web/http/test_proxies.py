"""What a proxy in front makes of a request: another host, another port, another scheme; addresses with a slash."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any

import pytest
from starlette.datastructures import Headers

from fantail.broker import Broker
from fantail.web.auth.identity import COOKIE
from fantail.web.http.proxies import TrustedProxies, forwarded_hosts, forwarded_scheme
from support.clients.multiplex_client import TopicsClient
from support.clients.sse_client import open_stream
from support.servers.served_app import served_app
from support.servers.web_client import web_client

PAGE = "http://box.lan:8080"
# What nginx passes on with `proxy_set_header Host $host`, with nothing set, and with `$http_host`.
HOSTS = ["box.lan", "127.0.0.1:8765", "box.lan:8080"]


@pytest.mark.parametrize("host", HOSTS)
async def test_a_page_on_another_port_signs_in_and_streams_by_the_browsers_own_comparison(host: str) -> None:
    sent = {"Host": host, "Origin": PAGE, "Sec-Fetch-Site": "same-origin"}
    async with web_client(jwt=True) as client:
        await may_sign_in_and_change(client, sent)


@pytest.mark.parametrize("host", HOSTS)
async def test_over_plain_http_the_public_address_is_enough(host: str) -> None:
    async with web_client(jwt=True, public_url=f"{PAGE}/") as client:
        await may_sign_in_and_change(client, {"Host": host, "Origin": PAGE})


@pytest.mark.parametrize(
    "forwarded",
    [
        {"X-Forwarded-Host": "box.lan:8080"},
        {"X-Forwarded-Host": "box.lan", "X-Forwarded-Port": "8080"},
        {"X-Forwarded-Host": "box.lan:8080, inner.lan"},
        {"Host": "box.lan", "X-Forwarded-Port": "8080"},
        {"Forwarded": 'for=192.0.2.1;host="box.lan:8080";proto=http, for=10.0.0.3'},
    ],
)
async def test_over_plain_http_a_trusted_proxy_says_what_it_was_asked_for(forwarded: dict[str, str]) -> None:
    sent = {"Host": "127.0.0.1:8765", "Origin": PAGE, **forwarded}
    async with web_client(jwt=True, proxy_addresses="127.0.0.1") as client:
        await may_sign_in_and_change(client, sent)
    async with web_client(jwt=True, proxy_addresses="10.0.0.1") as client:
        assert (await client.http.post("/login", data={"token": "x"}, headers=sent)).status_code == 403


async def test_with_neither_another_port_of_the_same_name_is_another_page() -> None:
    async with web_client(jwt=True) as client:
        sent = {"Host": "box.lan", "Origin": PAGE}
        assert (await client.http.post("/login", data={"token": "x"}, headers=sent)).status_code == 403


async def may_sign_in_and_change(client: Any, sent: dict[str, str]) -> None:
    token = client.token("ada", admin=True)
    signed_in = await client.http.post("/login", data={"token": token, "next": "/jobs/42"}, headers=sent)
    assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/jobs/42")
    shown = {**sent, "Cookie": f"{COOKIE}={token}"}
    assert (await client.http.post("/api/jobs", json={"id": "42"}, headers=shown)).status_code == 201
    assert (await client.http.post("/logout", headers=shown)).headers["location"] == "/login"


@pytest.mark.parametrize("said", [{"X-Forwarded-Proto": "https"}, {"Forwarded": "proto=https;for=192.0.2.1"}])
async def test_the_cookie_is_for_tls_alone_if_a_trusted_proxy_ends_tls(said: dict[str, str]) -> None:
    sent = {"Origin": "https://localhost:8765", **said}
    for trusted, secure in (("127.0.0.1", True), ("10.0.0.1", False)):
        async with web_client(jwt=True, proxy_addresses=trusted) as client:
            answer = await client.http.post("/login", data={"token": client.token("ada")}, headers=sent)
            assert bool(SimpleCookie(answer.headers["set-cookie"])[COOKIE]["secure"]) is secure


FOR, HOST, PORT, PROTO = "forwarded", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto"


@pytest.mark.parametrize(
    ("said", "hosts", "scheme"),
    [
        ([], [], None),
        ([(HOST, "a, b:1"), (HOST, "c")], ["a", "b:1", "c"], None),
        ([(HOST, "a"), (PORT, "1,2"), (PROTO, "HTTPS, http")], ["a", "a:1"], "https"),
        ([(HOST, "[::1]"), (PORT, "1")], ["[::1]", "[::1]:1"], None),
        ([(FOR, 'For="[2001:db8::1]:4711";Proto=https;Host="a\\:1"'), (FOR, "host=b")], ["a:1", "b"], "https"),
        ([(FOR, 'for="a;host=evil", host=b')], ["b"], None),
        ([(FOR, "host=;proto="), (FOR, "by-x=1 ; host=b , ,for=c,")], ["b"], None),
        # What is not in the form of RFC 7239 is no authority, and so equals none.
        ([(FOR, 'host="b'), (FOR, "host = b;proto=http")], ['host="b', "host = b;proto=http"], "http"),
        ([(FOR, 'for=", for=1;host="b:1"')], ['for=", for=1;host="b:1"'], None),
        # Proxies append: the last ones are theirs.
        ([(HOST, ",".join("abcdefghijklmnop"))], list("ijklmnop"), None),
        ([(HOST, ",".join("abcdefghi")), *[(FOR, "host=z")] * 9], [*"bcdefghi", *"zzzzzzzz"], None),
    ],
)
def test_what_proxies_say_is_read_as_they_write_it(
    said: list[tuple[str, str]], hosts: list[str], scheme: str | None
) -> None:
    headers = Headers(raw=[(name.encode(), value.encode()) for name, value in said])
    assert forwarded_hosts(headers) == hosts
    assert forwarded_scheme(headers) == scheme


def test_only_listed_addresses_are_trusted() -> None:
    proxies = TrustedProxies(["10.0.0.1", "fd00::/8"])
    assert proxies.trusts({"client": ("10.0.0.1", 1)})
    assert proxies.trusts({"client": ("::ffff:10.0.0.1", 1)})
    assert proxies.trusts({"client": ("fd00::7", 1)})
    for client in (None, ("10.0.0.2", 1), ("", 0), ("unix:", 0)):
        assert not proxies.trusts({"client": client})


# -- addresses with and without a slash at the end --------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/api/jobs/", "/api/jobs/42/", "/api/jobs/42/output/", "/jobs/42/", "/pipelines/", "/healthz/", "/login/"]
)
async def test_an_address_with_a_slash_is_served_as_without_one(path: str) -> None:
    async with web_client(base_url="https://fantail.example", jwt=True) as client:
        sent = client.bearer("ada", admin=True)
        await client.http.post("/api/jobs", json={"id": "42"}, headers=sent)
        answer = await client.http.get(path, headers=sent)
        without = await client.http.get(path.rstrip("/"), headers=sent)
        assert (answer.status_code, answer.text) == (without.status_code, without.text)
        assert answer.status_code in (200, 303)
        assert "fantail.example" not in answer.headers.get("location", "")


async def test_the_method_counts_in_either_form() -> None:
    async with web_client() as client:
        assert (await client.http.post("/api/jobs/", json={"id": "42"})).status_code == 201
        assert (await client.http.put("/api/jobs/")).status_code == 405


@pytest.mark.parametrize(
    "path", ["//", "/api/nothing/", "/api/jobs//", "//evil.example/", "/%2fevil.example/", "/jobs/a/b/", "/%2f"]
)
async def test_what_is_not_there_is_not_there_in_either_form_and_leads_nowhere(path: str) -> None:
    async with web_client() as client:
        answer = await client.http.get(f"http://localhost:8765{path}")
        assert answer.status_code == 404
        assert "location" not in answer.headers


@pytest.mark.parametrize("path", ["/api/events", "/api/events/", "/api/jobs/42/stream", "/api/jobs/42/stream/"])
async def test_streams_are_there_in_both_forms_also_as_topics(path: str) -> None:
    broker = Broker()
    async with served_app(broker) as served:
        await broker.create_job("42", {"status": "running"})
        async with open_stream(served.url + path) as stream:
            assert stream.response.status_code == 200
            await stream.next()
        topics = TopicsClient({path: ""})
        async with topics.connected(served.url) as stream:
            assert topics.events(path) == []
            await topics.take(stream)
            assert "refused" not in topics.events(path)


async def test_a_job_stream_refuses_in_plain_text_in_both_forms() -> None:
    async with web_client() as client:
        for path in ("/api/jobs/42/stream", "/api/jobs/42/stream/"):
            answer = await client.http.get(path)
            assert (answer.status_code, answer.text) == (404, "Job not found")
