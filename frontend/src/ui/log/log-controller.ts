/**
 * The controls of a log: its view, the lines that the address names, and what is copied.
 *
 * A copy of what is in memory is there at once. What has to be fetched first takes longer than a browser lets a gesture
 * count (some five seconds); then it is kept, and the next copy takes it.
 */
import type { JobsApi } from "../../api/jobs-api";
import type { LineStore } from "../../log/line-store";
import {
  COPY_LINES_MAX,
  type TextPoint,
  type TextRange,
  entriesOf,
  fetchText,
  ordered,
  textInMemory,
  wholeLines,
} from "../../log/log-text";
import { replaceAddress } from "../../stream/platform";
import { EVERYTHING, type OffsetRange, type Projection, sameProjection } from "../../log/projection";
import { provenOutput } from "../../log/proven-output";
import { formatCount, plural } from "../format";
import { writeText } from "../shared/clipboard";
import { hashOf, readHash } from "./line-links";
import type { LogControls } from "./log-controls";
import { LogView } from "./log-view";

/** How long a notice stays, in milliseconds. */
const NOTICE_MS = 6_000;

/** What is to be copied: of a range, what a filter displays. */
interface Copy {
  readonly range: TextRange;
  readonly filter: Projection;
}

export class LogController implements LogControls {
  readonly view: LogView;
  version = 0;
  readonly #api: JobsApi;
  readonly #listeners = new Set<() => void>();
  #linked: OffsetRange | null = null;
  /** The link of which it was said that it leads nowhere. */
  #vain: OffsetRange | null = null;
  #notice: string | null = null;
  #noticeTimer: ReturnType<typeof setTimeout> | undefined;
  #selection: TextRange | null = null;
  #selectsAll = false;
  #fetching: { readonly copy: Copy; readonly abort: AbortController } | null = null;
  /** What was fetched too late for its gesture. */
  #kept: { readonly copy: Copy; readonly text: string } | null = null;

