/** Asks how long a log is whenever its stream is there again, so that the page can say how far behind it is. */
import { useEffect } from "react";
import { useClient } from "../../hooks/client-context";
import type { LineStore } from "../../log/line-store";

export function useLogTotal(log: LineStore, jobId: string, isConnected: boolean): void {
  const { api } = useClient();
  useEffect(() => {
    if (!isConnected) return undefined;
    const abort = new AbortController();
    const ask = async (): Promise<void> => {
      const fetched = await api.output(jobId, log.end, 1, abort.signal);
      if (fetched.ok && !abort.signal.aborted) log.announce(fetched.value.total);
    };
    void ask();
    return () => abort.abort();
  }, [api, log, jobId, isConnected]);
}
