/** The dashboard's own viewer, whole: a job of which the last thousand lines are here; a "server" in memory has the others. */
import { createRoot } from "react-dom/client";
import { FantailProvider } from "../../../frontend/src/hooks/client-context";
import { createClient } from "../../../frontend/src/client";
import type { JobOutput } from "../../../frontend/src/api/job";
import { LineStore } from "../../../frontend/src/log/line-store";
import { LogViewer } from "../../../frontend/src/ui/log/LogViewer";
import "../../../frontend/src/ui/styles/tokens.css";
import "../../../frontend/src/ui/styles/base.css";
import "../../../frontend/src/ui/styles/log.css";
import "../../../frontend/src/ui/styles/log-slots.css";
import "../../../frontend/src/ui/styles/find.css";
import { type Contender, lineOf } from "./lines";

const LOADED = 1000;

const output = (offset: number): JobOutput => ({ timestamp: 0, line: lineOf(offset), stream: "stdout" });

export function ours(): Contender {
  const log = new LineStore({ maxLines: 100_000 });
  const answered = <T,>(value: T) => Promise.resolve({ ok: true, value } as const);
  const client = createClient({
    api: {
      job: () => Promise.reject(new Error("not asked for")),
      output: (_, from, limit) => {
        const records = Array.from({ length: limit }, (_, index) => output(from + index));
        return answered({ output: records, from, next: from + limit, total: log.end });
      },
      downloadUrl: () => "",
      patchUrl: () => "",
    },
    logs: {
      search: () => Promise.reject(new Error("not asked for")),
      outline: (_, from) =>
        answered({ from, next: log.end, total: log.end, complete: true, full: false, marks: [] }),
    },
  });
  return {
    fill(count) {
      for (let at = Math.max(0, count - LOADED); at < count; at += 1)
        log.append({ offset: at, output: output(at) });
    },
    mount(element) {
      createRoot(element).render(
        <FantailProvider value={client}>
          <LogViewer log={log} jobId="bench" running downloadUrl="" emptyText="" />
        </FantailProvider>,
      );
    },
    append(count) {
      const { end } = log;
      for (let at = end; at < end + count; at += 1) log.append({ offset: at, output: output(at) });
    },
    scroller: () => document.querySelector(".log-scroller"),
  };
}
