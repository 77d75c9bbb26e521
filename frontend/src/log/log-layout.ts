/**
 * Where each row of a log is, in units of a row's height: the whole log, of which only some is loaded.
 *
 * A layout is made from a store, a projection (which entries are displayed) and a width (0: lines do not wrap), and then
 * never changes. It is a short list of segments, each a stretch of rows of one kind: the loaded lines of a page, entries
 * not loaded (a unit each, however many), and single rows that stand for many entries (a gap, a page that failed, what is
 * hidden). A million lines of which some pages are loaded are some dozen segments, so that a layout is made anew in each
 * frame in which something changed.
 */
import { type LinePage, PAGE_ENTRIES } from "./line-page";
import type { LineStore } from "./line-store";
import type { ViewRow } from "./log-rows";
import type { PageRows } from "./page-rows";
import { type OffsetRange, type Projection, isDisplayed, withRanges } from "./projection";

/** A place in the log that outlives a change of the layout: some units below the top of a row. */
export interface Anchor {
  readonly offset: number;
  readonly part: number;
  readonly units: number;
}

/** A row, and where it is. */
export interface PlacedRow {
  readonly row: ViewRow;
  readonly top: number;
  readonly units: number;
}

type Segment = (Lines | Single | Unloaded) & OffsetRange & { readonly top: number; readonly units: number };

interface Lines {
  readonly kind: "lines";
  readonly page: LinePage;
  readonly rows: PageRows;
}

interface Unloaded {
  readonly kind: "unloaded";
}

interface Single {
  readonly kind: "failed" | "gap" | "fold" | "reset";
  readonly reason: string;
}

export class LogLayout {
  /** The height of it all. */
  readonly units: number;
  /** Columns at which lines wrap; 0: they do not. */
  readonly width: number;
  readonly #segments: readonly Segment[];
  readonly #generation: number;

  constructor(segments: readonly Segment[], width: number, generation: number) {
    const last = segments.at(-1);
    this.units = last ? last.top + last.units : 0;
    this.width = width;
    this.#segments = segments;
    this.#generation = generation;
  }

