"""Data directories that another user made or can change: refused in one line, nothing followed, nobody killed."""

# ruff: noqa: ASYNC240 - nothing else runs in this loop while a file is looked at

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fantail.broker.embedded import valkey as embedded
from fantail.broker.embedded.data_directory import FileLock, read_server_address, write_server_address
from fantail.broker.embedded.private_files import OwnProcess, UnsafePathError, check_directory, open_private
from fantail.broker.embedded.program import find_binary, health
from fantail.broker.embedded.valkey import DataDirectoryError, EmbeddedValkey, EmbeddedValkeyError, find_url
from support.servers.fantail_process import refused
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NOBODY = 65_534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")


async def enter(data_dir: Path) -> None:
    async with EmbeddedValkey(data_dir):
        pass


async def check_refused(data_dir: Path, *words: str) -> None:
    """The server and the commands refuse it in one line that names the setting, and leave it as it is."""
    before = {path: path.lstat().st_mtime_ns for path in data_dir.rglob("*")}
    with pytest.raises(DataDirectoryError) as wrong:
        await enter(data_dir)
    said = str(wrong.value)
    assert "\n" not in said
    assert "--data-dir" in said
    for word in words:
        assert word in said
    with pytest.raises(DataDirectoryError):
        find_url(data_dir)
    assert {path: path.lstat().st_mtime_ns for path in data_dir.rglob("*")} == before


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    made.mkdir(mode=0o700)
    return made


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770, 0o702])
async def test_one_that_others_may_write_to(data_dir: Path, mode: int) -> None:
    data_dir.chmod(mode)
    await check_refused(data_dir, "other users may write to it", "chmod go-w")


@as_root
async def test_one_of_another_user(data_dir: Path) -> None:
    os.chown(data_dir, NOBODY, NOBODY)
    await check_refused(data_dir, "it belongs to user nobody (65534)")


async def test_one_in_a_directory_that_others_may_write_to(data_dir: Path) -> None:
    data_dir.parent.chmod(0o777)
    await check_refused(data_dir, f"other users may write to {data_dir.parent} above it")
    data_dir.parent.chmod(0o1777)  # as /tmp: what is in there can be replaced by its owner alone
    check_directory(data_dir)
    data_dir.parent.chmod(0o700)


@as_root
async def test_one_in_a_directory_of_another_user(data_dir: Path) -> None:
    os.chown(data_dir.parent, NOBODY, NOBODY)
    await check_refused(data_dir, f"{data_dir.parent} above it belongs to user nobody")


