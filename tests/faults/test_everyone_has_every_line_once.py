"""Three tabs and a terminal follow one job that is written at full speed, and each is cut again and again.

All of it is real: `fantail serve` with its embedded Valkey, `fantail tail`, a producer, and a TCP proxy before each
reader that resets its connection at a byte of chance's choosing. Whatever is cut, killed or restarted, everyone has
every line once, in order, and the end (traps 2, 18, 19, 20, 37, 38 and 42).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from fantail.broker.producers.writer.job_writer import Delivered, NewJob, open_job
from faults.cutting import AHEAD_MAX
from faults.everyone import LINE_BYTES_MIN, everyone, in_blocks
from faults.server_to_kill import living_valkey, server_to_kill

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from faults.server_to_kill import ServerToKill

pytestmark = pytest.mark.timeout(180)

LINES = 100_000
CUTS = 50
BLOCKS = CUTS + AHEAD_MAX


async def test_through_fifty_cuts_each(chance: random.Random, tmp_path: Path) -> None:
    lines = [f"line {number}" for number in range(LINES)]
    blocks = in_blocks(lines, BLOCKS)
    async with (
        server_to_kill(data_dir=tmp_path / "data") as server,
        open_job(f"unix://{tmp_path}/data/valkey.sock", NewJob(id="42")) as job,
        everyone(server, chance, tmp_path, cuts=CUTS, block_bytes_min=len(blocks[-1]) * LINE_BYTES_MIN) as readers,
    ):
        await readers.cutting.write(job, blocks)
        assert await job.finish() == Delivered()
    assert [proxy.cuts_total for proxy in readers.cutting.proxies] == [CUTS] * 4
    readers.check(lines)


async def test_through_a_server_that_is_killed_and_one_that_is_stopped(chance: random.Random, tmp_path: Path) -> None:
    """The embedded Valkey outlives who is killed and is adopted by the next; it stops with who is stopped."""
    lines = [f"line {number}" for number in range(LINES)]
    cuts = 12
    blocks = in_blocks(lines, cuts + AHEAD_MAX)
    moments = sorted(chance.sample(range(LINES * 9 // 10), 4))
    ways = chance.sample(("kill", "kill", "kill", "stop"), 4)
    async with (
        server_to_kill(data_dir=tmp_path / "data") as server,
        open_job(f"unix://{tmp_path}/data/valkey.sock", NewJob(id="42")) as job,
        everyone(server, chance, tmp_path, cuts=cuts, block_bytes_min=len(blocks[-1]) * LINE_BYTES_MIN) as readers,
    ):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(readers.cutting.write, job, blocks)
            for moment, way in zip(moments, ways, strict=True):
                await readers.some_screen_has(moment, chance)
                await end_and_start(server, tmp_path / "data", way)
        assert await job.finish() == Delivered()
    readers.check(lines)


async def end_and_start(server: ServerToKill, data_dir: Path, way: str) -> None:
    valkey = living_valkey(data_dir)
    if way == "kill":
        await server.kill9()
        assert living_valkey(data_dir) == valkey is not None
    else:
        assert await server.stop() == 0
        assert living_valkey(data_dir) is None
    await server.start()
    assert (living_valkey(data_dir) == valkey) == (way == "kill")
