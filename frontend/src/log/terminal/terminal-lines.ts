/**
 * Entries of output to the rows that a reader sees: what a terminal would show in the end, with nothing lost above it.
 *
 * Where programs draw progress they go up some lines and write them anew. Such an entry changes the rows of older entries,
 * which keep their offsets, and has no row itself unless it adds one: a progress display of many lines stands where it
 * began, as its last picture. Each stream is drawn for itself, as each has its own cursor.
 *
 * What holds:
 *  - An entry without controls is one row per line, its text the very string that came; nothing is copied.
 *  - A row's `text` has nothing in it that moves; colours and links are in it, begun in `style`.
 *  - Nobody reaches further up than `REACH_ROWS`, nor into rows that are not there (not loaded, or lost): then the cursor
 *    stays, and the entry has rows of its own. At the true start of the log the cursor stops, as at a screen's top.
 *  - Nothing but what was written over or erased up to the end of the screen (ED 0, as progress displays do) vanishes:
 *    clearing the whole screen, or going to a place on it by number, has no effect. A log is not a screen.
 *  - Folding in one go, or in two with the carry between, gives the same rows.
 *
 * Known where the stretch is folded again (a page that is loaded late): the same entries, carry and rows above give the
 * same result. The source of the meanings: ECMA-48, and xterm.js, against which the tests compare.
 */
import { readText, styleAfter } from "./escapes";
import type { JobOutput, OutputStream } from "../../api/job";
import { CellRow, DRAWN_CHARS_MAX, countOf, isDrawnOver, withinBound, withoutReturns } from "./terminal-row";
import { PLAIN, type Style, sameStyle } from "./text-style";

/** Rows of the same stream that a cursor reaches, its own included: higher than any terminal in use. */
export const REACH_ROWS = 200;

/** An entry, and its place in the job's list. */
export interface PlacedEntry {
  readonly offset: number;
  readonly output: Pick<JobOutput, "line" | "stream">;
}

/** A row: the `part`-th (from 0) of those that the entry at `offset` has. */
export interface FoldedRow {
  readonly offset: number;
  readonly part: number;
  readonly text: string;
  /** The style in which the text begins. */
  readonly style: Style;
  /** The offset of the entry that wrote into it last, where that is not its own. */
  readonly by?: number;
}

/** Where a stream stands between two entries. */
export interface StreamCarry {
  readonly style: Style;
  /** Rows from the end of the stream's rows up to where the next entry is written; 0 is a new row. */
  readonly up: number;
  /** 1 where the cursor was never below the last row, else 0. */
  readonly held: 0 | 1;
}

export type Carry = Readonly<Partial<Record<OutputStream, StreamCarry>>>;

/** The carry before the first entry, and behind a gap or a reset. */
export const START: Carry = {};

/**
 * The rows of a stream before the entries folded, the last one first, as they stand (rewritten ones as they are now).
 * Ends at the start of the log; "missing" where there are rows that cannot be given. Read lazily.
 */
export type RowsAbove = (stream: OutputStream) => Iterable<FoldedRow | "missing">;

export interface Fold {
  /** The new rows, by offset and part. An entry may have none. */
  readonly rows: readonly FoldedRow[];
  /** Rows from above whose text is another now. */
  readonly rewrites: readonly FoldedRow[];
  /** Of each entry without a row: the offset of the entry whose row it wrote into. */
  readonly shownAt: ReadonlyMap<number, number>;
  readonly carry: Carry;
  /** Whether a row that is "missing" was wanted: once it is there, folding again gives a better picture. */
  readonly missed: boolean;
}

/** Folds consecutive entries. */
export function foldEntries(entries: readonly PlacedEntry[], carry: Carry, above: RowsAbove): Fold {
  const screens = new Map<OutputStream, Screen>();
  const rows: OpenRow[] = [];
  const shownAt = new Map<number, number>();
  for (const { offset, output } of entries) {
    let screen = screens.get(output.stream);
    if (!screen) {
      screen = new Screen(carry[output.stream] ?? FRESH, above(output.stream));
      screens.set(output.stream, screen);
    }
    const count = rows.length;
    const shown = screen.write(offset, output.line, rows);
    if (rows.length === count && shown !== null) shownAt.set(offset, shown);
  }
  const behind: Partial<Record<OutputStream, StreamCarry>> = { ...carry };
  for (const [stream, screen] of screens) behind[stream] = screen.carry;
  const drawn = [...screens.values()];
  return {
    rows: rows.map(closed),
    rewrites: drawn.flatMap((screen) => screen.rewrites()),
    shownAt,
    carry: behind,
    missed: drawn.some((screen) => screen.missed),
  };
}

/** The rows of entries as they came: one per line, nothing obeyed. */
export function unfolded(entries: readonly PlacedEntry[]): readonly FoldedRow[] {
  return entries.flatMap(({ offset, output }) =>
    linesOf(output.line).map((text, part) => ({ offset, part, text, style: PLAIN })),
  );
}

export function sameCarry(one: Carry, other: Carry): boolean {
  const streams = new Set([...Object.keys(one), ...Object.keys(other)] as OutputStream[]);
  return [...streams].every((stream) => {
    const [a, b] = [one[stream] ?? FRESH, other[stream] ?? FRESH];
    return a === b || (a.up === b.up && a.held === b.held && sameStyle(a.style, b.style));
  });
}

/** The lines of an entry, without an empty one behind a closing newline. */
export function linesOf(line: string): readonly string[] {
  if (!line.includes("\n")) return [line];
  return (line.endsWith("\n") ? line.slice(0, -1) : line).split("\n");
}

const FRESH: StreamCarry = { style: PLAIN, up: 0, held: 0 };

