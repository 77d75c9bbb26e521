"""The documents say what is: every setting, every test that they name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fantail.web.settings import described

ROOT = Path(__file__).resolve().parent.parent
TEST_NAME = re.compile(r"`((?:tests|frontend)/[\w./-]+\.(?:py|tsx?))(?:::([^`]+))?`")


def test_operations_lists_every_setting_with_its_default() -> None:
    listed = (ROOT / "docs/OPERATIONS.md").read_text(encoding="utf-8").splitlines()
    for setting in described():
        default = f"`{setting.default}`" if setting.default else ""
        row = f"| `{setting.name}` | {default} | {setting.description} |"
        assert row in listed, f"docs/OPERATIONS.md lacks the row {row}"


def test_operations_lists_no_setting_that_is_not_there() -> None:
    text = (ROOT / "docs/OPERATIONS.md").read_text(encoding="utf-8")
    known = {setting.name for setting in described()} | {"FANTAIL_URL", "FANTAIL_TOKEN"}
    assert set(re.findall(r"FANTAIL_[A-Z_]+[A-Z]", text)) <= known


@pytest.mark.parametrize("document", ["docs/PROTOCOL.md", "docs/TRAPS.md", "docs/ARCHITECTURE.md"])
def test_every_test_that_a_document_names_exists(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    for path, name in TEST_NAME.findall(text):
        source = ROOT / path
        assert source.exists(), f"{document} names {path}, which is not there"
        assert not name or name in source.read_text(encoding="utf-8"), f"{document} names {path}::{name}"


def test_every_rule_and_section_of_the_wire_that_the_code_names_exists() -> None:
    wire = (ROOT / "docs/PROTOCOL.md").read_text(encoding="utf-8")
    there = set(re.findall(r"^(?:## |\*\*)([A-Z]\d*)\.", wire, re.MULTILINE))
    sources = [*ROOT.glob("src/**/*.py"), *ROOT.glob("frontend/src/**/*.ts*")]
    named = {
        (match[1], path)
        for path in sources
        for match in re.finditer(r"PROTOCOL[\w.]*,\s+(?:sections?\s+)?(\w+)", path.read_text(encoding="utf-8"))
    }
    assert len(named) > 20, "the way in which the code names them has changed"
    assert not {(name, path) for name, path in named if name not in there}


def test_every_file_that_the_map_names_exists() -> None:
    text = (ROOT / "docs/ARCHITECTURE.md").read_text(encoding="utf-8")
    for path in re.findall(r"`((?:src|frontend)/[\w./]+)`", text):
        assert (ROOT / path).exists(), f"docs/ARCHITECTURE.md names {path}, which is not there"


@pytest.mark.parametrize(
    "room",
    [
        "broker",
        "broker/log",
        "broker/readers",
        "broker/masking",
        "broker/documents",
        "broker/embedded",
        "broker/sources",
        "broker/sources/redis",
        "broker/sources/pipelines",
        "broker/sources/status",
        "broker/producers/runner",
        "broker/producers/writer",
        "broker/producers/diff",
        "broker/producers/diff/worktree",
        "web",
        "web/http",
        "web/sse",
        "web/streams",
        "web/rest",
        "web/logscan",
        "web/auth",
        "web/pages",
        "web/observability",
        "web/cli",
    ],
)
def test_every_room_lists_its_files_and_no_others(room: str) -> None:
    folder = ROOT / "src" / room
    essay = (folder / "__init__.py").read_text(encoding="utf-8").split('"""')[1]
    listed = set(re.findall(r"^    ([\w]+\.py) ", essay, re.MULTILINE))
    assert listed == {file.name for file in folder.glob("*.py")} - {"__init__.py"}
