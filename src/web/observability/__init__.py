"""What a running server says of itself: metrics, health and log lines.
Start at `metrics.py`.

    garbage.py          garbage collection, and freed memory given back
    logging.py          how it logs
    metrics.py          the same for machines
    status_metrics.py   figures of it
"""
