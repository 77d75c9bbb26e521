"""How much was published is counted once, whatever becomes of the jobs, and told without a word of what it was."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from fantail.broker import Broker
from fantail.broker.published import Published, PublishedLog

if TYPE_CHECKING:
    import pytest


async def test_lines_and_changes_are_counted_though_the_job_is_gone() -> None:
    async with Broker().running() as broker:
        before = broker.published
        await broker.create_job("1")
        for number in range(3):
            await broker.publish("1", f"line {number}")
        assert (broker.published - before).lines == 3
        assert (broker.published - before).changes > 0
        after = broker.published
        await broker.ledger.delete_job("1")
        job = broker.find("1")
        if job is not None:
            broker.forget_if_unwatched(job)
        assert broker.find("1") is None
        assert broker.published.lines == after.lines
        assert broker.published.changes >= after.changes


def test_the_log_tells_once_a_minute_and_only_where_there_is_something_to_tell(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    now_s, total = 0.0, Published(5, 5)
    told = PublishedLog(lambda: total, lambda: now_s)
    for lines in (3, 0, 4):
        total += Published(lines, 0)
        now_s += 59.0
        told.tell_when_due()
        now_s += 1.0
        told.tell_when_due()
    assert [record.message for record in caplog.records] == [
        "published in 60 s: 3 lines, 0 changes",
        "published in 60 s: 4 lines, 0 changes",
    ]
