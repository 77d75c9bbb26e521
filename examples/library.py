"""The broker inside any program, without Redis and without HTTP: publish from code, follow from code.

    python examples/library.py

Any number of readers follow one log; each is a cursor into it, so a slow one delays nobody and costs no memory, and one
that comes late, or comes back with a position, reads the same records from the same place.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import anyio

from fantail.broker import Broker, ChangeKind, DatabaseChange, parse_position
from fantail.broker.log.position import log_position

if TYPE_CHECKING:
    from fantail.broker import Position

JOB = "build-1"


async def build(broker: Broker) -> None:
    """Something that writes lines: here, a build of four steps."""
    for step in ("fetch", "compile", "test", "package"):
        await broker.publish(JOB, f"{step} … done")
        await anyio.sleep(0.01)
    await broker.publish(JOB, "1 warning", stream="stderr")
    await broker.update_job(JOB, status="success", exit_code="0")


async def follow(broker: Broker, name: str, after: Position | None = None, lines_max: int = 1000) -> Position | None:
    """Somebody who watches, from the beginning or from where they were; returns where they are at the end."""
    position = after
    async with aclosing(broker.records(JOB, after)) as records:
        async for offset, record in records:
            print(f"{name}: {offset} {record.data.decode()}")
            position = log_position(offset, record.crc)
            lines_max -= 1
            if lines_max == 0:
                break
    return position


async def main() -> None:
    """Runs a broker, a writer and two readers; then somebody who leaves early and comes back."""
    async with Broker(tables=("jobs", "machines")).running() as broker:
        await broker.create_job(JOB, {"branch": "main"})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow, broker, "ann")
            tasks.start_soon(follow, broker, "bob")
            tasks.start_soon(build, broker)

        left_at = str(await follow(broker, "cleo", lines_max=2))
        # A position survives on paper: it says where, and proves that the log there is still the same.
        print(f"cleo left at {left_at}")
        await follow(broker, "cleo", parse_position(left_at))

        machines = DatabaseChange("machines", ChangeKind.INSERT, "m1", {"load": 0.5})
        broker.tables.apply(machines, broker.now_s())
        broker.tables.apply(DatabaseChange("machines", ChangeKind.UPDATE, "m1", {"load": 0.7}), broker.now_s())
        print(f"machines: {dict(broker.tables.rows('machines'))}")


if __name__ == "__main__":
    anyio.run(main)
