"""What is an error and what a group: the cases that both languages hold, and that pages make no difference."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fantail.broker import entry_of
from fantail.web.logscan import line_patterns
from fantail.web.logscan.line_marks import Mark, MarkReader, Page

ROOT = Path(__file__).parents[3]
CASES: dict[str, Any] = json.loads((ROOT / "tests/conformance/line-marks.json").read_text())
TWIN = ROOT / "frontend/src/log/line-patterns.ts"


def is_error(line: str, stream: str = "stdout") -> bool:
    return Page([entry_of(1, line, stream)]).errors() == [0]


def shown(mark: Mark) -> list[Any]:
    kind = mark.kind + ("*" if mark.header else "")
    return [mark.offset, kind, mark.title] if mark.kind == "open" else [mark.offset, kind]


def marks_of(log: list[list[str]], page: int) -> list[Any]:
    entries = [entry_of(at, said[0], said[1] if len(said) > 1 else "stdout") for at, said in enumerate(log)]
    reader = MarkReader()
    found: list[Any] = []
    for first in range(0, len(entries), page):
        found.extend(map(shown, reader.read(first, entries[first : first + page])))
    return found


@pytest.mark.parametrize("line", CASES["errors"])
def test_an_error_is_one(line: str) -> None:
    assert is_error(line)


@pytest.mark.parametrize("line", CASES["fine"])
def test_what_merely_speaks_of_errors_is_none(line: str) -> None:
    assert not is_error(line)


def test_every_case_is_found_in_a_page_of_all() -> None:
    lines = [*CASES["errors"], *CASES["fine"]]
    entries = [entry_of(1, line, "stdout") for line in lines]
    assert Page(entries).errors() == list(range(len(CASES["errors"])))


@pytest.mark.parametrize("page", [1, 2, 3, 1000])
@pytest.mark.parametrize("case", CASES["logs"], ids=lambda case: case["name"])
def test_a_log_has_these_marks_however_it_is_cut_into_pages(case: dict[str, Any], page: int) -> None:
    assert marks_of(case["log"], page) == case["marks"]


def test_a_header_that_stands_last_is_one_when_nothing_more_comes() -> None:
    reader = MarkReader()
    assert reader.read(0, [entry_of(7, "--- Tests", "stdout")]) == []
    assert reader.flush() == [Mark(0, "open", "Tests", header=True, timestamp_ms=7)]
    assert reader.flush() == []


def test_an_entry_has_so_many_marks_at_most_and_groups_so_many_levels() -> None:
    many = "\n".join(f"::group::{number}\n::endgroup::" for number in range(1000))
    assert len(MarkReader().read(0, [entry_of(1, many, "stdout")])) == 64
    deep = [*(f"::group::{level}" for level in range(40)), *("::endgroup::" for _ in range(40))]
    marks = MarkReader().read(0, [entry_of(1, line, "stdout") for line in deep])
    assert [mark.kind for mark in marks] == ["open"] * 32 + ["close"] * 32
    assert marks[32].offset == 48


def test_any_entry_of_a_list_is_looked_at() -> None:
    assert MarkReader().read(0, [b"error: not json", b"\xff\xfe", b"{", b"null"], 9)[0].timestamp_ms == 9


@pytest.mark.parametrize(
    "line",
    [
        "a::" * 300_000,
        "1: " * 300_000,
        "[x] " * 200_000,
        "(1" * 300_000,
        "a: Assertion " * 50_000,
        "\x1b[" * 300_000,
        "\x1b]" * 300_000,
        "\r" * 900_000,
        "+ " * 300_000,
        "A" * 900_000,
    ],
)
def test_no_line_takes_more_time_than_its_length(line: str) -> None:
    began_s = time.process_time()
    MarkReader().read(0, [entry_of(1, line, "stdout")] * 5)
    assert time.process_time() - began_s < 2


HEADERS = ["--- a", "+++ b", "--- a/x", "~~~ c", "--- h ---", "--- FAIL: x", "++ t"]
COMMANDS = ["::group::d", "::endgroup::", "##[group]g\n::endgroup::"]
DIFF = ["@@ -1,2 +1,2 @@", "@@ -1 +1 @@", " x", "-x", "+x", "\\ No newline", ""]
words = st.sampled_from([*HEADERS, *COMMANDS, *DIFF, "error: e", "plain"])


@given(lines=st.lists(words, max_size=20), page=st.integers(1, 7))
def test_pages_make_no_difference(lines: list[str], page: int) -> None:
    log = [[line] for line in lines]
    assert marks_of(log, page) == marks_of(log, 1000)


@given(lines=st.lists(words, max_size=30))
def test_offsets_never_go_back_and_every_end_has_its_beginning(lines: list[str]) -> None:
    reader = MarkReader()
    marks = [*reader.read(0, [entry_of(1, line, "stdout") for line in lines]), *reader.flush()]
    assert [mark.offset for mark in marks] == sorted(mark.offset for mark in marks)
    depth = 0
    for mark in marks:
        depth += {"open": 1, "close": -1, "error": 0}[mark.kind]
        assert depth >= 0


def test_the_twin_has_the_same_patterns_character_by_character() -> None:
    twin = TWIN.read_text()
    for name in ("TIME", "LEAD", "BETWEEN", "GROUP", "COMMAND", "COMMAND_END", "HEADER", "NO_HEADER", "TRACE", "HUNK"):
        (given_there,) = re.findall(rf"export const {name} =\s+String\.raw`([^`]*)`;", twin)
        assert given_there == getattr(line_patterns, name)
    for name in ("CERTAIN", "LIKELY", "UNLESS"):
        (listed,) = re.findall(rf"export const {name}: readonly string\[\] = \[\n(.*?)\n\];", twin, re.DOTALL)
        assert tuple(re.findall(r"String\.raw`([^`]*)`", listed)) == getattr(line_patterns, name)
