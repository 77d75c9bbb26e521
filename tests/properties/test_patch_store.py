"""Whatever is appended: a snapshot and the operations after it fold into the document as it is now."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from fantail.broker.documents.json_patch import apply_in_place, pointer
from fantail.broker.documents.patch_store import PatchStore, flat_changes, operation_of
from fantail.broker.errors import PatchError
from fantail.broker.log import segment as segments
from fantail.broker.log.msg_store import Batch, Retention
from fantail.broker.log.outcomes import CaughtUp, Diverged, Located, Lost, Reason
from fantail.broker.log.position import Cursor, Position
from support.json_equality import canonical
from support.json_pointers import pointers_into

EPOCH = "epoch"
names = st.sampled_from(["", "a", "b", "0", "1", "-", "a/b", "~1"])
leaves = st.sampled_from([None, True, False, 0, 1, 1.0, 2.5, "", "a", "é", float("nan"), 2**70, "\ud800"])
values: st.SearchStrategy[Any] = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=6
)


@dataclass
class Follower:
    """A client: its copy of the document, and the position it has."""

    document: Any
    position: Position


class DocumentMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(segments, "SEGMENT_RECORDS", 4)
        self.rings = 0

    def teardown(self) -> None:
        self.patch.undo()

    @initialize(records_max=st.sampled_from([1, 8, 10**6]))
    def start(self, records_max: int) -> None:
        self.store = PatchStore(EPOCH, retention=Retention(records_max=records_max), on_change=self.rang)
        self.operations: list[Any] = []
        self.followers = [Follower({}, self.store.position()) for _ in range(3)]

    def rang(self) -> None:
        self.rings += 1

    @rule(data=st.data())
    def change(self, data: st.DataObject) -> None:
        paths = st.sampled_from(pointers_into(self.store.document))
        somewhere = paths | st.builds(lambda path, name: path + pointer(name), paths, names)
        valued = st.fixed_dictionaries({"op": st.sampled_from(["add", "replace"]), "path": somewhere, "value": values})
        removal = st.fixed_dictionaries({"op": st.just("remove"), "path": somewhere})
        copied = st.fixed_dictionaries({"op": st.sampled_from(["move", "copy"]), "from": paths, "path": somewhere})
        operations: list[Any] = data.draw(st.lists(valued | valued | removal | copied, max_size=4))
        before, rings = repr(self.store.document), self.rings
        try:
            self.store.append(operations, 0.0, notes=list(range(len(operations))))
        except PatchError:
            assert repr(self.store.document) == before
            assert self.rings == rings
        else:
            self.operations += operations
            assert self.rings == rings + bool(operations)

    @rule(data=st.data())
    def become(self, data: st.DataObject) -> None:
        """The way of a Redis hash: what it is now is compared with what it was."""
        members = st.sampled_from([None, True, 1, 0, False, "x", [1], [True]]).map(
            copy.deepcopy
        )  # the document is changed
        after: Any = data.draw(st.dictionaries(names, members))
        changes = flat_changes((), self.store.document, after)
        self.store.append(changes, 0.0)
        self.operations += changes
        assert canonical(self.store.document) == canonical(after)
        assert flat_changes((), self.store.document, after) == []

    @rule(who=st.integers(0, 2), records_max=st.integers(1, 4))
    def follow(self, who: int, records_max: int) -> None:
        """A client comes back with its position and is brought nearer to the present."""
        follower = self.followers[who]
        match self.store.locate(follower.position):
            case Diverged(reason):
                assert reason is Reason.OFFSET
                assert follower.position.offset < self.store.log.head
                encoded, follower.position = self.store.snapshot("json", orjson.dumps)
                follower.document = orjson.loads(encoded)
            case Located(cursor):
                match self.store.log.read(cursor, records_max):
                    case Batch() as batch:
                        operations = [operation_of(record)[0] for record in batch.records()]
                        apply_in_place(follower.document, operations)
                        follower.position = self.store.position_at(batch.next.offset)
                    case CaughtUp():
                        assert follower.position == self.store.position()
                    case outcome:
                        pytest.fail(f"a reader that was located reads {outcome}")

    @rule(who=st.integers(0, 2))
    def come_from_another_process(self, who: int) -> None:
        position = Position(self.followers[who].position.offset, "another")
        assert self.store.locate(position) == Diverged(Reason.TAG)

    @rule(applied=st.integers(0, 60))
    def read_at_any_offset(self, applied: int) -> None:
        head, tail = self.store.log.head, self.store.log.tail
        located = self.store.locate(self.store.position_at(applied))
        assert isinstance(located, Located) == (head <= applied <= tail)
        if applied < head:
            assert self.store.log.read(Cursor(0, applied)) == Lost(applied, head)

    @invariant()
    def folding_all_operations_gives_the_document(self) -> None:
        if not hasattr(self, "store"):
            return
        folded = apply_in_place({}, copy.deepcopy(self.operations))
        assert canonical(as_json(folded)) == canonical(self.store.document)
        assert self.store.position() == Position(len(self.operations), EPOCH)

    @invariant()
    def a_client_that_is_up_to_date_has_the_document(self) -> None:
        for follower in getattr(self, "followers", []):
            if follower.position == self.store.position():
                assert canonical(follower.document) == canonical(self.store.document)


def as_json(value: Any) -> Any:
    """A value as JSON carries it: there is no NaN."""
    if isinstance(value, dict):
        return {name: as_json(member) for name, member in value.items()}
    if isinstance(value, list):
        return [as_json(element) for element in value]
    return None if value != value else value  # noqa: PLR0124 - NaN alone is not itself


TestDocument = DocumentMachine.TestCase
TestDocument.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
