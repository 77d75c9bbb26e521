/** All jobs, live: filtered, sorted, and as many of them in the page as can be seen. */
import { useMemo } from "react";
import { useTables } from "../../hooks/useTables";
import type { Job } from "../../api/job";
import type { ConnectionStatus } from "../../stream/stream-source";
import { ConnectionMark } from "../shared/ConnectionMark";
import { CopyButton } from "../shared/CopyButton";
import { Loading, PageHead, Trouble } from "../shared/PageHead";
import { PoliteSummary } from "../shared/PoliteSummary";
import { formatCount, plural } from "../format";
import { JobFilters } from "./JobFilters";
import { JOB_COLUMNS } from "./job-columns";
import { countStatuses, firstDirection, jobsOf, matchingText, ofStatuses, sorted } from "./job-list";
import { type JobQuery, useJobQuery } from "./useJobQuery";
import { DataTable } from "../table/DataTable";
import { useTitle } from "../shared/useTitle";

export function JobsPage() {
  const { table, leftOut, ready, connection, reconnect } = useTables("jobs");
  const rows = table("jobs");
  const jobs = useMemo(() => jobsOf(rows), [rows]);
  const running = useMemo(() => jobs.filter((job) => job.status === "running").length, [jobs]);
  useTitle(running > 0 ? `(${running}) Jobs` : "Jobs");
  const known = ready || jobs.length > 0;
  return (
    <section className="page" aria-labelledby="page-title">
      <PageHead
        title="Jobs"
        summary={known && jobs.length > 0 && summaryOf(running, jobs.length)}
        connection={<ConnectionMark connection={connection} onRetry={reconnect} />}
      />
      {!known && <NotYet connection={connection} onRetry={reconnect} />}
      {known && jobs.length === 0 && <NoJobs />}
      {leftOut("jobs") > 0 && <LeftOut count={leftOut("jobs")} shown={jobs.length} />}
      {jobs.length > 0 && <JobList jobs={jobs} />}
    </section>
  );
}

function summaryOf(running: number, total: number): string {
  return (running > 0 ? `${formatCount(running)} running of ` : "") + plural(total, "job");
}

/** Said above the list and not at its end, where nobody would come by: what is filtered and counted is not all. */
function LeftOut({ count, shown }: { readonly count: number; readonly shown: number }) {
  return (
    <p className="left-out muted" role="note">
      The newest {formatCount(shown)} are listed and searched; {plural(count, "older job")}{" "}
      {count === 1 ? "is" : "are"} left out. Each is still at its own address.
    </p>
  );
}

interface NotYetProps {
  readonly connection: ConnectionStatus;
  readonly onRetry: () => void;
}

function NotYet({ connection, onRetry }: NotYetProps) {
  const { state, problem } = connection;
  if (state !== "error") return <Loading what="jobs" />;
  return (
    <Trouble title="The jobs could not be loaded" onRetry={onRetry}>
      {problem?.message}
    </Trouble>
  );
}

const FIRST_JOB = "fantail run -- make";

function NoJobs() {
  return (
    <div className="empty">
      <h2>No jobs yet</h2>
      <p>Put this in front of any command, and watch it here:</p>
      <div className="command">
        <code>{FIRST_JOB}</code>
        <CopyButton text={FIRST_JOB} what="the command" />
      </div>
      <p className="muted">The job appears on this page as soon as it starts; nothing has to be reloaded.</p>
    </div>
  );
}

function JobList({ jobs }: { readonly jobs: readonly Job[] }) {
  const [query, change] = useJobQuery();
  const { text, statuses, sort } = query;
  const matching = useMemo(() => matchingText(jobs, text), [jobs, text]);
  const counts = useMemo(() => countStatuses(matching, statuses), [matching, statuses]);
  const listed = useMemo(() => sorted(ofStatuses(matching, statuses), sort), [matching, statuses, sort]);
  const onSort = (key: string): void => {
    change({
      sort: key === sort.key ? { key, descending: !sort.descending } : firstDirection(key),
    });
  };
  return (
    <>
      <JobFilters query={query} counts={counts} total={matching.length} onChange={change} />
      <PoliteSummary>{spoken(query, listed.length, counts)}</PoliteSummary>
      {listed.length > 0 ? (
        <DataTable
          caption="Jobs"
          columns={JOB_COLUMNS}
          rows={listed}
          rowKey={idOf}
          sort={sort}
          onSort={onSort}
        />
      ) : (
        <NoMatch onClear={() => change({ text: "", statuses: [] })} />
      )}
    </>
  );
}

const idOf = (job: Job): string => job.id;

function NoMatch({ onClear }: { readonly onClear: () => void }) {
  return (
    <div className="empty">
      <h2>No job matches</h2>
      <p>
        <button type="button" onClick={onClear}>
          Show all jobs
        </button>
      </p>
    </div>
  );
}

/** The list in a sentence, for those who do not see it change. */
function spoken(query: JobQuery, listed: number, counts: ReturnType<typeof countStatuses>): string {
  if (query.text !== "" || query.statuses.length > 0) return `${plural(listed, "job")} found`;
  return counts.map(([status, count]) => `${formatCount(count)} ${status}`).join(", ");
}
