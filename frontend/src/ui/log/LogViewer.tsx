/**
 * The lines of a job: any number of them, some eighty in the page.
 *
 * For a screen reader the log is a region to be read at will, and not announced line by line; a summary is spoken at
 * most every five seconds.
 */
import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import { useClient } from "../../hooks/client-context";
import type { LineStore } from "../../stream/line-store";
import { STRETCH_LINES, loadOlder } from "../../stream/log-history";
import { formatCount, plural } from "../format";
import { LogRow } from "./LogRow";
import { useLogView } from "./useLogView";

interface LogViewerProps {
  readonly log: LineStore;
  readonly jobId: string;
  /** Whether more lines may come. */
  readonly running: boolean;
  readonly downloadUrl: string;
  /** What stands where no line is. */
  readonly emptyText: string;
}

/** The offer of older lines is as high as two rows, so that its button can be met by a finger. */
const HEAD_ROWS = 2;

export function LogViewer({ log, jobId, running, downloadUrl, emptyText }: LogViewerProps) {
  useSyncExternalStore(log.subscribe, () => log.version);
  const older = log.older;
  const view = useLogView(log, older > 0 ? HEAD_ROWS : 0);
  const { setScroller, window, headRows, following, unseen, onScroll, onWheel, onKeyDown, pause, follow } =
    view;
  const rows = log.rows(log.start + window.from - headRows, log.start + window.to - headRows);
  const atTop = window.from === 0 && !following;
  return (
    <section className="log" aria-label="Output">
      <div className="log-bar">
        <LineCount log={log} />
        <button type="button" className="quiet" aria-pressed={following} onClick={following ? pause : follow}>
          Follow
        </button>
        <a className="quiet" href={downloadUrl} download>
          Download
        </a>
      </div>
      <div className="log-frame">
        {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- a scroller hears its scrolling */}
        <div
          className="log-scroller"
          ref={setScroller}
          role="log"
          aria-live="off"
          aria-label="Lines"
          // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard
          tabIndex={0}
          onScroll={onScroll}
          onWheel={onWheel}
          onTouchMove={pause}
          onKeyDown={onKeyDown}
        >
          <div className="space" style={{ height: view.height }}>
            <div
              className="rows"
              style={
                {
                  transform: `translateY(${window.offset}px)`,
                  "--digits": digitsOf(log),
                } as React.CSSProperties
              }
            >
              {headRows > 0 && window.from < headRows && (
                <Older log={log} jobId={jobId} older={older} wanted={atTop} skip={window.from} />
              )}
              {rows.map((row) => (
                <LogRow key={row.id} row={row} />
              ))}
            </div>
          </div>
          {log.start === log.end && <p className="log-empty">{emptyText}</p>}
        </div>
        {!following && (unseen > 0 || running) && (
          <button type="button" className="pill" onClick={follow}>
            ↓ {unseen > 0 ? `${formatCount(unseen)} new` : "Follow"}
          </button>
        )}
      </div>
      <Spoken log={log} />
    </section>
  );
}

function LineCount({ log }: { readonly log: LineStore }) {
  const lines = log.nextOffset;
  const shown = lines - log.older;
  return (
    <span className="muted figures">
      {plural(lines, "line")}
      {log.older > 0 && ` · last ${formatCount(shown)} loaded`}
    </span>
  );
}

interface OlderProps {
  readonly log: LineStore;
  readonly jobId: string;
  readonly older: number;
  /** Whether the reader came here by scrolling, which is a wish. */
  readonly wanted: boolean;
  /** Rows of the head above the first one drawn. */
  readonly skip: number;
}

/** What is left out above, and how to get it: by scrolling here, or by the button. */
function Older({ log, jobId, older, wanted, skip }: OlderProps) {
  const { api } = useClient();
  const [state, setState] = useState<"idle" | "loading" | { readonly failed: string }>("idle");
  const load = async (): Promise<void> => {
    setState("loading");
    const fetched = await loadOlder(log, jobId, api);
    if (!fetched.ok) setState({ failed: fetched.message });
    else setState(fetched.value > 0 ? "idle" : { failed: "these lines cannot be had any more" });
  };
  const asked = useRef(load);
  useEffect(() => {
    asked.current = load;
  });
  useEffect(() => {
    if (wanted && state === "idle") void asked.current();
  }, [wanted, state]);
  return (
    <div className="older" style={{ marginTop: skip > 0 ? `calc(var(--row) * -${skip})` : undefined }}>
      <span>
        {plural(older, "older line")} not loaded
        {typeof state === "object" && `: ${state.failed}`}
      </span>
      <button type="button" onClick={() => void load()} disabled={state === "loading"}>
        {state === "loading" ? "Loading…" : `Load ${formatCount(Math.min(older, STRETCH_LINES))}`}
      </button>
    </div>
  );
}

/** Between two spoken summaries, in milliseconds. */
const SPOKEN_MS = 5_000;

function Spoken({ log }: { readonly log: LineStore }) {
  const [words, setWords] = useState("");
  useEffect(() => {
    let said = log.nextOffset;
    const timer = setInterval(() => {
      const lines = log.nextOffset;
      if (lines > said) setWords(`${plural(lines - said, "new line")}, ${formatCount(lines)} in all`);
      said = lines;
    }, SPOKEN_MS);
    return () => clearInterval(timer);
  }, [log]);
  return <output className="unseen">{words}</output>;
}

/** Figures in the largest line number: the width of the gutter. */
function digitsOf(log: LineStore): number {
  return Math.max(3, String(log.nextOffset).length);
}
