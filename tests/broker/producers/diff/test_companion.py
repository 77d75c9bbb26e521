"""The diff beside a command, and by itself: real commands in real repositories, recorded in a real Valkey."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, cast

import anyio
import pytest

from fantail.broker.errors import NotFoundError
from fantail.broker.producers.diff.companion import Watched, publish_diff
from fantail.broker.producers.diff.watcher import DiffWatcher
from fantail.broker.producers.diff.worktree.git_process import WorktreeError
from fantail.broker.producers.runner.process_runner import Command, run_command
from fantail.broker.producers.writer.job_writer import NewJob, open_job
from support.clients.viewer import tailing
from support.wait import eventually
from support.worktrees.git_repository import GitRepository

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from redis.asyncio import Redis

    from fantail.broker.producers.writer.recording import Ran

NEW = NewJob(id="42")


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    made = GitRepository(tmp_path / "repository")
    made.write("a", "one\ntwo\n")
    made.commit()
    return made


def python(text: str) -> list[str]:
    return [sys.executable, "-c", text]


async def run(url: str, words: Sequence[str], diff: Watched) -> Ran:
    with anyio.fail_after(30):
        return await run_command(url, NEW, Command(words, echo=False, diff=diff))


async def stored(client: Redis, job_id: str = "42") -> dict[str, str]:
    found = cast("dict[bytes, bytes]", await client.hgetall(f"job:{job_id}:diff"))
    return {file.decode(): json.loads(entry)["change"] for file, entry in found.items()}


async def system_lines(client: Redis) -> list[str]:
    entries = [json.loads(entry) for entry in await client.lrange("job:42:output", 0, -1)]
    return [entry["line"] for entry in entries if entry["stream"] == "system"]


async def test_what_a_command_changed_is_published_while_it_runs(
    redis_url: str, redis_client: Redis, repository: GitRepository
) -> None:
    async def stop_when_seen() -> None:
        await eventually(lambda: stored(redis_client))
        assert await redis_client.hget("job:42", "status") == b"running"
        repository.write("go")

    words = python("import os,time\nopen('b','w')\nwhile not os.path.exists('go'): time.sleep(0.01)")
    words = ["env", f"--chdir={repository.root}", *words]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stop_when_seen)
        ran = await run(redis_url, words, Watched(repository.root))
    assert ran.ended.exit_code == 0
    assert await stored(redis_client) == {"b": "added", "go": "added"}
    assert await redis_client.hmget("job:42", "status", "lines_added") == [b"success", b"0"]


async def test_the_last_change_of_a_command_is_seen_before_the_status_that_ends_it(
    redis_url: str, redis_client: Redis, repository: GitRepository
) -> None:
    """Trap 20, from the worktree to the viewer."""
    words = python(f"open({str(repository.path('last'))!r}, 'w').write('x')")
    async with tailing(redis_url) as broker, anyio.create_task_group() as tasks:
        tasks.start_soon(run, redis_url, words, Watched(repository.root))
        await eventually(lambda: redis_client.exists("job:42"))
        async with broker.watch("42") as job, broker.watch_diff(job) as diff:
            await eventually(lambda: job.ended)
            assert list(diff.document["files"]) == ["last"]


@pytest.mark.parametrize("fault", ["no repository", "no such base", "no such directory"])
async def test_trouble_of_the_diff_is_a_line_and_the_command_runs(
    redis_url: str, redis_client: Redis, repository: GitRepository, tmp_path: Path, fault: str
) -> None:
    watched = {
        "no repository": Watched(tmp_path),
        "no such base": Watched(repository.root, "nowhere"),
        "no such directory": Watched(tmp_path / "nothing"),
    }[fault]
    ran = await run(redis_url, python("print('hello')"), watched)
    assert (ran.ended.exit_code, ran.ended.status) == (0, "success")
    (line,) = await system_lines(redis_client)
    assert line.startswith("no diff: ")
    assert await redis_client.hget("job:42", "status") == b"success"


async def test_a_worktree_deleted_by_its_command_is_told_and_the_last_diff_stays(
    redis_url: str, redis_client: Redis, repository: GitRepository
) -> None:
    repository.write("b")

    async def delete_when_seen() -> None:
        await eventually(lambda: stored(redis_client))
        repository.root.rename(repository.root.with_name("gone"))

    words = python(f"import os,time\nwhile os.path.exists({str(repository.root)!r}): time.sleep(0.01)")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(delete_when_seen)
        ran = await run(redis_url, words, Watched(repository.root))
    assert ran.ended.status == "success"
    assert await stored(redis_client) == {"b": "added"}
    assert any("gone" in line for line in await system_lines(redis_client))


async def test_a_signal_ends_the_waiting_for_the_last_pass(
    redis_url: str, redis_client: Redis, repository: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_: DiffWatcher) -> bool:
        os.kill(os.getpid(), signal.SIGINT)
        await anyio.sleep_forever()
        return True

    monkeypatch.setattr(DiffWatcher, "last_pass", never)
    ran = await run(redis_url, python("pass"), Watched(repository.root))
    assert ran.ended.status == "success"
    assert await redis_client.hget("job:42", "status") == b"success"
    assert await system_lines(redis_client) == ["the last state of the diff could not be published"]


async def test_a_last_pass_that_fails_is_a_line_of_the_job(
    redis_url: str, redis_client: Redis, repository: GitRepository
) -> None:
    """Trap 33: the diff that stays is not the worktree's last state, and says so."""
    broken = repository.path(".git/HEAD")
    words = python(f"open({str(broken)!r}, 'w').write('nonsense')")
    ran = await run(redis_url, words, Watched(repository.root))
    assert ran.ended.status == "success"
    assert (await system_lines(redis_client))[-1] == "the last state of the diff could not be published"


async def test_a_worktree_that_goes_with_the_end_of_its_command_is_told_once(
    redis_url: str, redis_client: Redis, repository: GitRepository
) -> None:
    words = python(f"import os\nos.rename({str(repository.root)!r}, {str(repository.root.with_name('gone'))!r})")
    await run(redis_url, words, Watched(repository.root))
    (line,) = await system_lines(redis_client)
    assert "is gone" in line


async def test_a_worktree_is_followed_for_somebody_elses_job_until_that_ends(
    redis_url: str, redis_client: Redis, repository: GitRepository
) -> None:
    async with open_job(redis_url, NEW) as job, anyio.create_task_group() as tasks:
        published: list[bool] = []

        async def publish() -> None:
            published.append(await publish_diff(redis_url, "42", Watched(repository.root), lambda _: None))

        tasks.start_soon(publish)
        repository.write("b")
        await eventually(lambda: stored(redis_client))
        await job.finish("success")
        await eventually(lambda: published == [True])
    assert await stored(redis_client) == {"b": "added"}


async def test_what_cannot_be_followed_is_refused(redis_url: str, repository: GitRepository, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        await publish_diff(redis_url, "42", Watched(repository.root), lambda _: None)
    async with open_job(redis_url, NEW):
        with pytest.raises(WorktreeError):
            await publish_diff(redis_url, "42", Watched(tmp_path), lambda _: None)
