/**
 * The lines of a job: any number of them, some eighty in the page.
 *
 * For a screen reader the log is a region to be read at will, and not announced line by line; a summary is spoken at
 * most every five seconds.
 */
import { type CSSProperties, type ReactNode, useMemo, useState, useSyncExternalStore } from "react";
import type { LineStore } from "../../log/line-store";
import { lastOffsetOf, offsetOf } from "../../log/log-rows";
import { plural } from "../format";
import { usePreference } from "../usePreference";
import { ROW_HEIGHT, digitsOf } from "./geometry";
import type { LogController } from "./log-controller";
import { LogControlsContext, useLogControls } from "./log-controls";
import { LogAppearanceContext, useLogAppearance } from "./row/log-appearance-context";
import { useLogSearch } from "./find/log-search-context";
import { LogFind } from "./find/LogFind";
import { LogKnowledge } from "./LogKnowledge";
import { LogSlot, newsOf } from "./row/LogSlot";
import { LogToolbar } from "./LogToolbar";
import { Spoken } from "./Spoken";
import { Ticks } from "./find/Ticks";
import { useAddress, useLogController, useScroller } from "./useLogView";

interface LogViewerProps {
  readonly log: LineStore;
  readonly jobId: string;
  /** Whether more lines may come. */
  readonly running: boolean;
  /** When the job started, in milliseconds since the epoch. */
  readonly startedAt?: number | undefined;
  readonly downloadUrl: string;
  /** What stands where no line is. */
  readonly emptyText: string;
}

export function LogViewer(props: LogViewerProps) {
  const { log, jobId, running } = props;
  return (
    <LogKnowledge log={log} jobId={jobId} running={running}>
      <Viewer {...props} />
    </LogKnowledge>
  );
}

function Viewer({ log, jobId, running, startedAt, downloadUrl, emptyText }: LogViewerProps) {
  const controller = useLogController(log, jobId);
  useAddress(controller);
  return (
    <LogControlsContext value={controller}>
      <section className="log" aria-label="Output">
        <LogFind jobId={jobId}>
          <LogToolbar downloadUrl={downloadUrl}>
            <LineCount />
          </LogToolbar>
          <div className="log-frame">
            <Appearance startedAt={startedAt}>
              <Lines controller={controller} emptyText={emptyText} />
            </Appearance>
            <Ticks />
            <Pill running={running} />
            <Notice />
          </div>
        </LogFind>
        <Spoken log={log} />
      </section>
    </LogControlsContext>
  );
}

/** What the reader chose for the rows, in one place for all of them. */
function Appearance({
  startedAt,
  children,
}: {
  readonly startedAt: number | undefined;
  readonly children: ReactNode;
}) {
  const [timestamps] = usePreference("timestamps");
  const [raw] = usePreference("raw");
  const look = useMemo(() => ({ timestamps, raw, startedAt }), [timestamps, raw, startedAt]);
  return <LogAppearanceContext value={look}>{children}</LogAppearanceContext>;
}

function Lines({
  controller,
  emptyText,
}: {
  readonly controller: LogController;
  readonly emptyText: string;
}) {
  const [scroller, setScroller] = useState<HTMLElement | null>(null);
  const handlers = useScroller(controller, scroller);
  const [wrap] = usePreference("wrap");
  const { frame } = controller.view;
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions, jsx-a11y/click-events-have-key-events -- a scroller hears its scrolling; a line's number is a link, which has keys
    <div
      className={wrap ? "log-scroller wrapped" : "log-scroller"}
      ref={setScroller}
      role="log"
      aria-live="off"
      aria-label="Lines"
      // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard
      tabIndex={0}
      {...handlers}
    >
      <span className="probe" aria-hidden="true">
        {"0".repeat(100)}
      </span>
      <div className="space" style={{ height: frame.height }}>
        <Rows controller={controller} />
      </div>
      {frame.rows.length === 0 && <p className="log-empty">{emptyText}</p>}
    </div>
  );
}

function Rows({ controller }: { readonly controller: LogController }) {
  useSyncExternalStore(controller.subscribe, () => controller.version);
  const { frame, loader } = controller.view;
  const { linked, selectsAll, log } = controller;
  const error = useLogSearch().error ?? null;
  const isDelta = useLogAppearance().timestamps === "delta";
  const style: CSSProperties & Record<"--digits", number> = {
    transform: `translateY(${frame.y}px)`,
    "--digits": digitsOf(log.total),
  };
  return (
    <div className="rows" style={style}>
      {frame.rows.map((placed, at) => {
        const { row, top } = placed;
        const last = frame.rows[at - 1]?.row;
        const held = top < frame.from || top >= frame.to;
        return (
          <LogSlot
            key={row.id}
            placed={placed}
            before={isDelta && last?.kind === "line" ? last.timestamp : undefined}
            heldAt={held ? (top - frame.from) * ROW_HEIGHT : null}
            linked={linked !== null && lastOffsetOf(row) >= linked.from && offsetOf(row) < linked.to}
            steppedTo={error !== null && lastOffsetOf(row) >= error && offsetOf(row) <= error}
            selected={selectsAll}
            onRetry={(offset) => loader.retry(offset)}
          />
        );
      })}
    </div>
  );
}

function LineCount() {
  const { log } = useLogControls();
  return (
    <>
      <span className="muted figures">{plural(log.total, "line")}</span>
      <span className="space-between" />
    </>
  );
}

/** The way back to the end, and what came there meanwhile. */
function Pill({ running }: { readonly running: boolean }) {
  const { following, unseen, follow } = usePill();
  if (following || (unseen.lines === 0 && !running)) return null;
  return (
    <button type="button" className={unseen.errors > 0 ? "pill bad" : "pill"} onClick={follow}>
      ↓ {unseen.lines > 0 ? newsOf(unseen) : "Follow"}
    </button>
  );
}

function usePill() {
  const controls = useLogControls();
  return { following: controls.following, unseen: controls.unseen, follow: () => controls.follow() };
}

function Notice() {
  const { notice } = useLogControls();
  return <output className={notice === null ? "log-notice unseen" : "log-notice"}>{notice}</output>;
}
