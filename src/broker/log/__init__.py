"""The event log: records with gap-free offsets, positions that prove themselves, and how waiting readers are woken.
Start at `msg_store.py`.

    msg_store.py   the log
    notify.py      notifying readers that wait
    outcomes.py    what reading can find
    position.py    positions and their text form
    records.py     one list entry to one record
    segment.py     the unit that is kept, encoded, shared and evicted
"""
