/**
 * Where the errors and the groups of a whole log are, whatever part of it is loaded.
 *
 * There is one cursor: everything before `known` is known. It advances over lines that are here by classifying them,
 * which costs nothing but a look at each; where a line is not here, the server is asked for the outline from there on.
 * So a finished job of a million lines costs a few questions, a running one none at all while its lines arrive, and no
 * line is classified twice or passed over, however the two mix.
 *
 * Invariants:
 *  - One question is under way at most. Of its answer nothing is taken that is behind the cursor by then.
 *  - A question that failed is repeated after `RETRY_MS`, doubled up to `RETRY_MS_MAX`; what is known stays.
 *  - Past `MARKS_MAX` marks no more are kept, and `limited` says so: a log of errors alone is no outline.
 *  - Offsets of errors are sorted, each once.
 */
import { FrameSignal, type Schedule } from "../stream/frame";
import { GroupTree, type LogMark } from "./groups";
import type { JobOutput } from "../api/job";
import type { OutlinePage } from "./log-api";
import type { Platform } from "../stream/platform";
import type { Fetched } from "../api/questions";

/** Marks kept: some 30 MB, and more than anyone steps through. */
const MARKS_MAX = 200_000;

const RETRY_MS = 1_000;
const RETRY_MS_MAX = 30_000;

/** Lines read in one go: a few milliseconds. The rest follows at once, after whatever else waits. */
const LINES_AT_ONCE = 500;

/** The lines that are here. */
export interface LinesHere {
  /** The offset behind the last line of the job, as far as is known here. */
  readonly end: number;
  /** Another number for each list: the job's lines may be written anew. */
  readonly generation: number;
  /** The entry, where it is loaded. */
  entry(offset: number): JobOutput | undefined;
}

/** Says what lines mark, one after the other; a mark may come with the line behind it. */
export interface LinesReader {
  push(entry: JobOutput & { readonly offset: number }): readonly LogMark[];
  /** What the last line marks where no more will come. */
  flush(): readonly LogMark[];
}

export interface OutlineSettings {
  readonly lines: LinesHere;
  readonly ask: (from: number, signal: AbortSignal) => Promise<Fetched<OutlinePage>>;
  /** Begins to read lines; `open` says of each group that is open there, outermost first, whether it is a header's. */
  readonly reader: (open: readonly boolean[]) => LinesReader;
  readonly platform: Pick<Platform, "after">;
  readonly schedule?: Schedule;
}

export class Outline {
  readonly #settings: OutlineSettings;
  readonly #signal: FrameSignal;
  #tree = new GroupTree();
  /** There while lines are read one after the other; none where the server was asked last. */
  #reader: LinesReader | null = null;
  #errors: number[] = [];
  #marks = 0;
  #known = 0;
  #generation: number;
  /** Up to where the server looked: what it does not tell yet waits for the line behind it. */
  #lookedTo = 0;
  #limited = false;
  #problem: string | null = null;
  #asking: AbortController | null = null;
  #cancelRetry: (() => void) | null = null;
  #goingOn: (() => void) | null = null;
  #retryMs = RETRY_MS;
  #ended = true;

  constructor(settings: OutlineSettings) {
    this.#settings = settings;
    this.#generation = settings.lines.generation;
    this.#signal = new FrameSignal(settings.schedule);
    this.subscribe = this.#signal.subscribe;
  }

  readonly subscribe: (listener: () => void) => () => void;

  /** Grows with every change. */
  get version(): number {
    return this.#signal.version;
  }

  get groups(): GroupTree {
    return this.#tree;
  }

  /** The offsets of all errors known, sorted. Not copied: it grows. */
  get errors(): readonly number[] {
    return this.#errors;
  }

  /** The offset up to which everything is known. */
  get known(): number {
    return this.#known;
  }

  /** Whether everything that the job has said so far is known. */
  get isCurrent(): boolean {
    return this.#limited || Math.max(this.#known, this.#lookedTo) >= this.#settings.lines.end;
  }

  /** Of the list that all this is about. */
  get generation(): number {
    return this.#generation;
  }

  /** Whether there are more marks than are kept. */
  get limited(): boolean {
    return this.#limited;
  }

  /** Why the rest is not known, while it cannot be asked for. */
  get problem(): string | null {
    return this.#problem;
  }

  /** `undefined` while it is not known whether there is one, and could be. */
  get firstError(): number | null | undefined {
    const first = this.#errors[0];
    if (first !== undefined) return first;
    return this.isCurrent || this.#problem !== null ? null : undefined;
  }

  /** Begins, or goes on. Until `stop()` lines are looked at as `advance()` is called. */
  start(): void {
    this.#ended = false;
    this.advance();
  }

  stop(): void {
    this.#ended = true;
    this.#drop();
  }

