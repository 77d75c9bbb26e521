/**
 * A word about each run that ends, on whatever page: once a run, polite, and gone by itself.
 *
 * Nothing is asked for here. Runs are followed if a page listed them or started one; their ends are told wherever the
 * reader is by then. The page of runs keeps them all, so a notice that was missed is not lost.
 */
import { useEffect, useState } from "react";
import { Link } from "wouter";
import { useClient } from "../../hooks/client-context";
import type { RunEnd } from "../../runs/run-registry";
import { END_WORDS } from "./run-words";

/** How long a notice stays, in milliseconds: time enough to read it and to reach its link. */
export const NOTICE_MS = 15_000;

/** Notices at a time: more would cover the page; the page of runs has the rest. */
export const NOTICES_MAX = 3;

export function RunNotices() {
  const { runs } = useClient();
  const [ends, setEnds] = useState<readonly RunEnd[]>([]);
  useEffect(() => runs.onEnd((end) => setEnds((before) => [end, ...before].slice(0, NOTICES_MAX))), [runs]);
  const [newest] = ends;
  useEffect(() => {
    if (!newest) return undefined;
    const timer = setTimeout(() => setEnds([]), NOTICE_MS);
    return () => clearTimeout(timer);
  }, [newest]);
  return (
    <aside className="notices" aria-label="Notices">
      <output>
        {ends.map((end) => (
          <span key={end.runId} className={end.outcome === "failed" ? "box bad" : "box"}>
            {end.jobName}: {END_WORDS[end.outcome]}
          </span>
        ))}
      </output>
      {newest && (
        <p>
          <Link href="/runs" className="quiet">
            Runs
          </Link>
          <button type="button" className="quiet" onClick={() => setEnds([])}>
            Dismiss
          </button>
        </p>
      )}
    </aside>
  );
}
