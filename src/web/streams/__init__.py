"""The wire formats: each turns the same stores into one stream. None talks to Redis.
Start at `job.py`, then `repobox.py`.

    diff.py               a job's diff
    job.py                following one job, in any format
    multiplex.py          many streams in one
    multiplex_frames.py   its items
    pipeline_frames.py    their events
    pipelines.py          pipelines
    queue_stats.py        how many run and wait
    repobox.py            a job's status and output
    request.py            what every stream does before its first frame
    supercheck.py         one test or one run
    supercheck_rest.py    what their dashboards ask once
    tables.py             the tables, followed
    vibe_kanban.py        the tables, and a process's output
"""
