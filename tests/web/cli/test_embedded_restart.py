"""Commands that find the private Valkey by themselves, while the server that lives is starting it again."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from fantail.broker.embedded.data_directory import recorded_valkey_pid
from fantail.broker.embedded.valkey import write_server_address
from fantail.broker.errors import SourceUnavailableError
from fantail.web.cli import locate
from support.servers.fantail_process import command, environment, fantail_process

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = {
    "run": ["run", "--id", "1", "--", "echo", "hello"],
    "pipe": ["pipe", "--id", "1"],
    "publish": ["publish", "run", "7", "passed"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_restart_is_waited_for(tmp_path: Path, name: str) -> None:
    """The server is stopped in the moment in which its Valkey dies, so that nothing depends on time."""
    data_dir = tmp_path / "data"
    with fantail_process("--data-dir", str(data_dir)) as server:
        valkey = recorded_valkey_pid(data_dir)
        assert valkey is not None
        server.signal(signal.SIGSTOP)
        os.kill(valkey, signal.SIGKILL)
        process = subprocess.Popen(
            command(*with_directory(name, data_dir)),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        first = process.stderr.readline()
        server.signal(signal.SIGCONT)
        said, rest = process.communicate(timeout=40)
    assert f"the Valkey of the server at {server.url} does not answer; waiting for up to 15 s" in first
    assert process.returncode == 0, rest
    assert said == ("hello\n" if name == "run" else "")


def with_directory(name: str, data_dir: Path) -> list[str]:
    first, *rest = COMMANDS[name]
    return [first, "--data-dir", str(data_dir), *rest]


def test_a_valkey_that_does_not_come_back_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locate, "LOCATE_S_MAX", 0.2)
    tmp_path.chmod(0o700)
    write_server_address(tmp_path, "http://127.0.0.1:9999")
    with pytest.raises(SourceUnavailableError, match=r"the server at http://127.0.0.1:9999 runs, but its Valkey"):
        locate.redis_address(None, tmp_path)


def test_where_no_server_lives_nothing_is_waited_for(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(locate.NotLocatedError, match="no Fantail server is running"):
        locate.redis_address(None, tmp_path)
