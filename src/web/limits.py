"""Every bound of the web, with its reason; those of the broker are in `fantail.broker.limits`. Units stand last in the
names.

Those that an operator may want to move are settings too (docs/OPERATIONS.md); the values here are their defaults.
"""

from __future__ import annotations

from typing import Final

from fantail.broker.limits import KIB, MIB

# -- the terminal follower ------------------------------------------------------------------------------------------
# Two keep-alives missed and a margin: the connection is dead.
TAIL_SILENCE_S_MAX: Final = 75.0
TAIL_CONNECT_S_MAX: Final = 5.0
# Between two attempts, doubled from the first to the second, with jitter; the server's `retry:` wins where longer.
TAIL_BACKOFF_S_MIN: Final = 0.2
TAIL_BACKOFF_S_MAX: Final = 10.0
# A server that never answered is more likely a wrong address than a restart.
TAIL_FIRST_S_MAX: Final = 10.0
# One that did answer may be upgraded meanwhile.
TAIL_AWAY_S_MAX: Final = 600.0
# One event of the stream; a server that sends more is not ours.
TAIL_EVENT_BYTES_MAX: Final = 16 * MIB

# -- the REST API ---------------------------------------------------------------------------------------------------
# A page of the jobs list: what one screen shows, and what one answer may at most carry (about a megabyte of JSON).
JOBS_PAGE: Final = 50
JOBS_PAGE_MAX: Final = 500
# A page of output: by count, and by bytes too, as a line may be a megabyte. `next` says where the rest begins.
OUTPUT_PAGE: Final = 500
OUTPUT_PAGE_MAX: Final = 5000
OUTPUT_PAGE_BYTES_MAX: Final = 4 * MIB
# A reader whose log is written anew under its hands starts over; more often than this somebody is deleting in a loop.
OUTPUT_TRIES_MAX: Final = 3
# Text of the download handed to the socket at once; decoding that much takes about a millisecond of the event loop.
DOWNLOAD_SLICE_RECORDS: Final = 512
# A JSON document in a request: a prompt may be long, everything else is small.
DOCUMENT_BYTES_MAX: Final = 1 * MIB
# Fields of one job or row: Repobox has 22, and a hash of more than this is no job.
FIELDS_MAX: Final = 128
FIELD_NAME_CHARS_MAX: Final = 64
STATUS_CHARS_MAX: Final = 64
# Text that is looked for in a list of jobs.
QUERY_CHARS_MAX: Final = 200

# -- search in output -----------------------------------------------------------------------------------------------
# RE2 compiles a pattern of this length within its memory bound or refuses it.
PATTERN_CHARS_MAX: Final = 1000
# RE2's program and its automaton's cache; past it RE2 falls back to a slower, still linear way.
PATTERN_BYTES_MAX: Final = 8 * MIB
# Hits that are sent; the total is exact whatever it is.
HITS_PAGE: Final = 100
HITS_PAGE_MAX: Final = 10_000
# The same where only offsets are wanted: seven bytes each instead of some hundred.
OFFSETS_PAGE_MAX: Final = 20_000
# Bins of a count over the log: a scrollbar has no more pixels.
TICKS_MAX: Final = 1000
# Text shown of a hit: a screen's width of context around the first match.
HIT_CHARS_MAX: Final = 400
HIT_CHARS_BEFORE: Final = 80
# Each keeps one core busy and one page in memory; of two cores one must be left to the streams. Others wait, some.
SEARCHES_MAX: Final = 2
# What is looked through in one go, in a thread that cannot be stopped: 2 ms as a rule, a second with the worst pattern
# there is (RE2 without its automaton, a thousand states a character).
SEARCH_SLICE_BYTES: Final = 64 * KIB
# A million lines take five seconds; whoever needs longer is told how far it came.
SEARCH_S_MAX: Final = 30.0
SEARCHES_WAITING_MAX: Final = 16

# -- marks of lines: errors and groups --------------------------------------------------------------------------------
# An error announces itself at the beginning of its line; no more of it is looked at.
MARK_CHARS_MAX: Final = 4000
# All patterns are one automaton for RE2; with less than this for its cache it falls back to a slower way.
MARK_PATTERN_BYTES_MAX: Final = 64 * MIB
# A title is one line of a list.
GROUP_TITLE_CHARS_MAX: Final = 200
# Groups within each other: nobody reads deeper ones, and each level is an indent. Deeper ones are lines of theirs.
GROUP_DEPTH_MAX: Final = 32
# Of one entry, which may have a megabyte of lines.
MARKS_PER_ENTRY_MAX: Final = 64

