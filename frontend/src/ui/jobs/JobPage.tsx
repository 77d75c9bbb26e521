/** One job: how it stands, what is known of it, and its lines. */
import { useSyncExternalStore } from "react";
import { Link } from "wouter";
import { useClient } from "../../hooks/client-context";
import { type WatchedJob, useJobSession } from "../../hooks/useJobSession";
import type { InitialView } from "../../api/initial-data";
import { type Job, type JobMetadata, isTerminal } from "../../api/job";
import { ConnectionMark } from "../shared/ConnectionMark";
import { Facts } from "./Facts";
import { JobTabs } from "./JobTabs";
import { NotFound } from "../NotFound";
import { PageHead } from "../shared/PageHead";
import { PoliteSummary } from "../shared/PoliteSummary";
import { StatusBadge } from "../shared/StatusBadge";
import { LogViewer } from "../log/LogViewer";
import { withCodes } from "../../log/terminal/invisible";
import { visible } from "../shared/VisibleText";
import { nameOf } from "./job-name";
import { listAddress } from "./useJobQuery";
import { useJobDetails } from "./useJobDetails";
import { useLogTotal } from "./useLogTotal";
import { useTitle } from "../shared/useTitle";

/** Lines asked for where the page brought none: several screens, at once on the screen; older ones follow on wish. */
const TAIL_LINES = 1_000;

/** Lines kept in memory, and their bytes; what was not looked at for longest goes first, and is loaded when it is again. */
const LINES_MAX = 100_000;
const LINES_BYTES_MAX = 48 * 1024 * 1024;

/** The wait after a first failed try: a server on the same machine is back in a second or two. */
const RECONNECT_MS = 1_000;

export interface JobPageProps {
  readonly id: string;
  /** What the server wrote into the page, where it is of this job. */
  readonly initial: Extract<InitialView, { page: "job" }> | null;
}

export function JobPage({ id, initial }: JobPageProps) {
  const found = initial?.job ? initial : null;
  // Another trouble than "not there" may pass; the stream finds out, and says.
  const missing = initial !== null && !found && (initial.errorStatus ?? 404) === 404;
  return missing ? <NotFound what="job" /> : <FoundJob id={id} initial={found} />;
}

function FoundJob({ id, initial }: JobPageProps) {
  const session = useJobSession(id, {
    initialJob: initial?.job ?? undefined,
    initialOutput: initial?.output,
    initialFrom: initial?.from,
    initialPosition: initial?.position,
    tail: initial?.position ? undefined : TAIL_LINES,
    initialTotal: initial?.total,
    maxLines: LINES_MAX,
    maxBytes: LINES_BYTES_MAX,
    reconnectDelay: RECONNECT_MS,
  });
  const { job, missing } = useJobDetails(id, initial?.job ?? null, session);
  const shown = merged(id, job, session);
  const title = nameOf(shown);
  useTitle(`${SIGNS.get(shown.status) ?? "○"} ${withCodes(title)}`);
  if (missing && !job) return <NotFound what="job" />;
  return (
    <article className="page job-page" aria-labelledby="page-title">
      <PageHead
        crumbs={
          <nav aria-label="Breadcrumb" className="crumbs muted">
            <Link href={listAddress()}>Jobs</Link> <span aria-hidden="true">/</span>
          </nav>
        }
        title={visible(title)}
        summary={<StatusBadge status={shown.status} stale={shown.stale} />}
        connection={<JobConnection session={session} />}
      />
      <PoliteSummary>{`${title}: ${shown.status}`}</PoliteSummary>
      <Facts job={shown} />
      <Troubles job={shown} error={session.error} />
      <JobTabs id={id} job={shown} log={<Log id={id} session={session} job={shown} />} />
    </article>
  );
}

function JobConnection({ session }: { readonly session: WatchedJob }) {
  const { connection, error, log, reconnect } = session;
  const behind = useSyncExternalStore(log.subscribe, () => log.behind);
  return (
    <ConnectionMark connection={connection} onRetry={reconnect} withReason={error === null} behind={behind} />
  );
}

function Log({ id, session, job }: { readonly id: string; readonly session: WatchedJob; readonly job: Job }) {
  const { api } = useClient();
  useLogTotal(session.log, id, session.connection.state === "connected");
  return (
    <LogViewer
      log={session.log}
      jobId={id}
      running={!isTerminal(job.status) && !session.isDone && session.connection.state !== "error"}
      startedAt={job.startedAt ?? job.createdAt}
      downloadUrl={api.downloadUrl(id)}
      emptyText={emptyText(job, session)}
    />
  );
}

function emptyText(job: Job, { isDone, connection }: WatchedJob): string {
  if (job.outputExpired) return "The output of this job has expired.";
  if (connection.state === "error") return "No lines were received.";
  if (isDone) return "The job ended without output.";
  return job.status === "pending" ? "The job has not started yet." : "Waiting for the first line…";
}

interface TroublesProps {
  readonly job: Job;
  readonly error: string | null;
}

/** The job's own failure, and the server's complaints about the stream: two boxes, for they are two things. */
function Troubles({ job, error }: TroublesProps) {
  return (
    <>
      <Failure job={job} />
      {job.stale === true && !isTerminal(job.status) && (
        <div className="box warn" role="note">
          <strong>Its runner has gone silent.</strong> The job may have been lost with the machine it ran on;
          what is shown is the last that it said.
        </div>
      )}
      {job.outputExpired === true && (
        <div className="box warn" role="note">
          <strong>The output has expired.</strong> What is known of the job is kept longer than its lines.
        </div>
      )}
      {job.mrWarning !== undefined && (
        <div className="box warn" role="note">
          <span className="message">{visible(job.mrWarning)}</span>
        </div>
      )}
      {error !== null && (
        <div className="box warn" role="alert">
          <span className="message">{error}</span>
        </div>
      )}
    </>
  );
}

function Failure({ job }: { readonly job: Job }) {
  const { status, errorMessage, exitCode } = job;
  if (status !== "failed" && errorMessage === undefined) return null;
  const reason =
    errorMessage ?? (exitCode === undefined ? "" : `The command ended with exit code ${exitCode}.`);
  return (
    <div className="box bad" role="alert">
      <strong>{status === "failed" ? "Failed" : "Error"}</strong>{" "}
      <span className="message">{visible(reason)}</span>
    </div>
  );
}

/** What the stream says is newer than what was fetched, once it has said anything. */
function merged(id: string, job: Job | null, session: WatchedJob): Job {
  const base: Job = job ?? { id, status: session.status };
  if (!session.heard) return base;
  return { ...base, ...present(session.metadata), status: session.status };
}

function present(metadata: JobMetadata): JobMetadata {
  return Object.fromEntries(Object.entries(metadata).filter(([, value]) => value !== undefined));
}

const SIGNS: ReadonlyMap<string, string> = new Map([
  ["running", "●"],
  ["success", "✓"],
  ["failed", "✕"],
  ["cancelled", "–"],
]);
