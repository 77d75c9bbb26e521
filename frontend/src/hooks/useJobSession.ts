/** A job's session, kept for as long as the component is there and the job is the same. */
import { useEffect, useState, useSyncExternalStore } from "react";
import { JobSession, type JobSessionSettings, type JobSessionState } from "../log/job-session";
import type { LineStore } from "../log/line-store";
import { useClient } from "./client-context";

export type JobSessionOptions = Omit<JobSessionSettings, "source" | "jobId">;

export interface WatchedJob extends JobSessionState {
  readonly log: LineStore;
  readonly reconnect: () => void;
  readonly disconnect: () => void;
  /** Goes on behind the end, where the job is known to run again. Without effect unless done. */
  readonly resume: () => void;
}

/** The options count when the session begins: later ones have no effect until the job is another. */
export function useJobSession(jobId: string, options: JobSessionOptions = {}): WatchedJob {
  const { streams } = useClient();
  const begin = () => ({ session: new JobSession({ ...options, source: streams, jobId }), jobId });
  const [watched, setWatched] = useState(begin);
  let current = watched;
  if (watched.jobId !== jobId) {
    current = begin();
    setWatched(current);
  }
  const { session } = current;
  useEffect(() => {
    session.start();
    return () => session.stop();
  }, [session]);
  const state = useSyncExternalStore(session.subscribe, session.getState, session.getState);
  const { log, reconnect, disconnect, resume } = session;
  return { ...state, log, reconnect, disconnect, resume };
}