  /** The rows that touch the units from `from` to `to`, in order. */
  rows(from: number, to: number): readonly PlacedRow[] {
    const placed: PlacedRow[] = [];
    for (let at = this.#segmentAt(from); at < this.#segments.length; at += 1) {
      const segment = this.#segments[at] as Segment;
      if (segment.top >= to) break;
      if (segment.kind === "lines") this.#placeLines(segment, from, to, placed);
      else if (segment.kind === "unloaded") this.#placeUnloaded(segment, from, to, placed);
      else placed.push({ row: this.#single(segment), top: segment.top, units: segment.units });
    }
    return placed;
  }

  /** The loaded pages that touch the units from `from` to `to`. */
  pages(from: number, to: number): readonly LinePage[] {
    const pages: LinePage[] = [];
    for (let at = this.#segmentAt(from); at < this.#segments.length; at += 1) {
      const segment = this.#segments[at] as Segment;
      if (segment.top >= to) break;
      if (segment.kind === "lines" && pages.at(-1) !== segment.page) pages.push(segment.page);
    }
    return pages;
  }

  /** The entries that are not loaded, of those between the units `from` and `to`. */
  unloaded(from: number, to: number): readonly OffsetRange[] {
    const ranges: OffsetRange[] = [];
    for (let at = this.#segmentAt(from); at < this.#segments.length; at += 1) {
      const segment = this.#segments[at] as Segment;
      if (segment.top >= to) break;
      if (segment.kind !== "unloaded") continue;
      const first = segment.from + Math.max(0, Math.floor(from - segment.top));
      const last = Math.min(segment.to, segment.from + Math.ceil(to - segment.top));
      if (last > first) ranges.push({ from: first, to: last });
    }
    return ranges;
  }

  /** The place at a unit. */
  anchorAt(unit: number): Anchor {
    const segment = this.#segments[this.#segmentAt(unit)];
    if (!segment) return { offset: 0, part: 0, units: 0 };
    const within = unit - segment.top;
    if (segment.kind === "lines") {
      const first = segment.rows.firstRow(segment.from);
      const above = segment.rows.top(first, this.width);
      const row = segment.rows.rowAt(above + within, this.width);
      const units = above + within - segment.rows.top(row, this.width);
      return { ...segment.rows.nameOf(row), units };
    }
    const entries = segment.kind === "unloaded" ? Math.floor(within) : 0;
    return { offset: segment.from + entries, part: 0, units: within - entries };
  }

  /** Where a place is: of its row, or of what stands for that now. */
  unitOf({ offset, part, units }: Anchor): number {
    const segment = this.#segments[this.#segmentOf(offset)];
    if (!segment) return 0;
    if (offset >= segment.to) return segment.top + segment.units;
    if (segment.kind === "unloaded") return segment.top + offset - segment.from + Math.min(units, 1);
    if (segment.kind !== "lines") return segment.top + Math.min(units, 1);
    const { rows, from, top } = segment;
    const firstOfNext = rows.firstRow(offset + 1);
    const row = Math.max(rows.firstRow(from), Math.min(rows.firstRow(offset) + part, firstOfNext - 1));
    const above = rows.top(row, this.width);
    const height = rows.top(row + 1, this.width) - above;
    return top + above - rows.top(rows.firstRow(from), this.width) + Math.min(units, height);
  }

  /** Says how high a row is once it is drawn. The value is whether a layout made now would be another. */
  measure(offset: number, part: number, units: number): boolean {
    const segment = this.#segments[this.#segmentOf(offset)];
    if (this.width === 0 || segment?.kind !== "lines" || offset >= segment.to) return false;
    return segment.rows.measure(segment.rows.firstRow(offset) + part, this.width, units);
  }

  /** How many units the rows of an entry take; 1 where something else stands for it. */
  unitsOf(offset: number): number {
    const segment = this.#segments[this.#segmentOf(offset)];
    if (segment?.kind !== "lines" || offset >= segment.to) return 1;
    const { rows } = segment;
    return rows.top(rows.firstRow(offset + 1), this.width) - rows.top(rows.firstRow(offset), this.width);
  }

  #placeLines(segment: Segment & Lines, from: number, to: number, placed: PlacedRow[]): void {
    const { rows, top } = segment;
    const first = rows.firstRow(segment.from);
    const behind = rows.firstRow(segment.to);
    const above = rows.top(first, this.width) - top;
    let row = Math.max(first, rows.rowAt(from + above, this.width));
    for (; row < behind; row += 1) {
      const rowTop = rows.top(row, this.width) - above;
      if (rowTop >= to) return;
      const units = rows.top(row + 1, this.width) - above - rowTop;
      placed.push({ row: rows.row(row, this.#generation), top: rowTop, units });
    }
  }

  #placeUnloaded({ from: offset, top, units }: Segment, from: number, to: number, placed: PlacedRow[]): void {
    const behind = Math.min(units, Math.ceil(to - top));
    for (let at = Math.max(0, Math.floor(from - top)); at < behind; at += 1) {
      const id = `${this.#generation}.${offset + at}.0`;
      placed.push({ row: { kind: "unloaded", id, offset: offset + at }, top: top + at, units: 1 });
    }
  }

  #single(segment: Segment & Single): ViewRow {
    const { kind, from, to, reason } = segment;
    const id = `${this.#generation}.${from}.${kind}`;
    if (kind === "reset") return { kind, id, reason };
    if (kind === "failed") return { kind, id, from, to: to - 1, reason };
    return { kind, id, from, to: to - 1 };
  }

  /** The segment that covers a unit, or the nearest. */
  #segmentAt(unit: number): number {
    return lastWhere(this.#segments, (segment) => segment.top <= unit);
  }

  /** The segment that holds an entry, or the one in front of it. */
  #segmentOf(offset: number): number {
    return lastWhere(this.#segments, (segment) => segment.from <= offset);
  }
}

export interface LayoutSettings {
  readonly projection: Projection;
  /** Columns at which lines wrap; 0: they do not. */
  readonly width: number;
  /** Rows as they came, with no control sequence obeyed. */
  readonly raw: boolean;
}

/** The layout of a log as it stands. */
export function layOut(log: LineStore, { projection, width, raw }: LayoutSettings): LogLayout {
  return new SegmentList(log, width, raw).take(projection);
}

class SegmentList {
  readonly #log: LineStore;
  readonly #width: number;
  readonly #segments: Segment[] = [];
  readonly #rows: readonly PageRows[];
  #top = 0;

  constructor(log: LineStore, width: number, raw: boolean) {
    this.#log = log;
    this.#width = width;
    this.#rows = rowsOf(log.pages, raw);
  }

  take(projection: Projection): LogLayout {
    const { end, resetReason, generation } = this.#log;
    if (resetReason !== null) this.#single("reset", { from: -1, to: 0 }, resetReason);
    if (projection.kind === "all") this.#add({ from: 0, to: end });
    else if (projection.between === "silent") this.#addRanges(projection.ranges, false);
    else this.#addRanges(this.#withRowsOf(projection), true);
    return new LogLayout(this.#segments, this.#width, generation);
  }

  /**
   * What a filter displays, with the rows that show the text of its entries: a message that a program printed over its
   * progress bar stands in that bar's row.
   */
  #withRowsOf(projection: Projection): readonly OffsetRange[] {
    const more: OffsetRange[] = [];
    for (const rows of this.#rows)
      for (const [entry, at] of rows.shownElsewhere)
        if (isDisplayed(projection, entry) && !isDisplayed(projection, at))
          more.push({ from: at, to: at + 1 });
    const displayed = withRanges(projection, more);
    return displayed.kind === "ranges" ? displayed.ranges : [];
  }

  #addRanges(ranges: readonly OffsetRange[], said: boolean): void {
    const { end } = this.#log;
    let position = 0;
    for (const range of ranges) {
      if (range.from >= end) break;
      if (said && range.from > position) this.#single("fold", { from: position, to: range.from });
      position = Math.min(range.to, end);
      this.#add({ from: range.from, to: position });
    }
    if (said && position < end) this.#single("fold", { from: position, to: end });
  }

  #add({ from, to }: OffsetRange): void {
    const { pages } = this.#log;
    let position = from;
    for (let at = firstPage(pages, from); at < pages.length && position < to; at += 1) {
      const page = pages[at] as LinePage;
      if (page.start >= to) break;
      if (page.start > position) this.#addMissing({ from: position, to: page.start }, null);
      position = this.#addPage(page, this.#rows[at] as PageRows, Math.max(position, page.start), to);
    }
    this.#addMissing({ from: position, to }, null);
  }

  /** Adds what a page has between two offsets; the value is where it ends. */
  #addPage(page: LinePage, rows: PageRows, from: number, to: number): number {
    const behind = Math.min(page.end, to);
    let position = from;
    for (const run of page.runs()) {
      const first = Math.max(run.from, position);
      const last = Math.min(run.to, behind);
      if (first >= last) continue;
      this.#addMissing({ from: position, to: first }, page.failure);
      const above = rows.top(rows.firstRow(first), this.#width);
      const units = rows.top(rows.firstRow(last), this.#width) - above;
      this.#push({ kind: "lines", from: first, to: last, top: this.#top, units, page, rows });
      position = last;
    }
    this.#addMissing({ from: position, to: behind }, page.failure);
    return behind;
  }

  #addMissing({ from, to }: OffsetRange, failure: string | null): void {
    if (from >= to) return;
    let position = from;
    for (const gap of this.#log.gaps) {
      if (gap.to <= position || gap.from >= to) continue;
      this.#addUnloaded({ from: position, to: gap.from }, failure);
      const first = Math.max(position, gap.from);
      position = Math.min(gap.to, to);
      this.#single("gap", { from: first, to: position });
    }
    this.#addUnloaded({ from: position, to }, failure);
  }

  #addUnloaded({ from, to }: OffsetRange, failure: string | null): void {
    if (from >= to) return;
    const reason = this.#log.failure ?? failure;
    if (reason !== null) this.#single("failed", { from, to }, reason);
    else this.#push({ kind: "unloaded", from, to, top: this.#top, units: to - from });
  }

