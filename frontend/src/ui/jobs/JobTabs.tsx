/**
 * What a job printed, and what it changed. Both keep their place while the other is looked at: neither is ever taken
 * out of the page, and the diff, with its stream and its script, comes when it is first asked for.
 */
import { type KeyboardEvent, type ReactNode, Suspense, useEffect, useRef, useState } from "react";
import { useClient } from "../../hooks/client-context";
import { type Job, isTerminal } from "../../api/job";
import { replaceAddress } from "../../stream/platform";
import { Changes } from "../shared/Changes";
import { lazyPage } from "../lazy-page";

const DiffTab = lazyPage(async () => {
  try {
    return (await import("../diff/DiffTab")).default;
  } catch {
    // Another version of the server has another file; what is on the page stays.
    return () => <p className="log-empty">The diff could not be loaded. Reload the page to try again.</p>;
  }
});

type Tab = "log" | "diff";

const TABS: readonly Tab[] = ["log", "diff"];

interface JobTabsProps {
  readonly id: string;
  readonly job: Job;
  readonly log: ReactNode;
}

export function JobTabs({ id, job, log }: JobTabsProps) {
  const { api } = useClient();
  const [tab, setTab] = useState<Tab>(() => (globalThis.location?.hash === "#diff" ? "diff" : "log"));
  const diffIsReady = useDiffReady(tab === "diff");
  const buttons = useRef<Partial<Record<Tab, HTMLButtonElement | null>>>({});
  const change = (next: Tab): void => {
    setTab(next);
    // The address leads back to what is shown; lines have addresses of their own.
    const { pathname, search } = globalThis.location;
    replaceAddress(pathname + search + (next === "diff" ? "#diff" : ""));
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== "ArrowRight" && event.key !== "ArrowLeft") return;
    const next = tab === "log" ? "diff" : "log";
    change(next);
    buttons.current[next]?.focus();
  };
  const changed = (job.linesAdded ?? 0) + (job.linesRemoved ?? 0) > 0;
  return (
    <>
      <div className="tabs" role="tablist" aria-label="Of this job" tabIndex={-1} onKeyDown={onKeyDown}>
        {TABS.map((one) => (
          <button
            key={one}
            type="button"
            role="tab"
            id={`tab-${one}`}
            aria-controls={`panel-${one}`}
            aria-selected={tab === one}
            tabIndex={tab === one ? 0 : -1}
            ref={(element) => {
              buttons.current[one] = element;
            }}
            onClick={() => change(one)}
            // The script comes while the finger is on its way; where it does not come, the tab says so.
            onPointerEnter={one === "diff" ? () => void DiffTab.fetchAhead() : undefined}
          >
            {one === "log" ? "Log" : "Diff"}
            {one === "diff" && changed && <Changes added={job.linesAdded} removed={job.linesRemoved} />}
          </button>
        ))}
      </div>
      <div className="panels">
        <Panel tab="log" shown={tab === "log"}>
          {log}
        </Panel>
        <Panel tab="diff" shown={tab === "diff"}>
          {diffIsReady ? (
            <Suspense>
              <DiffTab
                attemptId={id}
                active={tab === "diff"}
                running={!isTerminal(job.status)}
                downloadUrl={api.patchUrl(id)}
              />
            </Suspense>
          ) : (
            tab === "diff" && <p className="log-empty">Loading…</p>
          )}
        </Panel>
      </div>
    </>
  );
}

/**
 * Whether the diff can be drawn: its script has come, and somebody wanted it. Not left to `Suspense`, as React holds
 * back for 300 ms what takes the place of a placeholder.
 */
function useDiffReady(wanted: boolean): boolean {
  const [ready, setReady] = useState(false);
  useEffect(() => {
    let gone = false;
    if (wanted) void DiffTab.fetchAhead().then(() => gone || setReady(true));
    return () => {
      gone = true;
    };
  }, [wanted]);
  return ready;
}

interface PanelProps {
  readonly tab: Tab;
  readonly shown: boolean;
  readonly children: ReactNode;
}

/** Invisible where it is not shown, and not gone: what is taken out of the layout forgets where it was scrolled to. */
function Panel({ tab, shown, children }: PanelProps) {
  return (
    <div
      role="tabpanel"
      id={`panel-${tab}`}
      aria-labelledby={`tab-${tab}`}
      className={shown ? undefined : "behind"}
      inert={!shown}
    >
      {children}
    </div>
  );
}
