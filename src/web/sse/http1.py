"""HTTP/1 on one connection: uvicorn's httptools protocol with limits, HTTP/1.0 framing, and no reference cycles.

**Limits** (`fantail.web.limits`). uvicorn parses all it receives: a client that sends requests without reading the
answers fills the memory before anyone asks who it is. Here these are bounded:

    heads          in bytes and in time (`fantail.web.sse.header_limits`), and in the number of fields
    trailers       in bytes; the fields are dropped (RFC 9110, section 6.5.1)
    pipelining     requests that are received before the previous one is answered, in number and in bytes

A connection over a limit is refused: nothing more of it is parsed, requests that are already queued are answered, then
it is told why and closed. Reading goes on, and what arrives is dropped: with reading paused, the end of a client that
watches a stream would go unnoticed.

**Disconnects.** uvicorn tells only the last request of a connection that the client is gone. With pipelining the one
that is being answered is another one: its stream would be kept open for a client that left. Here all are told.

**Upgrade.** A request may offer another protocol, as `curl --http2` and Java's HttpClient do with every request over
plain HTTP. The offer is ignored (RFC 9110, section 7.8). llhttp takes everything after such a head for the other
protocol, and uvicorn drops it: the body would be lost. So the head is parsed again without the offer.

**HTTP/1.0.** A client of HTTP/1.0 does not know chunks or interim responses (RFC 9112, section 6.1; RFC 9110, section
15.2): a body without a length ends with the connection.

**Memory.** A connection that is closed is freed by its reference counts alone. The garbage collector looks at old
objects seldom (`fantail.web.observability.garbage`), so a cycle per connection would be memory that grows with every
connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fantail.web.limits import HEAD_BYTES_MAX, HEAD_FIELDS_MAX, PIPELINED_BYTES_MAX, PIPELINED_REQUESTS_MAX
from fantail.web.sse.header_limits import HeadWatch

if TYPE_CHECKING:
    import asyncio

    from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


def _refusal(status: bytes, words: bytes) -> bytes:
    return (
        b"HTTP/1.1 %b\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
        % (status, len(words), words)
    )


INVALID: Final = _refusal(b"400 Bad Request", b"Invalid HTTP request received.")
HEAD_TOO_LONG: Final = _refusal(b"431 Request Header Fields Too Large", b"The head of the request is too long")
TOO_MANY: Final = _refusal(b"429 Too Many Requests", b"Too many requests were sent before the previous was answered")


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection's HTTP/1."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head = HeadWatch(self.loop)
        self._running: RequestResponseCycle | None = None
        self._refused: bytes | None = None
        self._queued_bytes = 0
        self._in_body = False  # the last head is complete, and its message is not
        self._chunk_line_bytes: int | None = None  # since a chunk's size, with no byte of its body: None, not there

    # -- the connection ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own type
        """Waits for the first head."""
        super().connection_made(transport)
        self._head.begin(self._late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tells every request on the connection, and drops what would keep it in memory."""
        self._head.end()
        for cycle in self._unanswered():
            cycle.disconnected = True
            cycle.message_event.set()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # uvicorn leaves it running after a reset
        self.pipeline.clear()
        self._running = None
        self.cycle = None  # type: ignore[assignment]  # as it is before the first request

    def data_received(self, data: bytes) -> None:
        """Parses what came, unless the connection was refused."""
        if self._refused is not None:
            return
        if self._idle and not self._head.waiting:
            self._head.begin(self._late)
        if not self._in_body:
            self._head.took(len(data))
        if self._chunk_line_bytes is not None:
            self._chunk_line_bytes += len(data)
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self.logger.warning("Invalid HTTP request received.")
            self._refuse(INVALID)  # not in the midst of another request's answer
        if self._head.too_long or self._trailer_too_long:
            self._refuse(HEAD_TOO_LONG)

    def _parse(self, data: bytes) -> None:
        while self._refused is None:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                if self._refused is None:
                    self._parse_without_upgrade()
                data = data[upgrade.args[0] :]
            else:
                return

    def _parse_without_upgrade(self) -> None:
        """Parses the head that was just received again, by a new parser and without its `Upgrade` fields."""
        line = b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        fields = [b"%b: %b" % field for field in self.headers if field[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self.parser.feed_data(b"\r\n".join([line, *fields, b"\r\n"]))

    @property
    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # None at first

    @property
    def _trailer_too_long(self) -> bool:
        return self._chunk_line_bytes is not None and self._chunk_line_bytes > HEAD_BYTES_MAX

    def _late(self) -> None:
        if self._idle:
            self.transport.close()
        else:
            self._head.begin(self._late)  # the head of a next request, behind one that is being answered

    def _unanswered(self) -> list[RequestResponseCycle]:
        running = [] if self._running is None or self._running.response_complete else [self._running]
        return [*running, *(cycle for cycle, _ in self.pipeline)]

    # -- refusing ---------------------------------------------------------------------------------------------------

    def _refuse(self, answer: bytes) -> None:
        """Parses no more, and answers when all that was received whole is answered."""
        if self._refused is not None:
            return
        self._refused = answer
        self._head.end()
        if self._idle:
            self._say_refusal(answer)
        elif self.cycle.more_body:
            self._refuse_unfinished(answer)

    def _refuse_unfinished(self, answer: bytes) -> None:
        """Ends the last request, whose body will never be complete."""
        if self.cycle is self._running:
            if self.cycle.response_started:
                self.transport.close()
            else:
                self._say_refusal(answer)
        else:
            self.pipeline.popleft()
            self.cycle = self.pipeline[0][0] if self.pipeline else self._running  # type: ignore[assignment]  # not None

    def _say_refusal(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()

    # -- what the parser tells --------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A head begins."""
        if self._refused is None:
            self._head.begin(self._late)
            super().on_message_begin()
            if len(self.pipeline) >= PIPELINED_REQUESTS_MAX:
                self._refuse(TOO_MANY)

    def on_url(self, url: bytes) -> None:
        """Takes a piece of the target."""
        if self._refused is None:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a field of the head; those of a trailer are dropped."""
        if self._refused is None and not self._in_body:
            super().on_header(name, value)
            if len(self.headers) > HEAD_FIELDS_MAX:
                self._refuse(HEAD_TOO_LONG)

    def on_headers_complete(self) -> None:
        """Begins to answer a request, or queues it."""
        if self._refused is not None:
            return
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                self._refuse(INVALID)
            return
        self._head.end()
        self._in_body = True
        super().on_headers_complete()
        if self.pipeline and self.cycle is self.pipeline[0][0]:
            self.flow.resume_reading()  # the end of the client must be noticed while a stream is being sent
            self._queue(sum(len(name) + len(value) for name, value in self.headers) + len(self.url))

    def on_chunk_header(self) -> None:
        """A chunk begins, or, with the last one, the trailer."""
        self._chunk_line_bytes = 0

    def on_body(self, body: bytes) -> None:
        """Takes a piece of a body."""
        self._chunk_line_bytes = None
        if self._refused is None and (not self.pipeline or self._queue(len(body))):
            super().on_body(body)

    def on_chunk_complete(self) -> None:
        """A chunk ends, or the trailer."""
        self._chunk_line_bytes = None

    def on_message_complete(self) -> None:
        """A request is complete."""
        self._in_body = False
        if self._refused is None and not self.parser.should_upgrade():
            super().on_message_complete()

    def _queue(self, size_bytes: int) -> bool:
        """Counts bytes of queued requests; says whether they may be kept."""
        self._queued_bytes += size_bytes
        if self._queued_bytes > PIPELINED_BYTES_MAX:
            self._refuse(TOO_MANY)
        return self._refused is None

    # -- answering --------------------------------------------------------------------------------------------------

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        if not self.pipeline:
            self._queued_bytes = 0
        if cycle.scope["http_version"] != "1.1":
            cycle.waiting_for_100_continue = False
            app = _until_close(cycle, app)
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Goes on with the next queued request, or with the refusal."""
        super().on_response_complete()
        if self._refused is not None and self._idle:
            self._say_refusal(self._refused)


def _until_close(cycle: RequestResponseCycle, app: ASGI3Application) -> ASGI3Application:
    """The application for a client that does not know chunks: a body of unknown length ends with the connection."""

    async def unframed(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        has_length = False

        async def send_unframed(message: ASGISendEvent) -> None:
            nonlocal has_length
            if message["type"] == "http.response.start":
                has_length = any(name.lower() == b"content-length" for name, _ in message.get("headers", ()))
                cycle.keep_alive = False
                if not has_length:
                    cycle.chunked_encoding = False
            elif message["type"] == "http.response.body" and not has_length:
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_unframed)

    return unframed