# -- outlines of logs -----------------------------------------------------------------------------------------------
# Marks in one answer: 400 KB of JSON.
OUTLINE_MARKS_PAGE: Final = 10_000
# What one answer looks through: 200,000 lines or so. A page wants to show the first error, not the last one.
OUTLINE_S_MAX: Final = 1.0
# Marks that are kept of one log: 8 bytes for an error, some 200 for a group's. Nobody steps through more of them.
OUTLINE_ERRORS_MAX: Final = 1_000_000
OUTLINE_GROUP_MARKS_MAX: Final = 50_000
# Logs whose outlines are kept, and what all of them may hold; those that were asked for last stay.
OUTLINES_MAX: Final = 256
OUTLINES_BYTES_MAX: Final = 64 * MIB
# What a mark of a group takes, about: five members, two numbers and a title.
GROUP_MARK_BYTES: Final = 400

# -- HTTP ingest ----------------------------------------------------------------------------------------------------
# One NDJSON record, which must be in memory whole to be read: a line of 1 MiB with every character escaped is 6 MiB.
INGEST_RECORD_BYTES_MAX: Final = 8 * MIB
# What is parsed in one go, and what then waits for its append: in the worst case, empty lines, 50 times as much.
INGEST_SLICE_BYTES: Final = 32 * KIB
# A refused upload is read on and thrown away this far, so that its client gets to read why; then the door is shut.
INGEST_DISCARD_BYTES_MAX: Final = 4 * MIB
INGEST_DISCARD_S_MAX: Final = 2.0

# -- who is asking --------------------------------------------------------------------------------------------------
# A token with a few claims has some hundred bytes; a longer one than this is refused unread. Browsers keep 4 KiB.
TOKEN_BYTES_MAX: Final = 4 * KIB
USER_CHARS_MAX: Final = 256
# Authorities in one forwarding header; a chain of more proxies is not built. The last count: proxies append theirs.
FORWARDED_HOSTS_MAX: Final = 8
# The body of a form with one token in it.
LOGIN_BYTES_MAX: Final = 16 * KIB

# -- pages ----------------------------------------------------------------------------------------------------------
# What HTML carries of the jobs table and of a log: a first screen; the streams bring the rest.
INITIAL_ROWS_MAX: Final = 500
INITIAL_LINES_MAX: Final = 500
INITIAL_BYTES_MAX: Final = 256 * KIB
# Jobs that /api/system names one by one: those that hold most.
SYSTEM_JOBS_MAX: Final = 500
# What is read in less is read at every request; what takes longer is kept for so many times as long.
SYSTEM_CHEAP_S: Final = 0.01
SYSTEM_REST_FACTOR: Final = 20.0

# -- the web: streams -----------------------------------------------------------------------------------------------
# One send of a stream. The transport buffers one send past its high-water mark, so this bounds memory per client.
SEND_BYTES_MAX: Final = 64 * KIB
# The kernel's send buffer of one connection (Linux doubles the number for its own bookkeeping): a client that stops
# reading costs no more, and a line with 100 ms to the client still carries over a megabyte per second.
SOCKET_SEND_BYTES: Final = 128 * KIB
# A connection that has been silent for so long is asked by the kernel whether its peer is still there, and again so
# often until the write time-out is over. An upload may be silent for hours; by default the kernel waits for two.
KEEPALIVE_IDLE_S: Final = 60
KEEPALIVE_INTERVAL_S: Final = 10
# `retry:` of a stream that starts: soon, and not all in one instant after a restart.
RETRY_MS: Final = (1_000, 3_000)
# `retry:` before a drain closes: the restart shall be over before they come back.
RETRY_DRAIN_MS: Final = (3_000, 8_000)
# `retry:` where the client is refused for now (over a limit, Redis away): often enough to notice, too seldom to hurt.
RETRY_REFUSED_MS: Final = (10_000, 30_000)
# Streams that began together end apart: each at 95 to 100 % of the maximum time.
STREAM_TIME_JITTER: Final = 0.05
# A stream whose client has left ends by itself in no time, unless it waits for the archive; then it is cancelled.
STREAM_END_S: Final = 1.0
# How often a stream's acknowledged bytes are looked at, as a part of the time-out: a dead peer is noticed at most
# this much late.
WRITE_LOOK_PART: Final = 1 / 6
# After the drain's own time: what has still not ended is cut, and then what is left of requests is cancelled. With the
# default drain of 5 s all is over by 8 s after SIGTERM; supervisors kill after 10 s.
DRAIN_GRACE_S: Final = 2.0
SHUTDOWN_GRACE_S: Final = 3.0
# A snapshot of the tables is sent instead of changes when those would be more bytes, and at least this many changes.
TABLES_LAG_RECORDS_MIN: Final = 1_000
# A row in a snapshot is about five times as long as a change of one field.
TABLES_LAG_PER_ROW: Final = 5
# A client's position over changes that it may not see is moved on this often: seldom enough to cost nothing, often
# enough that it is never forgotten.
HIDDEN_ADVANCE_S: Final = 5.0
# Rows of a snapshot are sent in pieces of about this size, so that a slow client holds little.
SNAPSHOT_PIECE_BYTES: Final = 32 * KIB

