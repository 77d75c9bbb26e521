"""Who sends a request, what that user may see, and how much of the server one user may have.
Start at `identity.py`.

    identity.py      who, and what they may see
    rate_limits.py   what one user and one address may have
    viewer.py        the user a request is made for, and what they may see
"""
