"""Producers: what runs beside a job and writes what it does into Redis.

Writing a job:

    job_writer.py        its status, its lines, its end: start here
    delivery.py          to Redis, in order, through its absences
    append_window.py     what is sent next after a doubt
    spool.py             a bounded queue on disk
    redis_job.py         the job's keys

Recording a command:

    process_runner.py    `fantail run`: start here
    pipe_recorder.py     `fantail pipe`
    recording.py         what both do, from opening to end, with signals
    outlets.py           terminals or pipes
    stream_recorder.py   one stream: echoed, masked, split, appended
    line_decoder.py      bytes to lines

Publishing a diff:

    diff_beside.py       beside a command, or `fantail watch`: start here
    diff_watcher.py      follows one worktree
    worktree_diff.py     what differs now
    worktree/            git and the system's notifications
    diff_patches.py      patches kept from pass to pass
    diff_entry.py        one file, as it is published
    diff_publisher.py    into the hash

Saying where a test or a run stands:

    status_publisher.py  StatusPublisher
"""