  constructor(log: LineStore, jobId: string, api: JobsApi) {
    this.#api = provenOutput(api, log);
    this.view = new LogView(log, jobId, this.#api);
    this.view.subscribe(() => {
      this.#tellVain();
      this.#changed();
    });
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };

  get jobId(): string {
    return this.view.jobId;
  }

  get log(): LineStore {
    return this.view.log;
  }

  get visible(): { readonly first: number; readonly last: number } {
    return this.view.visible;
  }

  get following(): boolean {
    return this.view.following;
  }

  get unseen(): { readonly lines: number; readonly errors: number } {
    return this.view.unseen;
  }

  get projection(): Projection {
    return this.view.projection;
  }

  get linked(): OffsetRange | null {
    return this.#linked;
  }

  get notice(): string | null {
    return this.#notice ?? this.#heldNotice();
  }

  /** Whether all lines are selected, which the browser does not show by itself. */
  get selectsAll(): boolean {
    return this.#selectsAll;
  }

  jumpTo(offset: number, { select = false }: { readonly select?: boolean } = {}): void {
    if (select) this.link({ from: offset, to: offset + 1 });
    this.view.jumpTo(offset);
  }

  scrollBy(rows: number): void {
    this.view.scrollBy(rows);
  }

  toStart(): void {
    this.view.toStart();
  }

  follow(): void {
    this.view.follow();
  }

  pause(): void {
    this.view.pause();
  }

  keep(offset: number): void {
    this.view.keep(offset);
  }

  setProjection(projection: Projection): void {
    this.view.setProjection(projection);
  }

  link(range: OffsetRange | null): void {
    this.#linked = range;
    const { pathname, search } = location;
    replaceAddress(pathname + search + (range ? hashOf(range) : ""));
    this.#changed();
  }

  /** The address changed, or is the page's first. The value is whether it names lines. */
  openHash(hash: string): boolean {
    this.#linked = readHash(hash);
    if (this.#linked) this.view.jumpTo(this.#linked.from);
    this.#tellVain();
    this.#changed();
    return this.#linked !== null;
  }

  linkAddress(range?: OffsetRange): string {
    const first = Math.max(0, this.visible.first);
    const linked = range ?? this.#linked ?? { from: first, to: first + 1 };
    return location.origin + location.pathname + location.search + hashOf(linked);
  }

  async copyLink(): Promise<boolean> {
    const written = await writeText(this.linkAddress());
    this.say(written ? "Link copied" : "The browser did not let the link be copied");
    return written;
  }

  copyLines({ from, to }: OffsetRange): Promise<boolean> {
    return this.#copyLater({ range: wholeLines(from, Math.min(to, this.log.end)), filter: EVERYTHING });
  }

  /** What is selected: rows that go out of sight stay drawn at both ends of it, so that the browser keeps it. */
  select(anchor: TextPoint, focus: TextPoint): void {
    this.#selection = ordered(anchor, focus);
    this.#selectsAll = false;
    this.view.hold([anchor, focus].map(({ offset, part }) => ({ offset, part, units: 0 })));
  }

  selectAll(): void {
    this.#selection = wholeLines(0, this.log.end);
    this.#selectsAll = true;
    this.view.hold([]);
    this.#changed();
  }

  deselect(): void {
    if (!this.#selection) return;
    this.#selection = null;
    this.#selectsAll = false;
    this.view.hold([]);
    this.#changed();
  }

  /**
   * The text of a copy that the reader asks for, where it is there at once; else `null`, and it is fetched. `undefined`
   * where nothing of the log is to be copied.
   */
  copied(): string | null | undefined {
    const copy = this.#toCopy();
    if (!copy || this.log.end === 0) return undefined;
    const lines = linesOf(copy);
    if (lines > COPY_LINES_MAX) {
      this.say(`${plural(lines, "line")} are too many to copy; the download has them all`);
      return null;
    }
    const kept = sameCopy(this.#kept?.copy, copy) ? this.#kept?.text : undefined;
    const text = kept ?? textInMemory(this.log, copy.range, this.view.raw, copy.filter);
    if (text === null) {
      // Asking twice does not begin anew.
      if (!sameCopy(this.#fetching?.copy, copy)) void this.#copyLater(copy);
    } else this.say(`${plural(lines, "line")} copied`);
    return text;
  }

  /** What is selected, of that what is displayed; else the lines that the address names, as far as there are such. */
  #toCopy(): Copy | null {
    if (this.#selection) return { range: this.#selection, filter: this.projection };
    const { from, to } = this.#linked ?? { from: 0, to: 0 };
    const behind = Math.min(to, this.log.end);
    return from < behind ? { range: wholeLines(from, behind), filter: EVERYTHING } : null;
  }

  /** Says something for a while; `null`: no more. */
  say(notice: string | null, stays = false): void {
    clearTimeout(this.#noticeTimer);
    this.#notice = notice;
    if (notice !== null && !stays) this.#noticeTimer = setTimeout(() => this.say(null), NOTICE_MS);
    this.#changed();
  }

  open(): void {
    this.view.open();
  }

  close(): void {
    this.view.close();
    this.#fetching?.abort.abort();
    clearTimeout(this.#noticeTimer);
  }

  /** A line that the address names may still come while the stream goes on; behind the end of it there is none. */
  #tellVain(): void {
    const [linked, { proof, total }] = [this.#linked, this.log];
    if (!linked || linked === this.#vain || proof === null || linked.from < total) return;
    this.#vain = linked;
    this.say(
      `There is no line ${formatCount(linked.from + 1)}: the log ends with line ${formatCount(total)}`,
    );
  }

  /** Rows that are empty for a while say nothing themselves. */
  #heldNotice(): string | null {
    const { loader, frame } = this.view;
    const isLacking = loader.held !== null && frame.rows.some(({ row }) => row.kind === "unloaded");
    return isLacking ? `Not loaded: ${loader.held}. It is tried again within a minute` : null;
  }

  async #copyLater(copy: Copy): Promise<boolean> {
    const lines = plural(linesOf(copy), "line");
    this.#fetching?.abort.abort();
    const fetching = (this.#fetching = { copy, abort: new AbortController() });
    this.say(`Fetching ${lines} to copy…`, true);
    const { raw } = this.view;
    const { signal } = fetching.abort;
    const { range, filter } = copy;
    const fetched = await fetchText(range, { jobId: this.jobId, api: this.#api, raw, signal, filter });
    if (signal.aborted) return false;
    this.#fetching = null;
    if (!fetched.ok) {
      this.say(`Not copied: ${fetched.message}`);
      return false;
    }
    if (await writeText(fetched.value)) {
      this.say(`${lines} copied`);
      return true;
    }
    this.#kept = { copy, text: fetched.value };
    this.say(`${lines} are ready: copy once more`, true);
    return false;
  }

  #changed(): void {
    this.version += 1;
    for (const listener of this.#listeners) listener();
  }
}

/** Entries touched; one of which nothing but its beginning is within does not count. */
function linesOf({ range, filter }: Copy): number {
  const { end } = range;
  const last = entriesOf(range, filter).at(-1)?.to ?? 0;
  const sum = entriesOf(range, filter).reduce((lines, { from, to }) => lines + to - from, 0);
  const endsBefore = end.part === 0 && end.char === 0 && last === end.offset + 1;
  return endsBefore && sum > 1 ? sum - 1 : sum;
}

function sameCopy(one: Copy | undefined, other: Copy): boolean {
  return (
    one !== undefined &&
    samePoint(one.range.start, other.range.start) &&
    samePoint(one.range.end, other.range.end) &&
    sameProjection(one.filter, other.filter)
  );
}

function samePoint(one: TextPoint, other: TextPoint): boolean {
  return one.offset === other.offset && one.part === other.part && one.char === other.char;
}