  /** Looks at what has come; to be called whenever the lines change. */
  advance(): void {
    if (this.#ended) return;
    const { lines } = this.#settings;
    if (lines.generation !== this.#generation || lines.end < this.#known) this.#forget();
    if (this.#limited) return;
    const stop = Math.min(lines.end, this.#known + LINES_AT_ONCE);
    const before = this.#known;
    while (this.#known < stop && !this.#limited) {
      const output = lines.entry(this.#known);
      if (!output) break;
      this.#reader ??= this.#settings.reader(this.#tree.open.map(({ header }) => header));
      this.#markAll(this.#reader.push({ ...output, offset: this.#known }));
      this.#known += 1;
    }
    if (this.#known > before) this.#signal.touch();
    if (this.#known < stop) void (this.isCurrent || this.#ask());
    else if (this.#known < lines.end) this.#goOnSoon();
  }

  #goOnSoon(): void {
    this.#goingOn ??= this.#settings.platform.after(0, () => {
      this.#goingOn = null;
      this.advance();
    });
  }

  /** The nearest error behind (`1`) or before (`-1`) an entry; round the ends where there is none. */
  nearestError(offset: number, step: 1 | -1): { readonly offset: number; readonly wrapped: boolean } | null {
    return nearest(this.#errors, offset, step);
  }

  /** Whether that line is known to be an error. */
  isError(offset: number): boolean {
    return this.#errors[countBelow(this.#errors, offset)] === offset;
  }

  /** How many errors are known before that line. */
  countBefore(offset: number): number {
    return countBelow(this.#errors, offset);
  }

  #markAll(marks: readonly LogMark[]): void {
    for (const mark of marks) this.#mark(mark);
  }

  #mark(mark: LogMark): void {
    if (this.#marks >= MARKS_MAX) {
      this.#limited = true;
      return;
    }
    this.#marks += 1;
    if (mark.kind === "error") this.#errors.push(mark.offset);
    this.#tree.take(mark);
  }

  async #ask(): Promise<void> {
    if (this.#asking || this.#cancelRetry) return;
    // The server looks at whole lines; the last one read here is not looked at again.
    if (this.#reader) this.#markAll(this.#reader.flush());
    this.#reader = null;
    const asking = new AbortController();
    this.#asking = asking;
    const fetched = await this.#settings.ask(this.#known, asking.signal);
    if (this.#asking !== asking) return;
    this.#asking = null;
    this.#answered(fetched);
  }

  /** Meanwhile lines may have been loaded and read: of the answer that is taken which is still news. */
  #answered(fetched: Fetched<OutlinePage>): void {
    if (fetched.ok) {
      const { marks, next, total, complete, full } = fetched.value;
      this.#problem = null;
      this.#limited = full;
      this.#markAll(marks.filter(({ offset }) => offset >= this.#known && offset < next));
      if (next > this.#known) this.#reader = null;
      this.#known = Math.max(this.#known, next);
      if (complete) this.#lookedTo = Math.max(this.#lookedTo, total);
      if (next > fetched.value.from) this.#retryMs = RETRY_MS;
      if (next > fetched.value.from || complete) this.advance();
      else this.#retryLater();
    } else {
      this.#problem = fetched.message;
      this.#retryLater();
    }
    this.#signal.touch();
  }

  #retryLater(): void {
    this.#cancelRetry = this.#settings.platform.after(this.#retryMs, () => {
      this.#cancelRetry = null;
      this.advance();
    });
    this.#retryMs = Math.min(RETRY_MS_MAX, this.#retryMs * 2);
  }

  /** The log was written anew. */
  #forget(): void {
    this.#drop();
    this.#generation = this.#settings.lines.generation;
    this.#limited = false;
    this.#tree = new GroupTree();
    this.#reader = null;
    this.#errors = [];
    this.#marks = 0;
    this.#known = 0;
    this.#lookedTo = 0;
    this.#signal.touch();
  }

  #drop(): void {
    this.#asking?.abort();
    this.#asking = null;
    this.#cancelRetry?.();
    this.#cancelRetry = null;
    this.#goingOn?.();
    this.#goingOn = null;
    this.#problem = null;
    this.#retryMs = RETRY_MS;
  }
}

/** How many of some sorted offsets are below one. */
export function countBelow(offsets: readonly number[], offset: number): number {
  let low = 0;
  let high = offsets.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((offsets[middle] ?? 0) < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The nearest of some sorted offsets behind or before one, round the ends; `null` where there is none at all. */
export function nearest(
  offsets: readonly number[],
  offset: number,
  step: 1 | -1,
): { readonly offset: number; readonly index: number; readonly wrapped: boolean } | null {
  if (offsets.length === 0) return null;
  const index = step === 1 ? countBelow(offsets, offset + 1) : countBelow(offsets, offset) - 1;
  const wrapped = index < 0 || index >= offsets.length;
  const at = wrapped ? (step === 1 ? 0 : offsets.length - 1) : index;
  return { offset: offsets[at] ?? 0, index: at, wrapped };
}
