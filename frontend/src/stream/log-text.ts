/**
 * Lines as text, to be copied: what is shown, without numbers and timestamps, from one place to another.
 *
 * At once where all of it is in memory, else fetched, a few thousand lines at a time. Both have bounds, which are said:
 * a clipboard of a hundred megabytes freezes whatever it is pasted into, and the download has it all.
 */
import type { JobsApi } from "./jobs-api";
import { LineStore } from "./line-store";
import type { PageRows } from "./page-rows";
import type { Fetched } from "./questions";

/** Lines copied at most. */
export const COPY_LINES_MAX = 500_000;

/** Characters copied at most. */
export const COPY_CHARS_MAX = 64 * 1024 * 1024;

/** Entries of one request. */
const REQUEST_ENTRIES = 5_000;

/** A place in a text: before the `char`-th character of a row. */
export interface TextPoint {
  readonly offset: number;
  readonly part: number;
  readonly char: number;
}

/** From one place to another behind it. */
export interface TextRange {
  readonly start: TextPoint;
  readonly end: TextPoint;
}

/** The whole lines of some entries. */
export function wholeLines(from: number, to: number): TextRange {
  return {
    start: { offset: from, part: 0, char: 0 },
    end: { offset: to - 1, part: Number.POSITIVE_INFINITY, char: Number.POSITIVE_INFINITY },
  };
}

/** The places in their order. */
export function ordered(one: TextPoint, other: TextPoint): TextRange {
  const before = one.offset - other.offset || one.part - other.part || one.char - other.char;
  return before <= 0 ? { start: one, end: other } : { start: other, end: one };
}

/** The text, where all of its lines are in memory or lost; else `null`. */
export function textInMemory(log: LineStore, range: TextRange, raw: boolean): string | null {
  const { start, end } = range;
  const lines: string[] = [];
  let position = Math.max(0, start.offset);
  let previous: PageRows | null = null;
  const behind = Math.min(end.offset + 1, log.end);
  while (position < behind) {
    const page = log.page(position);
    const at = position;
    const run = page?.runs().find(({ from, to }) => from <= at && at < to);
    const gap = log.gaps.find(({ from, to }) => from <= at && at < to);
    if (page && run) {
      const rows: PageRows = page.rows(previous, raw);
      previous = page.reachesEnd ? rows : null;
      const to = Math.min(run.to, behind);
      addLines(lines, rows, position, to, range);
      position = to;
    } else if (gap) {
      const to = Math.min(gap.to, behind);
      lines.push(`[${to - position} lines are gone]`);
      position = to;
    } else return null;
  }
  return lines.join("\n");
}

export interface TextSource {
  readonly jobId: string;
  readonly api: JobsApi;
  readonly raw: boolean;
  readonly signal: AbortSignal;
}

/** The same, fetched. */
export async function fetchText(range: TextRange, source: TextSource): Promise<Fetched<string>> {
  const { jobId, api, raw, signal } = source;
  const log = new LineStore({ maxLines: Number.POSITIVE_INFINITY, schedule: () => () => {} });
  let position = range.start.offset;
  const behind = range.end.offset + 1;
  while (position < behind) {
    const limit = Math.min(REQUEST_ENTRIES, behind - position);
    const fetched = await api.output(jobId, position, limit, signal);
    if (!fetched.ok) return fetched;
    const { from, output } = fetched.value;
    if (output.length === 0 && from <= position) break;
    if (from > position) log.appendGap(position, from - 1);
    for (const [index, entry] of output.entries()) log.append({ offset: from + index, output: entry });
    position = from + output.length;
    if (log.bytes > 2 * COPY_CHARS_MAX) return { ok: false, status: 0, message: "it is too much text" };
  }
  const text = textInMemory(log, range, raw) ?? "";
  if (text.length > COPY_CHARS_MAX) return { ok: false, status: 0, message: "it is too much text" };
  return { ok: true, value: text };
}

/** Adds the rows of the entries from `from` up to `to`, cut where the range begins and ends. */
function addLines(
  lines: string[],
  rows: PageRows,
  from: number,
  to: number,
  { start, end }: TextRange,
): void {
  const first = rows.firstRow(from) + (from === start.offset ? start.part : 0);
  const endRow = to === end.offset + 1 ? rows.firstRow(end.offset) + end.part : Number.POSITIVE_INFINITY;
  const behind = Math.min(rows.firstRow(to), endRow + 1);
  for (let row = first; row < behind; row += 1) {
    let text = rows.plain(row);
    if (row === endRow) text = text.slice(0, end.char);
    if (row === first && from === start.offset) text = text.slice(start.char);
    lines.push(text);
  }
}
