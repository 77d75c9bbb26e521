"""The private Valkey that `fantail serve` starts when no Redis is configured.
Start at `valkey.py`.

    data_directory.py   the directory that one server holds
    private_files.py    files that nobody else can have made or can change
    program.py          the Valkey executable as a process
    valkey.py           start, watch and stop it
"""
