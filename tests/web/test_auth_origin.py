"""Which requests come from this machine and from our own pages, header by header."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from web.origin import asks_local_host, comes_from_elsewhere

OURS = "localhost:8765"


def headers(*pairs: tuple[str, str]) -> Headers:
    return Headers(raw=[(name.encode(), value.encode()) for name, value in pairs])


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8765", "127.0.0.1", "127.0.0.1:8765", "127.255.3.4:1", "[::1]", "[::1]:8765"],
)
def test_this_machine_is_local(host: str) -> None:
    assert asks_local_host(headers(("host", host)))


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:8765",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.1@evil.example",
        "localhost:8765.evil.example",
        "localhost:",
        "localhost:8765:1",
        "evil.example/localhost",
        "localhost, evil.example",
        " localhost",
        "192.168.0.7:8765",
        "0.0.0.0",
        "[::]",
        "[::2]:8765",
        "2130706433",
        "0x7f.1",
    ],
)
def test_no_other_name_is_local(host: str) -> None:
    assert not asks_local_host(headers(("host", host)))


def test_two_hosts_are_none() -> None:
    assert not asks_local_host(headers(("host", OURS), ("host", "evil.example")))
    assert not asks_local_host(headers())


@pytest.mark.parametrize(
    "sent",
    [
        (),
        (("origin", "http://localhost:8765"),),
        (("origin", "https://localhost:8765"),),
        (("sec-fetch-site", "same-origin"),),
        (("sec-fetch-site", "none"),),
        (("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")),
        (("origin", "http://localhost:8765"), ("sec-fetch-site", "same-origin")),
    ],
)
def test_our_own_pages_and_programs_may_ask(sent: tuple[tuple[str, str], ...]) -> None:
    assert not comes_from_elsewhere(headers(("host", OURS), *sent), ())


@pytest.mark.parametrize(
    "sent",
    [
        (("origin", "http://evil.example"),),
        (("origin", "http://localhost:3000"),),
        (("origin", "http://localhost"),),
        (("origin", "null"),),
        (("origin", ""),),
        (("origin", "localhost:8765"),),
        (("origin", "file://localhost:8765"),),
        (("origin", "http://localhost:8765/"),),
        (("origin", "http://user@localhost:8765"),),
        (("origin", "http://localhost:8765\\.evil.example"),),
        (("origin", "http://[::1"),),
        (("origin", "http://localhost:8765"), ("origin", "http://evil.example")),
        (("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")),
        (("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")),
        (("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")),
    ],
)
def test_pages_of_other_origins_come_from_elsewhere(sent: tuple[tuple[str, str], ...]) -> None:
    assert comes_from_elsewhere(headers(("host", OURS), *sent), ())


def test_a_link_may_be_followed_here_but_no_form_sent() -> None:
    sent = headers(
        ("host", OURS), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")
    )
    assert not comes_from_elsewhere(sent, ())
    assert comes_from_elsewhere(sent, (), changes=True)


def test_a_default_port_may_be_written_or_not() -> None:
    assert not comes_from_elsewhere(headers(("host", "fantail.example"), ("origin", "https://fantail.example")), ())
    assert not comes_from_elsewhere(headers(("host", "fantail.example:443"), ("origin", "https://fantail.example")), ())
    assert comes_from_elsewhere(headers(("host", "fantail.example:443"), ("origin", "http://fantail.example")), ())


def test_an_allowed_origin_may_ask() -> None:
    sent = headers(("host", OURS), ("origin", "https://desk.example"))
    assert not comes_from_elsewhere(sent, {"https://desk.example"})
    assert comes_from_elsewhere(sent, {"https://desk.example.evil"})
