"""StatusPublisher: how a worker says where a test or a run stands (PROTOCOL.md, T3).

A message is published on `{job|test}:{id}:status`, or `…:complete` for the end, and the state is kept in Redis first:
who subscribes between the two finds it there, and so does who comes when nobody listened. Saying the same twice does
no harm, so what got no reply is said again, for a bounded time.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import anyio
import orjson

from fantail.broker.errors import SourceUnavailableError
from fantail.broker.jobs import checked_id
from fantail.broker.limits import PUBLISH_S_MAX, STATUS_TTL_S
from fantail.broker.masking.foreign import masked_members
from fantail.broker.masking.rules import Rules
from fantail.broker.sources.backoff import Backoff
from fantail.broker.sources.redis.connection import RedisLink
from fantail.broker.sources.status.state import KINDS, Rank, Subject, rank_of, state_of
from fantail.broker.sources.status.store import keep_command

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self

_KIND_OF: Final = {kind.name: kind for kind in KINDS}


class StatusPublisher:
    """Publishes over one connection, made at the first message.

    Args:
        url: redis://, rediss:// or unix://.
        ttl_s: how long the last state is kept for who asks later.
        patience_s: for how long one message is tried while Redis does not answer.
        secrets: values that are masked in what is said, beside what looks like a secret by itself.
    """

    def __init__(
        self, url: str, *, ttl_s: int = STATUS_TTL_S, patience_s: float = PUBLISH_S_MAX, secrets: Sequence[bytes] = ()
    ) -> None:
        self._rules = Rules(secrets)
        self._link = RedisLink(url, name="fantail-publisher")
        self._ttl_s = ttl_s
        self._patience_s = patience_s

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._link.close()

    async def run(self, run_id: str, status: str, **members: Any) -> None:
        """Says where a run stands; see `publish`."""
        await self.publish("run", run_id, status, members)

    async def test(self, test_id: str, status: str, **members: Any) -> None:
        """Says where a test stands; see `publish`."""
        await self.publish("test", test_id, status, members)

    async def publish(
        self, kind: str, subject_id: str, status: str, members: Mapping[str, Any], *, complete: bool | None = None
    ) -> int:
        """Says where something stands.

        Args:
            kind: `run` or `test`.
            subject_id: of the run or test.
            status: such as `running`, `passed`, `failed`.
            members: of the payload, such as `startedAt`, `completedAt`, `duration`, `errorDetails`.
            complete: whether it is the end; None: if the status says so.

        Returns:
            How many listen.

        Raises:
            InvalidIdError: the id is outside the grammar.
            KeyError: there is no such kind.
            SourceUnavailableError: Redis did not answer for all of the patience.
        """
        subject = Subject(_KIND_OF[kind], checked_id(subject_id))
        members = masked_members(members, self._rules)
        ends = rank_of(status.strip().lower()) is Rank.TERMINAL if complete is None else complete
        state = state_of(subject, {**members, "status": status}, complete=ends, heard_ms=time.time_ns() // 1_000_000)
        commands = [
            keep_command(subject, state, self._ttl_s),
            ("PUBLISH", subject.channel(complete=ends), orjson.dumps(state.payload)),
        ]
        backoff = Backoff()
        deadline = anyio.current_time() + self._patience_s
        while True:
            try:
                replies = await self._link.ask(commands)
            except SourceUnavailableError as error:
                if anyio.current_time() >= deadline:
                    why = str(error.__cause__) or "no reply in time"
                    raise SourceUnavailableError(f"Redis does not take the status: {why}") from error
                await anyio.sleep(backoff.next_s())
            else:
                kept, listeners = replies
                if isinstance(kept, Exception):
                    raise SourceUnavailableError(f"Redis does not keep the status: {kept}") from kept
                return int(listeners)
