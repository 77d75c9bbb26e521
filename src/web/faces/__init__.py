"""Faces: one wire format each, over the same stores. None talks to a source.

    stream_request.py    what every stream does before its first frame
    job_stream.py        following one job, in any format: start here
    repobox.py           a job's status and output
    vibe_kanban.py       the tables, and a process's output
    table_stream.py      the tables, followed
    diff_stream.py       a job's diff
    pipeline_status.py   pipelines
    pipeline_frames.py   their events
    supercheck.py        one test or one run
    supercheck_rest.py   what their dashboards ask once
    queue_stats.py       how many run and wait
    multiplex.py         many streams in one
    multiplex_frames.py  its items

`web.app` puts them together.
"""
