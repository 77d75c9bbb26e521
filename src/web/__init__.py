"""The broker over HTTP: `create_app` for a program of yours, `web.server.serve` for the program `fantail serve`.

The application:

    app.py             what is served where: start here
    slashes.py         an address with and without a slash at its end
    context.py         what every route is given
    settings.py        every setting
    limits.py          every bound
    problems.py        from exception to answer
    pages.py           HTML with its first data
    assets.py          what that loads

Streams:

    faces/             the wire formats
    sse.py             frames to bytes, and the one response
    sinks.py           where frames go
    protocol.py        what is known of the TCP connection
    streams.py         all that are open now
    limiter.py         what one user and one address may have
    draining.py        an orderly end
    http1.py           requests on one connection, bounded
    heads.py           the head of one, bounded in bytes and time
    bodies.py          the body of one, bounded
    side_tasks.py      tasks that end with a request
    garbage.py         garbage collection, and freed memory given back
    status_sources.py  what status dashboards are fed from
    status_metrics.py  figures of it

REST:

    api.py             the routes: start here
    api_exchange.py    what they do alike
    api_shapes.py      a job inside and outside
    api_jobs.py        jobs
    api_output.py      output
    api_download.py    output as one text
    api_log.py         output in pages
    api_search.py      search
    search.py          matching lines
    api_outline.py     errors and groups
    outlines.py        outlines, kept
    line_marks.py      what a line says of its log
    line_patterns.py   its patterns
    look_through.py    whole logs, in slices
    api_diff.py        diffs
    api_ingest.py      lines from producers without Redis
    ingest.py          their bodies
    api_tables.py      rows of tables
    api_system.py      what the server holds and does
    metrics.py         the same for machines

Who is asking:

    auth.py            who, and what they may see
    login.py           a browser's way to show a token
    origin.py          whether a page of ours asks
    proxies.py         what trusted proxies say

Programs:

    cli.py             the command `fantail`: start here
    cli_options.py     options that its commands share
    cli_publish.py     `fantail publish`
    server.py          `fantail serve`
    logs.py            how it logs
    locate.py          where Redis and the server are
    tail.py            `fantail tail`
    tail_diff.py       `fantail tail --diff`
    terminal_text.py   what a terminal may obey of foreign text
    event_parser.py    reading an event stream
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from web.app import create_app as create_app

__all__ = ["create_app"]


def __getattr__(name: str) -> Any:
    """Imports on demand: `fantail run`, whose commands are in this package, starts in half the time without."""
    if name == "create_app":
        from web.app import create_app  # noqa: PLC0415 - the purpose of this function

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
