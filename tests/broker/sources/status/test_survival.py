"""Redis and PostgreSQL, each killed and brought back while runs are watched: every end arrives, none is made up."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio

from fantail.broker.limits import DATABASE_CONNECTIONS_MAX
from fantail.broker.producers.writer.status_publisher import StatusPublisher
from support.clients.sse_client import open_stream
from support.servers.served_status import served_status
from support.status_tables import PostgresTables, create, insert, new_id
from support.wait import eventually

if TYPE_CHECKING:
    from conftest import MakeRedisServer
    from support.servers.postgres import PostgresServer
    from support.servers.redis_server import RedisServer

RUNS = 60
CHECK_S = 1.0


class Story:
    """Runs that are watched, and how a worker ends them."""

    def __init__(self, redis: RedisServer, postgres: PostgresServer) -> None:
        self.redis = redis
        self.postgres = postgres
        self.tables = PostgresTables(postgres)
        self.chance = random.Random(4)
        self.ends = {new_id(): self.chance.choice(["passed", "failed", "cancelled"]) for _ in range(RUNS)}
        self.waiting = list(self.ends)
        self.seen: dict[str, list[str]] = {run_id: [] for run_id in self.ends}
        self.trouble = 0
        create(self.tables)
        for run_id in self.ends:
            insert(self.tables, "runs", id=run_id, status="running")

    async def follow(self, url: str, run_id: str) -> None:
        """What one page shows, to the end of its stream."""
        async with open_stream(f"{url}/api/job-status/events/{run_id}") as stream:
            with suppress(StopAsyncIteration):
                while True:
                    event = await stream.next(50.0)
                    if event.name == "stream-error":
                        self.trouble += 1
                    elif event.json["status"] not in self.seen[run_id][-1:]:  # said again when trouble is over
                        self.seen[run_id].append(event.json["status"])

    async def say_end(self, worker: StatusPublisher, run_id: str) -> None:
        await worker.run(run_id, self.ends[run_id])

    async def write_end(self, run_id: str) -> None:
        row = f"UPDATE runs SET status = '{self.ends[run_id]}', completed_at = now() WHERE id = '{run_id}'"  # noqa: S608
        await anyio.to_thread.run_sync(self.tables.execute, row)

    async def with_redis_dead(self) -> None:
        """Five runs end while Redis is away: nobody hears, the database has it."""
        self.redis.kill9()
        for _ in range(5):
            await self.write_end(self.waiting.pop())
        await anyio.to_thread.run_sync(self.redis.start)

    async def with_postgres_dead(self, worker: StatusPublisher) -> None:
        """Five runs end while the database is away: it is said, the rows stay `running`."""
        self.postgres.kill9()
        for _ in range(5):
            await self.say_end(worker, self.waiting.pop())
        await anyio.to_thread.run_sync(self.postgres.start)

    async def with_both(self, worker: StatusPublisher) -> None:
        """Five runs end in an ordinary way, or with the message lost."""
        for _ in range(5):
            run_id = self.waiting.pop()
            if self.chance.random() < 0.5:
                await self.say_end(worker, run_id)
            await self.write_end(run_id)

    def redis_clients(self) -> int:
        return self.redis.command("CLIENT", "LIST").count(b"name=fantail-status")


async def test_no_end_is_missed_and_none_is_false_while_both_are_killed_in_turns(
    make_redis_server: MakeRedisServer, killable_postgres: PostgresServer
) -> None:
    story = Story(make_redis_server(), killable_postgres)
    async with served_status(story.redis.url, database_url=story.postgres.url, status_check_s=CHECK_S) as served:
        async with StatusPublisher(story.redis.url) as worker, anyio.create_task_group() as tasks:
            for run_id in story.ends:
                tasks.start_soon(story.follow, served.url, run_id)
            await eventually(lambda: all(story.seen.values()), timeout_s=20.0)
            clients, connections = story.redis_clients(), story.postgres.connections()
            for _ in range(2):
                await story.with_redis_dead()
                await story.with_both(worker)
                await story.with_postgres_dead(worker)
                await story.with_both(worker)
            while story.waiting:
                await story.with_both(worker)
            last_s = anyio.current_time()
        assert anyio.current_time() - last_s < 10.0, "all streams have ended"
        assert story.seen == {run_id: ["running", status] for run_id, status in story.ends.items()}
        assert story.trouble >= RUNS / 2, "Redis' absence was told as what it is"
        await eventually(lambda: story.redis_clients() <= clients)
        assert story.postgres.connections() <= max(connections, DATABASE_CONNECTIONS_MAX)
    await eventually(lambda: story.postgres.connections() == 0)
