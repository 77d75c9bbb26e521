"""`POST /api/jobs/{id}/output` as clients really send it: streamed, cut off, too long, twice, all at once."""

from __future__ import annotations

import tracemalloc
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import orjson
import pytest

from fantail.broker import Broker, BrokerLimits
from fantail.web.auth.identity import mint_token
from support.servers.redis_broker import redis_broker
from support.servers.served_app import served_app
from support.servers.tcp_proxy import tcp_proxy
from support.servers.web_client import SECRET, redis_web_client, web_client
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from support.servers.redis_server import RedisServer
    from support.servers.served_app import ServedApp
    from support.servers.web_client import WebClient

NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
def client_settings() -> dict[str, Any]:
    return {"body_bytes": 64 * 1024}


@pytest.fixture
async def client(client: WebClient) -> WebClient:
    """One that has a job 42."""
    await client.broker.ledger.create_job("42", {"status": "running"})
    return client


@asynccontextmanager
async def served(**settings: Any) -> AsyncIterator[ServedApp]:
    """An application on a real socket, with a job 42."""
    async with served_app(**settings) as app:
        await app.broker.create_job("42")
        yield app


@asynccontextmanager
async def served_redis(redis_url: str, **settings: Any) -> AsyncIterator[ServedApp]:
    async with served_app(redis_broker(redis_url), **settings) as app:
        yield app


@asynccontextmanager
async def held_upload(
    send: Callable[[AsyncIterator[bytes]], Awaitable[httpx.Response]], first: bytes, rest: bytes
) -> AsyncIterator[list[httpx.Response]]:
    """Sends a body whose rest is held back while the context lasts; behind it the answer is there."""
    go_on = anyio.Event()
    answers: list[httpx.Response] = []

    async def body() -> AsyncIterator[bytes]:
        yield first
        await go_on.wait()
        yield rest

    async def upload() -> None:
        answers.append(await send(body()))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(upload)
        yield answers
        go_on.set()


async def post(
    client: WebClient, content: Any, *, at: int | None = None, headers: dict[str, str] | None = None, **params: str
) -> Any:
    if at is not None:
        params["from"] = str(at)
    return await client.http.post("/api/jobs/42/output", content=content, params=params, headers=headers)


async def lines(client: WebClient) -> list[str]:
    answer = await client.http.get("/api/jobs/42/output", params={"limit": 5000})
    return [entry["line"] for entry in answer.json()["output"]]


def tail(app: ServedApp) -> int:
    return app.broker.job("42").output.tail


# -- what is written --------------------------------------------------------------------------------------------------


async def test_lines_of_text_are_appended_and_the_answer_names_their_offsets(client: WebClient) -> None:
    first = await post(client, b"one\ntwo\r\nthree")
    assert (first.status_code, first.json()) == (200, {"from": 0, "to": 2, "count": 3, "length": 3})
    second = await post(client, "vier ä\n".encode(), stream="stderr")
    assert second.json() == {"from": 3, "to": 3, "count": 1, "length": 4}
    assert await lines(client) == ["one", "two", "three", "vier ä"]
    page = (await client.http.get("/api/jobs/42/output?from=3")).json()
    assert page["output"][0]["stream"] == "stderr"
    assert page["output"][0]["timestamp"] > 1_600_000_000_000


async def test_records_of_ndjson_are_appended(client: WebClient) -> None:
    body = b'{"line":"a","timestamp":5,"stream":"error","source":"x"}\n\nnot json\n{"line":"b"}'
    answer = await post(client, body, headers=NDJSON)
    assert answer.json() == {"from": 0, "to": 2, "count": 3, "length": 3}
    page = (await client.http.get("/api/jobs/42/output")).json()
    assert page["output"][0] == {"timestamp": 5, "line": "a", "stream": "error", "source": "x"}
    assert [entry["line"] for entry in page["output"]] == ["a", "not json", "b"]


async def test_an_empty_body_writes_nothing_and_tells_the_length(client: WebClient) -> None:
    await post(client, b"one\n")
    answer = await post(client, b"")
    assert (answer.status_code, answer.json()) == (200, {"from": None, "to": None, "count": 0, "length": 1})


