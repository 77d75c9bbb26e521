"""JSON documents that change by JSON Patch: a job's state, its diff and the tables.
Start at `patch_store.py`.

    diffs.py         the document of a job's diff
    json_patch.py    RFC 6902 and 6901
    patch_store.py   a document and the patches that made it
"""
