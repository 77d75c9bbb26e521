/**
 * The runs under way for a whole tree of components, and what can be done about them.
 *
 * The provider belongs around all pages. By itself it asks for nothing and opens nothing: it only keeps following what
 * is known, so that an end is heard on whatever page. Which runs there are is asked for while a component uses
 * `useJobContext`.
 */
import { type ReactNode, createContext, use, useEffect, useMemo, useSyncExternalStore } from "react";
import type { ActiveRun, RunEnd } from "../runs/run-registry";
import type { RunStatus } from "../runs/run-status";
import { useClient } from "./client-context";

export interface JobContext {
  readonly isAnyJobRunning: boolean;
  /** The ids of jobs of which at least one run is under way. */
  readonly runningJobs: ReadonlySet<string>;
  readonly isJobRunning: (jobId: string) => boolean;
  /** The last status known of a job's runs; `null` where none is. */
  readonly getJobStatus: (jobId: string) => RunStatus | null;
  readonly setJobStatus: (jobId: string, status: RunStatus) => void;
  /** By the id of the run. */
  readonly activeRuns: Readonly<Record<string, ActiveRun>>;
  /** Follows a run from now on; a second call for the same run has no effect. */
  readonly startJobRun: (runId: string, jobId: string, jobName?: string) => void;
  /** Says that a run is over. Whoever says so first, it is told once. */
  readonly completeJobRun: (success: boolean, jobId: string, runId: string) => void;
  /** The runs that ended while somebody looked, the newest first. */
  readonly recentEnds: readonly RunEnd[];
  /** Whether the server has said which runs are under way; `problem` is why not. */
  readonly isLoaded: boolean;
  readonly problem: string | null;
}

const Context = createContext<JobContext | null>(null);

export interface JobProviderProps {
  readonly children: ReactNode;
  /** Hears of each run's end once: a place for a notice. `outcome` is never `failed` for a broken connection. */
  readonly onRunEnd?: (end: RunEnd) => void;
}

export function JobProvider({ children, onRunEnd }: JobProviderProps) {
  const { runs } = useClient();
  useEffect(() => runs.follow(), [runs]);
  useEffect(() => (onRunEnd ? runs.onEnd(onRunEnd) : undefined), [runs, onRunEnd]);
  const state = useSyncExternalStore(runs.subscribe, runs.getState, runs.getState);
  const context = useMemo<JobContext>(
    () => ({
      isAnyJobRunning: state.runningJobs.size > 0,
      runningJobs: state.runningJobs,
      isJobRunning: (jobId) => state.runningJobs.has(jobId),
      getJobStatus: (jobId) => state.jobStatuses.get(jobId) ?? null,
      setJobStatus: (jobId, status) => runs.setJobStatus(jobId, status),
      activeRuns: state.activeRuns,
      startJobRun: (runId, jobId, jobName) => runs.startJobRun(runId, jobId, jobName),
      completeJobRun: (success, jobId, runId) => runs.completeJobRun(success, jobId, runId),
      recentEnds: state.ends,
      isLoaded: state.loaded,
      problem: state.problem,
    }),
    [runs, state],
  );
  return <Context value={context}>{children}</Context>;
}

/** Asks the server which runs are under way for as long as the component is there. Throws outside of a `JobProvider`. */
export function useJobContext(): JobContext {
  const context = use(Context);
  if (!context) throw new Error("useJobContext must be used within a JobProvider");
  const { runs } = useClient();
  useEffect(() => runs.start(), [runs]);
  return context;
}
