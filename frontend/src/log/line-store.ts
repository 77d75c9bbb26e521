/**
 * The lines of one job: any number of them, outside React, of which only some are in memory.
 *
 * A log is addressed by the offsets of its entries, 0 up to `end`. Pages of them are loaded or not; which ones does not
 * matter to what is loaded. A page that nobody looked at for long makes room for others: it can be fetched again.
 *
 * Invariants:
 *  - An offset means the same entry for as long as the generation is the same. A list that is written anew begins a
 *    new generation.
 *  - Nothing is copied when a line arrives: it joins its page, and listeners hear of it once per frame.
 *  - What stands is replaced only by something: a replay (after a reset, or without a position) clears the old entries
 *    in the same step that puts the first new one in their place, so the screen is never empty in between, and old
 *    and new are never mixed.
 *  - Bounds are kept by letting whole pages go, the least recently used first, and never the last one
 *    nor one that is on the screen.
 *
 * Decided against: one array from the first entry to the last. A reader who jumps into the middle of a million lines
 * would wait for half of them.
 */
import { FrameSignal, type Schedule } from "../stream/frame";
import type { JobOutput } from "../api/job";
import { LinePage, PAGE_ENTRIES } from "./line-page";
import { parsePosition, withoutEnd } from "../stream/position";
import type { OffsetRange } from "./projection";

export interface LineStoreSettings {
  /** Entries kept at least where there are so many; what goes first is what was not looked at for longest. */
  readonly maxLines: number;
  /** Bytes of text kept, about. Default: no bound but that of the lines. */
  readonly maxBytes?: number;
  readonly schedule?: Schedule;
}

/** One entry and its place in the job's list. */
export interface LogEntry {
  readonly offset: number;
  readonly output: JobOutput;
}

export class LineStore {
  #pages: LinePage[] = [];
  #byNumber = new Map<number, LinePage>();
  #gaps: OffsetRange[] = [];
  #end = 0;
  #announced = 0;
  #generation = 0;
  #resetReason: string | null = null;
  #failure: string | null = null;
  #replacement: { readonly resetReason: string | null } | null = null;
  #proof: { readonly offset: number; readonly position: string } | null = null;
  #count = 0;
  #bytes = 0;
  #uses = 0;
  #inView: ReadonlySet<LinePage> = new Set();
  #records: readonly JobOutput[] | null = null;
  readonly #maxLines: number;
  readonly #maxBytes: number;
  readonly #signal: FrameSignal;

  constructor({ maxLines, maxBytes, schedule }: LineStoreSettings) {
    this.#maxLines = Math.max(1, maxLines);
    this.#maxBytes = maxBytes ?? Number.POSITIVE_INFINITY;
    this.#signal = new FrameSignal(schedule);
    this.subscribe = this.#signal.subscribe;
  }

  /** The offset behind the last entry that came. */
  get end(): number {
    return this.#end;
  }

