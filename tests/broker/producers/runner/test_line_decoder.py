from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from fantail.broker.producers.runner.line_decoder import CUT_MARK, LineDecoder


def decoded(chunks: list[bytes], line_bytes_max: int = 1000) -> list[str]:
    decoder = LineDecoder(line_bytes_max)
    return [line for chunk in chunks for line in decoder.feed(chunk)] + decoder.flush()


def check(text: bytes, expected: list[str], line_bytes_max: int = 1000) -> None:
    assert decoded([text], line_bytes_max) == expected
    assert decoded([text[i : i + 1] for i in range(len(text))], line_bytes_max) == expected


def test_a_character_split_over_two_reads_stays_one_character() -> None:
    check("héé € 😀\n".encode(), ["héé € 😀"])


def test_only_a_line_feed_ends_a_line() -> None:
    check(b"10%\r20%\r\n\x0b\x0c\x1c\xc2\x85\xe2\x80\xa8\n", ["10%\r20%\r", "\x0b\x0c\x1c\x85\u2028"])


def test_the_unfinished_line_comes_at_the_end_and_an_empty_one_does_not() -> None:
    check(b"a\n\nb", ["a", "", "b"])
    check(b"a\n", ["a"])
    check(b"\n", [""])
    check(b"", [])


def test_bytes_that_are_no_text_are_replaced() -> None:
    check(b"a\xff\xc3\nb\xe2\x82", ["a\ufffd\ufffd", "b\ufffd"])


def test_an_overlong_line_is_cut_between_characters_with_a_mark() -> None:
    check("ab€cdefg\nhi\n".encode(), ["ab" + CUT_MARK, "€c" + CUT_MARK, "defg", "hi"], 4)


def test_an_overlong_line_is_shown_before_it_ends() -> None:
    decoder = LineDecoder(100)
    assert decoder.feed(b"x" * 250) == ["x" * 100 + CUT_MARK] * 2


@given(
    text=st.lists(st.sampled_from([b"a", b"\n", "é".encode(), "😀".encode(), b"\xff", b"\x80", b"\r"])).map(b"".join),
    places=st.lists(st.integers(0, 60), max_size=8),
    line_bytes_max=st.sampled_from([4, 5, 7, 1000]),
)
@settings(max_examples=300, deadline=None)
def test_the_lines_do_not_depend_on_the_cuts(text: bytes, places: list[int], line_bytes_max: int) -> None:
    ends = sorted({place % (len(text) + 1) for place in places} | {len(text)})
    chunks = [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    lines = decoded(chunks, line_bytes_max)
    assert lines == decoded([text], line_bytes_max)
    if line_bytes_max == 1000:
        assert "\n".join(lines) == text.removesuffix(b"\n").decode("utf-8", "replace")
