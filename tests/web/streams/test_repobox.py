"""One job's stream as Repobox's clients know it, over real sockets: order, resume, ends and refusals."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import httpx
import orjson
import pytest

from fantail.broker import WORK_SESSION, Broker
from fantail.web.auth.identity import mint_token
from support.clients.sse_client import Event, open_stream
from support.servers.served_app import ServedApp, served_app
from support.wait import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SECRET = "a secret of more than thirty-two bytes"


@pytest.fixture
async def served() -> AsyncIterator[ServedApp]:
    async with served_app() as app:
        await app.broker.create_job("42", {"branch": "main"})
        yield app


def stream_url(served: ServedApp, query: str = "", job_id: str = "42") -> str:
    return f"{served.url}/api/jobs/{job_id}/stream{query}"


async def publish(broker: Broker, *lines: str) -> None:
    for line in lines:
        await broker.publish("42", line)


def lines(events: list[Event]) -> list[str]:
    return [event.json["line"] for event in events if event.name == "output"]


def names(events: list[Event]) -> list[str]:
    return [event.name for event in events]


# -- the wire -------------------------------------------------------------------------------------------------------


async def test_headers_and_first_bytes_are_there_before_anything_happens(served: ServedApp) -> None:
    async with open_stream(stream_url(served)) as stream:
        assert stream.response.status_code == 200
        headers = stream.response.headers
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert headers["cache-control"] == "no-cache, no-transform"
        assert headers["connection"] == "keep-alive"
        assert headers["x-accel-buffering"] == "no"
        assert headers["x-content-type-options"] == "nosniff"
        assert (await stream.next()).name == "status"
        assert stream.parser.retry_ms is not None
        assert 1000 <= stream.parser.retry_ms <= 3000
        assert stream.parser.comments == ["fantail"]


async def test_status_has_the_exact_fields_numbers_as_numbers_and_absent_ones_left_out(served: ServedApp) -> None:
    async with open_stream(stream_url(served)) as stream:
        first = await stream.next()
        assert first.json == {"status": "running", "linesAdded": 0, "linesRemoved": 0, "branch": "main"}
        assert not first.has_id
        await served.broker.update_job(
            "42",
            started_at="1701561234567",
            error_message="no",
            lines_added="12",
            lines_removed="3",
            mr_url="https://example.org/1",
            mr_warning="late",
        )
        assert (await stream.next()).json == {
            "status": "running",
            "startedAt": 1701561234567,
            "errorMessage": "no",
            "linesAdded": 12,
            "linesRemoved": 3,
            "mrUrl": "https://example.org/1",
            "mrWarning": "late",
            "branch": "main",
        }


async def test_output_is_the_stored_entry_with_its_position_as_id(served: ServedApp) -> None:
    await served.broker.publish("42", "héllo", "stderr", timestamp_ms=7)
    async with open_stream(stream_url(served)) as stream:
        event = (await stream.until("output"))[-1]
    stored = '{"timestamp":7,"line":"héllo","stream":"stderr"}'
    assert event.data == stored
    assert event.id == f"0-{__import__('zlib').crc32(stored.encode()):08x}"


async def test_the_order_is_status_stored_output_live_output_status_done_and_close(served: ServedApp) -> None:
    await publish(served.broker, "stored")
    async with open_stream(stream_url(served)) as stream:
        before = await stream.until("output")
        await publish(served.broker, "live")
        before += await stream.until("output")
        await served.broker.update_job("42", status="success", finished_at="9")
        after = await stream.rest()
    assert names(before + after) == ["status", "output", "output", "status", "done"]
    assert after[-1].json == {"status": "success"}
    assert after[-1].id == f"{before[-1].id}.end"


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [("branch", "x", "branch"), ("lines_added", "5", "linesAdded"), ("mr_warning", "w", "mrWarning")],
)
async def test_any_field_that_changes_is_sent_without_a_change_of_status(
    served: ServedApp, field: str, value: str, shown: str
) -> None:
    """Trap 6."""
    async with open_stream(stream_url(served)) as stream:
        await stream.next()
        await served.broker.update_job("42", **{field: value})
        changed = await stream.next()
    assert changed.name == "status"
    assert str(changed.json[shown]) == value


async def test_work_sessions_end_with_their_own_statuses(served: ServedApp) -> None:
    session = served.broker.job("7", WORK_SESSION)
    session.set_fields({"status": "success"}, served.broker.now_s())  # terminal for a job, not for a session
    async with open_stream(f"{served.url}/api/work-sessions/7/stream") as stream:
        assert (await stream.next()).json["status"] == "success"
        session.set_fields({"status": "pushed"}, served.broker.now_s())
        assert names(await stream.rest()) == ["status", "done"]
    session.set_fields({"status": "failed"}, served.broker.now_s())
    async with open_stream(f"{served.url}/api/work-sessions/7/stream") as stream:
        assert (await stream.rest())[-1].id == "0-0.end"


# -- all output before done -----------------------------------------------------------------------------------------


async def test_output_pushed_before_terminal_status_is_sent_before_done_to_a_client_that_reads_late(
    served: ServedApp,
) -> None:
    """Traps 1 and 20: the client reads nothing until the job is over, megabytes behind."""
    async with open_stream(stream_url(served)) as stream:
        await stream.next()
        for start in range(0, 5000, 500):
            entries = [
                orjson.dumps({"timestamp": 1, "line": f"{i} " + "x" * 500, "stream": "stdout"})
                for i in range(start, start + 500)
            ]
            await served.broker.ledger.append_output("42", entries)
            await anyio.lowlevel.checkpoint()
        await served.broker.update_job("42", status="failed")
        events = await stream.rest()
    assert [int(line.split()[0]) for line in lines(events)] == list(range(5000))
    assert names(events)[-2:] == ["status", "done"]


# -- coming back ----------------------------------------------------------------------------------------------------


async def test_a_client_that_comes_back_gets_what_it_missed_and_nothing_twice(served: ServedApp) -> None:
    await publish(served.broker, "a", "b", "c")
    async with open_stream(stream_url(served)) as stream:
        seen = await stream.until("output")
    async with open_stream(stream_url(served), last_id=seen[-1].id) as stream:
        more = await stream.until("output") + await stream.until("output")
    assert lines(seen + more) == ["a", "b", "c"]


async def test_exactly_once_in_order_over_many_cuts_while_lines_are_written(served: ServedApp) -> None:
    """Trap 2: three clients, each cut at random moments some thirty times while 3,000 lines are written."""
    dice = random.Random(20)
    total = 3000

    async def write() -> None:
        for start in range(0, total, 10):
            await publish(served.broker, *(str(number) for number in range(start, start + 10)))
            await anyio.lowlevel.checkpoint()
        await served.broker.update_job("42", status="success")

    async def follow(got: list[str]) -> None:
        last_id, ended = None, False
        while not ended:
            async with open_stream(stream_url(served), last_id=last_id) as stream:
                for _ in range(dice.randint(1, 200)):
                    event = await stream.next()
                    if event.name == "output":
                        got.append(event.json["line"])
                    if event.has_id:
                        last_id = event.id
                    if event.name == "done":
                        ended = True
                        break

    received: list[list[str]] = [[], [], []]
    with anyio.fail_after(40):
        async with anyio.create_task_group() as tasks:
            for got in received:
                tasks.start_soon(follow, got)
            tasks.start_soon(write)
    assert received == [[str(number) for number in range(total)]] * 3


async def test_the_header_wins_over_the_query_and_the_query_works_alone(served: ServedApp) -> None:
    await publish(served.broker, "a", "b", "c")
    ids = []
    async with open_stream(stream_url(served)) as stream:
        ids = [(await stream.until("output"))[-1].id for _ in range(3)]
    async with open_stream(stream_url(served, f"?lastEventId={ids[1]}")) as stream:
        assert lines(await stream.until("output")) == ["c"]
    async with open_stream(stream_url(served, f"?lastEventId={ids[1]}"), last_id=ids[0]) as stream:
        assert lines(await stream.until("output")) == ["b"]


@pytest.mark.parametrize("malformed", ["x", "1", "1-", "-1-ab", "1-ab\tc", "9" * 400, "1-" + "a" * 200, "1-ab.end.end"])
async def test_a_malformed_position_is_treated_as_absent(served: ServedApp, malformed: str) -> None:
    await publish(served.broker, "a")
    async with open_stream(stream_url(served), last_id=malformed) as stream:
        assert names(await stream.until("output")) == ["status", "output"]


@pytest.mark.parametrize(("position", "reason"), [("0-00000000", "tag"), ("99-00000000", "offset")])
async def test_a_position_that_no_longer_fits_is_told_and_everything_follows(
    served: ServedApp, position: str, reason: str
) -> None:
    await publish(served.broker, "a", "b")
    async with open_stream(stream_url(served), last_id=position) as stream:
        events = await stream.until("output")
    assert names(events) == ["status", "reset", "output"]
    assert events[1].json == {"reason": reason}
    assert lines(events) == ["a"]


async def test_lines_that_are_lost_for_good_are_told_as_a_gap(served: ServedApp) -> None:
    await publish(served.broker, *(f"{number} {'x' * 1000}" for number in range(200)))
    output = served.broker.job("42").output
    while output.evict_one():
        pass
    async with open_stream(stream_url(served)) as stream:
        events = await stream.until("output")
    assert names(events) == ["status", "gap", "output"]
    assert events[1].json == {"from": 0, "to": output.head - 1}
    assert events[2].id.startswith(f"{output.head}-")


@pytest.mark.parametrize(
    ("query", "first"), [("?tail=2", "3"), ("?tail=0", None), ("?tail=99", "0"), ("?from=4", "4"), ("?from=99", None)]
)
async def test_tail_and_from_say_where_to_begin(served: ServedApp, query: str, first: str | None) -> None:
    await publish(served.broker, *"01234")
    await served.broker.update_job("42", status="success")
    async with open_stream(stream_url(served, query)) as stream:
        got = lines(await stream.rest())
    assert got == ([] if first is None else [str(number) for number in range(int(first), 5)])


async def test_a_position_wins_over_tail_and_from(served: ServedApp) -> None:
    await publish(served.broker, "a", "b", "c")
    async with open_stream(stream_url(served)) as stream:
        first = (await stream.until("output"))[-1]
    async with open_stream(stream_url(served, "?tail=1&from=2"), last_id=first.id) as stream:
        assert lines(await stream.until("output")) == ["b"]


@pytest.mark.parametrize("query", ["?tail=x", "?tail=-1", "?from=1.5", "?from=", "?tail=٣", f"?from={10**20}"])
async def test_a_count_that_is_none_is_refused_with_what_is_wrong(served: ServedApp, query: str) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.get(stream_url(served, query))
    assert answer.status_code == 400
    assert "must be a number of lines" in answer.text


# -- the end --------------------------------------------------------------------------------------------------------


async def finished(served: ServedApp) -> Event:
    await publish(served.broker, "a", "b")
    await served.broker.update_job("42", status="success")
    async with open_stream(stream_url(served)) as stream:
        return (await stream.rest())[-1]


async def test_only_the_position_of_the_end_is_answered_with_204(served: ServedApp) -> None:
    """Trap 4, the server's part: done is final."""
    done = await finished(served)
    async with httpx.AsyncClient() as client:
        again = await client.get(stream_url(served), headers={"Last-Event-ID": done.id})
        assert again.status_code == 204
        assert again.content == b""
        by_query = await client.get(stream_url(served, f"?lastEventId={done.id}"))
        assert by_query.status_code == 204


