"""What of a job's output reaches a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fantail.web.cli.terminal_text import safe_json, safe_line, visible

ESC = "\x1b"
RED = f"{ESC}[31mred{ESC}[0m"
LINK = f"{ESC}]8;;https://example.org{ESC}\\here{ESC}]8;;{ESC}\\"


def test_colours_and_links_stay() -> None:
    assert safe_line("plain\ttext, ünïcödé") == "plain\ttext, ünïcödé"
    assert safe_line(RED).startswith(RED)
    assert safe_line(f"{ESC}[38:2::1:2:3;1mx").startswith(f"{ESC}[38:2::1:2:3;1mx")
    assert safe_line(LINK).startswith(LINK)
    assert safe_line(LINK.replace(f"{ESC}\\", "\x07")).startswith(LINK.replace(f"{ESC}\\", "\x07"))


def test_what_a_line_leaves_open_is_closed_at_its_end() -> None:
    assert safe_line(f"{ESC}[8mhidden") == f"{ESC}[8mhidden{ESC}[m"
    assert safe_line(f"{ESC}]8;;https://example.org\x07here").endswith(f"here{ESC}]8;;{ESC}\\")


@pytest.mark.parametrize(
    "sequence",
    [
        f"{ESC}]52;c;aGVsbG8=\x07",  # the clipboard
        f"{ESC}]52;c;aGVsbG8={ESC}\\",
        "\x9d52;c;aGVsbG8=\x9c",
        f"{ESC}]0;title\x07",
        f'{ESC}P$q"p{ESC}\\',  # DCS, which makes the terminal answer
        "\x90+q544e\x9c",
        f"{ESC}P with a \x07 in it{ESC}\\",
        f"{ESC}_apc{ESC}\\",
        f"{ESC}^pm{ESC}\\",
        f"{ESC}Xsos{ESC}\\",
        f"{ESC}[2J",
        f"{ESC}[H",
        f"{ESC}[10;20H",
        f"{ESC}[1A",
        f"{ESC}[K",
        f"{ESC}[?1049h",
        f"{ESC}[?2004h",  # bracketed paste
        f"{ESC}[6n",
        f"{ESC}[>c",
        f"{ESC}[20t",
        "\x9b2J",
        "\x9b31m",
        f"{ESC}c",
        f"{ESC}7",
        f"{ESC}(0",
        f"{ESC}#8",
        "\r",
        "\b",
        "\x07",
        "\x0e",
        "\x7f",
        "\x85",
        "\n",
    ],
)
def test_everything_else_is_removed(sequence: str) -> None:
    assert safe_line(f"before{sequence}after") == "beforeafter"


@pytest.mark.parametrize("start", [f"{ESC}]52;c;", f"{ESC}P", "\x9d", f"{ESC}[", "\x9b12;", ESC, f"{ESC}]8;;http://x"])
def test_a_sequence_without_an_end_takes_nothing_with_it(start: str) -> None:
    assert ESC not in safe_line(f"before {start}")
    assert safe_line(f"before {start}").startswith("before ")


def test_a_link_whose_address_holds_a_control_is_none() -> None:
    assert ESC not in safe_line(f"{ESC}]8;;http://x{ESC}[2J{ESC}\\")


@given(st.text(alphabet=st.sampled_from("ab;:[]\\?0128mHJcP_^X\x07\x08\r\x1b\x90\x9b\x9c\x9d\t"), max_size=40))
def test_only_styles_and_links_are_ever_left(line: str) -> None:
    left = safe_line(line)
    while ESC in left:
        before, _, rest = left.partition(ESC)
        if rest.startswith("]8;"):
            end = min(place for mark in ("\x07", f"{ESC}\\") if (place := rest.find(mark)) >= 0)
            address, rest = rest[:end], rest[end:].removeprefix("\x07").removeprefix(f"{ESC}\\")
            assert all(letter.isprintable() for letter in address)
        else:
            style, mark, rest = rest[1:].partition("m")
            assert mark
            assert set(style) <= set("0123456789;:")
        left = before + rest
    assert all(letter.isprintable() or letter == "\t" for letter in left)


def test_names_show_their_controls() -> None:
    assert visible("a\x1b[2J\n\x9b\x7f") == "a^[[2J^J\ufffd^?"


def test_json_escapes_what_json_leaves() -> None:
    assert safe_json('"\x9b2J\x7fü"') == '"\\u009b2J\\u007fü"'
