/**
 * The rows of a page: what its entries look like once control sequences are obeyed, and how high each row is.
 *
 * Rows are made once: entries that arrive behind the others add theirs to those that stand, and may write some of these
 * anew, in the page before as well. They are kept by column, since rows as objects cost twice their text; objects are
 * made for the few on the screen. A row's height is arithmetic: one unit, or, where lines wrap, as many as its columns
 * fill.
 */
import { columnsOf, plainText, rawText } from "./terminal/ansi";
import { boxColumns } from "./terminal/invisible";
import type { JobOutput, OutputStream } from "../api/job";
import type { LineRow } from "./log-rows";
import { LENGTH_SHOWN } from "./terminal/row-text";
import {
  type Carry,
  type FoldedRow,
  type PlacedEntry,
  START,
  foldEntries,
  unfolded,
} from "./terminal/terminal-lines";
import { PLAIN, type Style } from "./terminal/text-style";

/** Characters of a text that are looked at for those: most of them may be colours. */
const LENGTH_READ = 4 * LENGTH_SHOWN;

/** Columns that the button takes which shows the rest of an overlong line, about. */
const BUTTON_COLUMNS = 24;

type Entries = readonly (JobOutput | undefined)[];

let rowsMade = 0;

export class PageRows {
  readonly carryIn: Carry;
  readonly raw: boolean;
  /** Another for each that is made: a page may have to know whether the one before it is still the same. */
  readonly serial = (rowsMade += 1);
  readonly #start: number;
  #carry: Carry;
  #entries: Entries = [];
  /** The rows of the page before that were written anew from here, or would have been had they been there. */
  #basedOn: number | null = null;
  /** By row: its text, the place of its entry, its style where that is not PLAIN. */
  readonly #texts: string[] = [];
  readonly #places: number[] = [];
  readonly #styles = new Map<number, Style>();
  /** By row, where it is not its own: the entry whose text it shows. */
  readonly #writers = new Map<number, number>();
  /** By the offset of an entry without a row: the entry whose row shows it. */
  readonly #shownAt = new Map<number, number>();
  /** By place: its first row; one more than there are places taken. */
  readonly #firsts: number[] = [0];
  /** Units above each row, for one width; and heights that turned out to be others than computed. */
  #tops: { readonly width: number; readonly values: number[] } = { width: 0, values: [0] };
  #measured = new Map<number, number>();

  constructor(start: number, carry: Carry, raw: boolean) {
    this.#start = start;
    this.carryIn = carry;
    this.#carry = carry;
    this.raw = raw;
  }

  /** How each stream stands behind the last entry. */
  get carryOut(): Carry {
    return this.#carry;
  }

  get count(): number {
    return this.#texts.length;
  }

  /** Whether it reached into rows of the page before that are others now. */
  isBasedOnOther(previous: PageRows | null): boolean {
    return this.#basedOn !== null && this.#basedOn !== (previous?.serial ?? 0);
  }

