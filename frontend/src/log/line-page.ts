/**
 * A page of a log: the entries at `PAGE_ENTRIES` consecutive offsets, as far as they are loaded.
 *
 * Entries come in any order: a live line at the end, older ones before it, a hole between. What is loaded falls into
 * runs. Rows (`page-rows`) are made when they are asked for: a program that only reads entries (a hook) never pays for
 * them.
 */
import type { JobOutput } from "../api/job";
import { PageRows } from "./page-rows";
import { type Carry, START, sameCarry } from "./terminal/terminal-lines";

/** Entries of a page: one request, a dozen screens. */
export const PAGE_ENTRIES = 512;

/** What an entry costs beside its text, in bytes, about: the object, its number, its row. */
const ENTRY_BYTES = 96;

/** Loaded entries without a hole, by offset: `from` included, `to` not. */
export interface Run {
  readonly from: number;
  readonly to: number;
}

export class LinePage {
  readonly number: number;
  /** Why its missing entries could not be had, when they were asked for last. */
  failure: string | null = null;
  /** When it was looked at last, by the store's count: the least recent goes first. */
  usedAt = 0;
  readonly #entries: (JobOutput | undefined)[] = [];
  #count = 0;
  #bytes = 0;
  #runs: readonly Run[] | null = null;
  #rows: PageRows | null = null;

  constructor(number: number) {
    this.number = number;
  }

  get start(): number {
    return this.number * PAGE_ENTRIES;
  }

  get end(): number {
    return this.start + PAGE_ENTRIES;
  }

  /** Entries that are loaded. */
  get count(): number {
    return this.#count;
  }

  /** What it holds in memory, about. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether the entry at its end is loaded, so that the next page goes on with it. */
  get reachesEnd(): boolean {
    return this.#entries.length === PAGE_ENTRIES;
  }

  entry(offset: number): JobOutput | undefined {
    return this.#entries[offset - this.start];
  }

  /** Takes an entry, unless it is there. The value is whether it was taken. */
  put(offset: number, output: JobOutput): boolean {
    const place = offset - this.start;
    if (this.#entries[place] !== undefined) return false;
    // Behind the last one the rows that stand go on; anywhere else they are made anew.
    if (place < this.#entries.length) this.#rows = null;
    while (this.#entries.length < place) this.#entries.push(undefined);
    this.#entries[place] = output;
    this.#count += 1;
    this.#bytes += ENTRY_BYTES + output.line.length;
    this.#runs = null;
    return true;
  }

  /** The loaded stretches, in order. */
  runs(): readonly Run[] {
    this.#runs ??= runsOf(this.#entries, this.start);
    return this.#runs;
  }

  /** The entry whose row shows the text of the entry at `offset`, as far as rows were made. */
  shownAt(offset: number): number {
    return this.#rows?.shownAt(offset) ?? offset;
  }

  records(): readonly JobOutput[] {
    return this.#entries.filter((entry) => entry !== undefined);
  }

  /**
   * The rows; the same object while it can be.
   *
   * @param previous the rows of the page before, where that one's last entry is loaded.
   * @param raw rows as they came, with no control sequence obeyed.
   */
  rows(previous: PageRows | null, raw: boolean): PageRows {
    const before = this.#entries[0] === undefined ? null : previous;
    const carry: Carry = before?.carryOut ?? START;
    const fits =
      this.#rows?.raw === raw && sameCarry(this.#rows.carryIn, carry) && !this.#rows.isBasedOnOther(before);
    const rows = this.#rows && fits ? this.#rows : new PageRows(this.start, carry, raw);
    rows.take(this.#entries, before);
    this.#rows = rows;
    return rows;
  }
}

function runsOf(entries: readonly (JobOutput | undefined)[], start: number): readonly Run[] {
  const runs: Run[] = [];
  let from = -1;
  for (let place = 0; place <= entries.length; place += 1) {
    if (entries[place] !== undefined) {
      if (from < 0) from = place;
    } else if (from >= 0) {
      runs.push({ from: start + from, to: start + place });
      from = -1;
    }
  }
  return runs;
}
