"""The states of tests and runs: published by workers, kept in Redis, looked up in a database.
Start at `pubsub.py`.

    batched_lookup.py     questions asked at the same time, asked together
    channels.py           what workers publish
    database.py           a dashboard's own database
    database_address.py   what its address may say
    jobs_as_runs.py       our own jobs, where there is no database
    log.py                one test or run that is watched
    pubsub.py             all that are watched
    schema.py             what is really in it
    state.py              which of two things known is the later one
    store.py              the last state known, kept in Redis
"""
