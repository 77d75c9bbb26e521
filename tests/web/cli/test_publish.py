"""`fantail publish` as it is typed, heard by whoever listens."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import orjson
import pytest

from support.wait import eventually

if TYPE_CHECKING:
    from redis.asyncio import Redis

FANTAIL = (sys.executable, "-m", "fantail.web.cli", "publish")


def publish(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*FANTAIL, *words], capture_output=True, text=True, timeout=30, check=False)


async def test_a_script_says_how_a_run_ended(redis_client: Redis, redis_url: str) -> None:
    async with redis_client.pubsub() as listener:
        await listener.psubscribe("job:*")
        await listener.get_message(timeout=5.0)
        done = publish(
            "run", "r-1", "Failed", "--set", "errorDetails=2 of 3", "--set", 'artifactPaths=["a"]', "--set",
            "exitCode=3", "--redis-url", redis_url,
        )  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        message = await listener.get_message(timeout=5.0)
    assert message is not None
    assert message["channel"] == b"job:r-1:complete"
    assert orjson.loads(message["data"]) == {
        "status": "failed",
        "errorDetails": "2 of 3",
        "artifactPaths": ["a"],
        "exitCode": 3,
        "runId": "r-1",
    }
    assert await eventually(lambda: redis_client.exists("fantail:status:run:r-1"))


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("job", "1", "passed"), "not a kind"),
        (("run", "a:b", "passed"), "not a valid id"),
        (("run", "1", "passed", "--set", "nothing"), "not a member"),
        (("run", "1", "passed", "--set", f"a={'[' * 300}{']' * 300}"), "nested too deeply"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_two(redis_url: str, words: tuple[str, ...], why: str) -> None:
    done = publish(*words, "--redis-url", redis_url)
    assert done.returncode == 2
    assert why in done.stderr
    assert done.stderr.count("\n") == 1


async def test_what_is_no_json_or_no_text_is_said_as_well_as_it_can_be(redis_client: Redis, redis_url: str) -> None:
    done = publish(
        "run", "r-2", "running\udcff", "--set", "a=NaN", "--set", "b=123456789012345678901234567890",
        "--set", "c=\udcff", "--redis-url", redis_url,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    kept = await redis_client.get("fantail:status:run:r-2")
    assert isinstance(kept, bytes)
    told = orjson.loads(kept.partition(b"\n")[2])
    assert told == {
        "a": "NaN",
        "b": 123456789012345678901234567890.0,
        "c": "\ufffd",
        "status": "running\ufffd",
        "runId": "r-2",
    }