async def test_a_client_that_had_every_line_but_missed_the_end_still_gets_it(served: ServedApp) -> None:
    """Trap 38."""
    done = await finished(served)
    async with open_stream(stream_url(served), last_id=done.id.removesuffix(".end")) as stream:
        events = await stream.rest()
    assert names(events) == ["status", "done"]
    assert events[-1].id == done.id


async def test_a_terminal_status_that_came_during_a_reconnect_leaves_no_line_out(served: ServedApp) -> None:
    """Trap 38."""
    await publish(served.broker, "a")
    async with open_stream(stream_url(served)) as stream:
        seen = await stream.until("output")
    await publish(served.broker, "b", "c")
    await served.broker.update_job("42", status="failed")
    async with open_stream(stream_url(served), last_id=seen[-1].id) as stream:
        rest = await stream.rest()
    assert lines(seen + rest) == ["a", "b", "c"]
    assert names(rest)[-1] == "done"


async def test_the_end_is_no_longer_the_end_when_the_job_runs_again(served: ServedApp) -> None:
    done = await finished(served)
    await served.broker.update_job("42", status="running")
    await publish(served.broker, "c")
    async with open_stream(stream_url(served), last_id=done.id) as stream:
        assert lines(await stream.until("output")) == ["c"]


async def test_an_end_of_another_log_is_no_end(served: ServedApp) -> None:
    await finished(served)
    async with open_stream(stream_url(served), last_id="1-00000000.end") as stream:
        assert names(await stream.rest()) == ["status", "reset", "output", "output", "done"]
    async with open_stream(stream_url(served), last_id="0-0.end") as stream:
        assert lines(await stream.rest()) == ["a", "b"]


