"""Every bound of the broker, with its reason. Units stand last in the names.

Those that an operator may want to move are settings too (docs/OPERATIONS.md); the values here are their defaults.
"""

from __future__ import annotations

import sys
from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

# -- ids ------------------------------------------------------------------------------------------------------------
# Long enough for a UUID with a prefix, short enough for a log line; no colon, which would reach into other keys.
ID_CHARS_MAX: Final = 128

# -- positions ------------------------------------------------------------------------------------------------------
# What PROTOCOL.md, P1, allows an event id; ours are at most 116 bytes long.
POSITION_BYTES_MAX: Final = 128

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
# An entry that must be repaired (broken UTF-8) and opens more arrays and objects than this is shown as text. Python's
# own parser gives up somewhere near its recursion limit, and where depends on its caller; this is the same everywhere.
NESTING_MAX: Final = 128

# -- documents ------------------------------------------------------------------------------------------------------
# A reader further behind than this gets the document itself: replaying would cost more than the snapshot.
PATCH_STORE_BYTES_MAX: Final = 4 * MIB
PATCH_STORE_RECORDS_MAX: Final = 20_000
# A longer text in a row of the tables is cut, visibly: every dashboard gets every row, and a line of a table shows
# less. An error message with its stack fits. The job itself has it whole.
ROW_TEXT_CHARS_MAX: Final = 16_384

# -- archive pages --------------------------------------------------------------------------------------------------
# One page is one reply of Redis held in memory at once, and what its single thread serves others after.
PAGE_BYTES: Final = 1 * MIB
PAGE_RECORDS_MAX: Final = 4096
# The first page of a log of unknown line lengths: small, in case each line is a megabyte.
PAGE_RECORDS_FIRST: Final = 64
# A page that was read can be evicted, or its log written anew, before its reader looks: then it is read again. So many
# times in a row means that the budget is smaller than one page.
ARCHIVE_TRIES_MAX: Final = 100

# -- sources: following Redis ---------------------------------------------------------------------------------------
# A live read is taken into memory in one step, during which nobody else is served: a millisecond or two.
LIVE_PAGE_BYTES: Final = 256 * KIB
LIVE_PAGE_RECORDS_MAX: Final = 1024
# A log that has fallen this far behind its list (a cut, a burst) is not read through: the tail is learnt, and who
# wants what lies between pages it in.
LEAP_RECORDS: Final = 8 * LIVE_PAGE_RECORDS_MAX
# The last entries known of a list, read again with every read. One would do for entries with a time of their own;
# a log of bare lines repeats itself, hardly eight times over. Long ones are not all sent again.
PROOF_RECORDS: Final = 8
PROOF_BYTES: Final = 4 * KIB
# Where a list's front is being trimmed, its last known entries are looked for this far in front of their place in
# the same read; further away costs a search.
SLACK_RECORDS_MAX: Final = 512
# How far in front they are searched for at most, and in what steps, before the list is taken for another one.
SEARCH_RECORDS_MAX: Final = 16_384
SEARCH_PAGE_RECORDS: Final = 1024
# Jobs whose keys are read in one round trip: with every page full 16 MiB, of which the parsing takes some 50 ms.
ROUND_JOBS_MAX: Final = 64
# Rows read in one round trip; and the pause between two, so that a hash that changes all the time is read 20 times a
# second and not 3,000.
ROUND_ROWS_MAX: Final = 128
ROWS_INTERVAL_S: Final = 0.05
# Fields of a hash that are read: Repobox has 22. One with more is read in part, which costs some milliseconds at most.
HASH_SCAN_COUNT: Final = 1000
# Keys that one SCAN looks at: about a millisecond of Redis' single thread.
SCAN_COUNT: Final = 1000
# A dashboard shows thousands of rows, not millions (440 bytes a row and viewer's snapshot); past this the newest rows
# are kept, and how many are left out is told. The server's setting `table_rows` moves it.
TABLE_ROWS_MAX: Final = 50_000
# Where rows were left out and kept ones have gone, left-out ones are looked for once this part of the table is free: a
# scan of all keys for each row that goes would cost more than the rows are worth.
TABLE_REFILL_PART: Final = 0.01
# With tracking, what is watched is still read now and then: a missed push costs seconds. At most so many jobs each
# time, so that the commands per second do not grow with them.
RECONCILE_S: Final = 5.0
RECONCILE_JOBS_MAX: Final = 100
# Tables are scanned again for rows that vanished unseen, while somebody watches them.
TABLES_RECONCILE_S: Final = 60.0
# Without tracking.
POLL_S: Final = 0.5
TABLES_POLL_S: Final = 2.0
# A server that refused tracking is asked again: its ACL may have been mended.
TRACKING_RETRY_S: Final = 60.0
# A command that a server may refuse (naming a connection) and that it leaves unanswered, as some proxies do with what
# they do not know; every server that knows it answers within milliseconds.
OPTIONAL_REPLY_S: Final = 2.0
# A connection that is cut at such a command so often in a row, with the server answering otherwise: it was refused by
# cutting. Once may be chance.
OPTIONAL_CUTS_MAX: Final = 2
# Silence on the tracking connection after which it is asked for a sign of life.
TRACKING_PING_S: Final = 5.0
# A wrong password is not mended within a second.
REFUSED_RETRY_S: Final = 10.0
# How long a caller waits for a source that has just gone away: longer than a restart of an empty Redis takes. One that
# has been away for longer is not waited for.
AWAY_WAIT_S: Final = 2.0
# Connections for pages of the archive: Redis serves one at a time anyway, two keep it busy while we parse.
ARCHIVE_LINKS: Final = 2
# A page whose list is trimmed while it is read is asked for again this often before the job is read afresh.
PAGE_TRIES_MAX: Final = 8

