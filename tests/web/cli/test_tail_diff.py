"""`fantail tail --diff`: patches on stdout, each once; the rest beside them."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest

from fantail.broker import Broker
from fantail.broker.producers.diff.companion import Watched
from fantail.broker.producers.runner.process_runner import Command, run_command
from fantail.broker.producers.writer.job_writer import NewJob
from fantail.broker.sources.redis.tailer import RedisTailer
from fantail.web.cli.follower import FAILED, SUCCEEDED
from fantail.web.cli.main import MISUSED, main
from fantail.web.cli.tail_diff import coloured
from support.servers.served_app import served_app
from support.wait import eventually
from support.worktrees.git_repository import GitRepository

from .test_tail import STREAM, Screen, refusal, scripted

if TYPE_CHECKING:
    from pathlib import Path

    from redis.asyncio import Redis


def entry(file: str, diff: str, **more: Any) -> dict[str, Any]:
    return {"file": file, "diff": diff, "change": "modified", "additions": 1, "deletions": 2, **more}


def frame(data: Any, event: str = "message", position: str = "") -> bytes:
    head = f"id: {position}\n" if position else ""
    return f"{head}event: {event}\ndata: {json.dumps(data)}\n\n".encode()


def snapshot(*entries: dict[str, Any]) -> bytes:
    return STREAM + frame({}, "snapshot") + b"".join(map(frame, entries)) + frame({}, "ready", "1-e")


def finished(status: str = "success") -> bytes:
    return frame({"exitCode": 0, "status": status}, "finished", "9-e.end")


async def test_a_snapshot_is_printed_when_it_is_whole_and_changes_as_they_come() -> None:
    screen = Screen()
    cut = STREAM + frame({}, "snapshot") + frame(entry("a", "half"))
    whole = snapshot(entry("a", "+1\n"), entry("b", "+2\n")) + frame(entry("a", "+3\n"), position="2-e")
    async with scripted(cut, whole + finished()) as server:
        assert await screen.follow(server.url, diff=True) == SUCCEEDED
    assert screen.out == ["+1", "+2", "+3"]


async def test_a_snapshot_after_a_cut_prints_what_is_new_and_nothing_twice() -> None:
    """Traps 2 and 24."""
    screen = Screen()
    again = snapshot(entry("b", "+2\n"), entry("c", "+9\n"))
    async with scripted(snapshot(entry("a", "+1\n"), entry("b", "+2\n")), again + finished()) as server:
        assert await screen.follow(server.url, diff=True) == SUCCEEDED
        assert "last-event-id: 1-e" in server.requests[1]
    assert screen.out == ["+1", "+2", "+9"]
    assert screen.told == ["a no longer differs"]


async def test_what_has_no_patch_is_told_beside_the_patches() -> None:
    """Trap 33."""
    screen = Screen()
    changes = frame(entry("a", "", change="none"), position="2-e") + frame(entry("big\x1b", "", omitted="size"))
    async with scripted(snapshot(entry("a", "+1\n")) + changes + finished("failed")) as server:
        assert await screen.follow(server.url, diff=True) == FAILED
    assert screen.out == ["+1"]
    assert screen.told == ["a no longer differs", "big^[ (+1 -2): its patch is left out (size)"]


async def test_entries_can_be_had_as_json() -> None:
    screen = Screen()
    async with scripted(snapshot(entry("a", "+1\n")) + finished()) as server:
        await screen.follow(server.url, diff=True, as_json=True)
    assert [json.loads(line) for line in screen.out] == [entry("a", "+1\n")]


async def test_a_job_that_is_gone_and_one_that_is_not_there() -> None:
    screen = Screen()
    async with scripted(snapshot() + finished("deleted")) as server:
        assert await screen.follow(server.url, diff=True) == FAILED
    assert screen.told == ["the job is gone"]
    async with scripted(refusal(404, b"Job not found")) as server:
        assert await Screen().follow(server.url, diff=True) == MISUSED


def test_patches_are_coloured_as_git_does_and_control_characters_shown() -> None:
    patch = "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@ def f\n-\x1b[2J\n+\tnew\n same\n--- a dash\n"
    assert coloured(patch).split("\n") == [
        "\x1b[1mdiff --git a/a b/a\x1b[m",
        "\x1b[1m--- a/a\x1b[m",
        "\x1b[1m+++ b/a\x1b[m",
        "\x1b[36m@@ -1 +1 @@\x1b[m def f",
        "\x1b[31m-^[[2J\x1b[m",
        "\x1b[32m+\tnew\x1b[m",
        " same",
        "\x1b[31m--- a dash\x1b[m",
        "",
    ]


@pytest.mark.parametrize("words", [["tail", "42", "--diff", "--from", "1"], ["run", "--base", "main", "--", "true"]])
def test_flags_that_contradict_each_other_are_refused(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main(words) == MISUSED
    assert capfd.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "left_out"),
    [([], set()), (["--diff-file-bytes", "400"], {"large"}), (["--diff-total-bytes", "0"], {"large", "small"})],
)
async def test_the_limits_of_size_are_settings(
    redis_url: str, redis_client: Redis, tmp_path: Path, words: list[str], left_out: set[str]
) -> None:
    repository = GitRepository(tmp_path / "repository")
    repository.write("small", "x\n")
    repository.write("large", "x\n" * 400)
    diff = ["--diff", str(repository.root), *words]
    ran = ["run", "--quiet", "--no-echo", "--id", "42", "--redis-url", redis_url, *diff, "--", "true"]
    assert (await anyio.run_process([sys.executable, "-m", "fantail.web.cli", *ran], check=False)).returncode == 0
    stored = cast("dict[bytes, bytes]", await redis_client.hgetall("job:42:diff"))
    entries = {file.decode(): json.loads(entry) for file, entry in stored.items()}
    assert set(entries) == {"small", "large"}
    assert entries["large"]["additions"] == 400
    assert {file for file, entry in entries.items() if entry.get("omitted") == "size"} == left_out


async def test_the_diff_of_a_job_that_ended_is_one_patch_that_git_takes(redis_url: str, tmp_path: Path) -> None:
    repository = GitRepository(tmp_path / "repository")
    repository.write("a", "one\ntwo\nthree\n" * 9)
    base = repository.commit()
    script = "mv a 'b c'; echo new >> 'b c'; printf '\\xff\\x00' > binary; echo x > $'odd\\nname'"
    command = Command(["bash", "-c", f"cd {repository.root}; {script}"], echo=False, diff=Watched(repository.root))
    await run_command(redis_url, NewJob(id="42"), command)
    screen = Screen()
    async with served_app(Broker(lambda broker: RedisTailer(broker, redis_url))) as served:
        await eventually(lambda: served.broker.source_available)
        assert await screen.follow(served.url, diff=True) == SUCCEEDED
    patch = b"".join(data for fd, data in screen.written if fd == 1)
    repository.git("worktree", "add", "-q", "--detach", str(tmp_path / "other"), base)
    repository.git_at(tmp_path / "other", "apply", "-", stdin=patch)
    there = repository.files(tmp_path / "other")
    assert {name: content for name, content in repository.files().items() if name != b"binary"} == there
    assert screen.told == ["binary (+0 -0): its patch is left out (binary)"]
