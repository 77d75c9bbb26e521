/** Runs of tests and jobs: those under way, live, and those that ended while the page was open. */
import { useEffect } from "react";
import { useJobContext } from "../hooks/useJobContext";
import type { ActiveRun, RunEnd } from "../stream/run-registry";
import { StatusBadge } from "./StatusBadge";
import { Ago } from "./Times";
import { plural } from "./format";

export function RunsPage() {
  const { activeRuns, recentEnds, isLoaded, problem } = useJobContext();
  const runs = Object.values(activeRuns);
  useEffect(() => {
    document.title = runs.length > 0 ? `(${runs.length}) Runs · Fantail` : "Runs · Fantail";
  }, [runs.length]);
  return (
    <section className="page" aria-labelledby="runs-title">
      <div className="page-head">
        <h1 id="runs-title">Runs</h1>
        {isLoaded && runs.length > 0 && <p className="muted">{plural(runs.length, "run")} under way</p>}
      </div>
      {problem !== null && (
        <output className="box warn">
          <strong>The server does not say which runs are under way</strong>: {problem}. It is asked again.
        </output>
      )}
      {!isLoaded && problem === null && <p className="empty muted">Loading runs…</p>}
      {isLoaded && runs.length === 0 && recentEnds.length === 0 && <NoRuns />}
      {runs.length > 0 && <RunsTable runs={runs} />}
      {recentEnds.length > 0 && <EndsTable ends={recentEnds} />}
    </section>
  );
}

function NoRuns() {
  return (
    <div className="empty">
      <h2>Nothing is running</h2>
      <p className="muted">A run appears here as soon as it starts.</p>
    </div>
  );
}

function RunsTable({ runs }: { readonly runs: readonly ActiveRun[] }) {
  return (
    <table className="jobs">
      <caption className="unseen">Runs under way</caption>
      <thead>
        <tr>
          <th scope="col">Run</th>
          <th scope="col">Status</th>
          <th scope="col" className="wide">
            Started
          </th>
        </tr>
      </thead>
      <tbody>
        {runs.map((run) => (
          <tr key={run.runId}>
            <Name run={run} note={run.trouble ?? BROKEN[run.connection]} />
            <td>
              <StatusBadge status={run.status} />
            </td>
            <td className="wide">
              <Ago atMs={run.startedAtMs ?? undefined} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Where a run's connection is worth a word: it says nothing of the run. */
const BROKEN: Readonly<Record<string, string>> = { reconnecting: "Connection lost, reconnecting" };

function EndsTable({ ends }: { readonly ends: readonly RunEnd[] }) {
  return (
    <>
      <h2 className="ended">Ended since this page was opened</h2>
      <table className="jobs">
        <thead>
          <tr>
            <th scope="col">Run</th>
            <th scope="col">Status</th>
            <th scope="col" className="wide">
              Ended
            </th>
          </tr>
        </thead>
        <tbody>
          {ends.map((end) => (
            <tr key={end.runId}>
              <Name run={end} note={end.details ?? undefined} />
              <td>
                <StatusBadge status={end.outcome === "lost" ? "not known" : end.status} />
              </td>
              <td className="wide">
                <Ago atMs={end.atMs} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

interface NameProps {
  readonly run: Pick<ActiveRun, "runId" | "jobName">;
  readonly note: string | undefined;
}

function Name({ run, note }: NameProps) {
  return (
    <td className="job">
      {run.jobName}
      <span className="under muted">
        <span className="id">{run.runId}</span>
        {note !== undefined && <span>{note}</span>}
      </span>
    </td>
  );
}
