"""Which jobs have, or had, a lease: what tells a runner that died from one that is silent (trap 46).

A producer holds `job:{id}:lease` with a short TTL while it lives, and says so in the hash (`lease_s`). A job that is
not over and whose lease is gone is shown as stale; its status is not ours to change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# The member of a hash by which a producer says that it holds a lease.
LEASE_FIELD: Final = "lease_s"


class Leases:
    """What was last read of the leases of the jobs that are followed or listed."""

    def __init__(self) -> None:
        self._exists: dict[bytes, bool] = {}
        self._had: set[bytes] = set()

    def learn(self, key: bytes, *, exists: bool) -> None:
        """Learns whether the lease beside a job's hash is there."""
        self._exists[key] = exists
        if exists:
            self._had.add(key)

    def forget(self, key: bytes) -> None:
        """The job is gone."""
        self._exists.pop(key, None)
        self._had.discard(key)

    def held(self) -> list[bytes]:
        """The jobs whose lease was there when it was last looked at."""
        return [key for key, exists in self._exists.items() if exists]

    def is_known(self, key: bytes) -> bool:
        """Whether the lease was looked at at all."""
        return key in self._exists

    def lost(self, key: bytes, fields: Mapping[str, Any]) -> bool:
        """Whether a job had a lease and was seen without it."""
        return (key in self._had or LEASE_FIELD in fields) and self._exists.get(key) is False
