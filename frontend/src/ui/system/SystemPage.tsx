/** How the server is: what it holds, who reads, how far behind, and how that was in the last minutes. For admins. */
import { useEffect, useState, useSyncExternalStore } from "react";
import type { ConnectionStatus } from "../../stream/stream-source";
import { type StoreOrder, type SystemInfo, type SystemState, SystemWatch } from "../../api/system";
import { ConnectionMark } from "../shared/ConnectionMark";
import { Loading, PageHead, Trouble } from "../shared/PageHead";
import { formatCount, formatDuration, plural } from "../format";
import { Tiles } from "./Tiles";
import { STORE_COLUMNS, storeKey } from "./store-columns";
import { DataTable } from "../table/DataTable";
import { useTitle } from "../shared/useTitle";

export function SystemPage() {
  const [watch] = useState(() => new SystemWatch());
  useEffect(() => watch.start(), [watch]);
  const state = useSyncExternalStore(watch.subscribe, watch.getState);
  useTitle("System");
  const { info, problem } = state;
  return (
    <section className="page" aria-labelledby="page-title">
      <PageHead
        title="System"
        summary={info && `Fantail ${info.version}, up for ${formatDuration(info.uptimeS * 1000)}`}
        connection={
          (info || !problem) && <ConnectionMark connection={connectionOf(state)} onRetry={watch.askNow} />
        }
      />
      {!info && !problem && <Loading what="the server's state" />}
      {!info && problem && (
        <NothingToShow status={problem.status} message={problem.message} onRetry={watch.askNow} />
      )}
      {info && <Notices info={info} problem={problem} />}
      {info && <Tiles info={info} samples={state.samples} />}
      {info && <Lists info={info} order={state.order} onOrder={watch.orderBy} />}
    </section>
  );
}

/** The questions' luck, in the words that every page has for its stream. */
function connectionOf({ info, problem }: SystemState): ConnectionStatus {
  const state = problem ? "reconnecting" : info ? "connected" : "connecting";
  return { state, attempt: 0, retryAtMs: null, problem: null };
}

interface NothingToShowProps {
  readonly status: number;
  readonly message: string;
  readonly onRetry: () => void;
}

function NothingToShow({ status, message, onRetry }: NothingToShowProps) {
  if (status === 403)
    return (
      <Trouble title="For admins only">
        This page tells of everyone's jobs. A token made with <code>fantail token --admin</code> opens it.
      </Trouble>
    );
  if (status === 401)
    return (
      <Trouble title="You are signed out">
        <a href="/login">Sign in</a>
      </Trouble>
    );
  return (
    <Trouble title="The server does not say how it is" onRetry={onRetry}>
      {message}
    </Trouble>
  );
}

interface NoticesProps {
  readonly info: SystemInfo;
  readonly problem: SystemState["problem"];
}

function Notices({ info, problem }: NoticesProps) {
  return (
    <>
      {problem && (
        <output className="box warn">
          <strong>The server does not answer</strong>: {problem.message}. Below is what it said last.
        </output>
      )}
      {!problem && !info.sourceAvailable && (
        <p className="box bad" role="alert">
          <strong>Redis does not answer.</strong> What is shown of jobs is what was known of them; it is tried
          again.
        </p>
      )}
      {!problem && info.tablesLack && (
        <output className="box warn">
          <strong>Lists are incomplete.</strong> {info.tablesLack}.
        </output>
      )}
      {!problem && info.draining && (
        <output className="box warn">
          <strong>The server is about to stop.</strong> Streams are being ended.
        </output>
      )}
    </>
  );
}

interface ListsProps {
  readonly info: SystemInfo;
  readonly order: StoreOrder;
  readonly onOrder: (order: StoreOrder) => void;
}

/** What is open for whom, why streams ended, and what the stores hold. */
function Lists({ info, order, onOrder }: ListsProps) {
  const rest = info.storesTotal - info.stores.length;
  return (
    <>
      <div className="counts">
        <Counts title="Open streams" counts={info.streamsByFace} none="None is open." />
        <Counts title="Ended streams" counts={info.streamsEnded} none="None has ended yet." />
        <Figures title="Pipelines" figures={info.pipelines} />
        <Figures title="Tests and runs" figures={info.statuses} />
        <section>
          <h2>Redis</h2>
          <dl>
            <div>
              <dt>answers</dt>
              <dd>{info.sourceAvailable ? "yes" : "no"}</dd>
            </div>
            <div>
              <dt>how changes are noticed</dt>
              <dd>{info.sourceMode}</dd>
            </div>
          </dl>
        </section>
      </div>
      <details className="section">
        <summary>Bounds that are set</summary>
        <Figures figures={info.settings} />
      </details>
      <h2 className="section">Stores in memory</h2>
      {info.stores.length === 0 ? (
        <p className="muted">
          None: a job takes memory only while somebody watches it, and for a while after.
        </p>
      ) : (
        <DataTable
          caption="Stores in memory"
          columns={STORE_COLUMNS}
          rows={info.stores}
          rowKey={storeKey}
          sort={{ key: order, descending: true }}
          onSort={(key) => {
            if (isStoreOrder(key)) onOrder(key);
          }}
        />
      )}
      {rest > 0 && (
        <p className="more muted">
          {plural(rest, "further store")} not shown: sorted by another column, others come first.
        </p>
      )}
    </>
  );
}

interface FiguresProps {
  readonly title?: string;
  readonly figures: SystemInfo["settings"];
}

/** What a source says of itself, by its own names; nothing, where it is not set. */
function Figures({ title, figures }: FiguresProps) {
  if (figures.length === 0) return null;
  return (
    <section className="figures-of">
      {title !== undefined && <h2>{title}</h2>}
      <dl>
        {figures.map(([name, value]) => (
          <div key={name}>
            <dt>{words(name)}</dt>
            <dd className="figures">{figure(value)}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

/** `pollsUnderWay` as `polls under way`. */
function words(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function figure(value: string | number | boolean): string {
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "number" ? formatCount(value) : value;
}

function isStoreOrder(key: string): key is StoreOrder {
  return key === "bytes" || key === "watchers" || key === "lag";
}

interface CountsProps {
  readonly title: string;
  readonly counts: SystemInfo["streamsByFace"];
  readonly none: string;
}

function Counts({ title, counts, none }: CountsProps) {
  return (
    <section>
      <h2>{title}</h2>
      {counts.length === 0 && <p className="muted">{none}</p>}
      <dl>
        {counts.map(([name, count]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd className="figures">{formatCount(count)}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
