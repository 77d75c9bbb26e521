"""What dashboards of tests and runs ask for once: the status of a run, the runs that are under way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fantail.broker.producers.writer.status_publisher import StatusPublisher
from support.clients.sse_client import open_stream
from support.status_tables import SqliteTables, insert, new_id
from support.supercheck_board import COMPLETED, STARTED, Dashboard, dashboard, shown
from support.wait import eventually

if TYPE_CHECKING:
    from redis.asyncio import Redis


async def test_a_client_that_polls_is_told_all_of_a_run(redis_url: str, tables: SqliteTables) -> None:
    run_id, job_id = new_id(), new_id()
    insert(tables, "runs", id=run_id, job_id=job_id, status="running", started_at=STARTED)
    insert(tables, "reports", entity_type="job", entity_id=run_id, status="passed", s3_url="http://s3/r")
    async with dashboard(redis_url, database_url=tables.url) as board:
        before = {
            "runId": run_id,
            "jobId": job_id,
            "status": "running",
            "startedAt": STARTED,
            "completedAt": None,
            "duration": None,
            "errorDetails": None,
            "reportUrl": "http://s3/r",
        }
        assert (await board.get(f"/api/runs/{run_id}/status")).json() == before
        async with StatusPublisher(redis_url) as worker:
            await worker.run(run_id, "failed", completedAt=COMPLETED, duration="60s", errorDetails="no")
        ahead = {**before, "status": "failed", "completedAt": COMPLETED, "duration": "60s", "errorDetails": "no"}
        assert (await board.get(f"/api/runs/{run_id}/status")).json() == ahead, "the database lags behind the worker"


async def test_without_a_database_a_run_is_what_workers_said(board: Dashboard) -> None:
    assert (await board.get("/api/runs/r/status")).status_code == 404
    await board.say("job:r:complete", status="passed", completedAt=COMPLETED, jobId="j")
    await eventually(lambda: board.kept("run", "r", "passed"))
    assert (await board.get("/api/runs/r/status")).json() == {
        "runId": "r",
        "jobId": "j",
        "status": "passed",
        "startedAt": None,
        "completedAt": COMPLETED,
        "duration": None,
        "errorDetails": None,
        "reportUrl": None,
    }


async def test_a_database_without_runs_leaves_them_to_what_workers_said(redis_url: str, tables: SqliteTables) -> None:
    tables.execute("DROP TABLE runs")
    async with dashboard(redis_url, database_url=tables.url) as board, StatusPublisher(redis_url) as worker:
        assert (await board.get("/api/runs/r/status")).status_code == 404
        await worker.run("r", "passed")
        assert (await board.get("/api/runs/r/status")).json()["status"] == "passed"


async def test_the_running_jobs_are_the_databases_runs(redis_url: str, tables: SqliteTables) -> None:
    run_id, job_id = new_id(), new_id()
    insert(tables, "jobs", id=job_id, name="Nightly")
    insert(tables, "runs", id=run_id, job_id=job_id, status="running")
    async with dashboard(redis_url, database_url=tables.url) as board:
        found = (await board.get("/api/jobs/status/running")).json()
        assert found == {"runningJobs": [{"jobId": job_id, "name": "Nightly", "runId": run_id}]}


async def test_without_a_database_the_running_jobs_are_our_own(redis_url: str, redis_client: Redis) -> None:
    await redis_client.hset("job:1", mapping={"id": "1", "name": "Build", "status": "running"})
    await redis_client.hset("job:2", mapping={"id": "2", "name": "Test", "status": "success"})
    async with dashboard(redis_url, tailed=True) as board:
        found = (await board.get("/api/jobs/status/running")).json()
        assert found == {"runningJobs": [{"jobId": "1", "name": "Build", "runId": "1"}]}


async def test_without_a_database_a_job_of_ours_is_a_run_to_its_end(redis_url: str, redis_client: Redis) -> None:
    await redis_client.hset("job:1", mapping={"id": "1", "status": "running", "started_at": "1701561234567"})
    async with dashboard(redis_url, tailed=True, status_check_s=0.2) as board:
        running = (await board.get("/api/runs/1/status")).json()
        assert (running["jobId"], running["status"], running["startedAt"]) == (
            "1",
            "running",
            "2023-12-02T23:53:54.567Z",
        )
        async with open_stream(board.run_url("1")) as stream:
            first = await shown(stream)
            assert first == {"status": "running", "runId": "1", "startedAt": "2023-12-02T23:53:54.567Z"}
            await redis_client.hset("job:1", mapping={"status": "success", "finished_at": "1701561294567"})
            last = await shown(stream)
            assert (last["status"], last["completedAt"]) == ("passed", "2023-12-02T23:54:54.567Z")
            assert await stream.rest() == []
        assert (await board.get("/api/runs/1/status")).json()["status"] == "passed"
        assert (await board.get("/api/jobs/status/running")).json() == {"runningJobs": []}


async def test_a_job_of_somebody_else_is_no_run_of_mine(redis_url: str, redis_client: Redis) -> None:
    await redis_client.hset("job:1", mapping={"id": "1", "status": "running", "user_id": "ada"})
    async with dashboard(redis_url, tailed=True, jwt=True) as board:
        for path in ("/api/runs/1/status", "/api/job-status/events/1"):
            refused = await board.get(path, headers=board.served.bearer("eve"))
            assert refused.status_code == 403, path
        assert (await board.get("/api/runs/1/status", headers=board.served.bearer("ada"))).status_code == 200
        listed = await board.get("/api/jobs/status/running", headers=board.served.bearer("eve"))
        assert listed.json() == {"runningJobs": []}
