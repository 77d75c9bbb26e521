/**
 * What is seen of a log: which rows are drawn and where, whether the end is followed, and where the reader stays while
 * rows come, go, are loaded, hidden, and wrapped anew. No React, no elements: the shell (`useLogView`) tells it what
 * happens to the element that scrolls, and draws the frame that it makes.
 *
 * Invariants:
 *  - While the end is not followed, a row stays where it is on the screen: that at the upper edge, or the one that was
 *    jumped to. Whatever changes above it is made good by scrolling.
 *  - Following is left by any sign that someone wants to read, before the scroll happens, and taken up again at the bottom.
 *  - Only what would otherwise be drawn as missing is asked for.
 */
import type { JobsApi } from "../../api/jobs-api";
import type { LineStore } from "../../log/line-store";
import { type Anchor, type LogLayout, type PlacedRow, layOut } from "../../log/log-layout";
import { lastOffsetOf, offsetOf } from "../../log/log-rows";
import { PageLoader } from "../../log/page-loader";
import { EVERYTHING, type OffsetRange, type Projection, sameProjection } from "../../log/projection";
import {
  OVERSCAN_UNITS,
  ROW_HEIGHT,
  type Space,
  bottom,
  isScaled,
  scrollHeight,
  scrollTopOf,
  unitAt,
  windowAt,
} from "./geometry";
import { Unseen } from "./unseen";
import { BY_STREAM, type LogKnowledge } from "./log-controls";

/**
 * How long a scroll still under way (the animation of a key or a wheel) is not taken for a new wish, once the end was
 * reached after the wish to follow, in milliseconds. On a busy machine the end is reached late.
 */
const PIN_MS = 500;

/** How near to the end counts as the end, in pixels: zoomed pages scroll by fractions. */
const END_PX = 2;

/** Units beyond the drawn ones in which missing lines are asked for already. */
const AHEAD_UNITS = 100;

/** The element that scrolls, as far as it matters here. */
export interface Scroller {
  readonly scrollTop: number;
  readonly scrollHeight: number;
  readonly clientHeight: number;
  scrollTo(options: { top: number }): void;
}

/** What is drawn. */
export interface LogFrame {
  /** In order; those before the unit `from` and behind `to` are out of sight, and kept for a selection. */
  readonly rows: readonly PlacedRow[];
  readonly from: number;
  readonly to: number;
  /** Where the first row is, from the top of the scroll space, in pixels. */
  readonly y: number;
  /** Of the scroll space, in pixels. */
  readonly height: number;
}

/** How lines are laid out. */
export interface LineFormat {
  /** Columns at which lines wrap; 0: they do not. */
  readonly width: number;
  readonly raw: boolean;
}

export class LogView {
  readonly log: LineStore;
  readonly jobId: string;
  readonly loader: PageLoader;
  /** Grows with every change. */
  version = 0;
  readonly #listeners = new Set<() => void>();
  #scroller: Scroller | null = null;
  #format: LineFormat = { width: 0, raw: false };
  #projection: Projection = EVERYTHING;
  #layout: LogLayout;
  #viewHeight = 600;
  #frame: LogFrame = { rows: [], from: 0, to: 0, y: 0, height: 0 };
  #visible = { first: -1, last: -1 };
  /** Where the scroller is, or shall be. */
  #top = 0;
  #mustScroll = false;
  #following = true;
  #pinnedUntil = 0;
  /** The place that is kept while the end is not followed, and its distance from the upper edge, in units. */
  #anchor: Anchor = { offset: 0, part: 0, units: 0 };
  #anchorDepth = 0;
  /** A line that someone wants to see and that has not come yet. */
  #awaited: number | null = null;
  #held: readonly Anchor[] = [];
  #unseen: Unseen;
  #unlisten: (() => void) | null = null;

  constructor(log: LineStore, jobId: string, api: JobsApi) {
    this.log = log;
    this.jobId = jobId;
    this.loader = new PageLoader(log, jobId, api);
    this.#unseen = new Unseen(log);
    this.#layout = layOut(log, { projection: EVERYTHING, ...this.#format });
    this.#update();
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };

  get frame(): LogFrame {
    return this.#frame;
  }

  get visible(): { readonly first: number; readonly last: number } {
    return this.#visible;
  }

  get following(): boolean {
    return this.#following;
  }

  get unseen(): { readonly lines: number; readonly errors: number } {
    return this.#unseen.count;
  }

  get projection(): Projection {
    return this.#projection;
  }

  get raw(): boolean {
    return this.#format.raw;
  }

