/**
 * The lines of one job: append-only, outside React, of any length.
 *
 * Invariants:
 *  - A row's id never changes and never means another row. Older rows put in front take ids below `start`, even
 *    below zero; rows dropped or replaced give theirs up for good. A viewer keeps its place by id.
 *  - Nothing is copied when a line arrives: it joins the last chunk, and listeners hear of it once per frame.
 *  - What stands is replaced only by something: a replay (after a reset, or without a position) clears the old rows
 *    in the same step that puts the first new one in their place, so the screen is never empty in between, and old
 *    and new are never mixed.
 *  - `maxLines` bounds what is kept. What is dropped is counted by `older`, never silent.
 */
import { PLAIN, type Style, sameStyle, styleAfter } from "./ansi";
import { FrameSignal, type Schedule } from "./frame";
import type { JobOutput, OutputStream } from "./job";
import { CHUNK_ROWS, LineChunk, type LogRow, type Mark, rowsOf } from "./line-chunk";

export interface LineStoreSettings {
  /** Rows kept; the oldest go first. */
  readonly maxLines: number;
  readonly schedule?: Schedule;
}

/** One entry and its place in the job's list. */
export interface LogEntry {
  readonly offset: number;
  readonly output: JobOutput;
}

type Carry = Partial<Record<OutputStream, Style>>;

export class LineStore {
  #chunks: LineChunk[] = [];
  #start = 0;
  #end = 0;
  #rowsMax: number;
  #carry: Carry = {};
  #nextOffset = 0;
  #replacement: { readonly mark: Mark | null } | null = null;
  #records: readonly JobOutput[] | null = null;
  readonly #signal: FrameSignal;

  constructor({ maxLines, schedule }: LineStoreSettings) {
    this.#rowsMax = Math.max(1, maxLines);
    this.#signal = new FrameSignal(schedule);
    this.subscribe = this.#signal.subscribe;
  }

  /** The id of the first row kept. */
  get start(): number {
    return this.#start;
  }

  /** The id behind the last row. */
  get end(): number {
    return this.#end;
  }

  /** Changes once per frame, together with the notification. */
  get version(): number {
    return this.#signal.version;
  }

  /** How many lines of the job come before the first one kept. */
  get older(): number {
    for (let id = this.#start; id < this.#end; id += 1) {
      const row = this.row(id);
      if (row?.kind === "line") return row.offset;
      if (row?.kind === "reset") return 0;
    }
    return 0;
  }

  /** The offset that the next line has where nobody says otherwise. */
  get nextOffset(): number {
    return this.#replacement ? 0 : this.#nextOffset;
  }

  readonly subscribe: (listener: () => void) => () => void;

  append({ offset, output }: LogEntry): void {
    this.commitReplacement();
    const { stream } = output;
    const chunk = this.#openChunk();
    this.#carry[stream] = chunk.addRecord(offset, output, this.#carry[stream] ?? PLAIN, styleAfter);
    this.#nextOffset = offset + 1;
    this.#grown(chunk);
  }

  /** Adds a row that says that lines are gone for good. Colours do not carry over it. */
  appendGap(from: number, to: number): void {
    this.commitReplacement();
    this.#nextOffset = to + 1;
    this.#addMark({ kind: "gap", from, to });
  }

  /**
   * Puts older entries in front of what is there, and carries their colours on into it. They raise the bound, so
   * that what someone asked to see is not dropped by the same act.
   */
  prepend(entries: readonly LogEntry[]): void {
    const rows = entries.reduce((sum, { output }) => sum + rowsOf(output.line).length, 0);
    if (rows === 0) return;
    const chunks: LineChunk[] = [];
    const carry: Carry = {};
    let chunk = new LineChunk(this.#start - rows);
    for (const { offset, output } of entries) {
      if (chunk.count >= CHUNK_ROWS) {
        chunks.push(chunk);
        chunk = new LineChunk(chunk.end);
      }
      carry[output.stream] = chunk.addRecord(offset, output, carry[output.stream] ?? PLAIN, styleAfter);
    }
    const border = this.#start;
    this.#chunks = [...chunks, chunk, ...this.#chunks];
    this.#start -= rows;
    this.#rowsMax = Math.max(this.#rowsMax, this.#end - this.#start);
    this.#carryOn(border, carry);
    this.#changed();
  }

  /** From the next row on, what is there is replaced; `mark` is then the first row. Without effect when empty. */
  beginReplacement(mark: Mark | null): void {
    if (this.#end > this.#start || mark) this.#replacement = { mark };
  }

  /** Replaces now, where a replacement was begun: it turned out that nothing follows. */
  commitReplacement(): void {
    if (!this.#replacement) return;
    const { mark } = this.#replacement;
    this.#replacement = null;
    this.#chunks = [];
    this.#start = this.#end;
    this.#carry = {};
    this.#nextOffset = 0;
    if (mark) this.#addMark(mark);
    this.#changed();
  }

  row(id: number): LogRow | null {
    if (id < this.#start || id >= this.#end) return null;
    return this.#chunkOf(id)?.row(id) ?? null;
  }

  /** The rows from `from` up to, not including, `to`; ids that are not kept are left out. */
  rows(from: number, to: number): readonly LogRow[] {
    const rows: LogRow[] = [];
    for (let id = Math.max(from, this.#start); id < Math.min(to, this.#end); id += 1) {
      const row = this.row(id);
      if (row) rows.push(row);
    }
    return rows;
  }

  /** All entries kept, as an array that is the same until something changes. */
  records(): readonly JobOutput[] {
    this.#records ??= this.#chunks.flatMap((chunk) => chunk.records(this.#start));
    return this.#records;
  }

  #addMark(mark: Mark): void {
    this.#carry = {};
    const chunk = this.#openChunk();
    chunk.addMark(mark);
    this.#grown(chunk);
  }

  #openChunk(): LineChunk {
    const last = this.#chunks.at(-1);
    if (last && last.count < CHUNK_ROWS) return last;
    const chunk = new LineChunk(this.#end);
    this.#chunks.push(chunk);
    return chunk;
  }

  #grown(chunk: LineChunk): void {
    this.#end = chunk.end;
    this.#start = Math.max(this.#start, this.#end - this.#rowsMax);
    while ((this.#chunks[0]?.end ?? Number.POSITIVE_INFINITY) <= this.#start) this.#chunks.shift();
    this.#changed();
  }

  #changed(): void {
    this.#records = null;
    this.#signal.touch();
  }

  /** The chunk that holds the row, by binary search. */
  #chunkOf(id: number): LineChunk | undefined {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#chunks[middle]?.start ?? 0) <= id) low = middle;
      else high = middle - 1;
    }
    return this.#chunks[low];
  }

  /** Carries styles into the rows from `id` on, until each stream's agrees with what was stored. */
  #carryOn(id: number, carry: Carry): void {
    const open = new Map(Object.entries(carry) as [OutputStream, Style][]);
    for (let at = id; at < this.#end && open.size > 0; at += 1) {
      const row = this.row(at);
      if (row?.kind !== "line") return;
      const style = open.get(row.stream);
      if (!style) continue;
      if (sameStyle(style, row.style)) open.delete(row.stream);
      else {
        this.#chunkOf(at)?.restyle(at, style);
        open.set(row.stream, styleAfter(row.text, style));
      }
    }
    for (const [stream, style] of open) this.#carry[stream] = style;
  }
}
