/** Runs of tests and jobs: those under way, live, and those that ended while the page was open. */
import { useClient } from "../../hooks/client-context";
import { type JobContext, useJobContext } from "../../hooks/useJobContext";
import type { ActiveRun, RunEnd } from "../../runs/run-registry";
import type { ConnectionStatus } from "../../stream/stream-source";
import { ConnectionMark } from "../shared/ConnectionMark";
import { Loading, PageHead } from "../shared/PageHead";
import { StatusBadge } from "../shared/StatusBadge";
import { Ago } from "../shared/Times";
import { plural } from "../format";
import { type Column, DataTable, FirstCell } from "../table/DataTable";
import { useTitle } from "../shared/useTitle";

export function RunsPage() {
  const context = useJobContext();
  const { activeRuns, recentEnds, isLoaded, problem } = context;
  const { runs: registry } = useClient();
  const runs = Object.values(activeRuns);
  useTitle(runs.length > 0 ? `(${runs.length}) Runs` : "Runs");
  return (
    <section className="page" aria-labelledby="page-title">
      <PageHead
        title="Runs"
        summary={isLoaded && runs.length > 0 && `${plural(runs.length, "run")} under way`}
        connection={<ConnectionMark connection={connectionOf(context)} onRetry={registry.askNow} />}
      />
      {problem !== null && (
        <output className="box warn">
          <strong>The server does not say which runs are under way</strong>: {problem}. It is asked again.
        </output>
      )}
      {!isLoaded && problem === null && <Loading what="runs" />}
      {isLoaded && runs.length === 0 && recentEnds.length === 0 && <NoRuns />}
      {runs.length > 0 && (
        <DataTable caption="Runs under way" columns={RUN_COLUMNS} rows={runs} rowKey={idOf} />
      )}
      {recentEnds.length > 0 && (
        <>
          <h2 className="section">Ended since this page was opened</h2>
          <DataTable caption="Ended runs" columns={END_COLUMNS} rows={recentEnds} rowKey={idOf} />
        </>
      )}
    </section>
  );
}

/** The list is asked for and each run has a stream: the worst of them is what is said. */
function connectionOf({ activeRuns, isLoaded, problem }: JobContext): ConnectionStatus {
  const states = new Set(Object.values(activeRuns).map(({ connection }) => connection));
  const lost = problem !== null || states.has("reconnecting");
  const polled = states.has("polling") && !states.has("connected");
  const state = lost ? "reconnecting" : !isLoaded ? "connecting" : polled ? "polling" : "connected";
  return { state, attempt: 0, retryAtMs: null, problem: null };
}

function NoRuns() {
  return (
    <div className="empty">
      <h2>Nothing is running</h2>
      <p className="muted">A run appears here as soon as it starts.</p>
    </div>
  );
}

const idOf = (run: { readonly runId: string }): string => run.runId;

/** Where a run's connection is worth a word: it says nothing of the run. */
const BROKEN: Readonly<Record<string, string>> = { reconnecting: "Connection lost, reconnecting" };

const RUN_COLUMNS: readonly Column<ActiveRun>[] = [
  {
    key: "run",
    label: "Run",
    cell: (run) => <Name run={run} note={run.trouble ?? BROKEN[run.connection]} />,
  },
  { key: "status", label: "Status", cell: (run) => <StatusBadge status={run.status} /> },
  {
    key: "started",
    label: "Started",
    className: "wide",
    cell: (run) => <Ago atMs={run.startedAtMs ?? undefined} />,
  },
];

const END_COLUMNS: readonly Column<RunEnd>[] = [
  { key: "run", label: "Run", cell: (end) => <Name run={end} note={end.details ?? undefined} /> },
  {
    key: "status",
    label: "Status",
    cell: (end) => <StatusBadge status={end.outcome === "lost" ? "not known" : end.status} />,
  },
  { key: "ended", label: "Ended", className: "wide", cell: (end) => <Ago atMs={end.atMs} /> },
];

interface NameProps {
  readonly run: Pick<ActiveRun, "runId" | "jobName">;
  readonly note: string | undefined;
}

function Name({ run, note }: NameProps) {
  return (
    <FirstCell
      under={
        <>
          <code>{run.runId}</code>
          {note !== undefined && <span title={note}>{note}</span>}
        </>
      }
    >
      {run.jobName}
    </FirstCell>
  );
}
