"""The health of pipelines, polled from their backend.
Start at `health_poller.py`.

    backend.py         one question to the backend
    board.py           what is known, and what viewers are told
    health_poller.py   one poll for all who watch
    schedule.py        which is polled next
"""
