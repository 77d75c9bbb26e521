"""Runs the benchmarks, prints their table, and writes it with the machine's description to bench/RESULTS.md."""

from __future__ import annotations

import asyncio
import datetime as dt
import resource
import sys
from pathlib import Path

import uvloop

from bench.report import Row, machine, table
from bench.scenarios import LONG, SCENARIOS

RESULTS = Path(__file__).with_name("RESULTS.md")
HEAD = """# Results

Written by `make bench`. Each ratio is value over reference, both measured in the same run, by the same client process
on the same machine (the client takes its share of the cores, from every server alike).

"""


def main() -> int:
    """Runs the scenarios named on the command line, or all but the long ones; only a whole run is written down."""
    names = sys.argv[1:] or list(SCENARIOS)
    scenarios = {**SCENARIOS, **LONG}
    unknown = [name for name in names if name not in scenarios]
    if unknown:
        print(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(scenarios)}", file=sys.stderr)
        return 2
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))
    rows: list[Row] = []
    for name in names:
        print(f"… {name}", file=sys.stderr, flush=True)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            rows += runner.run(scenarios[name]())
    print(table(rows))
    if not sys.argv[1:]:
        today = dt.datetime.now(tz=dt.UTC).date()
        RESULTS.write_text(f"{HEAD}{today}. {machine()}\n\n{table(rows)}\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
