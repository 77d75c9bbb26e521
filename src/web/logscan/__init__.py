"""Reading whole logs: search, errors and groups.
Start at `scan.py`.

    batches.py         entries cut into bounded batches
    line_marks.py      what a line says of its log
    line_patterns.py   its patterns
    outline.py         outlines, kept
    pages.py           output in pages
    scan.py            whole logs, in slices
    search.py          matching lines
"""