# -- life of a job --------------------------------------------------------------------------------------------------
# A finished job stays for those who reload the page or come back after a short cut.
LINGER_S: Final = 60.0
# One that nobody watches is let go after this; coming back costs one read.
IDLE_S: Final = 60.0
# How long a first read of a job may take before the caller is told that the source does not answer.
LOAD_TIMEOUT_S: Final = 10.0
# How often the broker looks for jobs to free and memory over its budget.
HOUSEKEEPING_S: Final = 1.0
# How often the log says how much was published: often enough to see a job's life, too seldom to fill a disk.
PUBLISHED_LOG_S: Final = 60.0
# Without a bound a client that asks for random ids would fill the registry; this many are watched or lingering.
JOBS_MAX: Final = 10_000

# -- producers: what a job may print --------------------------------------------------------------------------------
# A line without an end is cut here, so that a progress bar drawn for hours stays one entry of bounded size. A little
# under what viewers are shown, so that the mark of the cut fits.
RUN_LINE_BYTES_MAX: Final = LINE_BYTES_MAX - KIB
# One read of a pipe or a terminal: what a pipe of Linux holds.
READ_BYTES_MAX: Final = 64 * KIB
# An unfinished line of this length is masked before its end is known; several reads, so that whole blocks of lines are
# masked in one scan (380 MB/s against 80 MB/s line by line).
MASK_WINDOW_BYTES: Final = 256 * KIB
# The longest token shape that is masked whole although a window ends within it; real ones have a few KiB at most.
MASK_TOKEN_BYTES_MAX: Final = 8 * KIB
# How far before an option such as `-u` the program that it belongs to is looked for; a command line is rarely longer.
MASK_LOOK_BACK_BYTES: Final = 1024
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
# How long a command waits for the private Valkey of a server that lives: longer than the longest pause between two of
# its starts. How often it looks: each look is one attempt to connect.
LOCATE_S_MAX: Final = 15.0
LOCATE_LOOK_S: Final = 0.05
# How long a producer waits at its start for a Redis that is just being started.
OPEN_S_MAX: Final = 5.0
# How long a producer that has ended waits for Redis to take the rest.
FLUSH_S_MAX: Final = 60.0
# A wait that lasts longer is told on stderr: Redis as a rule takes the rest within milliseconds.
FLUSH_TOLD_S: Final = 1.0
# Field changes that wait for the lines before them; more are merged into the last.
UPDATES_WAITING_MAX: Final = 64
# The user asked for a day (the architecture of job streams they gave); refreshed while the job runs.
JOB_TTL_S: Final = 24 * 3600
TTL_REFRESH_S: Final = 600.0
# PROTOCOL.md, section R. Three beats fit in a lease, so that one lost beat says nothing.
LEASE_S: Final = 30.0
LEASE_BEATS: Final = 3

