"""What a benchmark found, as rows; and the table that people read."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Attributes:
        what: in words.
        value: with `unit`.
        unit: of value and reference.
        beside: what the reference is; empty where there is none.
        reference: its figure, measured in the same run.
        target: what is aimed at, in words.
        met: whether it is; None where nothing is asked.
    """

    what: str
    value: float
    unit: str
    beside: str = ""
    reference: float | None = None
    target: str = ""
    met: bool | None = None

    @property
    def ratio(self) -> float | None:
        """Value over reference."""
        return None if not self.reference else self.value / self.reference


def table(rows: list[Row]) -> str:
    """A Markdown table, columns padded."""
    head = ["measured", "value", "reference", "ratio", "target", "met"]
    body = [
        [
            row.what,
            f"{_number(row.value)} {row.unit}",
            "" if row.reference is None else f"{_number(row.reference)} {row.unit} ({row.beside})",
            "" if row.ratio is None else f"{row.ratio:.2f}",
            row.target,
            {True: "yes", False: "**no**", None: ""}[row.met],
        ]
        for row in rows
    ]
    widths = [max(len(line[column]) for line in [head, *body]) for column in range(len(head))]
    lines = [head, ["-" * width for width in widths], *body]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def machine() -> str:
    """The machine and the versions that the figures belong to."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("starlette", "uvicorn", "uvloop", "redis", "sse-starlette")
    )
    return (
        f"{model}, {os.cpu_count()} cores, {memory_gib:.0f} GiB; {platform.system()} {_kernel()}, "
        f"Python {platform.python_version()}; {packages}."
    )


def _kernel() -> str:
    """The version of the kernel, without what whoever built it appended."""
    return platform.release().partition("-")[0]


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
