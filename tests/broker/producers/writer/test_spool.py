from __future__ import annotations

from collections import deque
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fantail.broker.producers.writer.spool import Spool

BYTES_MAX = 300
HEAD_BYTES = 4


class SpoolBesideDeque(RuleBasedStateMachine):
    """The queue on disk, and a plain one beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.spool = Spool(BYTES_MAX)
        self.plain: deque[bytes] = deque()
        self.file_bytes = 0

    @rule(entries=st.lists(st.binary(max_size=60), max_size=6))
    def append(self, entries: list[bytes]) -> None:
        taken = self.spool.append(entries)
        self.plain.extend(entries[:taken])
        self.file_bytes += sum(HEAD_BYTES + len(entry) for entry in entries[:taken])
        assert self.file_bytes <= BYTES_MAX
        assert taken == len(entries) or self.file_bytes + HEAD_BYTES + len(entries[taken]) > BYTES_MAX

    @rule(records_max=st.integers(1, 8), bytes_max=st.integers(1, 200))
    def take(self, records_max: int, bytes_max: int) -> None:
        taken = self.spool.take(records_max, bytes_max)
        assert taken == [self.plain.popleft() for _ in taken]
        assert taken or not self.plain
        if not self.plain:
            self.file_bytes = 0

    @invariant()
    def counted(self) -> None:
        assert len(self.spool) == len(self.plain)

    def teardown(self) -> None:
        self.spool.close()


TestSpoolBesideDeque = SpoolBesideDeque.TestCase
TestSpoolBesideDeque.settings = settings(max_examples=60, deadline=None)


def test_a_spool_of_no_bytes_takes_nothing() -> None:
    with Spool(0) as spool:
        assert spool.append([b""]) == 0
        assert spool.take() == []


def test_a_directory_that_is_not_there_is_a_full_disk() -> None:
    with Spool(1000, Path("/nowhere/at/all")) as spool:
        assert spool.append([b"x"]) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_takes_nothing_and_keeps_what_was_there() -> None:
    with Spool(1000) as spool, Path("/dev/full").open("wb", buffering=0) as full:
        assert spool.append([b"first"]) == 1
        real, spool._file = spool._file, full
        assert spool.append([b"second"]) == 0
        spool._file = real
        assert spool.append([b"third"]) == 1
        assert spool.take() == [b"first", b"third"]