  /** A row for many entries; it goes on with the one before where that says the same. */
  #single(kind: Single["kind"], { from, to }: OffsetRange, reason = ""): void {
    const last = this.#segments.at(-1);
    const goesOn = kind === "gap" || (kind === "failed" && this.#log.failure !== null);
    if (last?.kind === kind && last.to === from && goesOn) {
      this.#segments[this.#segments.length - 1] = { ...last, to };
    } else this.#push({ kind, from, to, top: this.#top, units: 1, reason });
  }

  #push(segment: Segment): void {
    this.#segments.push(segment);
    this.#top += segment.units;
  }
}

/** The rows of all pages. A page that goes on with the one before begins as that ends. */
function rowsOf(pages: readonly LinePage[], raw: boolean): readonly PageRows[] {
  const all: PageRows[] = [];
  let before: LinePage | undefined;
  for (const page of pages) {
    const adjoining = before?.number === page.number - 1 && before.reachesEnd;
    all.push(page.rows((adjoining && all.at(-1)) || null, raw));
    before = page;
  }
  return all;
}

function firstPage(pages: readonly LinePage[], offset: number): number {
  const at = lastWhere(pages, (page) => page.start <= offset);
  const page = pages[at];
  return page && page.start + PAGE_ENTRIES <= offset ? at + 1 : at;
}

/** The last element for which a condition holds that holds up to some element; 0 where it holds for none. */
function lastWhere<T>(elements: readonly T[], holds: (element: T) => boolean): number {
  let low = 0;
  let high = elements.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (holds(elements[middle] as T)) low = middle;
    else high = middle - 1;
  }
  return low;
}
