"""`fantail serve` as a program: one clear line where it cannot start, and an orderly end."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest
from redis import Redis

from support.clients.sse_client import open_stream
from support.servers.fantail_process import FantailProcess, fantail_process, refused
from support.wait import eventually

if TYPE_CHECKING:
    from pathlib import Path


def check_refused(code: int, *words: str, arguments: tuple[str, ...] = (), **settings: str) -> None:
    """The start is refused with that exit code and one line that has the words."""
    environment = {f"FANTAIL_{name.upper()}": value for name, value in settings.items()}
    got, said = refused(*arguments, settings=environment)
    assert (got, said.count("\n")) == (code, 1), said
    assert said.startswith("fantail: ")
    for word in words:
        assert word in said


def test_a_wrong_setting_is_one_line_and_exit_code_2() -> None:
    check_refused(2, "FANTAIL_KEEPALIVE_S='soon'", "number", keepalive_s="soon")
    check_refused(2, "FANTAIL_PORT='http'", arguments=("--port", "http"))


def test_without_authentication_it_does_not_listen_beyond_loopback() -> None:
    """Trap 30, the server's part."""
    check_refused(2, "FANTAIL_AUTH", "loopback", arguments=("--host", "0.0.0.0"))


def test_a_taken_port_is_one_line_and_exit_code_1(redis_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        check_refused(1, port, "taken", "--port", arguments=("--port", port), redis_url=redis_url)


def test_an_address_of_another_machine_is_one_line_and_exit_code_1(redis_url: str) -> None:
    check_refused(
        1,
        "192.0.2.1",
        arguments=("--host", "192.0.2.1"),
        redis_url=redis_url,
        auth="jwt",
        jwt_secret="a secret of more than thirty-two bytes",
    )


def test_a_file_descriptor_that_does_not_listen_is_one_line_and_exit_code_1(redis_url: str) -> None:
    check_refused(1, "descriptor 77", arguments=("--fd", "77"), redis_url=redis_url)


def test_a_data_directory_that_is_none_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    check_refused(1, "data directory", arguments=("--port", "0", "--data-dir", str(tmp_path / "file")))


def test_a_second_server_on_the_same_data_directory_is_refused(tmp_path: Path) -> None:
    with fantail_process("--data-dir", str(tmp_path)):
        check_refused(1, "is using it", arguments=("--port", "0", "--data-dir", str(tmp_path)))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_in_time_with_exit_code_0_although_streams_are_open(
    tmp_path: Path, number: signal.Signals
) -> None:
    """Trap 37, with the private Valkey: it says one line when it is ready, and leaves nothing behind."""
    with fantail_process("--data-dir", str(tmp_path), settings={"FANTAIL_DRAIN_S": "0.5"}) as server:
        with Redis.from_url(f"unix://{tmp_path}/valkey.sock") as redis:
            redis.hset("job:1", mapping={"id": "1", "status": "running"})
        async with open_stream(f"{server.url}/api/jobs/1/stream") as stream:
            assert (await stream.next()).name == "status"
            began_s = time.monotonic()
            server.signal(number)
            assert await stream.rest() == []
            assert await anyio.to_thread.run_sync(server.wait) == 0
        assert time.monotonic() - began_s < 8
    assert not (tmp_path / "valkey.sock").exists()
    assert not (tmp_path / "server.json").exists()


async def test_a_second_signal_ends_it_at_once(redis_url: str) -> None:
    with fantail_process("--redis-url", redis_url, settings={"FANTAIL_DRAIN_S": "30"}) as server:
        with Redis.from_url(redis_url) as redis:
            redis.hset("job:1", mapping={"id": "1", "status": "running"})
        async with open_stream(f"{server.url}/api/jobs/1/stream") as stream:
            await stream.next()
            server.signal()
            await eventually(lambda: any("SIGTERM" in line for line in server.errors), what="the first signal taken")
            began_s = time.monotonic()
            server.signal()
            assert await anyio.to_thread.run_sync(server.wait) == 0
        assert time.monotonic() - began_s < 3


async def test_a_listening_socket_can_be_inherited_and_outlives_the_server(redis_url: str) -> None:
    """Trap 42: between one server and the next, connections wait and are not refused."""

    def answers(server: FantailProcess) -> bool:
        return httpx.get(f"{server.url}/healthz").status_code == 200

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        arguments = ("--fd", str(listener.fileno()), "--redis-url", redis_url)
        with fantail_process(*arguments, pass_fds=[listener.fileno()]) as first:
            assert first.port == port
            assert answers(first)
            first.signal()
            assert first.wait() == 0
        with socket.create_connection(("127.0.0.1", port)) as waiting:
            waiting.send(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            with fantail_process(*arguments, pass_fds=[listener.fileno()]):
                assert waiting.recv(15) == b"HTTP/1.1 200 OK"


def test_systemd_can_hand_the_socket_over(redis_url: str) -> None:
    """sd_listen_fds(3): the socket is descriptor 3, LISTEN_PID names us."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        starter = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3);"
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1');"
            "os.execv(sys.executable, [sys.executable, '-m', 'fantail.web.cli', 'serve', '--redis-url', sys.argv[2]])"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", starter, str(listener.fileno()), redis_url],
            pass_fds=[listener.fileno()],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == f"Fantail is ready on http://127.0.0.1:{listener.getsockname()[1]}\n"
        finally:
            process.terminate()
            assert process.wait(10) == 0
            if process.stdout is not None:
                process.stdout.close()


def test_without_authentication_an_inherited_socket_beyond_loopback_is_refused(redis_url: str) -> None:
    """Trap 30: whoever bound it, what listens to everybody is not for nobody in particular."""
    with socket.create_server(("0.0.0.0", 0)) as listener:
        descriptor = listener.fileno()
        arguments = ("--fd", str(descriptor), "--redis-url", redis_url)
        code, said = refused(*arguments, pass_fds=[descriptor])
        assert (code, said.count("\n")) == (1, 1), said
        assert "loopback" in said
        assert "FANTAIL_AUTH" in said


async def test_it_raises_its_limit_of_open_files(redis_url: str) -> None:
    with fantail_process("--redis-url", redis_url) as server:
        limits = (await anyio.Path(f"/proc/{server.process.pid}/limits").read_text()).splitlines()
        (soft, hard) = next(line.split()[3:5] for line in limits if line.startswith("Max open files"))
        assert int(soft) == min(int(hard), 524_288)


async def test_an_unknown_setting_is_told_in_the_log_and_a_log_can_be_json(redis_url: str) -> None:
    settings = {"FANTAIL_KEEPALIV_S": "1", "FANTAIL_LOG_FORMAT": "json"}
    with fantail_process("--redis-url", redis_url, settings=settings) as server:
        await eventually(lambda: server.errors, what="a line of the log")
        event = httpx.Response(200, text=server.errors[0]).json()
        assert event["level"] == "warning"
        assert "did you mean FANTAIL_KEEPALIVE_S" in event["message"]
