"""Bodies that are read whole, over real sockets: one that stops in its midst does not hold its connection for ever."""

from __future__ import annotations

import anyio
import pytest

from fantail.web.http import request_body
from support.servers.served_app import served_app

SECRET = "a secret of the tests, of more than 32 bytes"


@pytest.mark.parametrize(("auth", "path"), [("none", "/api/jobs"), ("jwt", "/login")])
@pytest.mark.parametrize("begun", [b"", b"{"])
async def test_a_body_that_stops_in_its_midst_is_refused(
    auth: str, path: str, begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_body, "BODY_S_MAX", 0.1)
    head = b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    async with (
        served_app(auth=auth, jwt_secret=SECRET) as app,
        await anyio.connect_tcp("127.0.0.1", app.port) as client,
    ):
        await client.send(head % path.encode() + begun)
        with anyio.fail_after(10):
            assert (await client.receive()).startswith(b"HTTP/1.1 408 ")
