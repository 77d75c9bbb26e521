"""Who is asking, and what they may see."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who is asking.

    Attributes:
        name: the user (the token's `sub`); None where nobody is told apart (`FANTAIL_AUTH=none`).
        admin: sees and may change everything.
        expires_s: when the right ends, in seconds of the Unix epoch; None: never.
    """

    name: str | None
    admin: bool
    expires_s: float | None = None

    def may_see(self, owner: str | None) -> bool:
        """Whether a row or job of this owner may be shown; one without an owner is everyone's."""
        return self.admin or owner is None or owner == self.name


EVERYONE = Viewer(name=None, admin=True)
