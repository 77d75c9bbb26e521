/** All jobs, newest first, live. */
import { memo, useEffect, useMemo, useState } from "react";
import { Link } from "wouter";
import { useTables } from "../hooks/useTables";
import { type Job, isTerminal, readRow } from "../stream/job";
import { type JsonObject, isObject } from "../stream/json";
import { ConnectionMark } from "./ConnectionMark";
import { StatusBadge } from "./StatusBadge";
import { Ago, Duration } from "./Times";
import { formatCount, plural } from "./format";

/** Rows shown at first, and added at each wish for more: a screenful many times over, and quick to draw. */
const ROWS_STEP = 200;

export function JobsPage() {
  const { table, ready, connection, reconnect } = useTables("jobs");
  const rows = table("jobs");
  const jobs = useMemo(() => newestFirst(rows), [rows]);
  const running = jobs.filter((job) => job.status === "running").length;
  useEffect(() => {
    document.title = running > 0 ? `(${running}) Jobs · Fantail` : "Jobs · Fantail";
  }, [running]);
  return (
    <section className="page" aria-labelledby="jobs-title">
      <div className="page-head">
        <h1 id="jobs-title">Jobs</h1>
        {ready && jobs.length > 0 && (
          <p className="muted">
            {running > 0 && `${formatCount(running)} running of `}
            {plural(jobs.length, "job")}
          </p>
        )}
        <ConnectionMark connection={connection} onRetry={reconnect} />
      </div>
      {!ready && <p className="empty muted">Loading jobs…</p>}
      {ready && jobs.length === 0 && <NoJobs />}
      {jobs.length > 0 && <JobsTable jobs={jobs} />}
    </section>
  );
}

function NoJobs() {
  return (
    <div className="empty">
      <h2>No jobs yet</h2>
      <p>Put this in front of any command, and watch it here:</p>
      <pre>
        <code>fantail run -- make</code>
      </pre>
      <p className="muted">The job appears on this page as soon as it starts; nothing has to be reloaded.</p>
    </div>
  );
}

function JobsTable({ jobs }: { readonly jobs: readonly Job[] }) {
  const [shown, setShown] = useState(ROWS_STEP);
  const rest = jobs.length - shown;
  return (
    <>
      <table className="jobs">
        <thead>
          <tr>
            <th scope="col">Job</th>
            <th scope="col">Status</th>
            <th scope="col" className="wide">
              Branch
            </th>
            <th scope="col" className="wide">
              Started
            </th>
            <th scope="col" className="number">
              Duration
            </th>
            <th scope="col" className="wide number">
              Changes
            </th>
          </tr>
        </thead>
        <tbody>
          {jobs.slice(0, shown).map((job) => (
            <JobRow key={job.id} job={job} />
          ))}
        </tbody>
      </table>
      {rest > 0 && (
        <p className="more">
          <span className="muted">{plural(rest, "older job")} not shown.</span>{" "}
          <button type="button" onClick={() => setShown(shown + ROWS_STEP)}>
            Show {formatCount(Math.min(rest, ROWS_STEP))} more
          </button>
        </p>
      )}
    </>
  );
}

const JobRow = memo(function JobRow({ job }: { readonly job: Job }) {
  const name = job.name ?? job.prompt ?? job.command ?? job.id;
  const startedAt = job.startedAt ?? job.createdAt;
  const running = job.startedAt !== undefined && !isTerminal(job.status);
  return (
    <tr>
      <td className="job">
        <Link href={`/jobs/${encodeURIComponent(job.id)}`}>{name}</Link>
        <span className="under muted">
          {name !== job.id && <span className="id">{job.id}</span>}
          {job.repoName !== undefined && <span className="wide">{job.repoName}</span>}
          <span className="narrow">
            <Ago atMs={startedAt} />
          </span>
        </span>
      </td>
      <td>
        <StatusBadge status={job.status} stale={job.stale} />
      </td>
      <td className="wide branch">{job.branch ?? <span className="muted">–</span>}</td>
      <td className="wide">
        <Ago atMs={startedAt} />
      </td>
      <td className="number">
        <Duration startedAt={job.startedAt} finishedAt={job.finishedAt} running={running} />
      </td>
      <td className="wide number">
        <Changes added={job.linesAdded} removed={job.linesRemoved} />
      </td>
    </tr>
  );
});

/** Lines added and removed. */
export function Changes({ added = 0, removed = 0 }: { readonly added?: number; readonly removed?: number }) {
  if (added === 0 && removed === 0) return <span className="muted">–</span>;
  return (
    <span className="figures">
      <span className="added">+{formatCount(added)}</span>{" "}
      <span className="removed">−{formatCount(removed)}</span>
    </span>
  );
}

/** A row that did not change keeps its job object too, and is not drawn again. */
const read = new WeakMap<JsonObject, Job>();

function jobOf(id: string, row: JsonObject): Job {
  const known = read.get(row);
  if (known) return known;
  const job = readRow(id, row);
  read.set(row, job);
  return job;
}

function newestFirst(rows: JsonObject): readonly Job[] {
  const jobs = Object.entries(rows).flatMap(([id, row]) => (isObject(row) ? [jobOf(id, row)] : []));
  return jobs.toSorted((one, other) => ageKey(other) - ageKey(one) || compare(other.id, one.id));
}

function ageKey(job: Job): number {
  return job.createdAt ?? job.startedAt ?? 0;
}

function compare(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}
