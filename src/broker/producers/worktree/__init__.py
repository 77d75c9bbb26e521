"""A git worktree as it differs from its base: read with git's plumbing, watched with the system's notifications.

    location.py        where the worktree is, and what its diff is against
    git_process.py     git, one process at a time
    turns.py           whose turn it is to run it, of all watchers on this machine
    scratch.py         a private directory for the index and the objects that are ours
    private_git.py     a git directory of ours, in which no program of the user's is named
    snapshot.py        the worktree as it was last looked at, in that private index
    status.py          which files differ from that index: one look at all of them
    staging.py         which of the changed paths git can take, and how
    index_writer.py    puts them into the private index, and leaves out what git refuses
    content_filters.py what git would convert: filters, Git LFS (pure)
    filtered_files.py  which changed files have a filter, and what represents them
    fair_share.py      which files are taken where not all can be (pure)
    submodules.py      which submodules are modified inside
    comparison.py      what differs from the base, and its patches, made of two contents each
    raw_diff.py        what `git diff-index --raw` says (pure)
    unified_diff.py    one file's patch, as `git apply` takes it (pure)
    patch_stream.py    many files' patches out of one process (pure)
    inotify.py         Linux's notifications
    dirt.py            what a notification means (pure)
    tree_watch.py      which directories are watched
    watchfiles_tree.py the same through a package, where the system watches recursively by itself

`broker.producers.diff_watcher` puts them together.
"""
