"""Real commands under real terminals, recorded in a real Valkey."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import orjson
import pytest
from redis.asyncio import Redis

from fantail.broker.producers.runner import process_runner
from fantail.broker.producers.runner.process_runner import Command, run_command
from fantail.broker.producers.runner.terminals import Capture
from fantail.broker.producers.writer.job_writer import Delivered, NewJob, Undelivered, WriterSettings
from fantail.broker.producers.writer.recording import OBEYED, Ended, Ran
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conftest import MakeRedisServer

NEW = NewJob(id="42", user_id="ada")
EVERY_CAPTURE = pytest.mark.parametrize("capture", list(Capture))


def script(text: str) -> list[str]:
    return [sys.executable, "-u", "-c", text]


async def run(
    url: str, words: Sequence[str], capture: Capture = Capture.TWO_TERMINALS, *, secrets: Sequence[bytes] = ()
) -> Ran:
    command = Command(words, capture, secrets=secrets, echo=False)
    with anyio.fail_after(30):
        return await run_command(url, NEW, command)


async def output(url: str) -> list[tuple[str, str]]:
    async with Redis.from_url(url) as client:
        stored = [orjson.loads(entry) for entry in await client.lrange("job:42:output", 0, -1)]
    return [(entry["stream"], entry["line"]) for entry in stored]


async def lines(url: str) -> list[str]:
    return [line for _, line in await output(url)]


async def fields(url: str) -> dict[str, str]:
    async with Redis.from_url(url, decode_responses=True) as client:
        return {str(name): str(value) for name, value in (await client.hgetall("job:42")).items()}


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - one look at once


def is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@EVERY_CAPTURE
async def test_a_commands_output_and_end_are_recorded(redis_url: str, capture: Capture) -> None:
    words = script("import sys; print('out'); sys.stdout.flush(); print('err', file=sys.stderr); sys.exit(3)")
    assert await run(redis_url, words, capture) == Ran(Ended(3, "failed"), Delivered())
    second = "stdout" if capture is Capture.ONE_TERMINAL else "stderr"
    assert sorted(await output(redis_url)) == sorted([("stdout", "out"), (second, "err")])
    recorded = await fields(redis_url)
    assert recorded["status"] == "failed"
    assert recorded["exit_code"] == "3"
    assert recorded["command"].startswith(sys.executable)


async def test_one_terminal_keeps_the_exact_order_of_both_streams(redis_url: str) -> None:
    words = script("import sys\nfor n in range(200): print(n, file=(sys.stdout, sys.stderr)[n % 2])")
    await run(redis_url, words, Capture.ONE_TERMINAL)
    assert await lines(redis_url) == [str(number) for number in range(200)]


async def test_the_command_sees_terminals_without_input_and_without_pagers(redis_url: str) -> None:
    words = script(
        "import os, sys\n"
        "print(sys.stdin.isatty(), sys.stdout.isatty(), sys.stderr.isatty(), sys.stdin.read() == '')\n"
        "print(os.get_terminal_size(1).columns, os.environ['COLUMNS'], os.environ['PAGER'], os.environ['GIT_PAGER'])\n"
        "print(os.getsid(0) == os.getpid(), bool(os.environ['TERM']))\n"
    )
    await run(redis_url, words)
    assert await lines(redis_url) == ["False True True True", "120 120 cat cat", "True True"]


@EVERY_CAPTURE
async def test_every_byte_comes_through_as_it_was_written(redis_url: str, capture: Capture) -> None:
    words = script(r"import os; os.write(1, b'a\tb\r\n\x1b[31mred\x1b[0m\r50%\r100%\n\x00\x04\x03\x7f\nno end')")
    await run(redis_url, words, capture)
    assert await lines(redis_url) == ["a\tb\r", "\x1b[31mred\x1b[0m\r50%\r100%", "\x00\x04\x03\x7f", "no end"]


async def test_a_character_written_in_two_halves_stays_one(redis_url: str) -> None:
    words = script(r"import os, time; os.write(1, b'\xe2\x82'); time.sleep(.05); os.write(1, b'\xac\n')")
    await run(redis_url, words)
    assert await lines(redis_url) == ["€"]


async def test_a_secret_written_in_two_halves_is_masked_in_all_that_is_recorded(redis_url: str) -> None:
    words = script("import os, time; os.write(1, b'a hunter2-'); time.sleep(.05); os.write(1, b'hunter2 b\\n')")
    await run(redis_url, [*words, "--password=hunter2-hunter2"], secrets=[b"hunter2-hunter2"])
    assert await lines(redis_url) == ["a *** b"]
    assert (await fields(redis_url))["command"].endswith("--password=***")


async def test_the_echo_is_the_very_output(redis_url: str, capfd: pytest.CaptureFixture[str]) -> None:
    words = script("import sys; print('out ghp_' + 'a' * 36); print('err', file=sys.stderr)")
    await run_command(redis_url, NEW, Command(words))
    assert capfd.readouterr() == ("out ghp_" + "a" * 36 + "\n", "err\n")
    assert ("stdout", "out ***") in await output(redis_url)


@EVERY_CAPTURE
async def test_a_hundred_thousand_lines_come_whole(redis_url: str, capture: Capture) -> None:
    await run(redis_url, ["seq", "100000"], capture)
    assert await lines(redis_url) == [str(number) for number in range(1, 100_001)]


@pytest.mark.parametrize(
    ("words", "ended"),
    [
        (["true"], Ended(0, "success")),
        (["false"], Ended(1, "failed")),
        (["sh", "-c", "kill -KILL $$"], Ended(137, "failed", "killed by SIGKILL")),
        (["no-such-command-anywhere"], Ended(127, "failed", "no-such-command-anywhere: command not found")),
        (["/no/such/file"], Ended(127, "failed", "/no/such/file: command not found")),
        (["/etc"], Ended(126, "failed", "/etc: Permission denied")),
    ],
)
async def test_the_exit_code_is_the_one_a_shell_would_give(redis_url: str, words: list[str], ended: Ended) -> None:
    assert await run(redis_url, words) == Ran(ended, Delivered())
    recorded = await fields(redis_url)
    assert recorded["status"] == ended.status
    assert recorded["exit_code"] == str(ended.exit_code)
    assert recorded.get("error_message") == ended.error_message


@pytest.mark.parametrize("number", OBEYED)
async def test_signals_are_passed_on_to_the_whole_group(redis_url: str, number: signal.Signals) -> None:
    words = script(
        "import signal, subprocess\n"
        "signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
        "child = subprocess.Popen(['sleep', '50'])\n"
        "print(child.pid)\n"
        "child.wait()\n"
    )
    pids = []

    async def send() -> None:
        pids.extend(await eventually(lambda: lines(redis_url)))
        os.kill(os.getpid(), number)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        ran = await run(redis_url, words)
    assert ran.ended == Ended(128 + number, "cancelled", f"cancelled by {number.name}")
    assert (await fields(redis_url))["status"] == "cancelled"
    await eventually(lambda: not is_running(int(pids[0])))


async def test_a_command_that_handles_the_signal_decides_how_it_ends(redis_url: str) -> None:
    words = script(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('bye')))\n"
        "print('ready')\n"
        "time.sleep(50)\n"
    )

    async def send() -> None:
        await eventually(lambda: lines(redis_url))
        os.kill(os.getpid(), signal.SIGTERM)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        ran = await run(redis_url, words)
    assert ran.ended == Ended(0, "success")
    assert await lines(redis_url) == ["ready", "bye"]


@EVERY_CAPTURE
async def test_processes_left_behind_do_not_keep_the_job_open(redis_url: str, capture: Capture) -> None:
    with anyio.fail_after(5):
        ran = await run(redis_url, ["sh", "-c", "echo started; sleep 20 & echo $!"], capture)
    assert ran.ended == Ended(0, "success")
    first, pid, told = await output(redis_url)
    os.kill(int(pid[1]), signal.SIGKILL)
    assert first == ("stdout", "started")
    assert told[0] == "system"


async def test_what_a_late_child_prints_within_the_grace_is_recorded(redis_url: str) -> None:
    await run(redis_url, ["sh", "-c", "(sleep 0.2; echo late) & echo early"])
    assert await output(redis_url) == [("stdout", "early"), ("stdout", "late")]


async def test_a_chatty_process_left_behind_does_not_keep_the_job_open(redis_url: str) -> None:
    with anyio.fail_after(10):
        ran = await run(redis_url, ["sh", "-c", "yes & echo $!"])
    assert ran.ended == Ended(0, "success")
    assert (await output(redis_url))[-1][0] == "system"


async def test_a_command_waits_for_redis_and_goes_on_without_it(make_redis_server: MakeRedisServer) -> None:
    server = make_redis_server()
    settings = WriterSettings(timeout_s=0.5, unsent_bytes_max=50_000, spool_bytes_max=0)
    written = server.directory / "written"

    async def starve() -> None:
        await eventually(lambda: lines(server.url))
        server.pause()
        await anyio.sleep(0.2)  # within the time-out: the command is to be waiting now
        blocked = written.stat().st_size
        await anyio.sleep(0.1)
        assert written.stat().st_size == blocked
        server.kill9()

    words = script(
        "import sys\n"
        f"with open({str(written)!r}, 'ab', 0) as written:\n"
        "    for n in range(20_000): print(n, 'x' * 80); written.write(b'.')\n"
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(starve)
        ran = await run_command(server.url, NEW, Command(words, echo=False), settings, flush_s=0.3)
    assert ran.ended == Ended(0, "success")
    assert isinstance(ran.ending, Undelivered)
    assert ran.ending.lines > 10_000
    assert written.stat().st_size == 20_000


async def test_redis_killed_and_started_again_under_a_command_has_every_line_once(
    make_redis_server: MakeRedisServer,
) -> None:
    server = make_redis_server(appendonly=True)

    async def kill_and_start() -> None:
        for _ in range(3):
            await eventually(lambda: lines(server.url))
            await anyio.to_thread.run_sync(server.kill9)
            await anyio.sleep(0.1)
            await anyio.to_thread.run_sync(server.start)

    words = script("import time\nfor n in range(20_000):\n  print(n)\n  if not n % 200: time.sleep(.01)")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(kill_and_start)
        ran = await run(server.url, words)
    assert ran == Ran(Ended(0, "success"), Delivered())
    assert await lines(server.url) == [str(number) for number in range(20_000)]


async def test_a_signal_after_the_commands_end_gives_up_waiting_for_redis(make_redis_server: MakeRedisServer) -> None:
    server = make_redis_server()

    go_on = server.directory / "go"

    async def send() -> None:
        await eventually(lambda: lines(server.url))
        server.kill9()
        go_on.touch()
        await anyio.sleep(0.3)  # long enough for the command to end; were it not, the status would be cancelled
        os.kill(os.getpid(), signal.SIGINT)

    words = script(
        f"import os, time\nprint('ready')\nwhile not os.path.exists({str(go_on)!r}): time.sleep(.01)\nprint('end')\n"
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        with anyio.fail_after(5):
            ran = await run_command(server.url, NEW, Command(words, echo=False))
    assert ran == Ran(Ended(0, "success"), Undelivered(1, first=1, status=True))


async def test_cancelling_ends_the_command_and_the_job(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_runner, "RUN_KILL_S", 0.2)
    stubborn = "trap '' TERM; echo $$; while true; do sleep 0.1; done"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, redis_url, ["sh", "-c", stubborn])
        pid = int((await eventually(lambda: lines(redis_url)))[0])
        tasks.cancel_scope.cancel()
    assert not is_running(pid)
    assert (await fields(redis_url))["status"] == "cancelled"


async def test_files_opened_for_a_command_are_closed_again(redis_url: str) -> None:
    await run(redis_url, ["true"])
    before = open_files()
    for capture in Capture:
        await run(redis_url, ["true"], capture)
        await run(redis_url, ["no-such-command-anywhere"], capture)
    assert open_files() == before
