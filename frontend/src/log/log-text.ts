/**
 * Lines as text, to be copied: what is shown, without numbers and timestamps, from one place to another.
 *
 * At once where all of it is in memory, else fetched, a few thousand lines at a time. Both have bounds, which are said:
 * a clipboard of a hundred megabytes freezes whatever it is pasted into, and the download has it all.
 *
 * Of what a filter hides nothing is taken. What is inside a folded group is: its head stands for it, and a text with holes
 * in it that nobody chose would be no copy of the log.
 */
import type { JobsApi } from "../api/jobs-api";
import type { LinePage } from "./line-page";
import { LineStore } from "./line-store";
import type { PageRows } from "./page-rows";
import { EVERYTHING, type OffsetRange, type Projection } from "./projection";
import type { Fetched } from "../api/questions";

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

/** The entries whose text is in a range: all between its ends, or those of them that a filter displays. */
export function entriesOf({ start, end }: TextRange, filter: Projection): readonly OffsetRange[] {
  const whole = { from: Math.max(0, start.offset), to: end.offset + 1 };
  if (filter.kind === "all" || filter.between === "silent") return [whole];
  return filter.ranges
    .filter(({ from, to }) => from < whole.to && to > whole.from)
    .map(({ from, to }) => ({ from: Math.max(from, whole.from), to: Math.min(to, whole.to) }));
}

/** The text, where all of its lines are in memory or lost; else `null`. */
export function textInMemory(
  log: LineStore,
  range: TextRange,
  raw: boolean,
  filter: Projection = EVERYTHING,
): string | null {
  const lines: string[] = [];
  const rowsOf = rowsInOrder(raw);
  for (const entries of entriesOf(range, filter)) {
    const behind = Math.min(entries.to, log.end);
    let position = entries.from;
    while (position < behind) {
      const at = position;
      const page = log.page(at);
      const run = page?.runs().find(({ from, to }) => from <= at && at < to);
      const gap = log.gaps.find(({ from, to }) => from <= at && at < to);
      const known = run ?? gap;
      if (!known) return null;
      position = Math.min(known.to, behind);
      if (page && run) addLines(lines, rowsOf(page), { from: at, to: position }, range);
      else lines.push(`[${position - at} lines are gone]`);
    }
  }
  return lines.join("\n");
}

/** The rows of pages that are asked for in their order: a page goes on with the one before it. */
function rowsInOrder(raw: boolean): (page: LinePage) => PageRows {
  let last: { readonly page: LinePage; readonly rows: PageRows } | null = null;
  return (page) => {
    if (last?.page !== page) {
      const adjoins = last !== null && last.page.number === page.number - 1 && last.page.reachesEnd;
      last = { page, rows: page.rows(adjoins && last ? last.rows : null, raw) };
    }
    return last.rows;
  };
}

export interface TextSource {
  readonly jobId: string;
  readonly api: JobsApi;
  readonly raw: boolean;
  readonly signal: AbortSignal;
  /** What is displayed of the log. Default: everything. */
  readonly filter?: Projection;
}

/** The same, fetched. */
export async function fetchText(range: TextRange, source: TextSource): Promise<Fetched<string>> {
  const { raw, filter = EVERYTHING } = source;
  const log = new LineStore({ maxLines: Number.POSITIVE_INFINITY, schedule: () => () => {} });
  for (const stretch of joined(entriesOf(range, filter))) {
    const failure = await fetchInto(log, stretch, source);
    if (failure) return failure;
  }
  const text = textInMemory(log, range, raw, filter) ?? "";
  return text.length > COPY_CHARS_MAX ? TOO_MUCH : { ok: true, value: text };
}

const TOO_MUCH = { ok: false, status: 0, message: "it is too much text" } as const;

type Failure = Extract<Fetched<string>, { readonly ok: false }>;

/** Fetches a stretch of entries, which lies behind all that the log has. The value says why that cannot be. */
async function fetchInto(log: LineStore, stretch: OffsetRange, source: TextSource): Promise<Failure | null> {
  const { jobId, api, signal } = source;
  let position = stretch.from;
  while (position < stretch.to) {
    const limit = Math.min(REQUEST_ENTRIES, stretch.to - position);
    const fetched = await api.output(jobId, position, limit, signal);
    if (!fetched.ok) return fetched;
    const { from, output } = fetched.value;
    if (output.length === 0 && from <= position) break;
    if (from > position) log.appendGap(position, from - 1);
    for (const [index, entry] of output.entries()) log.append({ offset: from + index, output: entry });
    position = from + output.length;
    if (log.bytes > 2 * COPY_CHARS_MAX) return TOO_MUCH;
  }
  return null;
}

/** Stretches between which less than one request's worth is left out, as one: few questions are better than few lines. */
function joined(ranges: readonly OffsetRange[]): readonly OffsetRange[] {
  const stretches: { from: number; to: number }[] = [];
  for (const { from, to } of ranges) {
    const last = stretches.at(-1);
    if (last && to - last.from <= REQUEST_ENTRIES) last.to = to;
    else stretches.push({ from, to });
  }
  return stretches;
}

/** Adds the rows of the entries from `from` up to `to`, cut where the range begins and ends. */
function addLines(
  lines: string[],
  rows: PageRows,
  { from, to }: OffsetRange,
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
