/** The diff of a task attempt, live: by file for a viewer, as one text for everything else. */
import { useEffect, useMemo, useSyncExternalStore } from "react";
import { type DiffState, DiffStore } from "../stream/diff-store";
import { useClient } from "./client-context";

export interface WatchedDiff extends DiffState {
  /** Tries now, where the connection waits or was refused. */
  readonly reconnect: () => void;
  /** Goes on behind the end, where the attempt is known to run again. Without effect unless done. */
  readonly resume: () => void;
}

/** The files that differ now, by name. A file that did not change keeps its object. */
export function useDiffFiles(attemptId: string): WatchedDiff {
  const { streams } = useClient();
  const store = useMemo(() => {
    const topic = `/api/events/task-attempts/${encodeURIComponent(attemptId)}/diff`;
    return new DiffStore({ source: streams, topic });
  }, [streams, attemptId]);
  useEffect(() => {
    store.start();
    return () => store.stop();
  }, [store]);
  const state = useSyncExternalStore(store.subscribe, store.getState, store.getState);
  return { ...state, reconnect: store.reconnect, resume: store.resume };
}

/** The present diffs of all files as one text: a file that changes again replaces its diff, and is not added to it. */
export function useDiffStream(attemptId: string): string {
  const { files } = useDiffFiles(attemptId);
  return useMemo(() => [...files.values()].map((file) => file.diff).join("\n"), [files]);
}
