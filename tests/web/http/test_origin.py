"""Which requests come from this machine and from our own pages, header by header."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from fantail.web.http.origin import comes_from_elsewhere, is_local, origin_of

OURS = "localhost:8765"


def headers(*pairs: tuple[str, str]) -> Headers:
    return Headers(raw=[(name.encode(), value.encode()) for name, value in pairs])


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8765", "127.0.0.1", "127.0.0.1:8765", "127.255.3.4:1", "[::1]", "[::1]:8765"],
)
def test_this_machine_is_local(host: str) -> None:
    assert is_local(host)


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
    assert not is_local(host)


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


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "fantail.example", "fantail.example:80", "upstream"])
@pytest.mark.parametrize("origin", ["https://fantail.example:8443", "http://fantail.example:8080", "null"])
def test_the_browsers_own_comparison_holds_whatever_a_proxy_made_of_the_host(host: str, origin: str) -> None:
    ours = headers(("host", host), ("origin", origin), ("sec-fetch-site", "same-origin"))
    assert not comes_from_elsewhere(ours, (), changes=True)
    for site in ("same-site", "cross-site", "none", "", "same-origin, same-origin"):
        assert comes_from_elsewhere(headers(("host", host), ("origin", origin), ("sec-fetch-site", site)), ())


@pytest.mark.parametrize("site", ["same-site", "cross-site", "unheard-of"])
def test_an_origin_that_is_the_host_helps_nobody_whom_the_browser_calls_another_site(site: str) -> None:
    """A page over http of the same name, or one that was redirected through another site."""
    sent = headers(("host", OURS), ("origin", f"http://{OURS}"), ("sec-fetch-site", site))
    assert comes_from_elsewhere(sent, ())
    assert not comes_from_elsewhere(sent, {f"http://{OURS}"})


def test_two_sites_are_as_good_as_another_one() -> None:
    sent = headers(("host", OURS), ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site"))
    assert comes_from_elsewhere(sent, ())


def test_without_the_browsers_comparison_the_origin_is_that_of_the_host_or_of_a_forwarded_one() -> None:
    sent = headers(("host", "fantail.example"), ("origin", "http://fantail.example:8080"))
    assert comes_from_elsewhere(sent, ())
    assert not comes_from_elsewhere(sent, (), ["fantail.example:8080"])
    assert not comes_from_elsewhere(sent, {"http://fantail.example:8080"})


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Fantail.Example", "https://fantail.example"),
        ("https://fantail.example:443/", "https://fantail.example"),
        ("http://fantail.example:443/path?query", "http://fantail.example:443"),
        ("http://user:word@fantail.example:80", "http://fantail.example"),
        ("http://[2001:DB8::1]:8080/", "http://[2001:db8::1]:8080"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_an_address_gives_the_origin_that_browsers_send(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    "url", ["ftp://fantail.example", "https://", "https://:8443", "https://[::1", "http://a:99999"]
)
def test_an_address_that_no_browser_could_ask_has_no_origin(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        origin_of(url)


def test_an_allowed_origin_may_ask() -> None:
    sent = headers(("host", OURS), ("origin", "https://desk.example"))
    assert not comes_from_elsewhere(sent, {"https://desk.example"})
    assert comes_from_elsewhere(sent, {"https://desk.example.evil"})