async def test_a_job_deleted_while_watched_is_told_at_once_and_the_stream_closes(served: ServedApp) -> None:
    """Trap 5."""
    await publish(served.broker, "last words")
    async with open_stream(stream_url(served)) as stream:
        await stream.until("output")
        await served.broker.ledger.delete_job("42")
        (gone,) = await stream.rest(timeout_s=2)
    assert gone.name == "error"
    assert gone.json == {"message": "Job no longer exists"}


# -- who may --------------------------------------------------------------------------------------------------------


async def get(url: str, **headers: str) -> tuple[int, str, str]:
    async with httpx.AsyncClient() as client, client.stream("GET", url, headers=headers) as answer:
        body = "" if answer.status_code == 200 else (await answer.aread()).decode()
        return answer.status_code, body, answer.headers.get("content-type", "")


async def test_refusals_are_plain_text(served: ServedApp) -> None:
    status, body, kind = await get(stream_url(served, job_id="nope"))
    assert (status, body) == (404, "Job not found")
    assert kind.startswith("text/plain")


@pytest.mark.parametrize("hostile", ["42:diff", "42%3Adiff", "..", "-x", "%00", "a" * 129, "42%0d%0aX: y", "ä"])
async def test_an_id_outside_the_grammar_is_unknown(served: ServedApp, hostile: str) -> None:
    """Trap 39, at this door."""
    status, _, _ = await get(stream_url(served, job_id=hostile))
    assert status == 404


