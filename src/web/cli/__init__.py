"""The command `fantail`.
Start at `main.py`.

    __main__.py        `python -m fantail.web.cli`
    event_parser.py    reading an event stream
    follower.py        follows one job over any number of connections
    locate.py          where Redis and the server are
    main.py            the command `fantail`
    options.py         options that its commands share
    publish.py         `fantail publish`
    tail.py            `fantail tail`
    tail_diff.py       `fantail tail --diff`
    terminal_text.py   what a terminal may obey of foreign text
"""
