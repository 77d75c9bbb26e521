"""What is known of pipelines, and what viewers are told: from answers to log, without a network."""

from __future__ import annotations

from typing import Any

import pytest

from fantail.broker import Tables
from fantail.broker.documents.patch_store import operation_of
from fantail.broker.log.msg_store import Batch
from fantail.broker.sources.pipelines.backend import Cause, Health, Trouble, Unknown, is_pipeline_id, status_of
from fantail.broker.sources.pipelines.board import NOT_FOUND, UNAVAILABLE, PipelineBoard

REFUSED = Trouble(Cause.REFUSED, "x")
SILENT = Trouble(Cause.SILENT, "x")
ERROR = Trouble(Cause.ERROR, "x")


def health(status: str) -> Health:
    return Health(status, {"overall_status": status})


class Board:
    """A board with two pipelines, and all that viewers were told."""

    def __init__(self, tables: Tables | None = None) -> None:
        self.version: list[str | None] = []
        self.board = PipelineBoard(tables, self.version.append, lambda: 0.0, lambda: 1_000)
        self.board.add("a")
        self.board.add("b")

    def take(self, pipeline_id: str, *answers: Any, alone: bool = False) -> list[bool]:
        return [self.board.take(pipeline_id, answer, alone=alone) for answer in answers]

    @property
    def told(self) -> list[tuple[str, str | None, str | None]]:
        """Event, pipeline, and the status before or the code of the error."""
        found = []
        log = self.board.store.log
        cursor = log.start()
        while isinstance(batch := log.read(cursor), Batch):
            for operation, note in map(operation_of, batch.records()):
                if note is not None:
                    value: Any = operation["value"]  # type: ignore[typeddict-item]
                    error = value.get("error")
                    what = note["previous"] if note["event"] == "status_update" else error["code"] if error else None
                    found.append((note["event"], note.get("id"), what))
            cursor = batch.next
        return found


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        *[(word, "active") for word in ("running", "active", "no_configuration", "unknown", "Running", " RUNNING ")],
        *[(word, "starting") for word in ("created", "deploying")],
        *[(word, "stopped") for word in ("stopped", "terminated", "deleted")],
        *[(word, "terminating") for word in ("terminating", "deleting")],
        *[(word, "failed") for word in ("failed", "error", "deploy_failed", "Start-Failed")],
        *[(word, word) for word in ("paused", "pausing", "resuming", "stopping")],
        ("draining", "draining"),
        ("", None),
        (None, None),
        (7, None),
        ({"a": 1}, None),
        ("x" * 1000, None),
        ("<script>", None),
    ],
)
def test_the_backends_words_become_those_of_dashboards(theirs: object, ours: str | None) -> None:
    assert status_of(theirs) == ours


@pytest.mark.parametrize("good", ["ab", "pipeline-123", "a1", "a" * 40, "a-b-c"])
def test_ids_within_the_grammar(good: str) -> None:
    assert is_pipeline_id(good)


@pytest.mark.parametrize(
    "bad", ["", "a", "A1", "1a", "a-", "-a", "a--b", "a" * 41, "a_b", "a/b", "a%2fb", "ab\n", "é1"]
)
def test_ids_outside_the_grammar(bad: str) -> None:
    assert not is_pipeline_id(bad)


def test_a_status_is_told_when_it_changes_and_only_then() -> None:
    found = Board()
    again = found.take("a", health("active"), health("active"), health("paused"), health("paused"))
    assert found.told == [("status_update", "a", None), ("status_update", "a", "active")]
    assert again == [False, False, True, False], "after a change it is looked at again soon"
    assert found.version == ["a", "a"]


def test_an_unknown_pipeline_is_told_once_and_has_no_status() -> None:
    found = Board()
    found.take("a", Unknown(), Unknown(), health("active"), Unknown())
    assert found.told == [("error", "a", NOT_FOUND), ("status_update", "a", None), ("error", "a", NOT_FOUND)]
    assert found.board.rows["a"]["status"] is None


