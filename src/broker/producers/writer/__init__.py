"""Writing a job to Redis: every line once and in order, whatever happens to Redis meanwhile.
Start at `job_writer.py`.

    append_window.py      what is sent next after a doubt
    delivery.py           to Redis, in order, through its absences
    job_writer.py         its status, its lines, its end
    recording.py          what both do, from opening to end, with signals
    redis_job.py          the job's keys
    spool.py              a bounded queue on disk
    status_publisher.py   StatusPublisher
"""
