"""Masking of secrets: one masker for all that leaves the machine.
Start at `masker.py`.

    environment.py   the values of a command's environment
    foreign.py       what other programs wrote to Redis, masked when it is read
    key_blocks.py    the bodies of private keys
    masker.py        a stream as it comes, or a whole text
    places.py        where secrets stand: assignments, URLs, headers, options
    rules.py         what counts as a secret, compiled; where it is in a text
"""
