"""What is followed in Redis, and which of it is to be read: where a changed key's name leads.

Marking is all that a change does. A mark of a job that nobody watches is kept with the job and read for its next
watcher; the marks of watched jobs wait in a queue, each job once, in the order in which they came.

Synchronous. `work` rings when there may be something to read.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from fantail.broker.log.notify import Notifier
from fantail.broker.sources.redis.follower import JobFollower
from fantail.broker.sources.redis.keys import DIFF, LEASE, OUTPUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fantail.broker.jobs import Job
    from fantail.broker.sources.redis.diffs import DiffTail
    from fantail.broker.sources.redis.leases import Leases
    from fantail.broker.sources.redis.table_mirror import TableMirror


class DirtyKeys:
    """The followers of jobs, and the queue of those that are to be read.

    Attributes:
        work: rings when something was marked that somebody watches.

    Args:
        mirror: of the tables; rows are marked there.
        leases: what is known of all leases.
        mark_diff: marks a diff, which is read elsewhere.
        line_bytes_max: a longer line is cut for viewers.
        now_s: a monotonic clock.
        masks: whether secrets are masked in what is read.
        checks_owner: see `JobFollower`.
    """

    def __init__(
        self,
        mirror: TableMirror,
        leases: Leases,
        mark_diff: Callable[[DiffTail], None],
        line_bytes_max: int,
        now_s: Callable[[], float],
        *,
        masks: bool = True,
        checks_owner: bool,
    ) -> None:
        self.work = Notifier()
        self._mirror = mirror
        self._leases = leases
        self._mark_diff = mark_diff
        self._line_bytes_max = line_bytes_max
        self._now_s = now_s
        self._masks = masks
        self._checks_owner = checks_owner
        self._followers: dict[bytes, JobFollower] = {}
        self._queue: dict[JobFollower, None] = {}
        self._turn = 0

    # -- who is followed --------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[JobFollower]:
        return iter(self._followers.values())

    def __len__(self) -> int:
        return len(self._followers)

    def follow(self, job: Job) -> None:
        """Follows a job, or follows it again: its next reading is of everything."""
        key = job.key.encode()
        follower = self._followers.get(key)
        if follower is None:
            follower = self._followers[key] = JobFollower(
                job,
                self._leases,
                self._line_bytes_max,
                self._now_s,
                masks=self._masks,
                checks_owner=self._checks_owner,
            )
        follower.mark()
        self.put(follower)

    def unfollow(self, job: Job) -> JobFollower | None:
        """Stops following a job; returns who followed it."""
        follower = self._followers.pop(job.key.encode(), None)
        if follower is not None:
            self._queue.pop(follower, None)
            if self._mirror.places(follower.key):
                self._mirror.mark(follower.key)
            else:
                self._leases.forget(follower.key)
        return follower

    def of(self, job: Job) -> JobFollower:
        """Who follows a watched job."""
        return self._followers[job.key.encode()]

    def find(self, job: Job) -> JobFollower | None:
        """Who follows a job; None: nobody any more."""
        return self._followers.get(job.key.encode())

    @property
    def anybody_watches(self) -> bool:
        """Whether any job is watched."""
        return any(follower.job.watchers for follower in self)

    # -- the queue --------------------------------------------------------------------------------------------------

    def put(self, follower: JobFollower) -> None:
        """Queues a marked follower, if it still follows and its job is watched."""
        if follower.job.watchers and self._followers.get(follower.key) is follower:
            self._queue[follower] = None
            self.work.notify()

    def take(self, count_max: int) -> list[JobFollower]:
        """Takes the first followers out of the queue."""
        taken = list(islice(self._queue, count_max))
        for follower in taken:
            del self._queue[follower]
        return taken

    def hashes(self) -> set[bytes]:
        """The hashes that are going to be read for jobs in the queue."""
        return {follower.key for follower in self._queue if follower.hash_dirty}

    # -- what has changed -------------------------------------------------------------------------------------------

    def mark_everything(self) -> None:
        """Anything may have changed."""
        for follower in self:
            follower.mark()
            self.put(follower)
            self._mark_diff(follower.diff)
        self._mirror.start_over()
        self.work.notify()

    def mark_in_turn(self, count: int) -> None:
        """Marks some of the watched jobs, others the next time, until it was every one's turn."""
        watched = [follower for follower in self if follower.job.watchers]
        start = self._turn if self._turn < len(watched) else 0
        for follower in watched[start : start + count]:
            follower.mark()
            self.put(follower)
        self._turn = start + count

    def mark_keys(self, keys: Sequence[bytes] | None) -> None:
        """These keys have changed; None: any key may have."""
        if keys is None:
            self.mark_everything()
            return
        for key in keys:
            self._mark_key(key)

    def _mark_key(self, key: bytes) -> None:
        follower = self._followers.get(key)
        if follower is not None:
            follower.mark()
            self.put(follower)
        base, _, part = key.rpartition(b":")
        if b":" not in base or part not in (OUTPUT, LEASE, DIFF):
            self._mirror.mark(key)
            self.work.notify()
            return
        follower = self._followers.get(base)
        if part == LEASE:
            self._mark_lease(base, follower)
        elif follower is not None and part == OUTPUT:
            follower.mark_list()
            self.put(follower)
        elif follower is not None:
            self._mark_diff(follower.diff)

    def _mark_lease(self, key: bytes, follower: JobFollower | None) -> None:
        if follower is not None:
            follower.mark_lease()
            self.put(follower)
        if follower is None or not follower.job.watchers:
            self._mirror.mark_lease(key)
            self.work.notify()