  /** How many entries there are, as far as anyone said. */
  get total(): number {
    return Math.max(this.#end, this.#announced);
  }

  /** How many entries are still to come, of those that are known to be there. */
  get behind(): number {
    return this.#replacement ? 0 : this.total - this.#end;
  }

  /** Another number for each list: what was kept under offsets of the one before means nothing any more. */
  get generation(): number {
    return this.#generation;
  }

  /** Why the list was begun anew; `null` where it was not. */
  get resetReason(): string | null {
    return this.#resetReason;
  }

  /** Why nothing that is missing can be had; `null` where it can. */
  get failure(): string | null {
    return this.#failure;
  }

  /** Where the stream ended: what was there then, by which pages can be proven; null while one goes on and would tell. */
  get proof(): { readonly offset: number; readonly position: string } | null {
    return this.#proof;
  }

  /** Changes once per frame, together with the notification. */
  get version(): number {
    return this.#signal.version;
  }

  /** Entries in memory. */
  get loaded(): number {
    return this.#count;
  }

  /** What the entries in memory take, in bytes, about. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether what is there is about to be replaced. */
  get replacing(): boolean {
    return this.#replacement !== null;
  }

  /** The offset that the next line has where nobody says otherwise. */
  get nextOffset(): number {
    return this.#replacement ? 0 : this.#end;
  }

  /** The pages that hold something, in order. */
  get pages(): readonly LinePage[] {
    return this.#pages;
  }

  /** Lines lost for good, in order, without overlap: `from` included, `to` not. */
  get gaps(): readonly OffsetRange[] {
    return this.#gaps;
  }

  readonly subscribe: (listener: () => void) => () => void;

  /** Takes the next line of the stream. One that came before is left out. */
  append({ offset, output }: LogEntry): void {
    this.commitReplacement();
    if (offset < this.#end) return;
    this.#put(offset, output);
    this.#end = offset + 1;
    this.#trim();
    this.#changed();
  }

  /** Says that lines are gone for good: `from` to `to`, both inclusive. */
  appendGap(from: number, to: number): void {
    this.commitReplacement();
    this.#addGap({ from, to: to + 1 });
    this.#end = Math.max(this.#end, to + 1);
    this.#changed();
  }

  /** Takes entries that were asked for, from offset `from` on. What is there already stays. */
  fill(from: number, outputs: readonly JobOutput[]): void {
    for (const [index, output] of outputs.entries()) {
      if (from + index < this.#end) this.#put(from + index, output);
    }
    this.#trim();
    this.#changed();
  }

  /** Says that lines that were asked for are gone for good: `from` included, `to` not. */
  fillGap(from: number, to: number): void {
    this.#addGap({ from, to: Math.min(to, this.#end) });
    this.#changed();
  }

  /** Says why the missing entries of a page cannot be had now; `null`: they may be asked for again. */
  fail(pageNumber: number, reason: string | null): void {
    const page = this.#byNumber.get(pageNumber);
    if (!page && reason === null) return;
    (page ?? this.#newPage(pageNumber)).failure = reason;
    this.#changed();
  }

  /** Says why nothing that is missing can be had, and shows all of it as one; `null`: it may be asked for again. */
  failAll(reason: string | null): void {
    if (reason === this.#failure) return;
    this.#failure = reason;
    this.#changed();
  }

  /** Says how many entries there are; they come by the stream, or can be asked for. */
  announce(total: number): void {
    if (this.#replacement || total === this.#announced) return;
    this.#announced = total;
    this.#reach();
    this.#changed();
  }

  /**
   * Says that the stream is over, and at which position; null: it goes on. What is announced from then on does not come
   * by itself, and is there to be asked for like all older lines.
   */
  settle(position: string | null): void {
    const offset = position === null || this.#end === 0 ? undefined : parsePosition(position)?.offset;
    this.#proof = offset === undefined ? null : { offset, position: withoutEnd(position ?? "") };
    this.#reach();
    this.#changed();
  }

  /** From the next entry on, what is there is replaced. A `resetReason` is shown in front. Without effect when empty. */
  beginReplacement(resetReason: string | null): void {
    if (this.#end > 0 || resetReason !== null) this.#replacement = { resetReason };
  }

  /** Replaces now, where a replacement was begun: it turned out that nothing follows. */
  commitReplacement(): void {
    if (!this.#replacement) return;
    this.#resetReason = this.#replacement.resetReason;
    this.#replacement = this.#failure = null;
    this.#pages = [];
    this.#byNumber.clear();
    this.#gaps = [];
    this.#end = this.#announced = this.#count = this.#bytes = 0;
    this.#generation += 1;
    this.#changed();
  }

  entry(offset: number): JobOutput | undefined {
    return this.page(offset)?.entry(offset);
  }

  /** The entry whose row shows the text of the entry at `offset`: an older one, where it was drawn over that one's. */
  shownAt(offset: number): number {
    return this.page(offset)?.shownAt(offset) ?? offset;
  }

  /** The page of an offset, where it holds something. */
  page(offset: number): LinePage | undefined {
    return this.#byNumber.get(Math.floor(offset / PAGE_ENTRIES));
  }

  /** Says which pages are being looked at: they stay, whatever the bounds say, until others are. */
  lookAt(pages: readonly LinePage[]): void {
    this.#inView = new Set(pages);
    for (const page of pages) page.usedAt = this.#uses += 1;
  }

  /** The last entries, `maxLines` of them at most, as an array that is the same until something changes. */
  records(): readonly JobOutput[] {
    this.#records ??= this.#pages.flatMap((page) => page.records()).slice(-this.#maxLines);
    return this.#records;
  }

  /** Once the stream is over, all that is announced counts as there. */
  #reach(): void {
    if (this.#proof) this.#end = this.total;
  }

  #put(offset: number, output: JobOutput): void {
    const number = Math.floor(offset / PAGE_ENTRIES);
    const page = this.#byNumber.get(number) ?? this.#newPage(number);
    const bytes = page.bytes;
    if (!page.put(offset, output)) return;
    this.#count += 1;
    this.#bytes += page.bytes - bytes;
  }

  #newPage(number: number): LinePage {
    const page = new LinePage(number);
    this.#byNumber.set(number, page);
    let at = this.#pages.length;
    while (at > 0 && (this.#pages[at - 1]?.number ?? 0) > number) at -= 1;
    this.#pages.splice(at, 0, page);
    page.usedAt = this.#uses += 1;
    return page;
  }

  #addGap({ from, to }: OffsetRange): void {
    if (to <= from) return;
    const apart = this.#gaps.filter((gap) => gap.to < from || gap.from > to);
    const joined = this.#gaps.filter((gap) => gap.to >= from && gap.from <= to);
    const gap = {
      from: Math.min(from, ...joined.map((each) => each.from)),
      to: Math.max(to, ...joined.map((each) => each.to)),
    };
    this.#gaps = [...apart, gap].toSorted((one, other) => one.from - other.from);
  }

  /** Lets pages go until the bounds are kept: never the last, and none that is looked at. */
  #trim(): void {
    while (this.#count - PAGE_ENTRIES >= this.#maxLines || this.#bytes > this.#maxBytes) {
      const oldest = this.#leastUsed();
      if (!oldest) return;
      this.#pages = this.#pages.filter((page) => page !== oldest);
      this.#byNumber.delete(oldest.number);
      this.#count -= oldest.count;
      this.#bytes -= oldest.bytes;
    }
  }

  #leastUsed(): LinePage | undefined {
    let oldest: LinePage | undefined;
    for (const page of this.#pages.slice(0, -1)) {
      if (!this.#inView.has(page) && (!oldest || page.usedAt < oldest.usedAt)) oldest = page;
    }
    return oldest;
  }

  #changed(): void {
    this.#records = null;
    this.#signal.touch();
  }
}