@pytest.mark.parametrize(
    ("params", "headers", "status", "words"),
    [
        ({"stream": "stdin"}, {}, 400, "`stream` must be one of error, stderr, stdout, system"),
        ({"from": "x"}, {}, 400, "`from` must be"),
        ({"from": "-1"}, {}, 400, "`from` must be"),
        ({}, {"Content-Encoding": "gzip"}, 415, "compressed"),
    ],
)
async def test_what_is_not_understood_is_refused_before_anything_is_written(
    client: WebClient, params: dict[str, str], headers: dict[str, str], status: int, words: str
) -> None:
    answer = await client.http.post("/api/jobs/42/output", content=b"one\n", headers=headers, params=params)
    assert answer.status_code == status
    assert words in answer.json()["error"]
    assert await lines(client) == []


# -- exactly once -----------------------------------------------------------------------------------------------------


async def test_with_an_offset_a_body_is_written_there_or_not_at_all(client: WebClient) -> None:
    assert (await post(client, b"a\nb\n", at=0)).json()["count"] == 2
    again = await post(client, b"a\nb\n", at=0)
    assert again.status_code == 409
    assert again.json() == {
        "error": "the log has 2 lines, not 0",
        "from": None,
        "to": None,
        "count": 0,
        "length": 2,
    }
    ahead = await post(client, b"d\n", at=3)
    assert (ahead.status_code, ahead.json()["length"]) == (409, 2)
    assert (await post(client, b"c\n", at=2)).status_code == 200
    assert await lines(client) == ["a", "b", "c"]


async def test_with_an_offset_an_empty_body_asks_whether_that_is_the_length(client: WebClient) -> None:
    await post(client, b"a\n")
    assert (await post(client, b"", at=1)).status_code == 200
    wrong = await post(client, b"", at=0)
    assert (wrong.status_code, wrong.json()["length"]) == (409, 1)


async def test_two_writers_at_one_offset_write_it_once(client: WebClient) -> None:
    answers: list[int] = []

    async def write(name: str) -> None:
        body = "".join(f"{name} {number}\n" for number in range(40)).encode()
        answers.append((await post(client, body, at=0)).status_code)

    async with anyio.create_task_group() as tasks:
        for name in "abcdef":
            tasks.start_soon(write, name)
    assert sorted(answers) == [200, 409, 409, 409, 409, 409]
    written = await lines(client)
    assert written == [f"{written[0][0]} {number}" for number in range(40)]


async def test_a_writer_that_comes_between_stops_an_upload_that_said_where(redis_url: str) -> None:
    async with redis_web_client(redis_url) as client:
        await client.broker.ledger.create_job("42", {})
        async with held_upload(lambda body: post(client, body, at=0), b"a\nb\n", b"c\nd\n") as answers:
            await eventually(lambda: client.broker.job("42").output.tail == 2)
            await post(client, b"another\n")
        (answer,) = answers
        assert answer.status_code == 409
        assert answer.json() == {
            "error": "the log has 3 lines, not 2",
            "from": 0,
            "to": 1,
            "count": 2,
            "length": 3,
        }
        assert await lines(client) == ["a", "b", "another"]


# -- on the wire ------------------------------------------------------------------------------------------------------


def chunked(parts: Iterable[bytes]) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)