  /** Makes rows of the entries that have none yet: those behind the last time's. */
  take(entries: Entries, previous: PageRows | null): void {
    this.#entries = entries;
    let place = this.#firsts.length - 1;
    while (place < entries.length) {
      const run = runFrom(entries, place, this.#start);
      if (run.length > 0) this.#fold(run, previous);
      else {
        this.#carry = START;
        this.#firsts.push(this.#texts.length);
      }
      place = this.#firsts.length - 1;
    }
  }

  /** The first row of the entry at `offset`, or where it would be. */
  firstRow(offset: number): number {
    const last = this.#firsts.length - 1;
    return this.#firsts[Math.min(Math.max(0, offset - this.#start), last)] ?? 0;
  }

  /** Units above a row, from the top of the page's rows. `width`: columns where lines wrap, else 0. */
  top(row: number, width: number): number {
    if (width === 0) return row;
    if (this.#tops.width !== width) {
      this.#tops = { width, values: [0] };
      this.#measured.clear();
    }
    const { values } = this.#tops;
    while (values.length <= row) {
      const before = values.length - 1;
      const units = this.#measured.get(before) ?? unitsOf(this.#texts[before] ?? "", width, this.raw);
      values.push((values[before] ?? 0) + units);
    }
    return values[row] ?? 0;
  }

  /** Says how high a row is once it is drawn. The value is whether that is news. */
  measure(row: number, width: number, units: number): boolean {
    if (row >= this.count || this.top(row + 1, width) - this.top(row, width) === units) return false;
    this.#measured.set(row, units);
    this.#forgetTops(row);
    return true;
  }

  /** The row that covers a unit. */
  rowAt(unit: number, width: number): number {
    if (width === 0) return Math.max(0, Math.min(Math.floor(unit), this.count - 1));
    let low = 0;
    let high = Math.max(0, this.count - 1);
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.top(middle, width) <= unit) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** The name of a row. */
  nameOf(row: number): { readonly offset: number; readonly part: number } {
    const offset = this.#start + (this.#places[row] ?? 0);
    return { offset, part: row - this.firstRow(offset) };
  }

  /** The entry whose row shows the text of the entry at `offset`: as a rule, its own. */
  shownAt(offset: number): number {
    return this.#shownAt.get(offset) ?? offset;
  }

  /** The entries without a row, and those whose rows show their text. */
  get shownElsewhere(): Iterable<readonly [entry: number, at: number]> {
    return this.#shownAt;
  }

  /** What a row shows, without colours. */
  plain(row: number): string {
    return shown(this.#texts[row] ?? "", this.raw);
  }

  row(row: number, generation: number): LineRow {
    const { offset, part } = this.nameOf(row);
    const output = this.#entries[offset - this.#start];
    return {
      kind: "line",
      id: `${generation}.${offset}.${part}`,
      offset,
      part,
      continued: part > 0,
      timestamp: output?.timestamp ?? 0,
      text: this.#texts[row] ?? "",
      stream: output?.stream ?? "stdout",
      source: output?.source,
      by: this.#writers.get(row) ?? offset,
      style: this.#styles.get(row) ?? PLAIN,
    };
  }

  #fold(run: readonly PlacedEntry[], previous: PageRows | null): void {
    if (this.raw) return this.#add(run, unfolded(run));
    const fold = foldEntries(run, this.#carry, (stream) => this.#above(stream, previous));
    this.#add(run, fold.rows);
    for (const row of fold.rewrites) {
      if (row.offset >= this.#start) this.#rewrite(row);
      else if (previous) previous.#rewrite(row);
    }
    if (fold.missed || fold.rewrites.some(({ offset }) => offset < this.#start))
      this.#basedOn = previous?.serial ?? 0;
    for (const [entry, at] of fold.shownAt) this.#shownAt.set(entry, at);
    this.#carry = fold.carry;
  }

  #add(run: readonly PlacedEntry[], rows: readonly FoldedRow[]): void {
    let next = 0;
    for (const { offset } of run) {
      for (let row = rows[next]; row?.offset === offset; row = rows[next]) {
        if (row.style !== PLAIN) this.#styles.set(this.#texts.length, row.style);
        if (row.by !== undefined) this.#writers.set(this.#texts.length, row.by);
        this.#texts.push(row.text);
        this.#places.push(offset - this.#start);
        next += 1;
      }
      this.#firsts.push(this.#texts.length);
    }
  }

  #rewrite({ offset, part, text, style, by = offset }: FoldedRow): void {
    const row = this.firstRow(offset) + part;
    if (row >= this.#texts.length) return;
    this.#texts[row] = text;
    this.#writers.set(row, by);
    if (style === PLAIN) this.#styles.delete(row);
    else this.#styles.set(row, style);
    this.#measured.delete(row);
    this.#forgetTops(row);
  }

  /** Below a row whose height may be another now. */
  #forgetTops(row: number): void {
    const { values } = this.#tops;
    values.length = Math.min(values.length, row + 1);
  }

  /** The rows of a stream, the last one first, as far as they are known. */
  *#above(stream: OutputStream, previous: PageRows | null): Generator<FoldedRow | "missing"> {
    let row = this.#texts.length - 1;
    for (let place = this.#firsts.length - 2; place >= 0; place -= 1) {
      const output = this.#entries[place];
      if (output === undefined) {
        yield "missing";
        return;
      }
      for (; row >= (this.#firsts[place] ?? 0); row -= 1) {
        if (output.stream === stream) yield this.#folded(row);
      }
    }
    if (previous) yield* previous.#above(stream, null);
    else if (this.#start > 0) yield "missing";
  }

  #folded(row: number): FoldedRow {
    return { ...this.nameOf(row), text: this.#texts[row] ?? "", style: this.#styles.get(row) ?? PLAIN };
  }
}

/** How many units high a line is where it wraps at `width` columns; an overlong one up to where it is cut. */
export function unitsOf(text: string, width: number, raw = false): number {
  const plain = shown(text.length > LENGTH_READ ? text.slice(0, LENGTH_READ) : text, raw);
  const cut = text.length > LENGTH_SHOWN && plain.length > LENGTH_SHOWN;
  const drawn = cut ? plain.slice(0, LENGTH_SHOWN) : plain;
  const columns = columnsOf(drawn) + boxColumns(drawn) + (cut ? BUTTON_COLUMNS : 0);
  return Math.max(1, Math.ceil(columns / width));
}

function shown(text: string, raw: boolean): string {
  return raw ? rawText(text) : plainText(text);
}

/** The loaded entries from a place up to the next hole. */
function runFrom(entries: Entries, place: number, start: number): readonly PlacedEntry[] {
  const run: PlacedEntry[] = [];
  for (let at = place; at < entries.length; at += 1) {
    const output = entries[at];
    if (output === undefined) break;
    run.push({ offset: start + at, output });
  }
  return run;
}
