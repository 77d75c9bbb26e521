"""Output over REST: pages of entries, and the whole as text: lines whole, up to the length at the start."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest

from fantail.broker import Broker, BrokerLimits, entry_of
from support.servers.redis_broker import redis_broker
from support.servers.served_app import served_app
from support.servers.web_client import redis_web_client, web_client
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from redis.asyncio import Redis

    from support.servers.served_app import ServedApp
    from support.servers.web_client import WebClient


_DOWNLOAD = "/api/jobs/{}/output?download=1"


@asynccontextmanager
async def served_redis(redis_url: str, **settings: Any) -> AsyncIterator[ServedApp]:
    """An application on a real socket, over a real Redis."""
    async with served_app(redis_broker(redis_url), **settings) as app:
        yield app


@asynccontextmanager
async def download(app: ServedApp, job_id: str = "42") -> AsyncIterator[AsyncIterator[bytes]]:
    """A download that is under way, in small parts."""
    async with httpx.AsyncClient(base_url=app.url) as http, http.stream("GET", _DOWNLOAD.format(job_id)) as answer:
        assert answer.status_code == 200
        yield answer.aiter_bytes(4096)


async def make(client: WebClient | ServedApp, lines: Sequence[str], job_id: str = "42") -> None:
    await client.broker.ledger.create_job(job_id, {"status": "running", "created_at": "1000"})
    for first in range(0, len(lines), 500):
        entries = [entry_of(1000 + first + at, line, "stdout") for at, line in enumerate(lines[first : first + 500])]
        await client.broker.ledger.append_output(job_id, entries)


async def page(client: WebClient, job_id: str = "42", *, at: int | None = None, **params: int) -> dict[str, Any]:
    if at is not None:
        params["from"] = at
    answer = await client.http.get(f"/api/jobs/{job_id}/output", params=params)
    assert answer.status_code == 200, answer.text
    value: dict[str, Any] = answer.json()
    return value


async def text(client: WebClient, job_id: str = "42", *, at: int | None = None, **params: int) -> str:
    if at is not None:
        params["from"] = at
    headers = {"Accept": "text/plain"}
    answer = await client.http.get(f"/api/jobs/{job_id}/output", params=params, headers=headers)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    return answer.text


def numbered(count: int) -> list[str]:
    return [f"line {number}" for number in range(count)]


# -- pages ------------------------------------------------------------------------------------------------------------


async def test_output_is_read_page_by_page_to_its_end(client: WebClient) -> None:
    await make(client, numbered(7))
    seen: list[str] = []
    at = 0
    for expected in (3, 3, 1, 0):
        got = await page(client, at=at, limit=3)
        assert (got["from"], len(got["output"]), got["total"]) == (at, expected, 7)
        seen += [entry["line"] for entry in got["output"]]
        at = got["next"]
    assert seen == numbered(7)


async def test_entries_are_as_they_were_stored(client: WebClient) -> None:
    await make(client, ["a"])
    assert (await page(client))["output"] == [{"timestamp": 1000, "line": "a", "stream": "stdout"}]


async def test_a_page_carries_the_position_with_which_a_stream_goes_on(client: WebClient) -> None:
    await make(client, numbered(5))
    first = await page(client, limit=2)
    log = client.broker.job("42").output
    assert first["position"] == f"1-{log.crc_at(1):08x}"
    assert (await page(client, limit=0))["position"] is None
    at_end = await page(client, at=5)
    assert at_end["position"] == str(log.last_position())
    await make(client, [], "empty")
    assert await page(client, "empty") == {"output": [], "from": 0, "next": 0, "total": 0, "position": None}


async def test_the_length_can_be_asked_for_alone(client: WebClient) -> None:
    await make(client, numbered(5))
    assert await page(client, limit=0) == {"output": [], "from": 0, "next": 0, "total": 5, "position": None}


async def test_the_last_lines_can_be_asked_for(client: WebClient) -> None:
    await make(client, numbered(5))
    assert [entry["line"] for entry in (await page(client, tail=2))["output"]] == ["line 3", "line 4"]
    assert (await page(client, tail=99))["from"] == 0
    assert (await page(client, at=1, tail=2))["from"] == 1


async def test_past_the_end_there_is_nothing_more(client: WebClient) -> None:
    await make(client, numbered(2))
    got = await page(client, at=10**14)
    assert (got["output"], got["from"], got["next"], got["total"]) == ([], 2, 2, 2)


@pytest.mark.parametrize(
    "params", [{"from": "-1"}, {"from": "x"}, {"limit": "1.5"}, {"tail": ""}, {"download": "maybe"}]
)
async def test_a_wrong_parameter_is_told(client: WebClient, params: dict[str, str]) -> None:
    await make(client, numbered(2))
    answer = await client.http.get("/api/jobs/42/output", params=params)
    assert answer.status_code == 400
    assert f"`{next(iter(params))}`" in answer.json()["error"]


async def test_a_page_is_bounded_in_count_and_in_bytes(client: WebClient) -> None:
    await make(client, ["x"] * 5100)
    assert len((await page(client, limit=10**9))["output"]) == 5000
    await make(client, ["y" * 900_000] * 8, "long")
    got = await page(client, "long")
    assert 1 <= len(got["output"]) < 8
    assert got["next"] == len(got["output"])
    rest = await page(client, "long", at=got["next"])
    assert rest["next"] == 8


async def test_a_line_that_is_longer_than_viewers_are_shown_is_cut_in_pages_and_whole_in_text(redis_url: str) -> None:
    async with redis_web_client(redis_url) as client:
        await make(client, ["z" * 1_500_000])
        assert "of 1,500,000 bytes left out here" in (await page(client))["output"][0]["line"]
        assert await text(client) == "z" * 1_500_000 + "\n"


# -- text -------------------------------------------------------------------------------------------------------------


async def test_the_whole_output_comes_as_text(client: WebClient) -> None:
    await make(client, numbered(5000))
    assert await text(client) == "".join(f"{line}\n" for line in numbered(5000))
    assert await text(client, at=4998) == "line 4998\nline 4999\n"
    assert await text(client, tail=1) == "line 4999\n"
    await make(client, [], "empty")
    assert await text(client, "empty") == ""


async def test_a_download_is_a_file_named_after_the_job(client: WebClient) -> None:
    await make(client, ["a"], "a.B_c-1")
    answer = await client.http.get("/api/jobs/a.B_c-1/output?download=1")
    assert answer.headers["content-disposition"] == 'attachment; filename="a.B_c-1.log"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.text == "a\n"


@pytest.mark.parametrize(
    ("accept", "as_text"),
    [
        ("text/plain", True),
        ("text/plain;q=0.5, */*;q=0.1", True),
        ("TEXT/PLAIN", True),
        ("application/json, text/plain;q=0.9", False),
        ("application/json", False),
        ("*/*", False),
        ("text/html,application/xhtml+xml", False),
        ("text/plain;q=0", False),
        ("text/plain;q=x", False),
        ("", False),
    ],
)
async def test_who_would_rather_have_text_gets_it(accept: str, as_text: bool) -> None:
    async with web_client() as client:
        await make(client, ["a"])
        answer = await client.http.get("/api/jobs/42/output", headers={"Accept": accept})
        assert (answer.headers["content-type"] == "text/plain; charset=utf-8") is as_text
        assert "Accept" in answer.headers["vary"]


async def test_a_head_request_gets_no_text(client: WebClient) -> None:
    await make(client, numbered(5))
    answer = await client.http.head("/api/jobs/42/output?download=1")
    assert (answer.status_code, answer.content) == (200, b"")


async def test_odd_entries_are_text_too(redis_url: str, redis_client: Redis) -> None:
    async with redis_web_client(redis_url) as client:
        await make(client, ["first"])
        odd = [b"not json", b'{"line":7}', b"\xff\xfe", b'{"timestamp":1,"line":"\\ud83d","stream":"stdout"}', b"[1"]
        for entry in odd:
            await redis_client.rpush("job:42:output", entry)
        lines = (await text(client)).split("\n")
        assert lines == ["first", "not json", '{"line":7}', "\ufffd\ufffd", "\ufffd", "[1", ""]
        assert [entry["line"] for entry in (await page(client))["output"]] == lines[:-1]


async def test_lines_that_are_gone_are_told_and_not_passed_over() -> None:
    broker = Broker(limits=BrokerLimits(store_bytes_max=200_000))
    async with web_client(broker) as client:
        await make(client, [f"{number} " + "x" * 1000 for number in range(400)])
        head = broker.job("42").output.head
        assert 0 < head < 400
        got = await page(client)
        assert (got["from"], got["total"]) == (head, 400)
        first, second, *_ = (await text(client)).split("\n")
        assert first == f"[lines 0 to {head - 1} are no longer there]"
        assert second.startswith(f"{head} x")


async def test_trimmed_lines_are_told_in_the_text(redis_url: str, redis_client: Redis) -> None:
    async with redis_web_client(redis_url) as client:
        await make(client, numbered(300))
        async with client.broker.watch("42") as job:
            await eventually(lambda: job.output.tail == 300)
            await redis_client.ltrim("job:42:output", 100, -1)
            lines = (await text(client)).split("\n")
            assert lines[:2] == ["[lines 0 to 99 are no longer there]", "line 100"]
            assert (await page(client))["total"] == 300


async def test_a_list_written_anew_in_the_middle_of_a_download_is_never_mixed_with_the_old_one(
    redis_url: str, redis_client: Redis
) -> None:
    old, new = [f"old {number} {'x' * 500}" for number in range(20_000)], [entry_of(1, "new", "stdout")] * 20_000
    async with served_redis(redis_url) as client:
        await make(client, old)
        async with download(client) as body:
            first = await anext(body)
            await redis_client.delete("job:42:output")
            for at in range(0, len(new), 1000):
                await redis_client.rpush("job:42:output", *new[at : at + 1000])
            rest = b"".join([part async for part in body])
    lines = (first + rest).decode().split("\n")
    assert lines.pop() == ""
    gone = lines.pop()
    assert lines == old[: len(lines)]
    assert gone == f"[lines {len(lines)} to 19999 are no longer there]"


async def test_text_ends_at_the_length_it_had_at_the_start(redis_url: str) -> None:
    async with served_redis(redis_url) as client:
        lines = [f"{number} {'x' * 500}" for number in range(10_000)]
        await make(client, lines)
        async with download(client) as body:
            first = await anext(body)
            await client.broker.ledger.append_output("42", [entry_of(1, "late", "stdout")] * 10)
            rest = b"".join([part async for part in body])
    assert (first + rest).decode() == "".join(f"{line}\n" for line in lines)


async def test_a_download_that_is_left_leaves_nothing_behind(redis_url: str) -> None:
    async with served_redis(redis_url) as client:
        await make(client, ["x" * 1000] * 20_000)
        job = client.broker.job("42")
        async with download(client) as body:
            await anext(body)
            assert job.watchers == 1
        await eventually(lambda: job.watchers == 0)


async def test_a_download_under_way_is_cut_when_the_server_has_to_go(redis_url: str) -> None:
    async with served_redis(redis_url, drain_s=0.0) as app:
        await make(app, ["x" * 1000] * 20_000)
        with small_window(app) as slow:
            slow.sendall(_REQUEST)
            await eventually(lambda: [stream.label for stream in app.context.streams] == ["download 42"])
            app.server.stop()
            await eventually(lambda: len(app.context.streams) == 0)


@pytest.mark.parametrize("who", ["the kernel", "the server"])
async def test_a_client_that_reads_nothing_is_cut_off(
    redis_url: str, who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux does it by itself where it knows TCP_USER_TIMEOUT; elsewhere it is on us."""
    if who == "the server":
        monkeypatch.delattr(socket, "TCP_USER_TIMEOUT")
    async with served_redis(redis_url, write_timeout_s=0.5) as app:
        await make(app, ["x" * 1000] * 20_000)
        job = app.broker.job("42")
        with small_window(app) as deaf:
            deaf.sendall(_REQUEST)
            await eventually(lambda: job.watchers == 1)
            await eventually(lambda: job.watchers == 0)


async def test_a_steady_slow_reader_is_not_cut_off(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "TCP_USER_TIMEOUT")
    async with served_redis(redis_url, write_timeout_s=0.6) as app:
        await make(app, ["x" * 1000] * 3000)
        size = 0
        with small_window(app) as slow, anyio.fail_after(20):
            slow.sendall(_REQUEST)
            slow.setblocking(False)
            while True:
                await anyio.wait_readable(slow)
                part = slow.recv(16_384)
                size += len(part)
                if not part:
                    break
                await anyio.sleep(0.008)  # the client's pace, not a wait for something
        assert size > 3_003_000


_REQUEST = b"GET /api/jobs/42/output?download=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def small_window(app: ServedApp) -> socket.socket:
    """A connection whose kernel takes little that nobody reads."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    made.connect(("127.0.0.1", app.port))
    return made
