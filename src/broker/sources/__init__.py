"""Sources: what feeds the stores. A source never knows who is listening.
Redis in `redis`, pipeline health in `pipelines`, the states of tests and runs in `status`.

    backoff.py   the wait before the next attempt
"""
