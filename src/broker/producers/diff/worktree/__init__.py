"""A git worktree and its difference from a base, read with git and watched by notifications of the system.
`fantail.broker.producers.diff.watcher` combines them.

    comparison.py        what differs from the base, and its patches, made of two contents each
    content_filters.py   what git would convert: filters, Git LFS (pure)
    fair_share.py        which files are taken where not all can be (pure)
    filtered_files.py    which changed files have a filter, and what represents them
    git_lock.py          whose turn it is to run it, of all watchers on this machine
    git_process.py       git, one process at a time
    index_update.py      which of the changed paths git can take, and how
    index_writer.py      puts them into the private index, and leaves out what git refuses
    inotify.py           Linux's notifications
    location.py          where the worktree is, and what its diff is against
    patch_stream.py      many files' patches out of one process (pure)
    pending_changes.py   what a notification means (pure)
    private_git.py       a git directory of ours, in which no program of the user's is named
    private_index.py     a private directory for the index and the objects that are ours
    raw_diff.py          what `git diff-index --raw` says (pure)
    snapshot.py          the worktree as it was last looked at, in that private index
    status.py            which files differ from that index: one look at all of them
    submodules.py        which submodules are modified inside
    tree_watch.py        which directories are watched
    unified_diff.py      one file's patch, as `git apply` takes it (pure)
    watchfiles_tree.py   the same through a package, where the system watches recursively by itself
"""