@as_root
async def test_one_that_is_reached_by_a_link_of_another_user(data_dir: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(data_dir.parent)
    check_directory(link / "data")
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
    await check_refused(link / "data", "above it belongs to user nobody")


@pytest.mark.parametrize("name", ["fantail.lock", "valkey.lock", "valkey.log", "valkey.log.1", "server.json"])
async def test_a_planted_link_is_not_followed(data_dir: Path, tmp_path: Path, name: str) -> None:
    target = tmp_path / "precious"
    target.write_text("content")
    for kind, link in (("symbolic", (data_dir / name).symlink_to), ("hard", (data_dir / name).hardlink_to)):
        link(target)
        await check_refused(data_dir, f"{name} is a {kind} link")
        (data_dir / name).unlink()
    assert target.read_text() == "content"


async def test_a_link_to_a_socket_is_not_followed(data_dir: Path, tmp_path: Path) -> None:
    (data_dir / "valkey.sock").symlink_to(tmp_path / "elsewhere")
    await check_refused(data_dir, "valkey.sock is a symbolic link")


@as_root
@pytest.mark.parametrize("name", ["fantail.lock", "valkey.lock", "valkey.log", "server.json"])
async def test_a_file_of_another_user(data_dir: Path, name: str) -> None:
    (data_dir / name).touch(mode=0o600)
    os.chown(data_dir / name, NOBODY, NOBODY)
    await check_refused(data_dir, f"{name} belongs to user nobody")


def test_a_file_that_is_opened_is_a_file_and_no_link_at_any_moment(data_dir: Path) -> None:
    os.mkfifo(data_dir / "lock", 0o600)
    with pytest.raises(UnsafePathError, match="not a regular file"):
        open_private(data_dir / "lock", os.O_RDWR)


def test_a_servers_address_is_not_written_through_a_link(data_dir: Path, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("content")
    (data_dir / f"server.json.{os.getpid()}").symlink_to(target)
    write_server_address(data_dir, "http://127.0.0.1:1")
    assert read_server_address(data_dir) == "http://127.0.0.1:1"
    assert target.read_text() == "content"
    (data_dir / "server.json").unlink()
    target.write_text(json.dumps({"url": "http://evil", "pid": os.getpid()}))
    (data_dir / "server.json").symlink_to(target)
    assert read_server_address(data_dir) is None


def test_the_program_refuses_it_in_one_line(data_dir: Path) -> None:
    data_dir.chmod(0o777)
    code, said = refused("--port", "0", "--data-dir", str(data_dir))
    assert (code, said.count("\n")) == (1, 1), said
    assert said.startswith(f"fantail: the data directory {data_dir} cannot be used: other users may write to it")
    assert list(data_dir.iterdir()) == []


# -- processes ------------------------------------------------------------------------------------------------------

HOLDER = """
import fcntl, os, sys, time
lock = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
fcntl.flock(lock, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(600)
"""


@asynccontextmanager
async def lock_holder(data_dir: Path, *, named: int | None = None) -> AsyncIterator[subprocess.Popen[str]]:
    """A program that is no Valkey and holds valkey.lock, which names it, or another process."""
    with subprocess.Popen(  # noqa: ASYNC220 - it says at once that it is ready
        [sys.executable, "-c", HOLDER, str(data_dir / "valkey.lock")], stdout=subprocess.PIPE, text=True
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            pid = holder.pid if named is None else named
            (data_dir / "valkey.lock").write_text(json.dumps({"pid": pid, "socket": str(data_dir / "valkey.sock")}))
            yield holder
        finally:
            holder.kill()


async def test_a_program_that_holds_the_lock_and_is_no_valkey_is_not_ended(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "VALKEY_STOP_TIMEOUT_S", 0.05)
    async with lock_holder(data_dir) as holder:
        with pytest.raises(EmbeddedValkeyError, match=f"process id {holder.pid}, not proven") as wrong:
            await enter(data_dir)
        assert "--data-dir" in str(wrong.value)
        assert holder.poll() is None


async def test_a_process_that_a_lock_only_names_is_not_ended(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also not a Valkey: the lock is held by another program, so it is not the one of this directory."""
    monkeypatch.setattr(embedded, "VALKEY_STOP_TIMEOUT_S", 0.05)
    async with strangers_valkey(data_dir.parent / "s") as stranger, lock_holder(data_dir, named=stranger.pid):
        with pytest.raises(EmbeddedValkeyError, match=f"process id {stranger.pid}, not proven"):
            await enter(data_dir)
        assert stranger.poll() is None


@asynccontextmanager
async def strangers_valkey(
    socket: Path, *, user: int | None = None, lock: Path | None = None
) -> AsyncIterator[subprocess.Popen[bytes]]:
    arguments = [
        str(find_binary()),
        "--port",
        "0",
        "--unixsocket",
        str(socket),
        "--unixsocketperm",
        "777",
        "--save",
        "",
    ]
    held = [] if lock is None else [os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)]
    for descriptor in held:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    with subprocess.Popen(  # noqa: ASYNC220 - as above
        arguments,
        stdout=subprocess.DEVNULL,
        cwd=socket.parent,
        pass_fds=held,
        user=user,
        extra_groups=[] if user else None,
    ) as stranger:
        for descriptor in held:
            os.close(descriptor)
        try:
            await eventually(socket.exists)
            yield stranger
        finally:
            stranger.terminate()


async def test_a_valkey_that_answers_while_another_program_holds_the_lock_is_not_adopted(data_dir: Path) -> None:
    async with strangers_valkey(data_dir / "valkey.sock") as stranger, lock_holder(data_dir, named=stranger.pid):
        with pytest.raises(EmbeddedValkeyError, match=rf"not proven .*{stranger.pid}.*--data-dir"):
            await enter(data_dir)
        assert stranger.poll() is None


@as_root
async def test_a_valkey_of_another_user_is_not_spoken_to(data_dir: Path) -> None:
    """Even where its socket was given to us, and it holds the lock."""
    shared = Path(tempfile.mkdtemp(prefix="hostile-", dir="/tmp"))  # pytest's own directories are closed to others
    shared.chmod(0o777)
    try:
        async with strangers_valkey(shared / "s", user=NOBODY, lock=data_dir / "valkey.lock") as stranger:
            os.chown(shared / "s", 0, 0)
            (data_dir / "valkey.sock").hardlink_to(shared / "s")
            assert health(shared / "s") == "silent"
            assert find_url(data_dir) is None
            assert OwnProcess.proven(stranger.pid, data_dir / "valkey.lock") is None
    finally:
        shutil.rmtree(shared)


async def test_only_a_valkey_of_ours_with_the_lock_open_is_proven(data_dir: Path) -> None:
    async with EmbeddedValkey(data_dir) as valkey:
        assert valkey.pid is not None
        found = OwnProcess.proven(valkey.pid, data_dir / "valkey.lock")
        assert found is not None
        found.close()
        assert OwnProcess.proven(valkey.pid, data_dir / "fantail.lock") is None  # ours, and not its lock
        assert OwnProcess.proven(os.getpid(), data_dir / "valkey.lock") is None  # has it open, and is no Valkey
        assert OwnProcess.proven(1, data_dir / "valkey.lock") is None
        assert OwnProcess.proven(-1, data_dir / "valkey.lock") is None


def test_a_signal_for_a_process_that_has_ended_reaches_no_other() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        ours = OwnProcess(process.pid, os.pidfd_open(process.pid))
        ours.send(signal.SIGKILL)
        process.wait()
        ours.send(signal.SIGKILL)
        ours.close()
        ours.close()


def test_a_lock_is_not_taken_through_a_link(data_dir: Path, tmp_path: Path) -> None:
    (data_dir / "valkey.lock").symlink_to(tmp_path / "made-by-us")
    with pytest.raises(UnsafePathError, match="symbolic link"):
        FileLock.acquire(data_dir / "valkey.lock")
    assert not (tmp_path / "made-by-us").exists()
