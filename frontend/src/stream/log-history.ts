/**
 * Older lines, fetched a stretch at a time and put in front of those that are there.
 *
 * One stretch is asked for in as many pages as the server makes of it (its pages are bounded in bytes too), and put
 * in front in one step: a viewer sees one change. What cannot be had any more is left out, and the numbers of the
 * lines show it.
 */
import type { Fetched, JobsApi } from "./jobs-api";
import type { LineStore, LogEntry } from "./line-store";

/** Lines per stretch: a second's scrolling, well under a megabyte as a rule. */
export const STRETCH_LINES = 5_000;

/** Pages asked for one stretch at most; a server that advances by less is not followed further. */
const PAGES_MAX = 64;

/** Puts up to `STRETCH_LINES` older lines in front. The value is how many came. */
export async function loadOlder(log: LineStore, jobId: string, api: JobsApi): Promise<Fetched<number>> {
  const end = log.older;
  const start = log.start;
  const entries: LogEntry[] = [];
  let from = Math.max(0, end - STRETCH_LINES);
  for (let page = 0; page < PAGES_MAX && from < end; page += 1) {
    const fetched = await api.output(jobId, from, end - from);
    if (!fetched.ok) return fetched;
    const first = fetched.value.from;
    for (const [index, output] of fetched.value.output.entries()) {
      if (first + index >= from && first + index < end) entries.push({ offset: first + index, output });
    }
    if (fetched.value.next <= from) break;
    from = fetched.value.next;
  }
  // The log may have been replaced or trimmed while we waited; then these lines do not belong in front of it.
  if (log.older === end && log.start === start) log.prepend(entries);
  return { ok: true, value: entries.length };
}
