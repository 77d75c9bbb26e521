"""Masking of secrets: one masker for all that leaves the machine. Start with `masker.py`.

What they are for:

    masker.py       a stream as it comes, or a whole text
    rules.py        what counts as a secret, compiled; where it is in a text
    places.py       where secrets stand: assignments, URLs, headers, options
    key_blocks.py   the bodies of private keys
    environment.py  the values of a command's environment
    foreign.py      what other programs wrote to Redis, masked when it is read

`token_shapes.toml` has the shapes of access tokens, with the sources and licences of the data.
"""
