"""What the tests of this directory share: a seed that can be given again."""

from __future__ import annotations

import os
import random

import pytest

pytest.register_assert_rewrite("faults.everyone", "faults.readers")


@pytest.fixture
def chance() -> random.Random:
    """Chance with a seed of its own for each run; pytest shows the seed where a test fails."""
    seed = int(os.environ.get("FANTAIL_TEST_SEED") or random.randrange(2**32))
    print(f"to run this again: FANTAIL_TEST_SEED={seed}")  # noqa: T201 - shown where the test fails
    return random.Random(seed)
