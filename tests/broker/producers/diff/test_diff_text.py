"""The pure parts: what git prints is read right however it is cut, and written as `git apply` takes it."""

from __future__ import annotations

import random

import pytest

from fantail.broker.producers.diff.entry import entry_of, fitting
from fantail.broker.producers.diff.worktree.patch_stream import Patch, PatchStream, without_lines
from fantail.broker.producers.diff.worktree.raw_diff import Change, file_name, parse_raw, path_of, quoted
from fantail.broker.producers.diff.worktree.unified_diff import patch_of

ZERO, OLD, NEW = "0" * 40, "a" * 40, "b" * 40


def modified(path: bytes, *, mode: str = "100644") -> Change:
    return Change("modified", None, "100644", mode, OLD, NEW, path, path)


# -- raw -------------------------------------------------------------------------------------------------------------


def test_raw_records_are_read_and_unmerged_paths_left_out() -> None:
    output = (
        f":100644 100755 {OLD} {NEW} M\0a b\0:100644 100644 {OLD} {NEW} R087\0old\nname\0new\0"
        f":000000 000000 {ZERO} {ZERO} U\0conflict\0:000000 120000 {ZERO} {NEW} A\0link\0"
    )
    assert parse_raw(output.encode()) == [
        Change("modified", None, "100644", "100755", OLD, NEW, b"a b", b"a b"),
        Change("renamed", 87, "100644", "100644", OLD, NEW, b"old\nname", b"new"),
        Change("added", None, "000000", "120000", ZERO, NEW, b"link", b"link"),
    ]
    assert parse_raw(b"") == []


def test_what_is_no_raw_diff_is_refused() -> None:
    with pytest.raises(ValueError, match="not a raw diff"):
        parse_raw(b"fatal: bad\0")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (b"plain", "plain"),
        ("\u00fc \n\t\\".encode(), "\u00fc \n\t\\"),
        (b'"quoted"', '"\\"quoted\\""'),
        (b"caf\xe9\n", '"caf\\351\\n"'),
        (b"\xc3\xa9\xff", '"\\303\\251\\377"'),
        (b"1\x017\xff", '"1\\0017\\377"'),
    ],
)
def test_names_become_text_and_come_back(path: bytes, name: str) -> None:
    assert file_name(path) == name
    assert path_of(name) == path


def test_names_in_patches_are_quoted_where_git_quotes_them() -> None:
    assert quoted(b"a/b c") == "a/b c"
    assert quoted("a/\u00fc".encode()) == "a/\u00fc"
    assert quoted(b"a/tab\t") == '"a/tab\\t"'


# -- patches ---------------------------------------------------------------------------------------------------------


def test_headers_say_what_lines_cannot() -> None:
    rename = Change("renamed", 90, "100644", "100755", OLD, NEW, b"old name", b"new")
    assert patch_of(rename, [b"@@ -1 +1 @@\n-a\n+b\n"]).decode() == (
        "diff --git a/old name b/new\n"
        "old mode 100644\nnew mode 100755\n"
        "similarity index 90%\nrename from old name\nrename to new\n"
        f"index {OLD}..{NEW}\n"
        "--- a/old name\t\n+++ b/new\n"
        "@@ -1 +1 @@\n-a\n+b\n"
    )
    added = Change("added", None, "000000", "100644", ZERO, NEW, b"empty", b"empty")
    assert patch_of(added, [b""]).decode() == (
        f"diff --git a/empty b/empty\nnew file mode 100644\nindex {ZERO}..{NEW}\n"
    )
    mode = Change("modified", None, "100644", "100755", OLD, OLD, b"f", b"f")
    assert without_lines(mode).text == "diff --git a/f b/f\nold mode 100644\nnew mode 100755\n"


OUTPUT = (
    b"1\t1\ta\0-\t-\tpicture\0" + b"2\t1\ttyped\0" + b"1\t0\tlatin\0" + b"\0"
    b"diff --git a/a b/a\nindex 1..2 100644\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\n+diff --git a/y b/y\n"
    b"diff --git a/picture b/picture\nindex 1..2 100644\nBinary files a/picture and b/picture differ\n"
    b"diff --git a/typed b/typed\ndeleted file mode 100644\nindex 1..0\n"
    b"--- a/typed\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"
    b"diff --git a/typed b/typed\nnew file mode 120000\nindex 0..1\n"
    b"--- /dev/null\n+++ b/typed\n@@ -0,0 +1,2 @@\n+y\n+z\n"
    b"diff --git a/latin b/latin\nindex 1..2 100644\n--- a/latin\n+++ b/latin\n@@ -0,0 +1 @@\n+\xe9\n"
)
CHANGES = [modified(b"a"), modified(b"picture"), modified(b"typed", mode="120000"), modified(b"latin")]


