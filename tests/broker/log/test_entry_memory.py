"""What an entry costs in memory while it is kept: measured in a process of its own, as the allocator remembers."""

from __future__ import annotations

import subprocess
import sys

ENTRIES = 50_000
MIB = 1024 * 1024

SCRIPT = f"""
import os
from fantail.broker.log.records import entry_of

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

before = resident()
kept = [entry_of(1_795_182_335_901, str(number), "stdout") for number in range({ENTRIES})]
print(resident() - before, sum(map(len, kept)))
"""


def test_an_entry_that_is_kept_costs_little_more_than_its_bytes() -> None:
    said = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=30)
    resident, entries = map(int, said.stdout.split())
    # Beside its bytes: the object's head, the list's reference, the allocator's rounding.
    assert resident < entries + ENTRIES * 100 + 4 * MIB
