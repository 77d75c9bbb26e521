/** What the list of jobs shows of each. */
import { Link } from "wouter";
import { type Job, isTerminal } from "../../api/job";
import { Changes } from "../shared/Changes";
import { StatusBadge } from "../shared/StatusBadge";
import { Ago, Duration } from "../shared/Times";
import { type Column, FirstCell } from "../table/DataTable";
import { withCodes } from "../../log/terminal/invisible";
import { Foreign } from "../shared/VisibleText";
import { nameOf } from "./job-name";

export const JOB_COLUMNS: readonly Column<Job>[] = [
  { key: "job", label: "Job", sortable: true, cell: (job) => <Name job={job} /> },
  {
    key: "status",
    label: "Status",
    sortable: true,
    cell: (job) => <StatusBadge status={job.status} stale={job.stale} />,
  },
  {
    key: "branch",
    label: "Branch",
    className: "wide",
    sortable: true,
    cell: ({ branch }) =>
      branch === undefined ? (
        <span className="muted">–</span>
      ) : (
        <span title={withCodes(branch)}>
          <Foreign>{branch}</Foreign>
        </span>
      ),
  },
  {
    key: "started",
    label: "Started",
    className: "wide",
    sortable: true,
    cell: (job) => <Ago atMs={job.startedAt ?? job.createdAt} />,
  },
  {
    key: "duration",
    label: "Duration",
    className: "wide number",
    sortable: true,
    cell: (job) => <Lasted job={job} />,
  },
  {
    key: "changes",
    label: "Changes",
    className: "wide number",
    sortable: true,
    cell: (job) => <Changes added={job.linesAdded} removed={job.linesRemoved} />,
  },
];

function Lasted({ job }: { readonly job: Job }) {
  const { startedAt, finishedAt, status } = job;
  const running = startedAt !== undefined && !isTerminal(status);
  return <Duration startedAt={startedAt} finishedAt={finishedAt} running={running} />;
}

function Name({ job }: { readonly job: Job }) {
  const name = nameOf(job);
  const detail = job.command !== undefined && job.command !== name ? job.command : undefined;
  return (
    <FirstCell
      under={
        <>
          <span className="narrow figures">
            <Ago atMs={job.startedAt ?? job.createdAt} />
            {job.startedAt !== undefined && (
              <>
                {" · "}
                <Lasted job={job} />
              </>
            )}
          </span>
          {job.repoName !== undefined && (
            <span className="wide">
              <Foreign>{job.repoName}</Foreign>
            </span>
          )}
          <code className="wide" title={detail && withCodes(detail)}>
            <Foreign>{detail ?? job.id}</Foreign>
          </code>
        </>
      }
    >
      <Link href={`/jobs/${encodeURIComponent(job.id)}`} title={withCodes(name)}>
        <Foreign>{name}</Foreign>
      </Link>
    </FirstCell>
  );
}