# -- the web: requests ---------------------------------------------------------------------------------------------
# What other servers take, and more than a browser with all its cookies sends. One read of a socket may come on top.
HEAD_BYTES_MAX: Final = 64 * KIB
# A browser sends some 20 fields, proxies add some; each costs about 130 bytes of memory however short it is.
HEAD_FIELDS_MAX: Final = 200
# Requests that a client sends before the previous one is answered. Browsers send none; programs that pipeline must
# expect that a connection is closed on them (RFC 9112, section 9.3.2).
PIPELINED_REQUESTS_MAX: Final = 16
# Their heads and bodies together: uvicorn's own limit for the body of one request that is not being read.
PIPELINED_BYTES_MAX: Final = 64 * KIB
# From the connection, or the end of the last answer, to the end of the next head. Browsers open connections ahead of
# need and are used to having them closed.
HEAD_S_MAX: Final = 30.0
# For a body that is read whole, a megabyte at most, over a slow line; a client that sends it byte by byte would hold a
# place for ever.
BODY_S_MAX: Final = 10.0

# -- the web: limits per client -------------------------------------------------------------------------------------
# Each stream is an open file and some 60 KiB; a server's usual limit of open files is 65,536 or lower.
STREAMS_MAX: Final = 10_000
# A person with fifty tabs in a browser without SharedWorker, and some scripts.
STREAMS_PER_USER_MAX: Final = 256
# An office behind one address; also the benchmarks' 2,000 subscribers on loopback.
STREAMS_PER_ADDRESS_MAX: Final = 4_096
# The office after a restart of the server, all back at once, and then as fast as a machine opens them.
STREAM_BURST: Final = 4_096
STREAM_RATE_PER_S: Final = 200.0
# What a build prints at its loudest; three of them fill a gigabit line.
INGEST_BYTES_PER_S: Final = 32 * MIB
# A body is streamed and never held whole; the bound is against one that never ends.
BODY_BYTES_MAX: Final = 1024 * MIB
# Users and addresses that are remembered, about 200 bytes each.
LIMITER_KEYS_MAX: Final = 10_000
# HS256's own hash has 32 bytes; RFC 7518, section 3.2, asks for a key of at least that size.
JWT_SECRET_BYTES_MIN: Final = 32

# -- the web: many streams in one -----------------------------------------------------------------------------------
# What one browser follows with some twenty tabs, ten of them each; a task and some 10 KiB each.
TOPICS_MAX: Final = 200
# What fits a request line of 8 KiB, a pipeline stream's 200 ids, and room; the stream itself could be asked no longer.
TOPIC_CHARS_MAX: Final = 16 * KIB
# All topics of a browser; each usual one has some hundred bytes.
TOPICS_BODY_BYTES_MAX: Final = 1 * MIB
# One array holds no more once it is this long, so that no topic waits behind all others' histories. A topic that is
# longer by itself (one huge line) is sent whole.
TOPICS_ARRAY_BYTES: Final = 64 * KIB
# The body of a refusal: a sentence.
TOPIC_REFUSAL_BYTES_MAX: Final = 4 * KIB

# -- the web: memory of the process ---------------------------------------------------------------------------------
# New objects at which the collector looks at them. It takes 0.1 to 0.5 µs for each, so 12 ms at most.
YOUNG_OBJECTS_MAX: Final = 25_000
# And at the latest after so long, so that garbage of a quiet server does not wait.
COLLECT_YOUNG_S: Final = 60.0
# All objects: 0.2 s with 2,000 open streams, so seldom.
COLLECT_ALL_S: Final = 3600.0
# Often, so that each time there is little to give back: 0.3 ms for each megabyte, in which the event loop may have to
# wait for memory (16 MiB, one log: 5 ms; a hundred logs let go at once: some 60 ms); 0.1 ms where there is nothing.
TRIM_S: Final = 5.0
