"""The REST API: one file for each resource.
Start at `routes.py`.

    diff.py            diffs
    download.py        output as one text
    ingest.py          lines from producers without Redis
    ingest_parser.py   their bodies
    jobs.py            jobs
    outline.py         errors and groups
    output.py          output
    request.py         what they do alike
    routes.py          the routes
    search.py          search
    shapes.py          a job inside and outside
    system.py          what the server holds and does
    tables.py          rows of tables
"""