def streamed(*chunks: bytes, file_bytes: int = 10_000, total_bytes: int = 10_000) -> dict[bytes, Patch]:
    stream = PatchStream(CHANGES, file_bytes_max=file_bytes, total_bytes_max=total_bytes)
    for chunk in chunks:
        stream.take(chunk)
    return {change.path: patch for change, patch in stream.finish().items()}


def test_patches_are_cut_apart_in_the_same_way_wherever_the_chunks_end() -> None:
    whole = streamed(OUTPUT)
    assert whole[b"a"].text is not None
    assert whole[b"a"].text.endswith("@@ -1 +1 @@\n-x\n+diff --git a/y b/y\n")
    assert whole[b"typed"].text is not None
    assert whole[b"typed"].text.count("diff --git") == 2
    assert [whole[name].unreadable for name in (b"picture", b"latin")] == ["binary", "encoding"]
    assert (whole[b"typed"].additions, whole[b"typed"].deletions) == (2, 1)
    assert streamed(*[OUTPUT[at : at + 1] for at in range(len(OUTPUT))]) == whole
    chance = random.Random(7)
    for _ in range(50):
        cuts = sorted(chance.sample(range(len(OUTPUT)), 5))
        assert streamed(*[OUTPUT[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)]) == whole


def test_a_text_over_the_bounds_is_not_kept_and_its_size_is_known() -> None:
    whole = streamed(OUTPUT)
    for bounds in ({"file_bytes": 100}, {"total_bytes": 100}):
        cut = streamed(OUTPUT, **bounds)
        assert cut[b"a"].text is None
        assert cut[b"a"].size_bytes == whole[b"a"].size_bytes
        assert (cut[b"a"].additions, cut[b"a"].deletions) == (1, 1)


def test_memory_is_bounded_while_a_huge_patch_passes_by() -> None:
    stream = PatchStream([modified(b"a")], file_bytes_max=1000, total_bytes_max=1000)
    stream.take(b"9\t9\ta\0\0diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n")
    for _ in range(100):
        stream.take(b"+" + b"x" * 65_000 + b"\n")
        assert len(stream._section) + len(stream._rest) < 70_000
    [patch] = stream.finish().values()
    assert patch.text is None
    assert patch.size_bytes > 6_500_000


def test_output_that_does_not_fit_the_question_is_refused() -> None:
    with pytest.raises(ValueError, match="2 patches for 4 files"):
        streamed(OUTPUT[: OUTPUT.index(b"diff --git a/typed")])
    with pytest.raises(ValueError, match="more patches than files"):
        streamed(OUTPUT + b"diff --git a/z b/z\n")
    assert streamed(b"") == {}


# -- entries -----------------------------------------------------------------------------------------------------------


def test_an_entry_says_why_its_patch_is_left_out() -> None:
    change = Change("renamed", 90, "100644", "100644", OLD, NEW, b"old", b"caf\xe9")
    assert entry_of(change, Patch(1, 2, 3, "text")).encode() == (
        rb'{"file":"\"caf\\351\"","oldPath":"old","change":"renamed","diff":"text","additions":1,"deletions":2}'
    )
    for patch, reason in [
        (Patch(1, 2, 3, None), "size"),
        (Patch(0, 0, 0, None, "binary"), "binary"),
        (Patch(1, 2, 0, None, "encoding"), "encoding"),
    ]:
        entry = entry_of(change, patch)
        assert (entry.diff, entry.omitted, entry.additions) == ("", reason, patch.additions)


def test_the_smallest_fit_first_and_order_settles_ties() -> None:
    sizes = {"a": 30, "b": 10, "c": 10, "d": 60}
    assert fitting(sizes, file_bytes_max=100, total_bytes_max=50) == {"a", "b", "c"}
    assert fitting(sizes, file_bytes_max=20, total_bytes_max=15) == {"b"}
    assert fitting(sizes, file_bytes_max=9, total_bytes_max=100) == set()
