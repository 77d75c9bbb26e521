/** A search of a log, kept for as long as the component is there, which hears of the lines that arrive. */
import { useEffect, useMemo, useSyncExternalStore } from "react";
import { useClient } from "../../../hooks/client-context";
import type { LineStore } from "../../../log/line-store";
import { browserPlatform } from "../../../stream/platform";
import { SearchSession, type SearchState } from "../../../log/search-session";

export function useSearchSession(log: LineStore, jobId: string): readonly [SearchSession, SearchState] {
  const { logs } = useClient();
  const session = useMemo(
    () =>
      new SearchSession({
        ask: (question, reach, signal) => logs.search(jobId, question, reach, signal),
        lines: log,
        platform: browserPlatform,
      }),
    [logs, jobId, log],
  );
  useEffect(() => {
    const unsubscribe = log.subscribe(() => session.grown());
    return () => {
      unsubscribe();
      session.clear();
    };
  }, [session, log]);
  return [session, useSyncExternalStore(session.subscribe, session.getState)];
}
