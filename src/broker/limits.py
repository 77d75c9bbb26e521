"""Every bound of the broker, with its reason. Units stand last in the names.

Those that an operator may want to move are settings too (docs/OPERATIONS.md); the values here are their defaults.
"""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

# -- ids ------------------------------------------------------------------------------------------------------------
# Long enough for a UUID with a prefix, short enough for a log line; no colon, which would reach into other keys.
ID_CHARS_MAX: Final = 128

# -- the log --------------------------------------------------------------------------------------------------------
# A sealed segment is the unit that is shared, sent and evicted. 64 KiB is what one write of a socket takes; 512
# records keep the work of encoding one at a fraction of a millisecond.
SEGMENT_BYTES: Final = 64 * KIB
SEGMENT_RECORDS: Final = 512

# What one log may hold in memory. The window is a cache of the archive, so this costs time and never history.
STORE_BYTES_MAX: Final = 16 * MIB
STORE_RECORDS_MAX: Final = 1_000_000
STORE_AGE_S_MAX: Final = 24 * 3600.0
# All logs together: what a small machine can spare beside the jobs it runs.
TOTAL_BYTES_MAX: Final = 256 * MIB

# -- entries --------------------------------------------------------------------------------------------------------
# A longer line is cut for viewers (a browser lays a megabyte of text out in seconds); the download has it whole.
LINE_BYTES_MAX: Final = 1 * MIB

# -- documents ------------------------------------------------------------------------------------------------------
# A reader further behind than this gets the document itself: replaying would cost more than the snapshot.
PATCH_STORE_BYTES_MAX: Final = 4 * MIB
PATCH_STORE_RECORDS_MAX: Final = 20_000

# -- archive pages --------------------------------------------------------------------------------------------------
# One page is one reply of Redis held in memory at once, and what its single thread serves others after.
PAGE_BYTES: Final = 1 * MIB
PAGE_RECORDS_MAX: Final = 4096
# The first page of a log of unknown line lengths: small, in case each line is a megabyte.
PAGE_RECORDS_FIRST: Final = 64

# -- life of a job --------------------------------------------------------------------------------------------------
# A finished job stays for those who reload the page or come back after a short cut.
LINGER_S: Final = 60.0
# One that nobody watches is let go after this; coming back costs one read.
IDLE_S: Final = 60.0
# How long a first read of a job may take before the caller is told that the source does not answer.
LOAD_TIMEOUT_S: Final = 10.0
# How often the broker looks for jobs to free and memory over its budget.
HOUSEKEEPING_S: Final = 1.0
# Without a bound a client that asks for random ids would fill the registry; this many are watched or lingering.
JOBS_MAX: Final = 10_000

# -- producers: what a job may print --------------------------------------------------------------------------------
# A line without an end is cut here, so that a progress bar drawn for hours stays one entry of bounded size. A little
# under what viewers are shown, so that the mark of the cut fits.
RUN_LINE_BYTES_MAX: Final = LINE_BYTES_MAX - KIB
# One read of a pipe or a terminal: what a pipe of Linux holds.
READ_BYTES_MAX: Final = 64 * KIB
# An unfinished line of this length is masked before its end is known.
MASK_WINDOW_BYTES: Final = 64 * KIB
# The longest token shape that is masked whole although a window ends within it; real ones have a few KiB at most.
MASK_TOKEN_BYTES_MAX: Final = 8 * KIB
# A shorter value of a variable that only looks like a secret is more often a word ("disabled" has eight letters).
SECRET_BYTES_MIN: Final = 8
# A shorter value of a variable that was named on purpose would blank out half of the output.
CHOSEN_SECRET_BYTES_MIN: Final = 4
# A private key of 16,384 bits has 214 lines.
KEY_BLOCK_LINES_MAX: Final = 400

# -- producers: appending -------------------------------------------------------------------------------------------
# One append is one script call of Redis' single thread: about a millisecond at most. Lua takes no more than 7,999.
APPEND_RECORDS_MAX: Final = 512
APPEND_BYTES_MAX: Final = 512 * KIB
# What waits in memory while Redis answers; past it the command itself waits (its pipe fills).
UNSENT_BYTES_MAX: Final = 1 * MIB
# What Redis has confirmed is kept this long, to be written anew if Redis loses its tail. With appendfsync everysec
# that is at most two seconds of output; 16 MiB is some 150,000 lines.
REWRITE_BYTES_MAX: Final = 16 * MIB
# The last entries compared with what was sent, after a doubt. They are a proof, and few, as each may be a megabyte.
TAIL_COMPARED: Final = 8
# On disk while Redis is away: hours of an ordinary job, and less than any machine's temporary directory holds.
SPOOL_BYTES_MAX: Final = 256 * MIB
# Redis that says nothing for so long is away: longer than a fork or a slow script on a busy machine takes.
REDIS_TIMEOUT_S: Final = 5.0
REDIS_CONNECT_TIMEOUT_S: Final = 3.0
# Between two attempts while it is away, doubled from the first to the second, with jitter.
REDIS_BACKOFF_S_MIN: Final = 0.05
REDIS_BACKOFF_S_MAX: Final = 2.0
# How long a producer that has ended waits for Redis to take the rest.
FLUSH_S_MAX: Final = 60.0
# Field changes that wait for the lines before them; more are merged into the last.
UPDATES_WAITING_MAX: Final = 64
# The user asked for a day (the architecture of job streams they gave); refreshed while the job runs.
JOB_TTL_S: Final = 24 * 3600
TTL_REFRESH_S: Final = 600.0
# PROTOCOL, section 2. Three beats fit in a lease, so that one lost beat says nothing.
LEASE_S: Final = 30.0
LEASE_BEATS: Final = 3

# -- producers: the command -----------------------------------------------------------------------------------------
# Processes that the command left behind may hold its terminal open for ever; so long their output is still taken.
RUN_GRACE_S: Final = 1.0
# Between SIGTERM and SIGKILL where the caller gives a running command up.
RUN_KILL_S: Final = 5.0
# Columns of the command's terminal where there is none to copy: most tables fit, and most screens show it.
RUN_COLUMNS: Final = 120

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
