"""The end of a list, followed through everything that can happen to it, against a naive list.

The real thing is a Redis list; here it is a Python list that answers LRANGE and LLEN. Between any two commands
it may be pushed to, trimmed at its front, deleted, written anew, or lose its end. A reader follows the log all the
while. What must hold: within one generation of the log the reader gets lines of one life of the list, each once, in
order; what it misses it is told of; and when things are quiet the log is the list.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Literal

import orjson
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fantail.broker.log.msg_store import Batch, MsgStore
from fantail.broker.log.outcomes import Behind, CaughtUp, Diverged, Lost
from fantail.broker.log.records import entry_of
from fantail.broker.sources.redis.list_tail import ListTail

if TYPE_CHECKING:
    from fantail.broker.sources.redis.connection import Command

Change = tuple[Literal["push", "trim", "delete", "rewrite", "lose"], int]

ROUNDS_MAX = 200


class NaiveList:
    """The list, and its lives: what each list that stood under the key ever held, in order. Lines are unlike."""

    def __init__(self) -> None:
        self.entries: list[bytes] = []
        self.lives: list[list[int]] = [[]]
        self._lines = itertools.count(1)

    def change(self, kind: str, count: int) -> None:
        match kind:
            case "push":
                self._push(count)
            case "trim":
                del self.entries[:count]
                if not self.entries:
                    self._die(0)
            case "delete":
                self._die(0)
            case "rewrite":
                self._die(0)
                self._push(count)
            case "lose":
                self._die(max(0, len(self.entries) - count))
                self._push(count)

    def answer(self, command: Command) -> Any:
        match command:
            case ("LLEN", _):
                return len(self.entries)
            case ("LRANGE", _, int(start), int(stop)):
                assert start >= 0
                assert stop >= start
                return self.entries[start : stop + 1]
        raise AssertionError(command)

    def _push(self, count: int) -> None:
        for line in itertools.islice(self._lines, count):
            self.entries.append(entry_of(line, str(line), "stdout"))
            self.lives[-1].append(line)

    def _die(self, kept: int) -> None:
        """Keeps the first entries. What was trimmed in front of them belongs to the next life too."""
        del self.entries[kept:]
        life = self.lives[-1]
        self.lives.append(life[: life.index(line_number(self.entries[-1])) + 1] if self.entries else [])


def line_number(entry: bytes) -> int:
    return int(orjson.loads(entry)["line"])


class Reader:
    """Follows the log as a stream does."""

    def __init__(self, log: MsgStore) -> None:
        self.log = log
        self.cursor = log.start()
        self.lines: list[int] = []
        self.gaps = 0

    def read(self, truth: NaiveList) -> None:
        """Reads what there is; a hole is paged in where the list still is what the log mirrors."""
        while True:
            outcome = self.log.read(self.cursor)
            match outcome:
                case Batch():
                    self.take(outcome)
                case Lost():
                    self.gaps += 1
                    self.cursor = self.log.start(outcome.stop)
                case Diverged():
                    self.lines = []
                    self.gaps = 0
                    self.cursor = self.log.start()
                case Behind() if mirrors(self.log, truth):
                    floor = self.log.floor
                    page = truth.entries[outcome.start - floor : outcome.stop - floor]
                    self.log.fill(outcome.start, ListTail(self.log, b"", 1000, float).records(page, 0), 0.0)
                case _:
                    return

    def take(self, batch: Batch) -> None:
        self.cursor = batch.next
        self.lines += [line_number(record.data) for record in batch.records()]


def mirrors(log: MsgStore, truth: NaiveList) -> bool:
    """Whether the log's end is the list's."""
    if log.tail - log.floor != len(truth.entries):
        return False
    return (
        log.tail == log.floor or log.last_crc == ListTail(log, b"", 1000, float).records(truth.entries[-1:], 0)[0].crc
    )


changes: st.SearchStrategy[list[Change]] = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.integers(1, 150)),
        st.tuples(st.just("push"), st.integers(1, 3)),
        st.tuples(st.just("trim"), st.integers(1, 150)),
        st.tuples(st.just("delete"), st.just(0)),
        st.tuples(st.just("rewrite"), st.integers(1, 80)),
        st.tuples(st.just("lose"), st.integers(1, 12)),
    ),
    max_size=3,
)


def settle(tail: ListTail, truth: NaiveList) -> None:
    tail.dirty = True
    for _ in range(ROUNDS_MAX):
        if not tail.dirty:
            return
        replies = [truth.answer(command) for command in tail.plan()]
        tail.take(replies, 0)
    raise AssertionError("it does not come to rest")


@settings(max_examples=400, deadline=None)
@given(st.lists(st.lists(changes, min_size=3, max_size=3), max_size=12))
@example([[[("push", 100)], [], []], [[("trim", 40)], [("push", 1)], [("trim", 10)]]])
@example([[[("push", 9)], [], []], [[("lose", 3)], [], []], [[("push", 3)], [], []]])
@example([[[("push", 65)], [("trim", 1), ("lose", 1)], []]])
@example([[[("push", 11)], [], []], [[("trim", 1)], [], []], [[], [("rewrite", 1)], []]])
def test_a_reader_gets_each_line_once_in_order_or_is_told(steps: list[list[list[Change]]]) -> None:
    truth = NaiveList()
    log = MsgStore(archived=True)
    tail = ListTail(log, b"list", 1_000_000, float)
    reader = Reader(log)
    for step in steps:
        between = iter(step)
        tail.dirty = True
        replies = []
        for command in tail.plan():
            for kind, count in next(between, []):
                truth.change(kind, count)
            replies.append(truth.answer(command))
        tail.take(replies, 0)
        reader.read(truth)
        assert_of_one_life(reader, truth)
    settle(tail, truth)
    reader.read(truth)
    assert_of_one_life(reader, truth)
    if truth.entries:
        assert mirrors(log, truth)
        assert reader.cursor.offset == log.tail
        assert isinstance(log.read(reader.cursor), CaughtUp)
        assert reader.lines[-len(truth.entries) :] == [line_number(entry) for entry in truth.entries]
    else:
        assert tail.missing or log.tail == 0


def assert_of_one_life(reader: Reader, truth: NaiveList) -> None:
    """What the reader has since its last reset stands in one life of the list, with no more holes than it was told."""
    for life in truth.lives:
        places = {line: place for place, line in enumerate(life)}
        found = [places.get(line, -1) for line in reader.lines]
        steps = [after - before for before, after in itertools.pairwise(found)]
        if -1 not in found and all(step > 0 for step in steps):
            assert sum(step > 1 for step in steps) <= reader.gaps
            return
    raise AssertionError(f"a mixture: {reader.lines}")
