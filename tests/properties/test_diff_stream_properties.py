"""A client that follows a diff's stream in either form, over cuts anywhere, ends at the document as it is."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any
from unittest import mock

import anyio
import anyio.lowlevel
from hypothesis import given, settings
from hypothesis import strategies as st

from fantail.broker import Broker, parse_position
from fantail.broker.documents.diffs import file_changes, files_in, opening
from fantail.broker.log.notify import Notifier, Waiter
from fantail.web.auth.viewer import Viewer as Asking
from fantail.web.streams import diff as diff_stream
from fantail.web.streams.diff import DiffFormat, DiffStream, Form
from fantail.web.streams.job import ClientState
from support.clients.diff_client import DiffClient
from support.clients.sse_client import EventParser

FILES = st.sampled_from(["a", "b", "c/d", "e~1", "f~0/~", "", 'g"\n', "ü"])
ENTRIES = st.builds(
    lambda diff, change, additions: {"diff": diff, "change": change, "additions": additions, "deletions": 0},
    st.sampled_from(["", "@@ -1 +1 @@\n-a\n+b\n", "\r\n", "data: x\n\n"]),
    st.sampled_from(["added", "modified", "deleted"]),
    st.integers(0, 3),
)
PUT = st.tuples(st.just("put"), st.dictionaries(FILES, ENTRIES, max_size=5))
REMOVE = st.tuples(st.just("remove"), st.lists(FILES, max_size=5))
# How many frames the client reads on; and where in the bytes of the next frame it is cut, and whether it knows its
# position then.
READ = st.tuples(st.just("read"), st.integers(1, 6))
CUT = st.tuples(st.just("cut"), st.tuples(st.floats(0.0, 1.0), st.booleans()))
FORGET = st.tuples(st.just("forget"), st.just(None))
STEPS = st.lists(st.one_of(PUT, REMOVE, READ, CUT, FORGET), max_size=30)


class Awake(Waiter):
    """Never sleeps, so that a stream that has nothing to say says so."""

    async def sleep(self, notifier: Notifier, version: int) -> None:
        del notifier, version
        await anyio.lowlevel.checkpoint()


class Connection:
    """One connection of a client to a stream."""

    def __init__(self, broker: Broker, client: DiffClient) -> None:
        job = broker.job("1")
        told = ClientState(broker, DiffFormat(), job, Asking(None, admin=True))
        position = parse_position(client.position)
        client.connected()
        self._client = client
        self._parser = EventParser(client.position)
        self._stream = DiffStream(job, Form(patch=client.patch), told, Awake(), position)
        self.frames = self._stream.events()

    async def read(self, part: float = 1.0) -> bool:
        """Reads what the stream yields next, or a part of its bytes; whether that was anything."""
        frames = await anext(self.frames, b"")
        for event in self._parser.feed(frames[: int(len(frames) * part)]):
            self._client.take(event)
        return bool(frames)


async def follow(steps: list[tuple[str, Any]], *, patch: bool) -> None:
    broker = Broker()
    await broker.create_job("1")
    job = broker.job("1")
    job.diff.append(opening(), 0.0)
    client = DiffClient(patch=patch)
    connection = Connection(broker, client)
    for step, given_ in steps:
        match step:
            case "put":
                entries = {file: {"file": file, **entry} for file, entry in given_.items()}
                job.diff.append([one for one, _ in file_changes(files_in(job.diff), entries, ())], 0.0)
            case "remove":
                job.diff.append([one for one, _ in file_changes(files_in(job.diff), {}, dict.fromkeys(given_))], 0.0)
            case "read":
                for _ in range(given_):
                    await connection.read()
            case "cut":
                part, knows = given_
                await connection.read(part)
                await connection.frames.aclose()
                if not knows:
                    client.position = ""
                connection = Connection(broker, client)
            case _:
                job.diff.log.evict(1e12)  # all of it is too old
    await broker.update_job("1", status="success")
    async with aclosing(connection.frames):
        while await connection.read():
            pass
    assert client.finished == {"exitCode": None, "status": "success"}
    assert client.files == files_in(job.diff)
    assert client.position == f"{job.diff.position()}.end"
    broker.close()


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, patch=st.booleans(), lag_max=st.sampled_from([0, 3, 64]))
def test_a_client_over_any_cuts_ends_at_the_same_document(
    steps: list[tuple[str, Any]], patch: bool, lag_max: int
) -> None:
    """Traps 2, 19, 24, 25 and 43."""
    with mock.patch.object(diff_stream, "DIFF_LAG_RECORDS_MIN", lag_max):
        anyio.run(lambda: follow(steps, patch=patch))
