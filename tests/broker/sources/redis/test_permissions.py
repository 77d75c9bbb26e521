"""What docs/OPERATIONS.md says that an ACL must allow is enough, on any server of ours."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from fantail.broker.producers.writer.job_writer import Delivered, NewJob, open_job
from support.servers.fantail_process import FantailProcess, fantail_process
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.servers.redis_server import RedisServer

OPERATIONS = Path(__file__).resolve().parents[4] / "docs/OPERATIONS.md"


def allowed() -> list[str]:
    """What a reading server, a writing one, one that follows statuses, and runners are given, as the page has it."""
    (rule,) = re.findall(r"^- With an ACL.*?(?=^- )", OPERATIONS.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    reading, writing, hearing, channels, running, noticing = re.findall(r"`([+&][^`]+)`", rule)
    return [reading, f"{reading} {writing}", f"{reading} {writing} {hearing} {channels}", f"{running} {noticing}"]


def user(server: RedisServer, name: str, rights: str) -> str:
    """Makes somebody who may do that and nothing else; gives the address for them."""
    said = server.command("ACL", "SETUSER", name, "reset", "on", ">secret", "~*", "resetchannels", *rights.split())
    assert said.startswith(b"+OK"), said
    return server.tcp_url.replace("redis://", f"redis://{name}:secret@")


@pytest.fixture
def addresses(each_redis_server: RedisServer) -> Iterator[list[str]]:
    names = ("reader", "writer", "hearer", "runner")
    yield [user(each_redis_server, name, rights) for name, rights in zip(names, allowed(), strict=True)]
    each_redis_server.command("ACL", "DELUSER", *names)


def modes(server: FantailProcess) -> tuple[str, bool]:
    told = httpx.get(f"{server.url}/api/system").json()
    return told["source"]["mode"], told["statuses"]["channelsAvailable"]


def check_reading(url: str) -> None:
    answer = httpx.get(f"{url}/api/jobs/1/output").json()
    assert [entry["line"] for entry in answer["output"]] == ["one", "two"]
    assert httpx.post(f"{url}/api/jobs", json={"id": "2"}).status_code == 503


def check_writing(url: str) -> None:
    assert httpx.post(f"{url}/api/jobs", json={"id": "2"}).status_code == 201
    text = {"Content-Type": "text/plain"}
    assert httpx.post(f"{url}/api/jobs/2/output", content="a\n", headers=text).json()["length"] == 1
    assert httpx.patch(f"{url}/api/jobs/2", json={"status": "success"}).status_code == 200
    row = {"operation": "insert", "id": "7", "data": {"name": "x"}}
    assert httpx.post(f"{url}/api/tables/tasks", json=row).status_code == 200
    assert httpx.delete(f"{url}/api/jobs/2").status_code == 204


async def test_the_rights_that_are_named_are_enough(addresses: list[str]) -> None:
    reading, writing, hearing, running = addresses
    async with open_job(running, NewJob(id="1", user_id="ann")) as job:
        await job.append(["one", "two"])
        assert await job.finish(exit_code=0) == Delivered()
    with fantail_process("--redis-url", reading) as server:
        await eventually(lambda: modes(server) == ("tracking", False), 30.0, "tracking")
        check_reading(server.url)
    with fantail_process("--redis-url", writing) as server:
        await eventually(lambda: modes(server) == ("tracking", False), 30.0, "tracking")
        check_writing(server.url)
    with fantail_process("--redis-url", hearing) as server:
        await eventually(lambda: modes(server) == ("tracking", True), 30.0, "tracking and channels")
