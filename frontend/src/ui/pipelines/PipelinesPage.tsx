/** Pipelines and how they stand, live; by polling where there is no stream. */
import { type FormEvent, useMemo, useState, useSyncExternalStore } from "react";
import { useClient } from "../../hooks/client-context";
import { useViews } from "../../hooks/usePipelineBoard";
import { usePipelineMonitoring, useTransportInfo } from "../../hooks/usePipelineStateAdapter";
import type { PipelineView } from "../../pipelines/pipeline-board";
import { ConnectionMark } from "../shared/ConnectionMark";
import { PageHead } from "../shared/PageHead";
import { PoliteSummary } from "../shared/PoliteSummary";
import { StatusBadge } from "../shared/StatusBadge";
import { Ago } from "../shared/Times";
import { formatCount, plural } from "../format";
import { type Column, DataTable, FirstCell } from "../table/DataTable";
import { useTitle } from "../shared/useTitle";
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
  useTitle("Pipelines");
  const rest = ids.length - rows.length;
  return (
    <section className="page" aria-labelledby="page-title">
      <PageHead
        title="Pipelines"
        summary={ids.length > 0 && plural(ids.length, "pipeline")}
        connection={ids.length > 0 && <Transport />}
      />
      <PoliteSummary>{spoken(views)}</PoliteSummary>
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

/** How many have each status, in a sentence. */
function spoken(views: ReadonlyMap<string, PipelineView>): string {
  const counts = new Map<string, number>();
  for (const { status } of views.values())
    if (status !== null) counts.set(status, (counts.get(status) ?? 0) + 1);
  return [...counts].map(([status, count]) => `${formatCount(count)} ${status}`).join(", ");
}

interface Row {
  readonly id: string;
  readonly view: PipelineView;
}

/** A pipeline that did not change keeps its row, and is not drawn again. */
const rowsOfViews = new WeakMap<PipelineView, Row>();

function rowOf(id: string, view: PipelineView): Row {
  const known = rowsOfViews.get(view);
  if (known?.id === id) return known;
  const row = { id, view };
  rowsOfViews.set(view, row);
  return row;
}

interface PipelinesTableProps {
  readonly views: ReadonlyMap<string, PipelineView>;
  readonly onRemove: (id: string) => void;
}

function PipelinesTable({ views, onRemove }: PipelinesTableProps) {
  const columns = useMemo(() => columnsOf(onRemove), [onRemove]);
  const rows = useMemo(() => [...views].map(([id, view]) => rowOf(id, view)), [views]);
  return <DataTable caption="Pipelines" columns={columns} rows={rows} rowKey={idOf} />;
}

const idOf = (row: Row): string => row.id;

function columnsOf(onRemove: (id: string) => void): readonly Column<Row>[] {
  return [
    {
      key: "pipeline",
      label: "Pipeline",
      cell: ({ id, view }) => <FirstCell under={view.problem?.message}>{id}</FirstCell>,
    },
    {
      key: "status",
      label: "Status",
      cell: ({ view: { status, problem } }) =>
        status === null ? (
          <span className="muted">{problem ? "–" : "…"}</span>
        ) : (
          <StatusBadge status={status} />
        ),
    },
    {
      key: "seen",
      label: "Last change seen",
      className: "wide",
      cell: ({ view }) => <Ago atMs={view.changedAtMs ?? undefined} />,
    },
    {
      key: "actions",
      label: <span className="unseen">Actions</span>,
      className: "number",
      cell: ({ id }) => (
        <button type="button" className="quiet" aria-label={`Remove ${id}`} onClick={() => onRemove(id)}>
          Remove
        </button>
      ),
    },
  ];
}