# -- producers: the command -----------------------------------------------------------------------------------------
# Processes that the command left behind may hold its terminal open for ever; so long their output is still taken.
RUN_GRACE_S: Final = 1.0
# Of what waits in the kernel when that is over: a pipe and a terminal hold 64 KiB each, and this is the end of it.
LEFT_BYTES_MAX: Final = 256 * KIB
# A command line as it is shown; the kernel takes megabytes.
COMMAND_CHARS_MAX: Final = 4096
# Between SIGTERM and SIGKILL where the caller gives a running command up.
RUN_KILL_S: Final = 5.0
# Columns of the command's terminal where there is none to copy: most tables fit, and most screens show it.
RUN_COLUMNS: Final = 120

# -- the private Valkey ---------------------------------------------------------------------------------------------
# sun_path of unix(7) holds 108 bytes with its final NUL; macOS has four fewer.
SOCKET_PATH_BYTES_MAX: Final = 107 if sys.platform == "linux" else 103
# Of a lock file or server.json: an address and a process id, some 200 bytes; more was not written by us.
DIRECTORY_FILE_BYTES_MAX: Final = 16 * KIB
# An empty one answers within 20 ms; a machine under load takes seconds.
VALKEY_START_TIMEOUT_S: Final = 15.0
# It reads its append-only file first and says so (LOADING): gigabytes take minutes.
VALKEY_LOADING_TIMEOUT_S: Final = 600.0
# At its end it only syncs the file. Together with the drain of the streams this stays under ten seconds.
VALKEY_STOP_TIMEOUT_S: Final = 5.0
# One PING on a local socket. Longer than any command of ours keeps the single thread busy.
VALKEY_PROBE_TIMEOUT_S: Final = 2.0
# Between one look and the next while it starts or stops.
VALKEY_LOOK_S: Final = 0.01
# Started again at once the first time; one that dies at every start must not eat the machine.
VALKEY_RESTART_PAUSE_FIRST_S: Final = 0.1
VALKEY_RESTART_PAUSE_MAX_S: Final = 10.0
# Having lived so long, its next death counts as the first again.
VALKEY_SETTLED_S: Final = 60.0
# Its log, and one older file of the same size; looked at this often. It writes a line per rewrite of its file.
VALKEY_LOG_BYTES_MAX: Final = 1 * MIB
VALKEY_LOG_CHECK_S: Final = 60.0