  /** Whether a pixel of the scroll space is more than one of the log: the browser's own steps pass over lines then. */
  get isScaled(): boolean {
    return isScaled(this.#space);
  }

  /** Units that are seen at a time. */
  get viewUnits(): number {
    return this.#viewHeight / ROW_HEIGHT;
  }

  /** Listens to the log until `close`. */
  open(): void {
    this.loader.open();
    this.#unlisten ??= this.log.subscribe(() => this.#logChanged());
    this.#logChanged();
  }

  close(): void {
    this.#unlisten?.();
    this.#unlisten = null;
    this.loader.close();
  }

  attach(scroller: Scroller | null): void {
    this.#scroller = scroller;
    this.#mustScroll = true;
  }

  setKnowledge(knowledge: LogKnowledge = BY_STREAM): void {
    this.#unseen.isError = knowledge.isError;
  }

  setFormat(format: LineFormat): void {
    if (format.width === this.#format.width && format.raw === this.#format.raw) return;
    this.#format = format;
    this.#layOut();
  }

  /** Rows turned out to be of another height than computed: an unusual character, or a line shown whole. */
  measure(rows: readonly { readonly offset: number; readonly part: number; readonly units: number }[]): void {
    const news = rows.filter(({ offset, part, units }) => this.#layout.measure(offset, part, units));
    if (news.length > 0) this.#layOut();
  }

  setViewHeight(height: number): void {
    if (height === this.#viewHeight || height === 0) return;
    this.#viewHeight = height;
    this.#place();
  }

  setProjection(projection: Projection): void {
    if (sameProjection(projection, this.#projection)) return;
    this.#projection = projection;
    this.#layOut();
  }

  /** Rows that stay drawn though they are scrolled out of sight: the ends of a selection. */
  hold(places: readonly Anchor[]): void {
    this.#held = places;
  }

  follow(): void {
    this.#pinnedUntil = Number.POSITIVE_INFINITY;
    this.#awaited = null;
    this.#following = true;
    this.#unseen.reset();
    this.#mustScroll = true;
    this.#place();
  }

  pause(): void {
    this.#awaited = null;
    if (!this.#following) return;
    this.#following = false;
    this.#unseen.begin();
    this.#keepUpperEdge();
    this.#update();
  }

  /** The reader took hold of something: a scroll from now on is their wish. */
  release(): void {
    this.#pinnedUntil = 0;
  }

  toStart(): void {
    this.pause();
    this.#goTo(this.#layout.anchorAt(0), 0);
  }

  scrollBy(units: number): void {
    if (units < 0) this.pause();
    if (this.#following) return;
    const unit = Math.max(0, unitAt(this.#space, this.#top) + units);
    if (units > 0 && scrollTopOf(this.#space, unit) >= bottom(this.#space)) this.follow();
    else this.#goTo(this.#layout.anchorAt(unit), 0);
  }

  /** Shows an entry, in the middle unless it is on the screen; one that has not come yet once it has. */
  jumpTo(offset: number): void {
    this.pause();
    if (offset >= this.log.end) {
      this.#awaited = offset;
      return;
    }
    const viewUnits = this.#viewHeight / ROW_HEIGHT;
    const anchor = { offset: this.log.shownAt(offset), part: 0, units: 0 };
    const depth = this.#layout.unitOf(anchor) - unitAt(this.#space, this.#top);
    const height = Math.min(this.#layout.unitsOf(anchor.offset), viewUnits);
    const seen = depth >= 1 && depth + height <= viewUnits - 1;
    this.#goTo(anchor, seen ? depth : (viewUnits - height) / 2);
  }

  /** Leaves an entry where it is on the screen, whatever now changes around it. */
  keep(offset: number): void {
    this.pause();
    this.#anchor = { offset: this.log.shownAt(offset), part: 0, units: 0 };
    this.#anchorDepth = this.#layout.unitOf(this.#anchor) - unitAt(this.#space, this.#top);
  }

  /** The scroller was scrolled, by the reader or by ourselves. */
  scrolled(): void {
    const scroller = this.#scroller;
    if (!scroller) return;
    const { scrollTop: top } = scroller;
    const movedDown = top > this.#top;
    // By the element, not by our own arithmetic: it may have another height since the last drawing.
    const atEnd = scroller.scrollHeight - scroller.clientHeight - top <= END_PX;
    if (this.#following) this.#scrolledWhileFollowing(scroller, atEnd, movedDown);
    else if (Math.abs(top - this.#top) >= 1) {
      this.#awaited = null;
      this.#top = top;
      this.#keepUpperEdge();
      if (atEnd && movedDown) this.follow();
      else this.#update();
    }
  }

  /** The frame has been drawn: the scroll space has its height, and the scroller can be where it shall be. */
  drawn(): void {
    if (!this.#mustScroll || !this.#scroller) return;
    this.#mustScroll = false;
    this.#scroller.scrollTo({ top: this.#top });
  }

  get #space(): Space {
    return { units: this.#layout.units, viewHeight: this.#viewHeight };
  }

  #scrolledWhileFollowing(scroller: Scroller, atEnd: boolean, movedDown: boolean): void {
    if (atEnd && this.#pinnedUntil === Number.POSITIVE_INFINITY)
      this.#pinnedUntil = performance.now() + PIN_MS;
    if (atEnd || movedDown) return;
    if (performance.now() < this.#pinnedUntil) {
      scroller.scrollTo({ top: scroller.scrollHeight });
      return;
    }
    this.#top = scroller.scrollTop;
    this.pause();
  }

  #logChanged(): void {
    this.#unseen.look(this.#following);
    const awaited = this.#awaited;
    this.#layOut();
    if (awaited !== null && awaited < this.log.end) {
      this.#awaited = null;
      this.jumpTo(awaited);
    }
  }

  #layOut(): void {
    this.#layout = layOut(this.log, { projection: this.#projection, ...this.#format });
    this.#place();
  }

  #goTo(anchor: Anchor, depth: number): void {
    this.#anchor = anchor;
    this.#anchorDepth = depth;
    this.#mustScroll = true;
    this.#place();
  }

  /** Scrolls to where the reader is, after something changed. */
  #place(): void {
    const space = this.#space;
    const top = this.#following
      ? bottom(space)
      : scrollTopOf(space, this.#layout.unitOf(this.#anchor) - this.#anchorDepth);
    if (Math.abs(top - this.#top) >= 1) this.#mustScroll = true;
    this.#top = top;
    this.#update();
  }

  #keepUpperEdge(): void {
    this.#anchor = this.#layout.anchorAt(unitAt(this.#space, this.#top));
    this.#anchorDepth = 0;
  }

  #update(): void {
    const space = this.#space;
    const window = windowAt(space, this.#top);
    const rows = this.#layout.rows(window.from, window.to);
    const from = rows[0]?.top ?? window.from;
    this.#frame = {
      rows: [...rows, ...this.#heldRows(rows)].toSorted((one, other) => one.top - other.top),
      from,
      to: window.to,
      // Whole pixels: in a scaled space rows would be blurred, and seams between them shine through.
      y: Math.round(window.offset + (from - window.from) * ROW_HEIGHT),
      height: scrollHeight(space),
    };
    this.#visible = this.#visibleOf(rows, unitAt(space, this.#top));
    this.#lookAround(window.from, window.to);
    this.version += 1;
    for (const listener of this.#listeners) listener();
  }

  #heldRows(drawn: readonly PlacedRow[]): readonly PlacedRow[] {
    const ids = new Set(drawn.map(({ row }) => row.id));
    return this.#held.flatMap((place) => {
      const unit = this.#layout.unitOf(place);
      const [placed] = this.#layout.rows(unit, unit + 1);
      if (placed?.row.kind !== "line" || ids.has(placed.row.id)) return [];
      ids.add(placed.row.id);
      return [placed];
    });
  }

  #visibleOf(rows: readonly PlacedRow[], top: number): { first: number; last: number } {
    const end = top + this.#viewHeight / ROW_HEIGHT;
    const seen = rows.filter((row) => row.top + row.units > top && row.top < end);
    const [first, last] = [seen[0], seen.at(-1)];
    if (!first || !last) return { first: -1, last: -1 };
    return { first: Math.max(0, offsetOf(first.row)), last: lastOffsetOf(last.row) };
  }

  /** Keeps the pages that are seen, and asks for what is missing: what is on the screen first. */
  #lookAround(from: number, to: number): void {
    const layout = this.#layout;
    const held = this.#held.flatMap((place) => this.log.page(place.offset) ?? []);
    this.log.lookAt([...layout.pages(from, to), ...held]);
    const seen: readonly OffsetRange[] = layout.unloaded(from + OVERSCAN_UNITS, to - OVERSCAN_UNITS);
    const near = layout.unloaded(Math.max(0, from - AHEAD_UNITS), to + AHEAD_UNITS);
    this.loader.want([...seen, ...near]);
  }
}
