"""A viewer that falls behind what a log keeps is told where things stand now, and nothing is left out (trap 19)."""

from __future__ import annotations

from typing import Any

from fantail.broker.log.msg_store import Retention
from fantail.broker.sources.pipelines.backend import Health
from fantail.broker.sources.pipelines.board import PipelineBoard
from fantail.broker.sources.pipelines.health_poller import PipelineWatch
from fantail.broker.sources.status.log import StatusLog
from fantail.broker.sources.status.state import RUN, Subject, state_of
from fantail.web.streams.pipeline_frames import PipelineFollower, SharedFrames
from fantail.web.streams.supercheck import StatusFollower
from support.clients.sse_client import EventParser


def test_a_viewer_of_pipelines_that_lags_is_sent_all_statuses_again() -> None:
    board = PipelineBoard(None, lambda _: None, lambda: 0.0, lambda: 1)
    board.store.log.retention = Retention(records_max=600)
    board.add("a")
    board.add("b")
    follower = PipelineFollower(
        board.store, SharedFrames(board.store), PipelineWatch(["a", "b"], visible=True), position=None
    )
    follower.news(waited=True)
    board.take("b", Health("paused", {}), alone=False)
    for number in range(3_000):
        board.take("a", Health(f"status {number}", {}), alone=False)
    events = EventParser().feed(follower.news(waited=True))
    assert [event.name for event in events] == ["batch_update"]
    assert [(update["pipelineId"], update["status"]) for update in events[0].json["updates"]] == [
        ("a", "status 2999"),
        ("b", "paused"),
    ]
    assert follower.news(waited=True) == b""


def test_a_viewer_of_a_run_that_lags_is_told_its_last_state() -> None:
    subject = Subject(RUN, "r")
    log = StatusLog(subject)
    follower = StatusFollower(log)
    follower.opening()

    def say(status: str, **members: Any) -> None:
        log.take(state_of(subject, {"status": status, **members}, complete=False, heard_ms=1), heard=True, now_s=0.0)

    for number in range(3_000):
        say("running", progress=number)
    events = EventParser().feed(follower.news())
    assert len(events) < 600, "what is kept is told, not all that was said"
    say("passed")
    events += EventParser().feed(follower.news())
    assert events[-1].json == {"status": "passed", "runId": "r"}
    assert follower.news() == b""