async def test_who_is_nobody_gets_401_who_is_not_the_owner_403_and_the_owner_the_stream() -> None:
    async with served_app(auth="jwt", jwt_secret=SECRET) as served:
        await served.broker.create_job("42", {"user_id": "ann"})

        def token(name: str, *, admin: bool = False) -> str:
            return "Bearer " + mint_token(served.context.settings, name, admin=admin, ttl_s=60)

        assert (await get(stream_url(served)))[:2] == (401, "Unauthorized")
        assert (await get(stream_url(served), Authorization=token("bob")))[:2] == (403, "Forbidden")
        assert (await get(stream_url(served), Authorization=token("ann")))[0] == 200
        assert (await get(stream_url(served), Authorization=token("root", admin=True)))[0] == 200
        assert (await get(stream_url(served, job_id="43"), Authorization=token("bob")))[:2] == (404, "Job not found")


async def test_a_job_that_changes_hands_ends_the_old_owners_stream() -> None:
    async with served_app(auth="jwt", jwt_secret=SECRET) as served:
        await served.broker.create_job("42", {"user_id": "ann"})
        token = mint_token(served.context.settings, "ann", admin=False, ttl_s=60)
        async with open_stream(stream_url(served), headers={"Authorization": f"Bearer {token}"}) as stream:
            await stream.next()
            await served.broker.update_job("42", user_id="bob", branch="secret")
            events = await stream.rest()
    assert names(events) == ["error"]
    assert b"secret" not in stream.raw


# -- memory and leaks -----------------------------------------------------------------------------------------------


async def test_fifty_clients_share_one_encoding_of_what_they_replay(served: ServedApp) -> None:
    """Trap 26: memory is bounded by retention, and not by the number of tabs."""
    entries = [orjson.dumps({"timestamp": 1, "line": f"{i} " + "x" * 200, "stream": "stdout"}) for i in range(4000)]
    await served.broker.ledger.append_output("42", entries)
    await served.broker.update_job("42", status="success")
    job = served.broker.job("42")

    async def replay() -> None:
        async with open_stream(stream_url(served)) as stream:
            assert len(lines(await stream.rest())) == 4000

    await replay()
    after_one = job.retained_bytes
    async with anyio.create_task_group() as tasks:
        for _ in range(49):
            tasks.start_soon(replay)
    assert job.retained_bytes == after_one


async def test_streams_opened_and_cut_leave_nothing_behind(served: ServedApp) -> None:
    async def open_and_cut() -> None:
        async with open_stream(stream_url(served)) as stream:
            await stream.next()

    for _ in range(5):
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(open_and_cut)
    job = served.broker.job("42")
    await eventually(lambda: job.watchers == 0 and not job.subscriptions, what="all watchers gone")
    assert len(served.context.streams) == 0
    assert served.context.limiter.streams == 0
    assert served.broker.timers.wake_due() is None
    assert served.context.streams.ended == {"client left": 100}


async def test_head_is_answered_with_the_headers_alone(served: ServedApp) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.head(stream_url(served))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")


async def test_any_other_method_is_refused(served: ServedApp) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.post(stream_url(served), headers={"Origin": served.url})
    assert answer.status_code == 405
