"""Two watchers of one worktree in two processes: two jobs, or one that runs and one that only watches (trap 22)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import anyio
import pytest

from fantail.broker.producers.diff.watcher import watching_diff
from fantail.broker.producers.diff.worktree import git_lock
from fantail.broker.producers.diff.worktree.git_lock import WorktreeLock, turns_file
from support.servers.fantail_process import command, environment
from support.wait import eventually
from support.worktrees.git_repository import HERMETIC, GitRepository
from support.worktrees.git_witness import GitWitness, git_witness

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from redis.asyncio import Redis

    from fantail.broker.producers.diff.entry import DiffEntry

pytestmark = pytest.mark.services

WAIT_S = 40.0
SAVES = 5


@pytest.fixture(autouse=True)
def _hermetic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**HERMETIC, "XDG_CACHE_HOME": str(tmp_path / "cache")}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    repository = GitRepository(tmp_path / "work")
    repository.write("folder/file", "one\n")
    repository.commit()
    return repository


@pytest.fixture
def witness(tmp_path: Path) -> GitWitness:
    return git_witness(tmp_path / "witness")


@contextmanager
def fantail(*arguments: str, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """A producer as a process of its own, killed at the end if it is still there."""
    process = subprocess.Popen(command(*arguments), env=environment(settings), stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def third_job(client: Redis) -> str:
    """The id that `fantail run` has given its job."""

    async def found() -> str | None:
        ids = [key.decode().split(":")[1] for key in cast("list[bytes]", await client.keys("job:*:lease"))]
        return next(iter(ids), None)

    return cast("str", await eventually(found, WAIT_S, "the third job"))


async def files(client: Redis, job_id: str) -> set[bytes]:
    return set(cast("list[bytes]", await client.hkeys(f"job:{job_id}:diff")))


async def ended(process: subprocess.Popen[bytes]) -> int:
    await eventually(lambda: process.poll() is not None, WAIT_S, "its end")
    return process.returncode


async def test_two_jobs_of_one_worktree_both_have_its_diff_and_their_git_takes_turns(
    redis_url: str, redis_client: Redis, repository: GitRepository, witness: GitWitness
) -> None:
    """One is given the worktree, and one a folder in it; each runs beside the other's `fantail watch`."""
    for job in ("1", "2"):
        await redis_client.hset(f"job:{job}", mapping={"id": job, "status": "running"})
    settings = {"PATH": witness.path, "TMPDIR": str(repository.root.parent)}
    redis = ("--redis-url", redis_url)
    go = repository.root.parent / "go"
    os.mkfifo(go)
    waiting = f"open({str(go)!r}).read()"
    with (
        fantail("watch", *redis, "1", str(repository.root), **settings),
        fantail("watch", *redis, "2", str(repository.path("folder")), "--base", "HEAD", **settings),
        fantail("run", *redis, "--diff", str(repository.root), "--", sys.executable, "-c", waiting, **settings) as run,
    ):
        jobs = ("1", "2", await third_job(redis_client))
        await eventually(lambda: witness.starts >= 3 * 8, WAIT_S, "three first passes")
        for number in range(SAVES):
            repository.write(f"folder/saved-{number}", "x\n")
            name = f"folder/saved-{number}".encode()
            for job in jobs:
                await eventually(lambda: _has(redis_client, job, name), WAIT_S, f"{name!r} in job {job}")  # noqa: B023
        go.write_text("")
        assert await ended(run) == 0
        for job in jobs:
            assert len(await files(redis_client, job)) == SAVES
    assert witness.starts > SAVES * 3
    assert not witness.overlapped.read_text(), f"of {witness.starts} git processes"


async def _has(client: Redis, job_id: str, name: bytes) -> bool:
    return name in await files(client, job_id)


async def test_a_watcher_that_is_killed_leaves_the_turn_to_others(
    redis_url: str, redis_client: Redis, repository: GitRepository, tmp_path: Path
) -> None:
    """Killed while its git runs: the kernel takes the lock back."""
    stuck = tmp_path / "stuck"
    stuck.mkdir()
    (stuck / "git").write_text(f"#!/bin/sh\necho $$ >{stuck}/running\nexec sleep 300\n")
    (stuck / "git").chmod(0o755)
    await redis_client.hset("job:1", mapping={"id": "1", "status": "running"})
    path = f"{stuck}{os.pathsep}{os.environ['PATH']}"
    ours = WorktreeLock(repository.root)
    with fantail("watch", "--redis-url", redis_url, "1", str(repository.root), PATH=path) as process:
        try:
            await eventually((stuck / "running").exists, WAIT_S, "git of the other process")
            assert not ours._locked(git_lock._open(turns_file()))
            process.send_signal(signal.SIGKILL)
            await ended(process)
            with anyio.fail_after(WAIT_S):
                async with ours.turn():
                    assert ours.trouble is None
        finally:
            os.kill(int((stuck / "running").read_text()), signal.SIGKILL)


class Kept:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.entries: Mapping[str, DiffEntry] = {}

    async def publish(self, entries: Mapping[str, DiffEntry], *, whole: bool = False) -> None:  # noqa: ARG002
        self.entries = entries


HOLD = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.lockf(file, fcntl.LOCK_EX, 1, int(sys.argv[2]))
print("held", flush=True)
sys.stdin.read()
"""


async def test_one_that_never_gives_the_turn_back_is_waited_for_once_and_told_of(
    repository: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_lock, "GIT_TURN_S_MAX", 0.2)
    offset = WorktreeLock(repository.root)._offset
    turns_file().parent.mkdir(parents=True)
    words = [sys.executable, "-c", HOLD, str(turns_file()), str(offset)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:  # noqa: ASYNC220 - starting takes a millisecond
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        notices: list[str] = []
        sink = Kept()
        repository.write("new", "x\n")
        async with watching_diff(repository.root, sink, on_notice=notices.append) as watcher:
            await eventually(lambda: set(sink.entries) == {"new"}, WAIT_S)
            assert await watcher.last_pass()
        assert notices == ["another watcher of this worktree has not let git run for 0 s; no longer waited for"]
        holder.kill()


async def test_where_there_can_be_no_locks_a_notice_says_so_and_the_diff_goes_on(
    repository: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    notices: list[str] = []
    sink = Kept()
    repository.write("new", "x\n")
    async with watching_diff(repository.root, sink, on_notice=notices.append) as watcher:
        await eventually(lambda: set(sink.entries) == {"new"}, WAIT_S)
        repository.write("newer", "x\n")
        await eventually(lambda: len(sink.entries) == 2, WAIT_S)
        assert await watcher.last_pass()
    assert len(notices) == 1
    assert notices[0].startswith("git may run beside that of another watcher: ")


def test_one_byte_stands_for_one_worktree_however_it_is_named(repository: GitRepository, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(repository.root)
    offset = WorktreeLock(repository.root)._offset
    assert WorktreeLock(link / "folder")._offset == offset
    assert WorktreeLock(tmp_path)._offset != offset
    assert 0 <= offset < 2**62


def test_the_file_of_locks_is_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert turns_file() == tmp_path / "cache" / "fantail" / "worktrees.lock"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert turns_file() == tmp_path / ".cache" / "fantail" / "worktrees.lock"
