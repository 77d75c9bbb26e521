"""The readers of a job: a cursor each, and what readers at the tail share.
Start at `subscription.py`.

    fanout.py         live readers of one job, served together
    subscription.py   the loop: read, page in, wait
"""
