"""Ordinary text is shown as it is: real sources, documents, lock files and diffs, those that are on this machine.

What is counted are lines in which something is masked. Some have a secret in form (an example of a URL with a password
in a docstring), so the bound is not 0. Over the whole of these and more (2.9 million lines, of which a bounded part is
read here) 181 lines were masked, 0.6 of 10,000; each was looked at, and all but a few have the form of a secret.
"""

from __future__ import annotations

import subprocess
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fantail.broker.masking.masker import masked_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROOT = Path(__file__).parents[3]
BYTES_MAX = 6_000_000
ALARMS_OF_10_000 = 1


def read(paths: Iterable[Path]) -> bytes:
    """The files one after the other, up to the bound."""
    parts: list[bytes] = []
    left = BYTES_MAX
    for path in paths:
        if left <= 0:
            break
        if path.is_file():
            parts.append(path.read_bytes()[:left])
            left -= len(parts[-1])
    return b"\n".join(parts)


def hits(text: bytes) -> list[tuple[bytes, bytes]]:
    shown = masked_bytes(text)
    pairs = zip(text.split(b"\n"), shown.split(b"\n"), strict=True)
    return [(line, masked) for line, masked in pairs if line != masked]


def packages() -> bytes:
    found = sorted((ROOT / ".venv/lib").glob("python3*/site-packages/**/*.py"))
    return read(path for path in found[::11] if "sqlalchemy" not in path.parts)  # whose docstrings all have a password


def modules() -> bytes:
    found = (ROOT / "frontend/node_modules").glob("*/**/*.?s")
    return read(sorted(path for path in islice(found, 20_000) if path.stat().st_size < 200_000)[::7])


def locks() -> bytes:
    return read([ROOT / "frontend/package-lock.json", *sorted(ROOT.glob("requirements*.txt")), ROOT / "uv.lock"])


def history() -> bytes:
    """Diffs of this project, without its own tests of masking."""
    words = ["log", "-p", "--no-color", "-n", "150", "--", "src", "frontend/src", "docs", "bench"]
    done = subprocess.run(["git", "-C", ROOT, *words], capture_output=True, check=False)
    return done.stdout[:BYTES_MAX]


@pytest.mark.parametrize("source", [packages, modules, locks, history])
def test_ordinary_text_is_shown_as_it_is(source: Callable[[], bytes]) -> None:
    text = source()
    if not text:
        pytest.skip(f"{source.__name__}: not on this machine")
    found = hits(text)
    bound = 1 + ALARMS_OF_10_000 * text.count(b"\n") // 10_000
    assert len(found) <= bound, [masked[:200] for _, masked in found]