/** A row that may still be written into; `cells` once it was. */
interface OpenRow {
  readonly offset: number;
  readonly part: number;
  readonly text: string;
  readonly style: Style;
  by?: number | undefined;
  cells: CellRow | null;
}

function closed(row: OpenRow): FoldedRow {
  const { offset, part, text, style, by = offset, cells } = row;
  const shown = cells ? { text: cells.toText(), style: PLAIN } : { text, style };
  return by === offset ? { offset, part, ...shown } : { offset, part, ...shown, by };
}

/** One stream's rows while entries are folded. Rows are counted from the first new one; those above are negative. */
class Screen {
  readonly #own: OpenRow[] = [];
  /** The rows above that were looked at, the nearest first. */
  readonly #above: OpenRow[] = [];
  readonly #moreAbove: Iterator<FoldedRow | "missing">;
  #row: number;
  #column = 0;
  /** The lowest row that the cursor was on. */
  #lowest: number;
  #style: Style;
  #shown: number | null = null;
  /** The entry that is being written. */
  #offset = 0;
  missed = false;

  constructor({ style, up, held }: StreamCarry, above: Iterable<FoldedRow | "missing">) {
    this.#style = style;
    this.#moreAbove = above[Symbol.iterator]();
    this.#lowest = -held;
    this.#row = 0;
    if (up > 0) this.#up(up);
    this.#lowest = Math.max(this.#lowest, this.#row);
  }

  get carry(): StreamCarry {
    const held = this.#own.length > this.#lowest ? 1 : 0;
    return { style: this.#style, up: this.#own.length - this.#row, held };
  }

  rewrites(): readonly FoldedRow[] {
    return this.#above
      .filter(({ cells }) => cells)
      .map((row) => [row, closed(row)] as const)
      .filter(([before, now]) => before.text !== now.text)
      .map(([, now]) => now);
  }

  /** Adds the entry's new rows to `rows`; returns the offset of the row that shows what it wrote last. */
  write(offset: number, text: string, rows: OpenRow[]): number | null {
    let part = 0;
    const add = (text: string, style: Style): OpenRow => {
      const row = { offset, part, text, style, cells: null };
      part += 1;
      this.#own.push(row);
      rows.push(row);
      return row;
    };
    this.#shown = null;
    this.#offset = offset;
    for (const line of linesOf(text)) this.#writeLine(withoutReturns(line), add);
    return this.#shown ?? this.#peek(this.#row - 1)?.offset ?? null;
  }

  #writeLine(line: string, add: Add): void {
    const [skipped, rest] = isDrawnOver(line) ? withinBound(line) : ["", line];
    this.#style = styleAfter(skipped, this.#style);
    const isPlain = this.#row === this.#own.length && !isDrawnOver(rest);
    if (isPlain || rest.length > DRAWN_CHARS_MAX) {
      this.#row = this.#own.length;
      add(rest, this.#style);
      this.#style = styleAfter(rest, this.#style);
    } else {
      this.#draw(rest, add);
      if (this.#row === this.#own.length) add("", PLAIN);
    }
    this.#row += 1;
    this.#column = 0;
    this.#lowest = Math.max(this.#lowest, this.#row);
  }

  #draw(line: string, add: Add): void {
    this.#style = readText(line, this.#style, {
      onText: (text, style) => {
        const cells = this.#cells(add);
        cells.column = this.#column;
        cells.write(text, style);
        this.#column = cells.column;
      },
      onControl: (final, parameters) => this.#control(final, parameters),
    });
  }

  #control(final: string, parameters: string): void {
    const count = countOf(parameters);
    if (final === "A" || final === "F") this.#up(count);
    else if (final === "B" || final === "E") this.#row = Math.min(this.#row + count, this.#lowest);
    else if (final === "J") this.#eraseBelow(parameters);
    else if ("CDGK`".includes(final)) {
      const row = this.#peek(this.#row);
      const cells = row ? this.#open(row) : new CellRow();
      cells.column = this.#column;
      cells.control(final, parameters);
      this.#column = cells.column;
    }
    if (final === "E" || final === "F") this.#column = 0;
  }

  /** Up, as far as a screen would let it; not at all where rows are missing. */
  #up(count: number): void {
    const top = Math.max(this.#row - count, this.#lowest - REACH_ROWS + 1);
    if (top >= this.#row) return;
    while (-this.#above.length > top) {
      const next = this.#moreAbove.next();
      if (next.done) break;
      if (next.value === "missing") {
        this.missed = true;
        return;
      }
      this.#above.push({ ...next.value, cells: null });
    }
    this.#row = Math.max(top, -this.#above.length);
  }

  #eraseBelow(parameters: string): void {
    if (!/^0*$/.test(parameters)) return;
    for (let row = this.#row; row < this.#own.length; row += 1) {
      const open = this.#peek(row);
      if (open) this.#open(open).eraseFrom(row === this.#row ? this.#column : 0);
    }
  }

  /** The cells under the cursor, in a new row where there is none. */
  #cells(add: Add): CellRow {
    const row = this.#peek(this.#row) ?? add("", PLAIN);
    this.#shown = row.offset;
    row.by = this.#offset;
    return this.#open(row);
  }

  #open(row: OpenRow): CellRow {
    // A row that is too long to be drawn in is written anew.
    row.cells ??= row.text.length > DRAWN_CHARS_MAX ? new CellRow() : CellRow.of(row.text, row.style);
    return row.cells;
  }

  #peek(row: number): OpenRow | undefined {
    return row < 0 ? this.#above[-1 - row] : this.#own[row];
  }
}

type Add = (text: string, style: Style) => OpenRow;
