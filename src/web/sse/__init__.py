"""Server-Sent Events: frames, the one streaming response, and the TCP connection under it.
Start at `response.py`.

    graceful_shutdown.py   an orderly end
    header_limits.py       the head of one, bounded in bytes and time
    http1.py               requests on one connection, bounded
    http_protocol.py       what is known of the TCP connection
    response.py            frames to bytes, and the one response
    transport.py           where frames go
"""
