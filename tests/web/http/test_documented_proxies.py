"""The proxies of docs/OPERATIONS.md before a real server: sign-in, streams, resuming, uploads, redirects, limits."""

from __future__ import annotations

import ssl
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest

from fantail.broker import Broker
from fantail.web.auth.identity import COOKIE, mint_token
from support.clients.multiplex_client import TopicsClient
from support.clients.sse_client import Stream
from support.documented_proxy import PASSWORD, PROXIES, USER, blocks, documented_proxy, printed, program_path, snippet
from support.servers.served_app import served_app
from support.servers.tcp_proxy import tcp_proxy
from support.servers.web_client import SECRET
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.servers.served_app import ServedApp
    from support.servers.tcp_proxy import TcpProxy

TOKENS = ["nginx", "nginx-tls", "caddy", "caddy-tls"]
USERS = ["nginx-users", "caddy-users"]


class Visitor:
    """A client of the server behind a proxy, as a browser that sends no `Sec-Fetch-Site` is one (plain HTTP)."""

    def __init__(self, http: httpx.AsyncClient, url: str, served: ServedApp, between: TcpProxy, tls: Any) -> None:
        self.http = http
        self.url = url
        self.served = served
        self.between = between
        self.tls = tls

    def token(self, user: str, *, admin: bool = False) -> str:
        return mint_token(self.served.context.settings, user, admin=admin, ttl_s=60)

    async def sign_in(self, user: str = USER) -> httpx.Response:
        return await self.http.post("/login", data={"token": self.token(user, admin=True), "next": "/jobs/42"})

    @asynccontextmanager
    async def stream(self, path: str, last_id: str | None = None, **request: Any) -> AsyncIterator[Stream]:
        headers = {"Accept": "text/event-stream", **({} if last_id is None else {"Last-Event-ID": last_id})}
        async with self.http.stream(request.pop("method", "GET"), path, headers=headers, **request) as response:
            assert response.status_code == 200
            yield Stream(response)


@asynccontextmanager
async def behind(name: str, **settings: Any) -> AsyncIterator[Visitor]:
    """A server, a proxy before it, and a client of that."""
    wanted = PROXIES[name]
    if program_path(wanted.program) is None:
        pytest.skip(f"PROXY TEST SKIPPED: {wanted.program} is not installed, and apt-get cannot fetch it")
    settings |= {"auth": "proxy", "proxy_admins": USER} if wanted.signs_in else {"auth": "jwt", "jwt_secret": SECRET}
    async with (
        served_app(Broker(), proxy_addresses="127.0.0.1", **settings) as served,
        tcp_proxy(served.port) as between,
    ):
        with documented_proxy(name, between.port) as proxy:
            tls: Any = ssl.create_default_context(cafile=proxy.ca) if wanted.tls else False
            async with httpx.AsyncClient(
                base_url=proxy.url,
                verify=tls,
                trust_env=False,
                timeout=httpx.Timeout(10, read=20),
                headers={"Origin": proxy.url},
                auth=(USER, PASSWORD) if wanted.signs_in else None,
            ) as http:
                yield Visitor(http, proxy.url, served, between, tls)


def test_every_configuration_of_the_page_is_run_here() -> None:
    assert sorted([*map(printed, PROXIES), snippet()]) == sorted([*blocks("nginx"), *blocks("caddyfile")])


@pytest.mark.parametrize("name", TOKENS)
async def test_users_sign_in_and_out_and_no_redirect_names_a_host(name: str) -> None:
    async with behind(name) as visitor:
        page = await visitor.http.get("/jobs/42?tail=5", headers={"Accept": "text/html"})
        assert (page.status_code, page.headers["location"]) == (303, "/login?next=/jobs/42%3Ftail%3D5")
        signed_in = await visitor.sign_in()
        assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/jobs/42")
        assert ("secure" in signed_in.headers["set-cookie"].lower()) is PROXIES[name].tls
        assert (await visitor.http.get("/api/jobs/")).json() == (await visitor.http.get("/api/jobs")).json()
        assert (await visitor.http.post("/api/jobs", json={"id": "42"})).status_code == 201
        signed_out = await visitor.http.post("/logout")
        assert (signed_out.status_code, signed_out.headers["location"]) == (303, "/login")


@pytest.mark.parametrize("name", TOKENS)
async def test_pages_of_another_origin_are_refused_through_the_proxy_too(name: str) -> None:
    async with behind(name) as visitor:
        for origin in ("http://evil.example", visitor.url.rpartition(":")[0], "null"):
            answer = await visitor.http.post("/login", data={"token": "x"}, headers={"Origin": origin})
            assert answer.status_code == 403, origin


