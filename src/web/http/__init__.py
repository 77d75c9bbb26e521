"""What every request and answer have in common, before it matters who sent them.
Pure functions over headers, and bounded bodies.

    json_response.py   JSON answers that no cache keeps
    origin.py          whether a page of ours asks
    proxies.py         what trusted proxies say
    request_body.py    the body of one, bounded
    side_tasks.py      tasks that end with a request
    slashes.py         an address with and without a slash at its end
"""