# -- producers: the diff of a worktree --------------------------------------------------------------------------------
# One file's patch. 20,000 changed lines of ordinary code have 1.5 MB; what is larger was generated or is data.
DIFF_FILE_BYTES_MAX: Final = 4 * MIB
# All patches of one worktree together: what a server holds per watched job, and a browser can lay out at all.
DIFF_TOTAL_BYTES_MAX: Final = 16 * MIB
# A larger file is never read: git would hold it and its old version in memory to compare them.
DIFF_SOURCE_BYTES_MAX: Final = 32 * MIB
# Copies of changed files in the temporary directory. A forgotten ignore rule can mean a whole package tree; past this
# its files are listed and not read.
DIFF_STORE_BYTES_MAX: Final = 512 * MIB
# Entries of one diff. A page that lists more is read by nobody, and each costs every viewer some 200 bytes.
DIFF_FILES_MAX: Final = 20_000
# Files whose patches are made by one round of git processes: 1,000 in one round, so that a burst costs one.
DIFF_BATCH_FILES: Final = 1000
# Renames with edits are looked for while new files times old ones stay below its square: git's own rule and default.
# 200,000 comparisons took 0.16 s.
DIFF_RENAME_FILES_MAX: Final = 1000
# How long the worktree must be quiet before it is looked at, and how long it may stay restless. A save is several
# events within a millisecond; a checkout goes on for seconds.
DIFF_DEBOUNCE_S: Final = 0.05
DIFF_DEBOUNCE_S_MAX: Final = 0.2
# After a pass of t seconds comes a rest of this many times t, at most the second: under steady writing git gets a
# fifth of one core.
DIFF_REST_FACTOR: Final = 4.0
DIFF_REST_S_MAX: Final = 2.0
# The same where every look is at all files.
DIFF_POLL_REST_S_MAX: Final = 60.0
# Where directories cannot be watched, the time between two looks. A look at 50,000 files takes 0.15 s.
DIFF_POLL_S: Final = 2.0
# After a pass that failed, doubled from the first to the second.
DIFF_RETRY_S_MIN: Final = 0.25
DIFF_RETRY_S_MAX: Final = 30.0
# The last pass, the writing to Redis included: what a job's end may be delayed by where git or Redis hang.
DIFF_LAST_PASS_S_MAX: Final = 60.0
# Within it, passes that git fails: a fault of git is seldom a matter of time.
DIFF_LAST_FAULTS_MAX: Final = 3
# One pipeline to Redis, answers included: 16 MiB over a slow line.
DIFF_PUBLISH_TIMEOUT_S: Final = 20.0
# One HSET of a pipeline, so that Redis serves others in between.
DIFF_HSET_BYTES: Final = 512 * KIB
# One git process. A first look at a huge tree on a cold disk takes tens of seconds; one that hangs must end.
GIT_TIMEOUT_S: Final = 120.0
# How long a watcher waits for its turn while another process's watcher runs git in the worktree: longer than a first
# look at 50,000 files takes, shorter than the last pass may. Git then runs beside the other's, which costs time only.
GIT_TURN_S_MAX: Final = 20.0
# How often it looks whether it is its turn: a git process takes 5 to 100 ms.
GIT_TURN_LOOK_S_MIN: Final = 0.002
GIT_TURN_LOOK_S_MAX: Final = 0.05
# What one git process may print into memory: a list of 200,000 files. Patches are read as they come.
GIT_OUTPUT_BYTES_MAX: Final = 64 * MIB
GIT_ERROR_BYTES_MAX: Final = 64 * KIB
# Files that git refuses to read, or to compare, are found one by one; each costs one more process. Past this the files
# that are tried together with them are left out too.
GIT_REFUSED_FILES_MAX: Final = 64
# Names of files whose contents are lost, in the arguments of one git process: every system takes 128 KiB.
DIFF_LOST_CHARS_MAX: Final = 100_000
# Git LFS compares a file by its SHA-256, which takes about a second for so much. A larger one is listed and not read.
DIFF_LFS_BYTES_MAX: Final = 1024 * MIB
# Submodules that are looked into: each costs a survey of its own whenever all files are looked at.
DIFF_SUBMODULES_MAX: Final = 64
# Names of ignored files that are remembered, so that a log that is written all day starts no git.
DIFF_IGNORED_NAMES_MAX: Final = 100_000
# Directories below refs/ that are watched: one for each part of a branch's name.
DIFF_REF_DIRECTORIES_MAX: Final = 4096
# One read of inotify's queue: some 2,000 events.
INOTIFY_READ_BYTES: Final = 64 * KIB
# In one go: more than the kernel's queue holds (16,384 events), and an end where a program writes without pause.
INOTIFY_READS_MAX: Final = 32
# How often a watcher that waits for the end of somebody else's job looks at its status.
DIFF_STATUS_S: Final = 1.0
# Notices that wait to be appended while Redis does not take any; each is told once until it changes, so these are many.
DIFF_NOTICES_MAX: Final = 100
# Temporary directories of watchers that were killed are removed by the next; younger ones may be just being made.
DIFF_SCRATCH_AGE_S: Final = 60.0

# -- sources: diffs ---------------------------------------------------------------------------------------------------
# Fields of a diff that one step of HSCAN looks at: an ordinary diff comes in one reply, a large one in replies of a
# megabyte or so, between which Redis serves others.
DIFF_SCAN_COUNT: Final = 64
# What a document may hold, as it is stored. Our own producers keep to 16 MiB of patches, which JSON makes longer.
DIFF_DOCUMENT_BYTES_MAX: Final = 64 * MIB
# What is put into a document in one step, in which nobody else is served: some two milliseconds.
DIFF_APPLY_BYTES: Final = 512 * KIB
# After a reading of t seconds comes a rest of this many times t, at least the second and at most the third.
DIFF_READ_REST_FACTOR: Final = 4.0
DIFF_READ_REST_S_MIN: Final = 0.1
DIFF_READ_REST_S_MAX: Final = 2.0
# A diff that was read under a new owner is read again after so long: the job's hash is being read meanwhile.
DIFF_OWNER_WAIT_S: Final = 0.02
# A diff that is watched is read again so often, whatever Redis says: a missed push costs so much, and 16 MiB each half
# a minute are nothing.
DIFF_RECONCILE_S: Final = 30.0
# The changes that are kept for readers a moment behind: a file of 4 MiB some times over.
DIFF_LOG_BYTES_MAX: Final = 16 * MIB
# A reader so many changes behind, and more of them than there are files, gets the files instead.
DIFF_LAG_RECORDS_MIN: Final = 64

