"""What can go wrong, as types.

One root, so that a caller can catch everything that is ours with one name, and few leaves, each with the
attributes a handler needs. What is expected in the course of a stream (a reader behind the window, a list
written anew) is no error: see `fantail.broker.log.outcomes`.
"""

from __future__ import annotations


class BrokerError(Exception):
    """The root of every exception that this project raises on purpose."""


class InvalidIdError(BrokerError, ValueError):
    """An id outside the grammar `[A-Za-z0-9][A-Za-z0-9._-]{0,127}` (PROTOCOL.md, R1).

    Attributes:
        given: what was given, as it came.
    """

    def __init__(self, given: str) -> None:
        super().__init__(f"not a valid id: {given[:80]!r}")
        self.given = given


class PatchError(BrokerError, ValueError):
    """A JSON Patch that does not apply; the document is as it was before."""


class StoreClosedError(BrokerError):
    """Something was appended to a store that has been closed: a fault of the caller."""


class SourceUnavailableError(BrokerError):
    """Redis, or another source of truth, does not answer now; the same call may succeed later."""


class NotFoundError(BrokerError, LookupError):
    """No such job, table or row.

    Attributes:
        what: what was looked for, in words that may be shown to a user.
    """

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} not found")
        self.what = what


class AlreadyExistsError(BrokerError):
    """Something with that id is there already."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} exists already")
        self.what = what


class LengthMismatchError(BrokerError):
    """An append that was to start at one offset found the log at another length; nothing was written.

    Attributes:
        length: the log's length now.
    """

    def __init__(self, expected: int, length: int) -> None:
        super().__init__(f"the log has {length} lines, not {expected}")
        self.length = length


class TooManyJobsError(BrokerError):
    """The registry is full of jobs that are being watched."""
