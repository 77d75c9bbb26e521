"""What matches a line, what a hit shows, and that no pattern takes more than time in proportion to the text."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fantail.broker import entry_of
from fantail.web.logscan.search import BadPatternError, Findings, Hit, Matcher, Wanted


def search(
    lines: list[str], pattern: str, *, regex: bool = False, case: bool = False, at: int = 0, hits_max: int = 100
) -> tuple[int, list[Hit]]:
    entries = [entry_of(1, line, "stdout") for line in lines]
    wanted = Wanted(
        matcher=Matcher(pattern, regex=regex, case=case),
        streams=None,
        errors=False,
        start=10,
        stop=10 + len(lines),
        hits_from=10 + at,
        hits_max=hits_max,
        offsets_only=False,
        ticks=0,
    )
    findings = Findings(wanted)
    findings.look(10, entries)
    return findings.total, findings.hits


def offsets(lines: list[str], pattern: str, *, regex: bool = False, case: bool = False) -> list[int]:
    total, hits = search(lines, pattern, regex=regex, case=case)
    assert total == len(hits)
    return [hit.offset - 10 for hit in hits]


LINES = ["Error: one", "", "two errors", "a.b*c", "ERR", "tail error"]


@pytest.mark.parametrize(
    ("pattern", "regex", "case", "found"),
    [
        ("error", False, False, [0, 2, 5]),
        ("error", False, True, [2, 5]),
        (".b*", False, False, [3]),
        ("^error", True, False, [0]),
        ("error$", True, False, [5]),
        ("^$", True, False, [1]),
        ("x*", True, False, [0, 1, 2, 3, 4, 5]),
        (r"\Aa", True, False, [3]),
        (r"c\z", True, False, [3]),
        (r"(?-i)ERR", True, False, [4]),
        (r"(?-m)^two", True, False, [2]),
        (r"one\s+two", True, False, []),
        (r"one\n", True, False, []),
        ("one\n", False, False, []),
        (r"e\C\C\Cr", True, False, [0, 2, 5]),
        (r"one\C", True, False, []),
        (r"(?s)one.", True, False, []),
        (r"[^q]{20,}", True, False, []),
        (r"(error)|(one)", True, False, [0, 2, 5]),
        (r"\berr\b", True, False, [4]),
    ],
)
def test_a_line_matches_by_itself(pattern: str, regex: bool, case: bool, found: list[int]) -> None:
    assert offsets(LINES, pattern, regex=regex, case=case) == found


def test_what_people_see_is_searched_and_not_how_it_is_coloured() -> None:
    coloured = "\x1b[1;31mer\x1b[0mror\x1b[K \x1b]8;;http://x\x1b\\link\x1b]8;;\x07 \x1b(B\x1b=end"
    assert offsets([coloured], "^error link end$", regex=True) == [0]
    (hit,) = search([coloured], "error")[1]
    assert hit == Hit(10, "error link end", 0, 5)
    assert offsets([coloured], "31m") == []


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("10%\r20%\rdone", "done"),
        ("windows\r", "windows"),
        ("a long state\rend", "endong state"),
        ("a long state\r\x1b[Kend", "end"),
        ("a long state\x1b[2K\rend", "end"),
        ("a bar without an end\x1b[2K", ""),
        ("\x1b[31m10%\x1b[0m\r\x1b[32m99%\x1b[0m", "99%"),
        ("one\r\ntwo\rTWO", "one\nTWO"),
        ("a\x1b]8;;never ended", "a]8;;never ended"),
        ("a\x1b_bk;t=1\x07b\x1bPq\x1b\\c", "abc"),
    ],
)
def test_of_a_line_that_was_drawn_over_what_is_left_is_searched(line: str, seen: str) -> None:
    (hit,) = search([line], seen[:1])[1]
    assert hit.line == seen
    assert all(offsets([line], f"^{re.escape(part)}$", regex=True) == [0] for part in seen.split("\n"))


def test_lines_within_an_entry_are_lines() -> None:
    assert offsets(["one\ntwo\nthree", "four"], "^two$", regex=True) == [0]
    assert offsets(["one\ntwo", "two"], "one.*two", regex=True) == []
    assert offsets(["two\ntwo\ntwo", "two"], "two") == [0, 1]


def test_a_match_is_told_in_utf16_units_as_browsers_count() -> None:
    (hit,) = search(["🐦 ä error"], "error")[1]
    assert (hit.line, hit.start, hit.end) == ("🐦 ä error", 5, 10)
    assert hit.line.encode("utf-16-le")[2 * hit.start : 2 * hit.end].decode("utf-16-le") == "error"


def test_of_a_long_line_the_part_around_the_first_match_is_shown() -> None:
    (hit,) = search(["ä" * 5000 + "needle" + "ö" * 5000 + "needle"], "needle")[1]
    assert hit.line == "ä" * 80 + "needle" + "ö" * 314
    assert (hit.start, hit.end) == (80, 86)
    (whole,) = search(["z" * 5000], "z+", regex=True)[1]
    assert (len(whole.line), whole.start, whole.end) == (400, 0, 400)


def test_hits_are_bounded_and_begin_where_asked_while_the_total_is_exact() -> None:
    lines = [f"line {number}" for number in range(50)]
    total, hits = search(lines, "line", at=20, hits_max=5)
    assert total == 50
    assert [hit.offset for hit in hits] == [30, 31, 32, 33, 34]
    assert search(lines, "line", hits_max=0) == (50, [])


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("a)b(", "unexpected ): a)b("),
        ("[", "missing ]: ["),
        ("*a", "no argument for repetition operator: *"),
        (r"(a)\1", r"invalid escape sequence: \1"),
        ("(?=a)", "invalid perl operator: (?="),
        ("a{2000}", "invalid repetition size: {2000}"),
        ("((a{1,100}){1,100}){1,100}", "invalid repetition size"),
        ("(?m", "invalid perl operator: (?m"),
        ("\\", "trailing \\"),
        ("(?P<n", "invalid named capture group"),
    ],
)
def test_what_is_wrong_with_a_pattern_is_said(pattern: str, words: str) -> None:
    with pytest.raises(BadPatternError) as raised:
        Matcher(pattern, regex=True, case=False)
    assert words in str(raised.value)
    Matcher(pattern, regex=False, case=False)


def test_nothing_is_printed_about_a_bad_pattern(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BadPatternError):
        Matcher("a)b(", regex=True, case=False)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "pattern", [r"(x+x+)+y", r"(a|aa)+$", r"(.*)*z", r"^(([a-z])+.)+[A-Z]([a-z])+$", r"(x{1,30}){1,30}y"]
)
def test_a_pattern_that_makes_others_backtrack_takes_no_longer_than_the_text(pattern: str) -> None:
    """A backtracking engine takes 2**30 steps and more for each of these (trap 45)."""
    began_s = time.process_time()
    assert offsets(["x" * 30 + "a" * 30 + "!"] * 1000, pattern, regex=True) == []
    assert time.process_time() - began_s < 5


alphabet = st.text("ab \n.*", max_size=8)


@given(lines=st.lists(alphabet, max_size=12), needle=st.text("ab .*", min_size=1, max_size=3))
def test_a_text_is_found_wherever_it_is(lines: list[str], needle: str) -> None:
    assert offsets(lines, needle) == [at for at, line in enumerate(lines) if needle in line]


@given(
    lines=st.lists(alphabet, max_size=12),
    pattern=st.sampled_from(["a+b", "^a", "b$", "a|b", "[^a]", "a.b", r"\s", "^$", "(ab)*", r"a\b"]),
)
def test_searching_a_page_at_once_finds_what_searching_line_by_line_does(lines: list[str], pattern: str) -> None:
    naive = re.compile(pattern, re.ASCII)
    expected = [at for at, line in enumerate(lines) if any(naive.search(part) for part in line.split("\n"))]
    assert offsets(lines, pattern, regex=True) == expected
