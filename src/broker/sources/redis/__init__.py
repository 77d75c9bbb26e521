"""Jobs and tables followed in Redis, and written there.
Start at `tailer.py`.

    address.py        the address and its credentials
    archive.py        older pages of lists
    connection.py     one connection
    diffs.py          diffs, while they are watched
    dirty_keys.py     which of what is followed is to be read
    follower.py       one job: what to ask next, and what the answer means
    hash_reading.py   the hash of a job or row, whole or in part
    keys.py           which key feeds what
    leases.py         which runners have died
    ledger.py         writing
    list_tail.py      the end of one list
    page_size.py      how many entries to ask for at once
    replies.py        what an error reply is about
    table_mirror.py   rows of the tables
    tail_proof.py     the last known entries, which prove that it is still that list
    tailer.py         all watched jobs and all tables, for the whole server
    tracking.py       how Redis wakes us
"""
