"""Commands that are nice to have are refused, by an error, by a cut or by silence: everything else goes on.

A user of Redis may be forbidden them; a proxy such as twemproxy cuts the connection of whoever sends one; others never
answer.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import httpx
import pytest

from fantail.broker import entry_of
from fantail.broker.producers.writer.job_writer import Delivered, NewJob, open_job
from fantail.broker.producers.writer.status_publisher import StatusPublisher
from fantail.broker.sources.redis.connection import RedisLink
from support.servers.fantail_process import FantailProcess, command, environment, fantail_process
from support.servers.tcp_proxy import tcp_proxy
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis.asyncio import Redis

    from support.servers.redis_server import RedisServer

OPTIONAL = (
    b"CLIENT SETNAME",
    b"CLIENT SETINFO",
    b"CLIENT TRACKING",
    b"HELLO",
    b"INFO",
    b"SCAN",
    b"MULTI",
    b"PSUBSCRIBE",
)
ENOUGH_S = 40.0


async def told(server: FantailProcess) -> dict[str, object]:
    async with httpx.AsyncClient() as http:
        source: dict[str, object] = (await http.get(f"{server.url}/api/system")).json()["source"]
        return source


async def check_one_job(server: FantailProcess, job_id: str, lines: list[str]) -> None:
    async with httpx.AsyncClient(base_url=server.url, timeout=15.0) as http:
        answer = await http.get(f"/api/jobs/{job_id}/output")
        assert answer.status_code == 200, answer.text
        assert [entry["line"] for entry in answer.json()["output"]] == lines
        assert (await http.get("/readyz")).status_code == 200


async def check_writing(server: FantailProcess) -> None:
    async with httpx.AsyncClient(base_url=server.url, timeout=15.0) as http:
        assert (await http.post("/api/jobs", json={"id": "2"})).status_code == 201
        text = {"Content-Type": "text/plain"}
        assert (await http.post("/api/jobs/2/output", content="a\n", headers=text)).status_code == 200
        assert (await http.patch("/api/jobs/2", json={"status": "success"})).status_code == 200


@pytest.mark.parametrize("by_silence", [False, True], ids=["cut", "silence"])
async def test_a_proxy_that_knows_none_of_them_serves_all_the_same(
    redis_server: RedisServer, redis_client: Redis, *, by_silence: bool
) -> None:
    await redis_client.hset("job:1", mapping={"id": "1", "status": "running"})
    await redis_client.rpush("job:1:output", entry_of(1, "one", "stdout"))
    async with tcp_proxy(redis_server.port) as proxy:
        proxy.unknown_commands, proxy.refuses_by_silence = OPTIONAL, by_silence
        with fantail_process("--redis-url", proxy.url.removesuffix("/0")) as server:
            await eventually(lambda: is_polling(server), ENOUGH_S, "it polls")
            await check_one_job(server, "1", ["one"])
            await check_writing(server)
            await eventually(lambda: lacks_scan(server), ENOUGH_S, "it says what the tables lack")
            ran = await anyio.to_thread.run_sync(lambda: run_through(proxy.url.removesuffix("/0")))
            assert (ran.returncode, ran.stdout) == (0, "hello\n"), ran.stderr
            await check_one_job(server, "3", ["hello"])


async def is_polling(server: FantailProcess) -> bool:
    return (await told(server))["mode"] == "polling"


async def lacks_scan(server: FantailProcess) -> bool:
    async with httpx.AsyncClient(base_url=server.url, timeout=15.0) as http:
        answer = await http.get("/api/jobs")
        return answer.status_code == 200 and "SCAN" in str((await told(server))["tablesLack"])


def run_through(url: str) -> subprocess.CompletedProcess[str]:
    words = command("run", "-q", "--id", "3", "--redis-url", url, "--", "echo", "hello")
    return subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=ENOUGH_S, check=False)


@pytest.mark.parametrize("by_silence", [False, True], ids=["cut", "silence"])
async def test_a_refusal_is_learnt_and_not_asked_for_again(redis_server: RedisServer, *, by_silence: bool) -> None:
    async with tcp_proxy(redis_server.port) as proxy:
        proxy.unknown_commands, proxy.refuses_by_silence = OPTIONAL, by_silence
        link = RedisLink(proxy.url.removesuffix("/0"), name="test")
        for _ in range(5):
            assert await link.ask([("PING",)]) == [b"PONG"]
            proxy.cut()
        await link.close()
        assert proxy.refused == {b"CLIENT SETNAME": 1 if by_silence else 2}


async def test_a_server_that_was_away_is_not_taken_for_one_that_refuses(redis_server: RedisServer) -> None:
    async with tcp_proxy(redis_server.port) as proxy:
        link = RedisLink(proxy.url, name="kept-name")
        proxy.cut_after_request_bytes(0)
        proxy.cut()
        for _ in range(3):
            assert await link.ask([("PING",)]) == [b"PONG"]
            proxy.cut()
        proxy.refuse()
        with pytest.raises(Exception, match="does not answer"):
            await link.ask([("PING",)])
        proxy.forward()
        (clients,) = await link.ask([("CLIENT", "LIST")])
        await link.close()
        assert b"name=kept-name" in clients


FORBIDDEN = [
    "-scan",
    "-client|tracking",
    "-hello",
    "-info",
    "-evalsha",
    "-script",
    "-multi -exec",
    "-config",
    "-client|setname -client|setinfo -client|id",
    "-psubscribe -subscribe",
]


@pytest.fixture
def restricted(redis_server: RedisServer) -> Iterator[RedisServer]:
    redis_server.flush()
    yield redis_server
    redis_server.command("ACL", "DELUSER", "ann")


@pytest.mark.parametrize("rights", FORBIDDEN)
async def test_a_user_without_one_of_them_is_served(restricted: RedisServer, redis_client: Redis, rights: str) -> None:
    said = restricted.command("ACL", "SETUSER", "ann", "reset", "on", ">secret", "~*", "&*", "+@all", *rights.split())
    assert said == b"+OK\r\n", said
    url = f"redis://ann:secret@127.0.0.1:{restricted.port}/0"
    async with open_job(url, NewJob(id="1")) as job:
        await job.append(["one", "two"])
        assert await job.finish() == Delivered()
    async with StatusPublisher(url) as publisher:
        await publisher.run("7", "passed")
    assert b"passed" in (await redis_client.get("fantail:status:run:7") or b"")
    with fantail_process("--redis-url", url) as server:
        await check_one_job(server, "1", ["one", "two"])
        await check_writing(server)
        async with httpx.AsyncClient(base_url=server.url, timeout=15.0) as http:
            listed = (await http.get("/api/jobs")).json()["jobs"]
        lack = str((await told(server))["tablesLack"])
        assert ("SCAN" in lack) == (rights == "-scan")
        assert {job["id"] for job in listed} >= ({"2"} if lack else {"1", "2"})


async def test_the_stream_of_the_tables_says_what_it_lacks(restricted: RedisServer) -> None:
    restricted.command("ACL", "SETUSER", "ann", "reset", "on", ">secret", "~*", "&*", "+@all", "-scan")
    with fantail_process("--redis-url", f"redis://ann:secret@127.0.0.1:{restricted.port}/0") as server:
        async with httpx.AsyncClient() as http, http.stream("GET", f"{server.url}/api/events/") as stream:
            async for line in stream.aiter_lines():
                if line.startswith(": Redis refuses SCAN"):
                    return
    raise AssertionError("no comment")


async def test_a_user_who_may_only_read_is_shown_everything(restricted: RedisServer, redis_client: Redis) -> None:
    restricted.command("ACL", "SETUSER", "ann", "reset", "on", ">secret", "~*", "+@read", "+ping", "+auth")
    await redis_client.hset("job:1", mapping={"id": "1", "status": "success"})
    await redis_client.rpush("job:1:output", entry_of(1, "one", "stdout"))
    with fantail_process("--redis-url", f"redis://ann:secret@127.0.0.1:{restricted.port}/0") as server:
        await check_one_job(server, "1", ["one"])
        async with httpx.AsyncClient(base_url=server.url, timeout=15.0) as http:
            assert [job["id"] for job in (await http.get("/api/jobs")).json()["jobs"]] == ["1"]
            assert (await http.post("/api/jobs", json={"id": "2"})).status_code == 503