def head(*lines: str, query: str = "") -> bytes:
    return "\r\n".join([f"POST /api/jobs/42/output{query} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


async def read_answer(stream: anyio.abc.SocketStream) -> tuple[int, dict[str, Any]]:
    with anyio.fail_after(10):
        received = b""
        while b"\r\n\r\n" not in received:
            received += await stream.receive()
        start, _, body = received.partition(b"\r\n\r\n")
        length = next(int(line[16:]) for line in start.lower().split(b"\r\n") if line.startswith(b"content-length: "))
        while len(body) < length:
            body += await stream.receive()
        return int(start.split()[1]), orjson.loads(body)


async def test_lines_are_appended_while_the_body_is_still_coming() -> None:
    async with served() as app, await anyio.connect_tcp("127.0.0.1", app.port) as stream:
        await stream.send(head("Transfer-Encoding: chunked") + chunked([b"one\ntw"]))
        await eventually(lambda: tail(app) == 1)
        await stream.send(chunked([b"o\nthree"]))
        await eventually(lambda: tail(app) == 2)
        await stream.send(b"0\r\n\r\n")
        assert await read_answer(stream) == (200, {"from": 0, "to": 2, "count": 3, "length": 3})


@pytest.mark.parametrize("framing", ["chunked", "length"])
async def test_a_body_that_is_cut_off_leaves_its_whole_lines_and_no_half_of_one(framing: str) -> None:
    body = b"one\ntwo\nthr"
    async with served() as app:
        async with await anyio.connect_tcp("127.0.0.1", app.port) as stream:
            if framing == "chunked":
                await stream.send(head("Transfer-Encoding: chunked") + chunked([body]))
            else:
                await stream.send(head("Content-Length: 1000") + body)
            await eventually(lambda: tail(app) == 2)
        await eventually(lambda: app.broker.job("42").watchers == 0)
        assert tail(app) == 2
        async with httpx.AsyncClient(base_url=app.url) as http:
            length = (await http.get("/api/jobs/42/output?limit=0")).json()["total"]
            answer = await http.post(f"/api/jobs/42/output?from={length}", content=b"three\nfour\n")
            assert answer.json() == {"from": 2, "to": 3, "count": 2, "length": 4}


async def test_an_upload_cut_at_every_place_goes_on_exactly_once(redis_url: str) -> None:
    """The client does as the documentation says: asks for the length, leaves out what arrived, goes on from there."""
    sent = [f"line {number} ä" for number in range(200)]
    async with served_redis(redis_url) as app:
        for cut_at in (1, 9, 10, 11, 500, 1000, 2000, 2100):
            job_id = f"cut-{cut_at}"
            await app.broker.ledger.create_job(job_id, {})
            body = "".join(f"{line}\n" for line in sent).encode()
            async with await anyio.connect_tcp("127.0.0.1", app.port) as stream:
                request = head(f"Content-Length: {len(body)}", query="?from=0").replace(b"/42/", f"/{job_id}/".encode())
                await stream.send(request + body[:cut_at])
            async with httpx.AsyncClient(base_url=app.url) as http:
                while True:
                    length = (await http.get(f"/api/jobs/{job_id}/output?limit=0")).json()["total"]
                    rest = "".join(f"{line}\n" for line in sent[length:]).encode()
                    answer = await http.post(f"/api/jobs/{job_id}/output?from={length}", content=rest)
                    if answer.status_code == 200:
                        break
                    assert answer.status_code == 409  # the cut upload was still being taken
                text = (await http.get(f"/api/jobs/{job_id}/output?download=1")).text
                assert text == "".join(f"{line}\n" for line in sent), cut_at


async def test_a_body_past_its_limit_is_refused_and_what_was_accepted_stays(client: WebClient) -> None:
    body = b"".join(b"line %d\n" % number for number in range(10_000))
    assert len(body) > 64 * 1024

    async def parts() -> AsyncIterator[bytes]:
        for first in range(0, len(body), 1000):
            yield body[first : first + 1000]

    answer = await post(client, parts())
    assert answer.status_code == 413
    said = answer.json()
    assert said["error"] == "The body is longer than 65,536 bytes; go on with `from` in another request"
    assert said["count"] == body[: 64 * 1024].count(b"\n")
    assert said["length"] == said["to"] + 1 == said["count"]
    assert await lines(client) == [f"line {number}" for number in range(said["length"])][:5000]


async def test_a_length_over_the_limit_is_refused_at_once() -> None:
    async with served(body_bytes=64 * 1024) as app, await anyio.connect_tcp("127.0.0.1", app.port) as stream:
        await stream.send(head("Content-Length: 70000", "Expect: 100-continue"))
        status, said = await read_answer(stream)
        assert (status, said["count"]) == (413, 0)


async def test_a_refused_upload_gets_to_read_why_while_it_sends() -> None:
    """httpx sends its whole body before it reads; did nobody read on, the connection would break under it."""
    async with served(body_bytes=64 * 1024) as app, httpx.AsyncClient(base_url=app.url) as http:
        answer = await http.post("/api/jobs/42/output", content=b"x\n" * 1_000_000)
        assert answer.status_code == 413
        assert "connection" not in answer.headers
        answer = await http.post("/api/jobs/nope/output", content=b"x\n" * 1_000_000)
        assert (answer.status_code, answer.json()) == (404, {"error": "Job not found"})


async def test_an_endless_refused_upload_is_not_read_for_ever() -> None:
    async with served(body_bytes=64 * 1024) as app, await anyio.connect_tcp("127.0.0.1", app.port) as stream:
        await stream.send(head("Transfer-Encoding: chunked"))
        part = chunked([b"x\n" * 5000])
        sent = 0
        with anyio.fail_after(20), suppress(anyio.BrokenResourceError):
            while True:
                await stream.send(part)
                sent += len(part)
        assert sent > 4 << 20
        assert tail(app) == 32 * 1024


async def test_a_client_that_waits_to_be_asked_is_asked_only_if_it_may_send() -> None:
    async with served() as app:
        async with await anyio.connect_tcp("127.0.0.1", app.port) as stream:
            await stream.send(head("Content-Length: 4", "Expect: 100-continue"))
            assert (await stream.receive()).startswith(b"HTTP/1.1 100 ")
            await stream.send(b"one\n")
            assert (await read_answer(stream))[0] == 200
        async with await anyio.connect_tcp("127.0.0.1", app.port) as stream:
            await stream.send(head("Content-Length: 4", "Expect: 100-continue").replace(b"/42/", b"/nope/"))
            assert (await read_answer(stream))[0] == 404


async def test_an_overlong_record_is_refused_and_what_came_before_stays() -> None:
    async with web_client() as roomy:
        await roomy.broker.create_job("42")
        answer = await post(roomy, b'{"line":"a"}\n' + b"x" * (9 << 20) + b"\n", headers=NDJSON)
        assert answer.status_code == 413
        assert answer.json() == {
            "error": "A record is longer than 8,388,608 bytes",
            "from": 0,
            "to": 0,
            "count": 1,
            "length": 1,
        }


async def test_a_ten_megabyte_line_of_text_is_taken_in_pieces() -> None:
    async with web_client() as client:
        await client.broker.create_job("42")
        answer = await post(client, b"q" * (10 << 20) + b"\nend\n")
        assert answer.status_code == 200
        text = (await client.http.get("/api/jobs/42/output?download=1")).text
        assert text.count("q") == 10 << 20
        assert text.endswith("\nend\n")


async def test_who_sends_faster_than_the_limit_is_read_more_slowly() -> None:
    async with served(ingest_bytes_per_s=512 * 1024) as app, httpx.AsyncClient(base_url=app.url) as http:
        began_s = anyio.current_time()
        answer = await http.post("/api/jobs/42/output", content=b"x" * 99 + b"\n" + b"y\n" * (400 * 1024))
        assert answer.status_code == 200
        # 800 KiB at 512 KiB/s, of which the first 512 KiB may come at once.
        assert anyio.current_time() - began_s > 0.4


async def test_a_right_that_ends_during_an_upload_ends_the_upload() -> None:
    async with served(auth="jwt", jwt_secret=SECRET) as app, await anyio.connect_tcp("127.0.0.1", app.port) as stream:
        await app.broker.update_job("42", user_id="ada")
        token = mint_token(app.context.settings, "ada", admin=False, ttl_s=2)
        await stream.send(head("Transfer-Encoding: chunked", f"Authorization: Bearer {token}") + chunked([b"one\n"]))
        await eventually(lambda: tail(app) == 1)
        await app.broker.update_job("42", user_id="bob")
        await stream.send(chunked([b"two\n"]) + b"0\r\n\r\n")
        assert await read_answer(stream) == (
            403,
            {"error": "Forbidden", "from": 0, "to": 0, "count": 1, "length": 1},
        )


async def test_a_token_that_expires_during_an_upload_ends_the_upload() -> None:
    async with served(auth="jwt", jwt_secret=SECRET) as app, await anyio.connect_tcp("127.0.0.1", app.port) as stream:
        await app.broker.update_job("42", user_id="ada")
        token = mint_token(app.context.settings, "ada", admin=False, ttl_s=1)
        await stream.send(head("Transfer-Encoding: chunked", f"Authorization: Bearer {token}") + chunked([b"one\n"]))
        await eventually(lambda: tail(app) == 1)
        answers: list[tuple[int, dict[str, Any]]] = []

        async def read() -> None:
            answers.append(await read_answer(stream))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            while not answers:
                await stream.send(chunked([b"more\n"]))
                await anyio.sleep(0.02)
            await stream.send(b"0\r\n\r\n")
        assert answers[0][0] == 401


async def test_a_job_deleted_during_an_upload_ends_the_upload(client: WebClient) -> None:
    async with held_upload(lambda body: post(client, body), b"one\n", b"two\n") as answers:
        await eventually(lambda: client.broker.job("42").output.tail == 1)
        assert (await client.http.delete("/api/jobs/42")).status_code == 204
    (answer,) = answers
    assert answer.status_code == 404
    assert answer.json()["count"] == 1


async def test_redis_away_during_an_upload_is_told_and_the_client_goes_on_later(redis_server: RedisServer) -> None:
    redis_server.flush()
    async with tcp_proxy(redis_server.port) as proxy, served_redis(proxy.url) as app:
        await app.broker.ledger.create_job("42", {})
        async with httpx.AsyncClient(base_url=app.url, timeout=20) as http:
            assert (await http.post("/api/jobs/42/output?from=0", content=b"one\n")).status_code == 200
            path = "/api/jobs/42/output?from=1"
            async with held_upload(lambda body: http.post(path, content=body), b"two\n", b"three\n") as answers:
                await eventually(lambda: tail(app) == 2)
                proxy.refuse()
            (answer,) = answers
            assert answer.status_code == 503
            assert answer.json() == {
                "error": "The store of jobs does not answer now",
                "from": 1,
                "to": 1,
                "count": 1,
                "length": 2,
            }
            assert int(answer.headers["retry-after"]) > 0
            proxy.forward()
            await eventually(lambda: app.broker.source_available, timeout_s=15)
            length = (await http.get("/api/jobs/42/output?limit=0")).json()["total"]
            rest = b"".join([b"one\n", b"two\n", b"three\n"][length:])
            assert (await http.post(f"/api/jobs/42/output?from={length}", content=rest)).status_code == 200
            assert (await http.get("/api/jobs/42/output?download=1")).text == "one\ntwo\nthree\n"


async def test_an_upload_that_waits_ends_when_the_server_stops_and_is_told_what_was_written() -> None:
    """Trap 37: it would hold the server up until it is cut."""
    async with served(drain_s=0.1) as app, await anyio.connect_tcp("127.0.0.1", app.port) as stream:
        await stream.send(head("Transfer-Encoding: chunked") + chunked([b"one\nhal"]))
        await eventually(lambda: tail(app) == 1)
        began_s = anyio.current_time()
        app.server.stop()
        status, said = await read_answer(stream)
        assert (status, said) == (
            503,
            {"error": "The server is stopping", "from": 0, "to": 0, "count": 1, "length": 1},
        )
        assert anyio.current_time() - began_s < 5


async def test_a_new_upload_is_sent_away_while_the_server_stops() -> None:
    async with web_client() as client:
        await client.broker.create_job("42")
        client.context.streams.drain(0.0)
        answer = await post(client, b"one\n")
        assert (answer.status_code, answer.json()) == (503, {"error": "The server is stopping"})
        assert client.broker.job("42").output.tail == 0


async def test_what_is_in_memory_during_an_upload_does_not_grow_with_it() -> None:
    async with web_client(Broker(limits=BrokerLimits(store_bytes_max=1 << 20))) as client:
        await client.broker.create_job("42")
        part = b"x" * 99 + b"\n"

        async def body() -> AsyncIterator[bytes]:
            for _ in range(200):
                yield part * 300

        tracemalloc.start()
        try:
            answer = await post(client, body())
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert answer.json()["count"] == 60_000
        assert peak < 5 << 20  # the body has 6 MB, its entries have 10