# -- sources: pipelines' health -------------------------------------------------------------------------------------
# What fits a request line of 8 KiB with ids of 40 characters; a page that shows more opens a second stream.
PIPELINES_PER_STREAM_MAX: Final = 200
# Watched or lingering, about 2 KiB each beside the last health document. Those that nobody watches go first.
PIPELINES_MAX: Final = 5_000
# Polls under way at a time, and so connections to the backend: 500 pipelines that take 50 ms each are all asked within
# 400 ms. Those that timed out last time share half of that at most, so that the dead do not hold the living up.
POLLS_MAX: Final = 64
SUSPECT_POLLS_MAX: Final = 32
# What the wire promises: 2 s, up to 5 s for a status that stays, up to 30 s where no
# visible page watches. A quarter more each time: 5 s is reached after some ten seconds of the same answer.
POLL_FAST_S: Final = 2.0
POLL_STEADY_S: Final = 5.0
POLL_HIDDEN_S: Final = 30.0
POLL_GROWTH: Final = 1.25
# What just changed often changes again (stopping, stopped): looked at again so soon, once.
POLL_AFTER_CHANGE_S: Final = 0.25
# Pipelines that were first asked together are not asked together for ever.
POLL_JITTER: Final = 0.1
# One poll, from the request to the last byte; a backend asks a cluster or a broker in between.
POLL_TIMEOUT_S: Final = 5.0
POLL_CONNECT_TIMEOUT_S: Final = 2.0
# Pages wait for the first answers of all their pipelines, and no longer than this for the slow ones.
FIRST_ANSWERS_S: Final = 3.0
# A polling client is given an answer that is no older than what a stream would have seen.
HEALTH_FRESH_S: Final = 2.0
# One health document has a few hundred bytes; a backend that sends more than this sends something else.
HEALTH_BYTES_MAX: Final = 256 * KIB
PIPELINE_STATUS_CHARS_MAX: Final = 64
# Kept after the last viewer left, for those who reload the page or come back after a short cut.
PIPELINE_LINGER_S: Final = 60.0

# -- sources: the state of tests and runs ---------------------------------------------------------------------------
# Watched at a time, over all streams; a KiB each.
STATUSES_MAX: Final = 10_000
# States kept of one test or run for readers that lag; a reader further behind gets the last one.
STATUS_RECORDS_MAX: Final = 64
STATUS_LOG_BYTES_MAX: Final = 256 * KIB
# One message: an error with its stack trace and a list of artifacts. A longer one is taken for its status alone.
STATUS_BYTES_MAX: Final = 64 * KIB
STATUS_CHARS_OF_WORD_MAX: Final = 64
# One text of a database's row, such as an error with its stack trace. The rest is cut off with a mark: the columns are
# unbounded, 500 rows are read at once, and every viewer is sent what is in them.
STATUS_TEXT_CHARS_MAX: Final = 16 * 1024
# What waits to be written to Redis while it is away; the oldest goes first, and the database or the worker has it too.
STATUS_UNWRITTEN_MAX: Final = 10_000
# Read or written in one round trip.
STATUS_PAGE: Final = 500
# A worker that says "it ended" on the channel for progress often says more on the other one right after.
STATUS_COMPLETE_WAIT_S: Final = 2.0
# A message "running" without a time of its own, so long after the end, is a new run of the same test, not a late one.
STATUS_RERUN_S: Final = 10.0
# How long the last state known of a test or run stays in Redis (a setting): as long as a job's output does.
STATUS_TTL_S: Final = 24 * 3600
# The database is asked about all that is watched this often (a setting), and sooner while it does not answer.
STATUS_CHECK_S: Final = 30.0
STATUS_CHECK_RETRY_S: Final = 5.0
# Silence on the subscribed connection after which it is asked for a sign of life.
PUBSUB_PING_S: Final = 5.0
# Messages heard before everybody else has a turn: 2 ms. A burst of 150,000 a second held all streams up for 70 ms.
MESSAGES_IN_A_ROW_MAX: Final = 100
# One question to the database, connecting included; a check that takes longer is made again.
DATABASE_TIMEOUT_S: Final = 5.0
DATABASE_CONNECTIONS_MAX: Final = 4
# At the end of the server, which has 8 s for everything.
DATABASE_CLOSE_S_MAX: Final = 1.0
# Tables that were missing are looked for again: a migration may have been run meanwhile.
DATABASE_REFLECT_S: Final = 60.0
RUNNING_JOBS_MAX: Final = 1000
# A worker's last word is worth waiting for Redis to restart, and not for ever.
PUBLISH_S_MAX: Final = 30.0
# Counts of a queue are sent at most this often; people cannot read faster.
QUEUE_STATS_INTERVAL_S: Final = 0.25
