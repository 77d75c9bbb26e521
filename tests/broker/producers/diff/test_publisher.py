"""What a diff leaves in Redis, over faults and repetitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson
import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from fantail.broker.errors import InvalidIdError, SourceUnavailableError
from fantail.broker.limits import DIFF_HSET_BYTES, JOB_TTL_S
from fantail.broker.producers.diff.entry import DiffEntry
from fantail.broker.producers.diff.publisher import DiffPublisher
from fantail.broker.producers.diff.watcher import watching_diff
from support.servers.tcp_proxy import tcp_proxy
from support.wait import eventually
from support.worktrees.git_repository import HERMETIC, GitRepository

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakeRedisServer
    from support.servers.redis_server import RedisServer


def entry(name: str, lines: int = 1, **more: Any) -> DiffEntry:
    return DiffEntry(name, "modified", f"patch of {name}\n", lines, 1, **more)


def state(*entries: DiffEntry) -> dict[str, DiffEntry]:
    return {one.file: one for one in entries}


async def stored(client: Redis, job: str = "job:1") -> dict[str, Any]:
    fields = cast("dict[bytes, bytes]", await client.hgetall(f"{job}:diff"))
    return {name.decode(): orjson.loads(value) for name, value in fields.items()}


@pytest.fixture
async def with_job(redis_client: Redis) -> Redis:
    await redis_client.hset("job:1", mapping={"status": "running", "user_id": "ada"})
    return redis_client


async def test_the_hash_holds_the_entries_and_the_job_their_sums(with_job: Redis) -> None:
    publisher = DiffPublisher(with_job, "1")
    await publisher.publish(state(entry("a", 3), entry("b", 4, old_path="c", omitted="size")))
    assert await stored(with_job) == {
        "a": {"file": "a", "change": "modified", "diff": "patch of a\n", "additions": 3, "deletions": 1},
        "b": {
            "file": "b",
            "oldPath": "c",
            "change": "modified",
            "diff": "patch of b\n",
            "additions": 4,
            "deletions": 1,
            "omitted": "size",
        },
    }
    assert await with_job.hmget("job:1", "lines_added", "lines_removed", "user_id") == [b"7", b"2", b"ada"]
    assert JOB_TTL_S - 60 < await with_job.ttl("job:1:diff") <= JOB_TTL_S
    await publisher.publish(state(entry("b", 5)))
    assert list(await stored(with_job)) == ["b"]
    await publisher.publish({})
    assert not await with_job.exists("job:1:diff")
    assert await with_job.hmget("job:1", "lines_added", "lines_removed") == [b"0", b"0"]


async def test_only_what_changed_is_sent(with_job: Redis) -> None:
    publisher = DiffPublisher(with_job, "1")
    large = [entry(f"file-{number}", omitted=None) for number in range(100)]
    await publisher.publish(state(*large))
    before = (await with_job.info("stats"))["total_net_input_bytes"]
    await publisher.publish(state(*large[1:], entry("file-0", 9)))
    assert (await with_job.info("stats"))["total_net_input_bytes"] - before < 1500
    assert (await stored(with_job))["file-0"]["additions"] == 9


async def test_what_an_earlier_writer_left_is_removed(with_job: Redis) -> None:
    await with_job.hset("job:1:diff", mapping={b"old": b"{}", b"no utf-8 \xff": b"{}"})
    await DiffPublisher(with_job, "1").publish(state(entry("new")))
    assert list(await stored(with_job)) == ["new"]


async def test_a_hash_that_was_lost_is_written_whole_again(with_job: Redis) -> None:
    publisher = DiffPublisher(with_job, "1")
    await publisher.publish(state(entry("a"), entry("b")))
    await with_job.delete("job:1:diff")
    await publisher.publish(state(entry("a"), entry("b", 2)))
    assert set(await stored(with_job)) == {"a", "b"}


async def test_a_deleted_job_stays_deleted(with_job: Redis) -> None:
    publisher = DiffPublisher(with_job, "1")
    await publisher.publish(state(entry("a")))
    await with_job.delete("job:1", "job:1:diff")
    await publisher.publish(state(entry("a", 2)))
    assert await with_job.keys("job:1*") == []
    assert publisher.job_gone


async def test_a_large_state_goes_in_portions_that_let_others_in(with_job: Redis) -> None:
    text = "x" * 100_000
    large = [DiffEntry(f"file-{number}", "added", text, 1, 0) for number in range(30)]
    await with_job.config_resetstat()
    await DiffPublisher(with_job, "1").publish(state(*large))
    calls = (await with_job.info("commandstats"))["cmdstat_hset"]["calls"]
    assert 3_000_000 / DIFF_HSET_BYTES <= calls - 1 <= 8
    assert len(await stored(with_job)) == 30


async def test_a_work_session_has_its_own_keys(redis_client: Redis) -> None:
    await redis_client.hset("work_session:1", "status", "running")
    await DiffPublisher(redis_client, "1", key_prefix="work_session:").publish(state(entry("a")))
    assert list(await stored(redis_client, "work_session:1")) == ["a"]
    with pytest.raises(InvalidIdError):
        DiffPublisher(redis_client, "1:diff")


@pytest.mark.parametrize("cut", ["the reply whole", "within the reply", "within the request"])
async def test_a_lost_write_leaves_nothing_doubled_and_nothing_stale(
    redis_server: RedisServer, with_job: Redis, cut: str
) -> None:
    async with (
        tcp_proxy(redis_server.port) as proxy,
        Redis.from_url(proxy.url, retry=Retry(NoBackoff(), 0), socket_timeout=2) as client,
    ):
        publisher = DiffPublisher(client, "1")
        await publisher.publish(state(entry("a"), entry("b")))
        match cut:
            case "the reply whole":
                proxy.cut_after_reply_bytes(0)
            case "within the reply":
                proxy.cut_after_reply_bytes(3)
            case _:
                proxy.cut_after_request_bytes(60)
        with pytest.raises(SourceUnavailableError):
            await publisher.publish(state(entry("a", 2), entry("c")))
        proxy.forward()
        await publisher.publish(state(entry("a", 2)))
    assert {name: value["additions"] for name, value in (await stored(with_job)).items()} == {"a": 2}
    assert await with_job.hget("job:1", "lines_added") == b"2"


async def test_a_key_of_another_kind_is_an_error_that_may_pass(with_job: Redis) -> None:
    await with_job.set("job:1:diff", "a string")
    publisher = DiffPublisher(with_job, "1")
    with pytest.raises(SourceUnavailableError, match="WRONGTYPE"):
        await publisher.publish(state(entry("a")))
    await with_job.delete("job:1:diff")
    await publisher.publish(state(entry("a")))
    assert list(await stored(with_job)) == ["a"]


async def test_a_worktree_is_in_redis_as_it_is_over_a_restart_that_loses_all(
    make_redis_server: MakeRedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in HERMETIC.items():
        monkeypatch.setenv(name, value)
    server = make_redis_server()
    repository = GitRepository(tmp_path / "work")
    repository.write("file", "one\n")
    base = repository.commit()
    async with Redis.from_url(server.url, retry=Retry(NoBackoff(), 0)) as client:
        await client.hset("job:1", "status", "running")
        async with watching_diff(repository.root, DiffPublisher(client, "1")) as watcher:
            repository.write("file", "two\n")
            await eventually(lambda: has_files(server, b"file"), 15)
            server.kill9()
            server.start()
            server.command("HSET", "job:1", "status", "running")
            repository.write("other", "x\n")
            await eventually(lambda: has_files(server, b"file", b"other"), 15)
            server.command("DEL", "job:1:diff")
            repository.write("last", "x\n")
            assert await watcher.last_pass()
        entries = await stored(client)
        assert await client.hmget("job:1", "lines_added", "lines_removed") == [b"3", b"1"]
    assert set(entries) == {"file", "other", "last"}
    place = tmp_path / "applied"
    place.mkdir()
    (place / "file").write_text("one\n")
    patch = "".join(value["diff"] for value in entries.values())
    GitRepository.git_at(place, "apply", "-", stdin=patch.encode())
    assert {path.name: path.read_text() for path in place.iterdir()} == {"file": "two\n", "other": "x\n", "last": "x\n"}
    assert base == repository.head()


def has_files(server: RedisServer, *names: bytes) -> bool:
    reply = server.command("HKEYS", "job:1:diff")
    return reply.count(b"$") == len(names) and all(name in reply for name in names)
