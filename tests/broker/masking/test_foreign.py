"""Entries, fields and documents that other programs wrote: masked when they are read, their checksums as they were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zlib import crc32

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fantail.broker.documents.diffs import masked_entry as masked_file
from fantail.broker.documents.diffs import stored_entry
from fantail.broker.log.records import line_of, records_of
from fantail.broker.masking.foreign import EntryMasker, masked_fields, masked_object
from fantail.broker.masking.masker import masked_text

if TYPE_CHECKING:
    from collections.abc import Sequence

GITHUB = "ghp_" + "a1B2" * 9
BODY = "aB3/" * 16
KEY = ["-----BEGIN RSA PRIVATE KEY-----", *[BODY] * 5, "abc=", "-----END RSA PRIVATE KEY-----", "done"]
KEY_SHOWN = [KEY[0], *["***"] * 6, *KEY[-2:]]


def entry(line: str, **more: Any) -> bytes:
    return orjson.dumps({"timestamp": 1, "line": line, "stream": "stdout", **more})


def shown(entries: Sequence[bytes], masker: EntryMasker | None = None) -> list[str]:
    records = records_of(entries, 0, masker=masker or EntryMasker())
    assert list(records.crcs) == [crc32(stored) for stored in entries]
    return [str(orjson.loads(data)["line"]) for data in records.data]


@pytest.mark.parametrize(
    "stored",
    [
        entry(f"a {GITHUB} b"),
        entry(f"a\t{GITHUB}\n"),
        entry(f"\x1b[1mghp_a1\x1b[0m{'a1' * 20}"),
        entry("x", source=GITHUB),
        entry("x", meta={"api_key": "abc123def456", "more": [GITHUB]}),
        entry('{"password": "hunter2-secret"}'),
        b'{"timestamp":1,"line":"\\u0067hp_' + b"a1B2" * 9 + b'","stream":"stdout"}',
        b'{"timestamp":1,"line":"\\ud800 ' + GITHUB.encode() + b'","stream":"stdout"}',
        b'{"line":"https:\\/\\/ada:hunter2-secret@example.org"}',
        b"no JSON: " + GITHUB.encode(),
        b"\xff " + GITHUB.encode(),
    ],
)
def test_a_secret_in_an_entry_reaches_nobody(stored: bytes) -> None:
    plain = entry("plain")
    records = records_of([plain, stored, plain], 0, masker=EntryMasker())
    masked = EntryMasker().mask([plain, stored, plain])
    for text in (*records.data, *masked, *(line_of(one).encode() for one in masked)):
        for part in (b"a1B2a1B2", b"a1a1a1", b"hunter2", b"abc123def456"):
            assert part not in text
    assert b"***" in records.data[1]
    assert list(records.crcs) == [crc32(one) for one in (plain, stored, plain)]
    assert records.data[0] is plain
    assert masked[2] is plain


def test_a_key_over_several_entries_is_masked_however_they_are_read() -> None:
    entries = [entry(line) for line in KEY]
    assert shown(entries) == KEY_SHOWN
    one_by_one = EntryMasker()
    assert [shown([one], one_by_one)[0] for one in entries] == KEY_SHOWN
    assert shown(entries[3:]) == KEY_SHOWN[3:]


@pytest.mark.parametrize("lines_of_entry", [1, 2, 3])
def test_a_key_in_entries_with_line_feeds_is_masked(lines_of_entry: int) -> None:
    starts = range(0, len(KEY), lines_of_entry)
    entries = [entry("\n".join(KEY[start : start + lines_of_entry]) + "\n") for start in starts]
    one_by_one = EntryMasker()
    for stored in entries:
        assert BODY not in shown([stored], one_by_one)[0]
    assert "".join(shown(entries)) == "".join(f"{line}\n" for line in KEY_SHOWN)


def test_a_secret_in_a_name_of_a_member_or_a_field_is_masked() -> None:
    assert masked_fields({GITHUB: "x"}) == {"***": "x"}
    assert masked_object({"a": {GITHUB: 1, "status": GITHUB}}) == {"a": {"***": 1, "status": "***"}}
    assert GITHUB not in shown([entry("x", meta={GITHUB: 1})])[0]
    assert GITHUB.encode() not in EntryMasker().mask([entry("x", meta={GITHUB: 1})])[0]
    assert GITHUB not in shown([orjson.dumps({"timestamp": GITHUB, "line": "x"})])[0]


def test_a_value_that_only_quotes_hold_together_is_masked_in_a_field() -> None:
    assert masked_fields({"password": "ab{1}cdefg"}) == {"password": "***"}


def test_the_fields_of_a_hash_are_masked_but_for_whose_it_is() -> None:
    fields = {
        "id": GITHUB,
        "user_id": GITHUB,
        "name": f"deploy {GITHUB}",
        "command": "curl -u ada:hunter2 x",
        "api_key": "abc123def456",
        "prompt": "two\nlines",
    }
    assert masked_fields(fields) == {
        "id": GITHUB,
        "user_id": GITHUB,
        "name": "deploy ***",
        "command": "curl -u ada:*** x",
        "api_key": "***",
        "prompt": "two\nlines",
    }


def test_a_document_is_masked_by_names_and_by_shapes() -> None:
    plain = {"status": "failed", "n": [1, None, True]}
    assert masked_object(plain) is plain
    said = {"status": "failed", "errorDetails": {"password": "hunter2-x", "log": [f"{GITHUB}!"]}}
    assert masked_object(said) == {"status": "failed", "errorDetails": {"password": "***", "log": ["***!"]}}


def test_no_text_of_a_file_is_left_out() -> None:
    file = stored_entry(b"x", orjson.dumps({"file": "x", "diff": "", "change": GITHUB, "omitted": GITHUB}))
    assert GITHUB not in str(masked_file(file))


def test_a_patch_in_which_something_was_masked_says_so() -> None:
    value = orjson.dumps({"file": "x", "diff": f"+{GITHUB}\n", "change": "added", "additions": 1, "deletions": 0})
    assert masked_file(stored_entry(b"x", value)) == {
        "file": "x",
        "diff": "+***\n",
        "change": "added",
        "additions": 1,
        "deletions": 0,
        "masked": True,
    }
    key = "".join(f"+{line}\n" for line in KEY)
    masked = masked_file(stored_entry(b"x", orjson.dumps({"diff": key})))
    assert masked["diff"] == "".join(f"+{line}\n" for line in KEY_SHOWN)
    plain = stored_entry(b"x", value.replace(GITHUB.encode(), b"x"))
    assert masked_file(plain) is plain


LINES = st.lists(
    st.sampled_from(
        [
            GITHUB,
            "password=",
            "hunter2",
            '"',
            "\\",
            " ",
            "\x1b[32m",
            "é",
            "\n",
            "://u:",
            "@",
            "PRIVATE KEY",
            "x",
            "\t",
            "/",
        ]
    ),
    max_size=12,
).map("".join)


@example(lines=["password=\thunter2"])
@given(lines=st.lists(LINES, max_size=8))
@settings(max_examples=200, deadline=None)
def test_a_page_is_masked_as_its_lines_are(lines: list[str]) -> None:
    """The look at the page as it is stored misses nothing that a look at the text finds."""
    for line, seen in zip(lines, shown([entry(line) for line in lines]), strict=True):
        for part in ("hunter2", "a1B2a1B2"):
            assert seen.count(part) <= masked_text(line).count(part)
