/** A job's session, kept for as long as the component is there and the job is the same. */
import { useEffect, useState, useSyncExternalStore } from "react";
import { JobSession, type JobSessionSettings, type JobSessionState } from "../stream/job-session";
import type { LineStore } from "../stream/line-store";
import { useClient } from "./client-context";

export type JobSessionOptions = Omit<JobSessionSettings, "source" | "jobId">;

export interface WatchedJob extends JobSessionState {
  readonly log: LineStore;
  readonly reconnect: () => void;
  readonly disconnect: () => void;
}

/** The options count when the session begins: later ones have no effect until the job is another. */
export function useJobSession(jobId: string, options: JobSessionOptions = {}): WatchedJob {
  const { streams } = useClient();
  const [watched, setWatched] = useState(() =>
    watch(new JobSession({ ...options, source: streams, jobId }), jobId),
  );
  let current = watched;
  if (watched.jobId !== jobId) {
    current = watch(new JobSession({ ...options, source: streams, jobId }), jobId);
    setWatched(current);
  }
  const { session } = current;
  useEffect(() => {
    session.start();
    return () => session.stop();
  }, [session]);
  const state = useSyncExternalStore(session.subscribe, session.getState, session.getState);
  return { ...state, log: session.log, reconnect: current.reconnect, disconnect: current.disconnect };
}

function watch(session: JobSession, jobId: string) {
  return { session, jobId, reconnect: () => session.reconnect(), disconnect: () => session.disconnect() };
}
