"""Where the data directory is, and what other programs find in it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from fantail.broker.embedded.data_directory import (
    FileLock,
    default_data_dir,
    read_server_address,
    remove_server_address,
    valkey_socket_path,
    write_server_address,
)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"FANTAIL_DATA_DIR": "/srv/fantail", "XDG_DATA_HOME": "/data"}, "/srv/fantail"),
        ({"FANTAIL_DATA_DIR": "~/f"}, "/home/ada/f"),
        ({"XDG_DATA_HOME": "/data"}, "/data/fantail"),
        ({"XDG_DATA_HOME": "relative"}, "/home/ada/.local/share/fantail"),
        ({"FANTAIL_DATA_DIR": "", "XDG_DATA_HOME": ""}, "/home/ada/.local/share/fantail"),
    ],
)
def test_the_default_directory(environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FANTAIL_DATA_DIR", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/ada")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert default_data_dir() == Path(expected)


def test_a_lock_is_had_once_and_outlives_us_in_a_child_that_inherits_it(tmp_path: Path) -> None:
    lock = FileLock.acquire(tmp_path / "lock")
    assert lock is not None
    assert FileLock.acquire(tmp_path / "lock") is None
    with subprocess.Popen(["sleep", "60"], pass_fds=[lock.fileno]) as child:
        lock.release()
        assert FileLock.acquire(tmp_path / "lock") is None
        child.kill()
    again = FileLock.acquire(tmp_path / "lock")
    assert again is not None
    again.release()


def test_a_shorter_text_replaces_a_longer_one(tmp_path: Path) -> None:
    lock = FileLock.acquire(tmp_path / "lock")
    assert lock is not None
    lock.write("123456")
    lock.write("7")
    lock.release()
    assert (tmp_path / "lock").read_text() == "7"


def test_a_socket_path_of_107_bytes_is_used_and_one_of_108_is_not(tmp_path: Path) -> None:
    room = 107 - len(os.fsencode(tmp_path / "x" / "valkey.sock")) + 1
    fits, too_long = tmp_path / ("d" * room), tmp_path / ("d" * (room + 1))
    assert valkey_socket_path(fits) == fits / "valkey.sock"
    assert valkey_socket_path(too_long) != too_long / "valkey.sock"
    assert len(os.fsencode(valkey_socket_path(too_long))) <= 107


def test_two_long_directories_have_two_sockets(tmp_path: Path) -> None:
    assert valkey_socket_path(tmp_path / ("d" * 120)) != valkey_socket_path(tmp_path / ("e" * 120))


def test_the_servers_address_is_read_back_and_removed_by_its_writer(tmp_path: Path) -> None:
    assert read_server_address(tmp_path) is None
    write_server_address(tmp_path, "http://127.0.0.1:8765")
    assert read_server_address(tmp_path) == "http://127.0.0.1:8765"
    assert json.loads((tmp_path / "server.json").read_text()) == {
        "url": "http://127.0.0.1:8765",
        "pid": os.getpid(),
    }
    remove_server_address(tmp_path)
    assert list(tmp_path.iterdir()) == []
    remove_server_address(tmp_path)


def test_the_address_of_another_server_is_not_removed(tmp_path: Path) -> None:
    content = json.dumps({"url": "http://127.0.0.1:1", "pid": os.getppid()})
    (tmp_path / "server.json").write_text(content)
    remove_server_address(tmp_path)
    assert (tmp_path / "server.json").read_text() == content


def ended_pid() -> int:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"url": "http://x"}',
        '{"url": 1, "pid": 1}',
        '{"url": "http://x", "pid": "1"}',
        '{"url": "http://x", "pid": 0}',
        '{"url": "http://x", "pid": -1}',
        '{"url": "http://x", "pid": 1e99}',
        '{"url": "http://x", "pid": 99999999999999999999}',
        "\udcff",
    ],
)
def test_a_malformed_server_address_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "server.json").write_bytes(content.encode(errors="surrogateescape"))
    assert read_server_address(tmp_path) is None


def test_the_server_address_of_a_process_that_ended_is_none(tmp_path: Path) -> None:
    (tmp_path / "server.json").write_text(json.dumps({"url": "http://x", "pid": ended_pid()}))
    assert read_server_address(tmp_path) is None
