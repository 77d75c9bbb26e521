/**
 * A run of rows, stored by column.
 *
 * A million rows as objects cost twice their text; as columns they cost a pointer and two numbers each. Objects are
 * made for the rows on the screen, and for the lines that a hook's caller asks for. A record (one entry of output)
 * never straddles two chunks, so what a full chunk yields as records can be kept.
 */
import { PLAIN, type Style } from "./ansi";
import { type JobOutput, OUTPUT_STREAMS, type OutputStream } from "./job";

/** Rows after which a chunk takes no further record. */
export const CHUNK_ROWS = 1024;

/** A row of the log, as it is shown. `id` is stable: it never means another row. */
export type LogRow = LineRow | GapRow | ResetRow;

export interface LineRow {
  readonly kind: "line";
  readonly id: number;
  /** The entry's place in the job's list, from 0. */
  readonly offset: number;
  /** Whether this row goes on with the entry of the row before it (an entry may hold newlines). */
  readonly continued: boolean;
  readonly timestamp: number;
  readonly text: string;
  readonly stream: OutputStream;
  readonly source?: string;
  /** The style in which the row begins. */
  readonly style: Style;
}

/** Lines that no one can have any more: `from` to `to`, offsets, both inclusive. */
export interface GapRow {
  readonly kind: "gap";
  readonly id: number;
  readonly from: number;
  readonly to: number;
}

/** The list was written anew; what follows does not continue what was there. */
export interface ResetRow {
  readonly kind: "reset";
  readonly id: number;
  readonly reason: string;
}

/** A row that is no line, before it has an id. */
export type Mark = Omit<GapRow, "id"> | Omit<ResetRow, "id">;

const GAP = OUTPUT_STREAMS.length;
const RESET = GAP + 1;
const KIND_MASK = 0b111;
const CONTINUED = 0b1000;

export class LineChunk {
  /** The id of the first row. */
  readonly start: number;
  readonly #texts: string[] = [];
  readonly #kinds: number[] = [];
  /** A line's offset; a gap's `from`. */
  readonly #offsets: number[] = [];
  /** A line's timestamp; a gap's `to`. */
  readonly #times: number[] = [];
  /** Only where a row begins in another style than PLAIN; likewise the sources. */
  readonly #styles = new Map<number, Style>();
  readonly #sources = new Map<number, string>();
  #records: readonly JobOutput[] | null = null;

  constructor(start: number) {
    this.start = start;
  }

  get count(): number {
    return this.#texts.length;
  }

  get end(): number {
    return this.start + this.count;
  }

  /** Adds the rows of one entry; returns the style behind it. */
  addRecord(
    offset: number,
    output: JobOutput,
    style: Style,
    styleAfter: (text: string, style: Style) => Style,
  ): Style {
    this.#records = null;
    let current = style;
    for (const [part, text] of rowsOf(output.line).entries()) {
      const at = this.#texts.length;
      if (current !== PLAIN) this.#styles.set(at, current);
      if (output.source !== undefined) this.#sources.set(at, output.source);
      this.#push(
        text,
        OUTPUT_STREAMS.indexOf(output.stream) | (part > 0 ? CONTINUED : 0),
        offset,
        output.timestamp,
      );
      current = styleAfter(text, current);
    }
    return current;
  }

  addMark(mark: Mark): void {
    this.#records = null;
    if (mark.kind === "gap") this.#push("", GAP, mark.from, mark.to);
    else this.#push(mark.reason, RESET, 0, 0);
  }

  row(id: number): LogRow {
    const at = id - this.start;
    const code = this.#kinds[at] ?? RESET;
    const kind = code & KIND_MASK;
    const offset = this.#offsets[at] ?? 0;
    const timestamp = this.#times[at] ?? 0;
    const text = this.#texts[at] ?? "";
    if (kind === GAP) return { kind: "gap", id, from: offset, to: timestamp };
    if (kind === RESET) return { kind: "reset", id, reason: text };
    const stream = OUTPUT_STREAMS[kind] ?? "stdout";
    const continued = (code & CONTINUED) !== 0;
    const style = this.#styles.get(at) ?? PLAIN;
    return {
      kind: "line",
      id,
      offset,
      continued,
      timestamp,
      text,
      stream,
      source: this.#sources.get(at),
      style,
    };
  }

  restyle(id: number, style: Style): void {
    if (style === PLAIN) this.#styles.delete(id - this.start);
    else this.#styles.set(id - this.start, style);
  }

  /** The entries that begin at `from` or later, whole. The same array as before where nothing changed. */
  records(from: number): readonly JobOutput[] {
    if (from > this.start) return this.#collect(from);
    this.#records ??= this.#collect(this.start);
    return this.#records;
  }

  #collect(from: number): readonly JobOutput[] {
    const records: JobOutput[] = [];
    for (let id = from; id < this.end; id += 1) {
      const row = this.row(id);
      if (row.kind !== "line" || row.continued) continue;
      let line = row.text;
      for (let next = id + 1; this.#continues(next); next += 1) line += `\n${this.#texts[next - this.start]}`;
      const { timestamp, stream, source } = row;
      records.push(source === undefined ? { timestamp, line, stream } : { timestamp, line, stream, source });
    }
    return records;
  }

  #continues(id: number): boolean {
    return id < this.end && ((this.#kinds[id - this.start] ?? 0) & CONTINUED) !== 0;
  }

  #push(text: string, kind: number, offset: number, time: number): void {
    this.#texts.push(text);
    this.#kinds.push(kind);
    this.#offsets.push(offset);
    this.#times.push(time);
  }
}

/** The rows of an entry: its lines, without an empty one behind a closing newline. */
export function rowsOf(line: string): readonly string[] {
  if (!line.includes("\n")) return [line];
  return (line.endsWith("\n") ? line.slice(0, -1) : line).split("\n");
}
