"""The dashboard's HTML with the data of its first view, its scripts and styles, and the sign-in page.
Start at `html.py`.

    assets.py   what that loads
    html.py     HTML with its first data
    login.py    a browser's way to show a token
"""