@pytest.mark.parametrize("name", [*TOKENS, *USERS])
async def test_a_line_arrives_while_the_stream_is_open_and_a_cut_one_is_resumed(name: str) -> None:
    async with behind(name) as visitor:
        if name in TOKENS:
            await visitor.sign_in()
        broker = visitor.served.broker
        await broker.create_job("42", {"status": "running"})
        await broker.publish("42", "first")
        async with visitor.stream("/api/jobs/42/stream") as stream:
            before = await stream.until("output")
            await broker.publish("42", "second")
            live = await stream.next()
            assert "second" in live.data
        await broker.publish("42", "third")
        async with visitor.stream("/api/jobs/42/stream", before[-1].id) as stream:
            (_, *resumed) = [await stream.next() for _ in range(3)]
            assert ["second" in resumed[0].data, "third" in resumed[1].data] == [True, True]


@pytest.mark.parametrize("name", [*TOKENS, *USERS])
async def test_many_streams_in_one_are_live(name: str) -> None:
    async with behind(name) as visitor:
        if name in TOKENS:
            await visitor.sign_in()
        broker = visitor.served.broker
        await broker.create_job("42", {"status": "running"})
        topics = TopicsClient({"/api/jobs/42/stream": "", "/api/events": ""})
        async with visitor.stream("/api/streams", method="POST", json={"topics": topics.topics}) as stream:
            await topics.until(stream, lambda: "ready" in topics.events("/api/events"))
            await broker.publish("42", "live")
            await topics.until(stream, lambda: topics.data("/api/jobs/42/stream", "output"))


@pytest.mark.parametrize("name", TOKENS)
async def test_an_upload_is_passed_on_as_it_comes_and_may_be_long(name: str) -> None:
    async with behind(name) as visitor:
        await visitor.sign_in()
        await visitor.served.broker.create_job("42", {"status": "running"})
        job = visitor.served.broker.find("42")
        assert job is not None
        go_on = anyio.Event()

        async def body() -> AsyncIterator[bytes]:
            yield b"first\n" * 10_000
            await go_on.wait()
            for _ in range(3):
                yield (b"x" * 1023 + b"\n") * 1024

        async def upload() -> None:
            sent = await visitor.http.post(
                "/api/jobs/42/output", content=body(), headers={"Content-Type": "text/plain"}
            )
            assert sent.status_code == 200, sent.text

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(upload)
            await eventually(lambda: job.output.tail > 0, 10, "lines of an upload that still goes on")
            go_on.set()
        assert job.output.tail == 10_000 + 3 * 1024


@pytest.mark.parametrize("name", TOKENS)
async def test_connections_are_kept_on_both_sides_of_the_proxy(name: str) -> None:
    async with behind(name) as visitor:
        await visitor.http.get("/healthz")
        made = visitor.between.connections_total
        for _ in range(20):
            assert (await visitor.http.get("/healthz")).status_code == 200
        assert visitor.between.connections_total == made


@pytest.mark.parametrize("name", TOKENS)
async def test_limits_count_the_clients_of_the_proxy(name: str) -> None:
    async with behind(name, streams_per_address=1) as visitor:
        shown = {"Authorization": f"Bearer {visitor.token(USER)}"}

        async def opened(address: str, streams: AsyncExitStack) -> int:
            """Asks for a stream from an address of this machine, and keeps it open."""
            transport = httpx.AsyncHTTPTransport(verify=visitor.tls, local_address=address)
            client = await streams.enter_async_context(httpx.AsyncClient(transport=transport, base_url=visitor.url))
            asked = client.stream("POST", "/api/streams", json={"topics": {"/api/events": ""}}, headers=shown)
            return (await streams.enter_async_context(asked)).status_code

        async with AsyncExitStack() as streams:
            assert await opened("127.0.0.2", streams) == 200
            assert await opened("127.0.0.3", streams) == 200
            assert await opened("127.0.0.3", streams) == 429


@pytest.mark.parametrize("name", USERS)
async def test_the_proxy_names_the_user_and_no_client_can(name: str) -> None:
    async with behind(name) as visitor:
        nobody = await visitor.http.get("/api/jobs", auth=httpx.BasicAuth("eve", "wrong"))
        assert nobody.status_code == 401
        spoofed = {"X-Forwarded-User": "root"}
        assert (await visitor.http.post("/api/jobs", json={"id": "42"}, headers=spoofed)).status_code == 201
        job = visitor.served.broker.find("42")
        assert job is not None
        assert job.fields["user_id"] == USER
        foreign = await visitor.http.post("/api/jobs", json={"id": "43"}, headers={"Origin": "http://evil.example"})
        assert foreign.status_code == 403


@pytest.mark.parametrize("name", ["nginx-tls", "caddy-tls"])
async def test_a_published_port_needs_no_setting(name: str) -> None:
    """As a container's port, under another number outside: nobody in between reads or writes HTTP."""
    async with behind(name) as visitor:
        port = int(visitor.url.rpartition(":")[2])
        async with tcp_proxy(port) as published:
            outside = f"https://localhost:{published.port}"
            signed_in = await visitor.http.post(
                f"{outside}/login",
                data={"token": visitor.token(USER), "next": "/"},
                headers={"Origin": outside},
            )
            assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/")
            assert COOKIE in signed_in.headers["set-cookie"]
