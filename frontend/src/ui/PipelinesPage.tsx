/** Pipelines and how they stand, live; by polling where there is no stream. */
import { type FormEvent, memo, useEffect, useState, useSyncExternalStore } from "react";
import { useClient } from "../hooks/client-context";
import { useViews } from "../hooks/usePipelineBoard";
import { usePipelineMonitoring, useTransportInfo } from "../hooks/usePipelineStateAdapter";
import type { PipelineView } from "../stream/pipeline-board";
import { ConnectionMark } from "./ConnectionMark";
import { StatusBadge } from "./StatusBadge";
import { Ago } from "./Times";
import { formatCount, plural } from "./format";
import { usePipelineIds } from "./usePipelineIds";

/** Rows shown at first, and added at each wish for more; only what is shown is followed. */
const ROWS_STEP = 200;

export function PipelinesPage() {
  const { ids, add, remove } = usePipelineIds();
  const [shown, setShown] = useState(ROWS_STEP);
  const rows = ids.slice(0, shown);
  const { pipelines } = useClient();
  usePipelineMonitoring(rows);
  const views = useViews(pipelines.board, rows);
  useEffect(() => {
    document.title = "Pipelines · Fantail";
  }, []);
  const rest = ids.length - rows.length;
  return (
    <section className="page" aria-labelledby="pipelines-title">
      <div className="page-head">
        <h1 id="pipelines-title">Pipelines</h1>
        {ids.length > 0 && <p className="muted">{plural(ids.length, "pipeline")}</p>}
        {ids.length > 0 && <Transport />}
      </div>
      <Troubles />
      <AddForm onAdd={add} />
      {rows.length > 0 ? <PipelinesTable views={views} onRemove={remove} /> : <NoPipelines />}
      {rest > 0 && (
        <p className="more">
          <span className="muted">{plural(rest, "pipeline")} not shown.</span>{" "}
          <button type="button" onClick={() => setShown(shown + ROWS_STEP)}>
            Show {formatCount(Math.min(rest, ROWS_STEP))} more
          </button>
        </p>
      )}
    </section>
  );
}

function NoPipelines() {
  return (
    <div className="empty">
      <h2>No pipelines yet</h2>
      <p className="muted">Add the ids of those you want to watch. This browser remembers them.</p>
    </div>
  );
}

function Transport() {
  const { pipelines } = useClient();
  const { isSSEEnabled, isFallbackActive, resetFallback } = useTransportInfo();
  const connection = useSyncExternalStore(pipelines.onConnection, pipelines.getConnectionStatus);
  if (!isSSEEnabled) return <p className="connection">Asked every few seconds</p>;
  const retry = isFallbackActive ? resetFallback : () => pipelines.reconnect();
  return <ConnectionMark connection={connection} onRetry={retry} />;
}

/** What is wrong with what brings statuses. Nothing of it is about a pipeline. */
function Troubles() {
  const { pipelines } = useClient();
  const { board } = pipelines;
  const backend = useSyncExternalStore(board.subscribe, () => board.getBackendProblem());
  const { isFallbackActive } = useTransportInfo();
  const { problem } = useSyncExternalStore(pipelines.onConnection, pipelines.getConnectionStatus);
  return (
    <output>
      {isFallbackActive && (
        <span className="box warn">
          <strong>No live updates</strong>
          {problem && `: ${problem.message}`}. Statuses are asked for every few seconds until they are back.
        </span>
      )}
      {backend && (
        <span className="box warn">
          <strong>{backend.message}.</strong> Statuses below are the last that were known.
        </span>
      )}
    </output>
  );
}

function AddForm({ onAdd }: { readonly onAdd: (typed: string) => readonly string[] }) {
  const [typed, setTyped] = useState("");
  const [wrong, setWrong] = useState<readonly string[]>([]);
  function submit(event: FormEvent): void {
    event.preventDefault();
    const refused = onAdd(typed);
    setWrong(refused);
    setTyped(refused.join(" "));
  }
  return (
    <form className="add" onSubmit={submit}>
      <label>
        <span className="unseen">Pipeline ids to add</span>
        <input
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
          placeholder="pipeline-id, another-id"
          autoComplete="off"
          spellCheck={false}
          aria-invalid={wrong.length > 0}
          aria-describedby="add-note"
        />
      </label>
      <button type="submit" disabled={typed.trim() === ""}>
        Add
      </button>
      <output id="add-note" className="muted">
        {wrong.length > 0 && "An id is 2 to 40 of a–z, 0–9 and single hyphens, and begins with a letter."}
      </output>
    </form>
  );
}

interface PipelinesTableProps {
  readonly views: ReadonlyMap<string, PipelineView>;
  readonly onRemove: (id: string) => void;
}

function PipelinesTable({ views, onRemove }: PipelinesTableProps) {
  return (
    <table className="jobs">
      <thead>
        <tr>
          <th scope="col">Pipeline</th>
          <th scope="col">Status</th>
          <th scope="col" className="wide">
            Last change seen
          </th>
          <th scope="col">
            <span className="unseen">Actions</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {[...views].map(([id, view]) => (
          <PipelineRow key={id} id={id} view={view} onRemove={onRemove} />
        ))}
      </tbody>
    </table>
  );
}

interface PipelineRowProps {
  readonly id: string;
  readonly view: PipelineView;
  readonly onRemove: (id: string) => void;
}

const PipelineRow = memo(function PipelineRow({ id, view, onRemove }: PipelineRowProps) {
  const { status, problem, changedAtMs } = view;
  return (
    <tr>
      <td className="job">
        <span className="id">{id}</span>
        {problem && <span className="under muted">{problem.message}</span>}
      </td>
      <td>
        {status === null ? (
          <span className="muted">{problem ? "–" : "…"}</span>
        ) : (
          <StatusBadge status={status} />
        )}
      </td>
      <td className="wide">
        <Ago atMs={changedAtMs ?? undefined} />
      </td>
      <td className="number">
        <button type="button" className="quiet" aria-label={`Remove ${id}`} onClick={() => onRemove(id)}>
          Remove
        </button>
      </td>
    </tr>
  );
});
