"""How long to wait before the next attempt at something that failed."""

from __future__ import annotations

import random

from fantail.broker.limits import REDIS_BACKOFF_S_MAX, REDIS_BACKOFF_S_MIN, REFUSED_RETRY_S


class Backoff:
    """Doubles from attempt to attempt, within bounds, with jitter: many servers lose one Redis at the same time."""

    def __init__(self) -> None:
        self._base_s = REDIS_BACKOFF_S_MIN

    def reset(self) -> None:
        """It worked."""
        self._base_s = REDIS_BACKOFF_S_MIN

    def next_s(self, *, refused: bool = False) -> float:
        """Seconds to wait: between half and all of what is due; longer where we were refused, not just unheard."""
        base_s = REFUSED_RETRY_S if refused else self._base_s
        self._base_s = min(2 * self._base_s, REDIS_BACKOFF_S_MAX)
        return base_s * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not cryptography