def test_trouble_leaves_the_status_alone_and_is_told_once() -> None:
    found = Board()
    found.take("a", health("active"), ERROR, ERROR, SILENT, health("active"), ERROR)
    assert found.told == [
        ("status_update", "a", None),
        ("error", "a", UNAVAILABLE),
        ("status_update", "a", "active"),
        ("error", "a", UNAVAILABLE),
    ]
    assert found.board.rows["a"]["status"] == "active"


def test_the_end_of_trouble_is_told_once_where_the_status_is_the_one_before() -> None:
    found = Board()
    again = found.take("a", health("active"), ERROR, health("active"), health("active"))
    assert found.told[-1] == ("status_update", "a", "active"), "a status that was the one before"
    assert len(found.told) == 3
    assert again == [False, False, False, False], "and is no change that deserves another look"
    assert found.board.rows["a"] == {"status": "active", "error": None}


def test_the_end_of_the_backends_trouble_is_told_of_each_pipeline_once_it_was_asked() -> None:
    found = Board()
    found.take("a", health("active"))
    found.take("b", health("paused"))
    found.take("a", SILENT, alone=True)
    before = len(found.told)
    found.take("a", health("active"), health("active"))
    assert found.told[before:] == [("status_update", "a", "active")], "b was not asked yet: nobody vouches for it"
    found.take("b", health("paused"), health("paused"))
    assert found.told[before + 1 :] == [("status_update", "b", "paused")]


def test_trouble_in_transport_without_a_word_to_anybody_speaks_of_the_backend_and_is_told_once_for_all() -> None:
    found = Board()
    found.take("a", health("active"))
    for pipeline_id in "abab":
        found.take(pipeline_id, SILENT, alone=True)
    assert found.told == [("status_update", "a", None), ("error", None, None)]
    assert not found.board.available
    found.take("b", health("paused"))
    assert found.board.available


def test_a_pipeline_that_accused_the_backend_wrongly_speaks_for_itself() -> None:
    found = Board()
    for _ in range(3):
        found.take("a", SILENT, alone=True)
        found.take("b", health("active"))
    assert found.told == [("error", None, None), ("status_update", "b", None), ("error", "a", UNAVAILABLE)]


def test_a_first_cut_connection_is_looked_at_again_and_not_told() -> None:
    found = Board()
    assert found.take("a", REFUSED, alone=True) == [True]
    assert found.told == []
    assert found.take("a", REFUSED, alone=True) == [False]
    assert found.told == [("error", None, None)]


def test_a_pipeline_that_is_cut_twice_accuses_nobody_if_others_were_answered_in_between() -> None:
    found = Board()
    found.take("a", REFUSED, alone=True)
    found.take("b", health("active"))
    found.take("a", REFUSED, alone=True)
    assert found.told == [("status_update", "b", None), ("error", "a", UNAVAILABLE)]


def test_a_pipeline_that_was_forgotten_begins_anew() -> None:
    found = Board()
    found.take("a", health("active"))
    found.board.remove("a")
    found.board.add("a")
    found.take("a", health("active"))
    assert found.told == [("status_update", "a", None)] * 2


def test_pipelines_appear_in_the_global_tables() -> None:
    tables = Tables(("jobs", "pipelines"), "e")
    found = Board(tables)
    found.take("a", health("active"))
    found.take("b", ERROR)
    assert tables.rows("pipelines") == {
        "a": {"id": "a", "status": "active", "updated_at": 1_000},
        "b": {"id": "b", "error": UNAVAILABLE, "updated_at": 1_000},
    }
    found.board.remove("a")
    assert list(tables.rows("pipelines")) == ["b"]


def test_a_pipeline_that_does_not_exist_has_no_row_in_the_global_tables() -> None:
    tables = Tables(["pipelines"], "e")
    found = Board(tables)
    found.take("a", Unknown())
    assert tables.rows("pipelines") == {}
    found.take("a", health("active"))
    assert set(tables.rows("pipelines")) == {"a"}
    found.take("a", Unknown())
    assert tables.rows("pipelines") == {}
