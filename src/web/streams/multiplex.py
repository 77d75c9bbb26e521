"""Many streams in one: `POST /api/streams` (PROTOCOL.md, section M), for a browser that has but six connections.

    {"topics": {"/api/jobs/42/stream?tail=1000": "", "/api/events/": "17-9f3c…"}}      in: paths and last positions
    data: [{"topic": "/api/jobs/42/stream?tail=1000", "event": "status", "data": {…}}, …]      out: one array a wake-up

A topic is answered by the very endpoint that answers the path, with a scope made for it, so it behaves as that stream
does in everything: who may see it, its parameters, where it resumes, how it is refused, how it ends. Only what is of
the connection belongs to the whole: keep-alive, maximum time, drain, write time-out, the expiry of a right, and one
place among the streams that a user and an address may have (trap 31).

Each topic runs in a task and hands over one batch at a time: it reads no further until that has been taken, and it is
taken when the socket had room. So what waits is at most one batch per topic, shared with all other readers of the same
log, and a slow client stops its own topics' reading and nobody else's (trap 28). Who has handed over first is taken
first, and comes behind all others with its next batch.

A topic that breaks is refused with 500 and the others go on. When all are refused or over, the stream is.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import anyio
import orjson
from starlette.requests import Request
from starlette.routing import Match, Route

from fantail.broker import NotFoundError
from fantail.broker.log.notify import Waiter
from fantail.web.auth.viewer import VIEWER_KEY
from fantail.web.errors import Problem, ProblemError, bad_request, refusal
from fantail.web.http.request_body import whole_body
from fantail.web.http.side_tasks import side_tasks
from fantail.web.http.slashes import with_other_slash
from fantail.web.limits import (
    TOPIC_CHARS_MAX,
    TOPIC_REFUSAL_BYTES_MAX,
    TOPICS_ARRAY_BYTES,
    TOPICS_BODY_BYTES_MAX,
    TOPICS_MAX,
)
from fantail.web.sse.response import RELAY_KEY, EventStreamResponse, comment
from fantail.web.streams.multiplex_frames import TopicFrames, array_frame
from fantail.web.streams.pipelines import NotConfigured
from fantail.web.streams.request import StreamEndpoint

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from starlette.types import Message, Receive, Scope, Send

    from fantail.broker.documents.json_patch import JsonValue
    from fantail.web.auth.viewer import Viewer
    from fantail.web.context import Context

logger = logging.getLogger("fantail.streams")

_ALREADY_OVER: Final = 204
_INTERNAL: Final = 500


def routes(context: Context, others: Sequence[Route]) -> list[Route]:
    """The route of this face.

    Args:
        context: of the application.
        others: its other routes; those of streams can be topics.
    """
    streams = [route for route in others if isinstance(route.endpoint, StreamEndpoint | NotConfigured)]
    return [Route("/api/streams", MultiplexEndpoint(context, streams), methods=["POST"])]


class MultiplexEndpoint(StreamEndpoint):
    """`POST /api/streams`."""

    def __init__(self, context: Context, streams: Sequence[Route]) -> None:
        super().__init__(context)
        self._streams = streams

    async def serve(self, viewer: Viewer, scope: Scope, receive: Receive, send: Send) -> None:
        """See `StreamEndpoint`."""
        topics = asked_topics(await whole_body(Request(scope, receive), TOPICS_BODY_BYTES_MAX))
        handover = Handover(len(topics))
        async with side_tasks() as start:
            for name, position in topics.items():
                topic = Topic(name, handover)
                start(topic.run, self._streams, scope, position)
            label = f"multiplex of {len(topics)} topics"
            response = EventStreamResponse(
                self._context, handover.arrays(), handover.waiter, viewer=viewer, label=label
            )
            await response(scope, receive, send)


# -- what is asked for ----------------------------------------------------------------------------------------------


def asked_topics(body: bytes) -> dict[str, str]:
    """The topics of a body with their positions, each once; of a topic that is named twice, the last position.

    Raises:
        ProblemError: 400, it is not of the form `{"topics": {"/path?query": "position"}}`, or names none or too many.
    """
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError as fault:
        raise bad_request(f"The body is not JSON: {fault.msg} at character {fault.pos}") from None
    topics = asked.get("topics") if isinstance(asked, dict) else None
    if not isinstance(topics, dict) or not all(isinstance(position, str) for position in topics.values()):
        raise bad_request('The body must be {"topics": {"/path?query": "last position or nothing"}}')
    if not topics:
        raise bad_request("`topics` names no stream")
    if len(topics) > TOPICS_MAX:
        raise bad_request(f"Too many topics: {len(topics)}; at most {TOPICS_MAX} in one stream")
    return topics


def topic_scope(scope: Scope, topic: str, position: str) -> Scope:
    """The scope of a GET of one topic, by whoever sent this request.

    Of the request's headers none is passed on: which of them would be meant for one stream, nobody can say.

    Raises:
        ProblemError: 404, it is no path of this server.
    """
    path, _, query = topic.partition("?")
    if not topic.startswith("/") or topic.startswith("//") or "#" in topic or len(topic) > TOPIC_CHARS_MAX:
        raise ProblemError(Problem(404, "No such stream"))
    headers = [(b"accept", b"application/json")]
    if position:
        headers.append((b"last-event-id", position.encode()))
    made = {name: scope[name] for name in ("asgi", "http_version", "scheme", "server", "client") if name in scope}
    return {
        **made,
        "type": "http",
        "method": "GET",
        "root_path": scope.get("root_path", ""),
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": headers,
        VIEWER_KEY: scope[VIEWER_KEY],
    }


# -- what is answered -----------------------------------------------------------------------------------------------


class Handover:
    """Where topics leave what they have, and the stream takes it from; nothing is left twice before it is taken.

    Args:
        topics: how many there are.
    """

    def __init__(self, topics: int) -> None:
        self.waiter = Waiter()
        self._left = topics
        self._waiting: deque[tuple[TopicFrames, bytes, Waiter]] = deque()
        self._last_items: list[bytes] = []

    async def put(self, topic: TopicFrames, frames: bytes, taken: Waiter) -> None:
        """Leaves whole frames of a topic, and waits until they were taken."""
        self._waiting.append((topic, frames, taken))
        self.waiter.wake()
        await taken.sleep_until_woken()

    def over(self, item: bytes) -> None:
        """Leaves the last item of a topic; it goes after all that the topic has left before."""
        self._last_items.append(item)
        self._left -= 1
        self.waiter.wake()

    async def arrays(self) -> AsyncGenerator[bytes, None]:
        """Yields an array of all that was left, in bounded pieces, and `b""` when it was woken for nothing."""
        while True:
            yield self._next()
            if self._waiting or self._last_items:
                continue
            if not self._left:
                return
            await self.waiter.sleep_until_woken()

    def _next(self) -> bytes:
        items: list[bytes] = []
        comments: dict[bytes, None] = {}
        size = 0
        while self._waiting and size < TOPICS_ARRAY_BYTES:
            topic, frames, taken = self._waiting.popleft()
            taken.wake()
            made, said = topic.items(frames)
            items += made
            comments.update(dict.fromkeys(said))
            size += len(frames)
        # A topic that is over waits for nothing: all that it left has been taken before.
        items += self._last_items
        self._last_items = []
        spoken = b"".join(comment(each.decode()) for each in comments)
        return spoken + array_frame(items) if items else spoken


class Topic:
    """One topic's way: to its endpoint, and what that answers to the handover.

    Args:
        name: as the client wrote it.
        handover: of the stream that it is a part of.
    """

    def __init__(self, name: str, handover: Handover) -> None:
        self._name = name
        self._frames = TopicFrames(name)
        self._handover = handover
        self._taken = Waiter()
        self._status: int | None = None
        self._headers: Mapping[bytes, bytes] = {}
        self._answer = b""

    async def run(self, streams: Sequence[Route], scope: Scope, position: str) -> None:
        """Runs it to its end, which it tells; an unforeseen fault ends this topic alone."""
        try:
            await self._ask(streams, scope, position)
            item = self._last_item()
        except Exception:
            logger.exception("a topic of a stream of several broke")
            item = self._frames.refused(_INTERNAL, {"error": "Internal error"})
        self._handover.over(item)

    async def carry(self, body: AsyncGenerator[bytes, None]) -> None:
        """See `fantail.web.sse.response.Relay`."""
        async for frames in body:
            if frames:
                await self._handover.put(self._frames, frames, self._taken)

    async def _ask(self, streams: Sequence[Route], scope: Scope, position: str) -> None:
        try:
            own = topic_scope(scope, self._name, position)
            endpoint = _endpoint(streams, own)
        except (ProblemError, NotFoundError) as problem:
            own, endpoint = {"type": "http"}, refusal({}, problem)
        await endpoint({**own, RELAY_KEY: self}, _nothing_comes, self._note)

    async def _note(self, message: Message) -> None:
        """Takes an answer that is no stream."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = dict(message["headers"])
        else:
            self._answer = (self._answer + message.get("body", b""))[:TOPIC_REFUSAL_BYTES_MAX]

    def _last_item(self) -> bytes:
        if self._status is None or self._status == _ALREADY_OVER:
            return self._frames.end()
        return self._frames.refused(self._status, self._refusal())

    def _refusal(self) -> JsonValue:
        data: Any = {"error": self._answer.decode("utf-8", "replace")}
        if self._headers.get(b"content-type", b"").startswith(b"application/json"):
            data = orjson.loads(self._answer)
        after = self._headers.get(b"retry-after", b"")
        return {**data, "retryAfter": int(after)} if after.isdigit() else data


def _endpoint(streams: Sequence[Route], scope: Scope) -> Any:
    """The endpoint of a path, which is noted in the scope with its parameters.

    Raises:
        ProblemError: 404, no stream has this path.
    """
    for form in (scope, with_other_slash(scope)):
        for route in streams:
            match, found = route.matches(form)
            if match is Match.FULL:
                scope.update({**form, **found})
                return route.endpoint
    raise ProblemError(Problem(404, "No such stream"))


async def _nothing_comes() -> Message:
    """The `receive` of a topic: its client's leaving is told to the stream that it is a part of."""
    await anyio.sleep_forever()
    raise AssertionError("for ever is over")
