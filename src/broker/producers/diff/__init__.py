"""Publishing the diff of a git worktree while it changes.
Start at `companion.py`, then `watcher.py`.

    companion.py       beside a command, or `fantail watch`
    entry.py           one file, as it is published
    patches.py         patches kept from pass to pass
    publisher.py       into the hash
    watcher.py         follows one worktree
    worktree_diff.py   what differs now
"""
