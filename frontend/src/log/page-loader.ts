/**
 * Fetches the pages of a log that someone looks at, and no others.
 *
 * The viewer says what it lacks after each drawing (`want`). What is not wanted any more when its turn comes is never
 * asked for, and what is under way for a place that was scrolled past is given up. A page that could not be had is said
 * so in the log and not asked for again by itself; after a failure nothing is for a while, longer each time, or a server
 * in trouble would be asked for the whole log, a page at a time.
 * Where the list was written anew nothing more is asked for at all.
 */
import type { JobsApi, OutputPage } from "../api/jobs-api";
import { PAGE_ENTRIES } from "./line-page";
import type { LineStore } from "./line-store";
import type { OffsetRange } from "./projection";
import { WRITTEN_ANEW_STATUS } from "./proven-output";

/** Requests at a time: the page looked at and its neighbour. Browsers allow six connections to a server. */
const REQUESTS_MAX = 2;

/** How long a wish must stand before it is asked for, in milliseconds: a scroll bar that is dragged passes hundreds. */
const SETTLE_MS = 40;

/** Pauses after failures, in milliseconds. */
const HOLD_MS = [2_000, 5_000, 15_000, 60_000] as const;

/** Answers to one page at most: a server's pages are bounded in bytes, and one that advances by less is not followed. */
const ANSWERS_MAX = PAGE_ENTRIES;

/** Why a page could not be had; the status is of the server's answer, 0 where there was none. */
interface Failure {
  readonly status: number;
  readonly message: string;
}

export class PageLoader {
  readonly #log: LineStore;
  readonly #jobId: string;
  readonly #api: JobsApi;
  readonly #underWay = new Map<number, AbortController>();
  #wanted: readonly number[] = [];
  #timer: ReturnType<typeof setTimeout> | null = null;
  #failures = 0;
  #held: string | null = null;
  #closed = true;

  constructor(log: LineStore, jobId: string, api: JobsApi) {
    this.#log = log;
    this.#jobId = jobId;
    this.#api = api;
  }

  /** What is lacking now, the most wanted first; this takes the place of the last wish. */
  want(missing: readonly OffsetRange[]): void {
    if (this.#closed) return;
    const pages = pagesOf(missing);
    const same = pages.length === this.#wanted.length && pages.every((page, at) => page === this.#wanted[at]);
    if (same && this.#underWay.size > 0) return;
    this.#wanted = pages;
    for (const [page, abort] of this.#underWay) if (!pages.includes(page)) abort.abort();
    if (this.#timer === null && pages.length > 0) this.#wait(SETTLE_MS);
  }

  /** Why nothing is asked for at the moment; null where it is. */
  get held(): string | null {
    return this.#held;
  }

  /** Asks again for a page that failed, at once. */
  retry(offset: number): void {
    const page = Math.floor(offset / PAGE_ENTRIES);
    this.#stopWaiting();
    this.#log.fail(page, null);
    this.#log.failAll(null);
    this.#wanted = [page, ...this.#wanted.filter((other) => other !== page)];
    this.#next();
  }

  close(): void {
    this.#closed = true;
    this.#stopWaiting();
    for (const abort of this.#underWay.values()) abort.abort();
  }

  /** Begins; also anew after `close`. */
  open(): void {
    this.#closed = false;
    this.#wanted = [];
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = this.#held = null;
      this.#next();
    }, ms);
  }

  #stopWaiting(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = this.#held = null;
  }

  #next(): void {
    if (this.#closed || this.#timer !== null || this.#log.replacing) return;
    for (const page of this.#wanted) {
      if (this.#underWay.size >= REQUESTS_MAX) return;
      if (!this.#underWay.has(page) && this.#missingOf(page)) void this.#load(page);
    }
  }

  async #load(page: number): Promise<void> {
    const abort = new AbortController();
    this.#underWay.set(page, abort);
    const failure = await this.#fetch(page, abort.signal);
    this.#underWay.delete(page);
    if (abort.signal.aborted) return this.#next();
    if (failure === null) this.#failures = 0;
    else if (failure.status === WRITTEN_ANEW_STATUS) this.#log.failAll(failure.message);
    else {
      this.#log.fail(page, failure.message);
      this.#holdOn(failure.message);
    }
    this.#next();
  }

  #holdOn(reason: string): void {
    const hold = HOLD_MS[Math.min(this.#failures, HOLD_MS.length - 1)] ?? 0;
    this.#failures += 1;
    this.#stopWaiting();
    if (this.#closed) return;
    this.#held = reason;
    this.#wait(hold);
  }

  /** Asks until the page is whole. The value says why it could not be had. */
  async #fetch(page: number, signal: AbortSignal): Promise<Failure | null> {
    const { generation } = this.#log;
    for (let answer = 0; answer < ANSWERS_MAX; answer += 1) {
      const missing = this.#missingOf(page);
      if (!missing) return null;
      const fetched = await this.#api.output(this.#jobId, missing.from, missing.to - missing.from, signal);
      // Another list by now: what came belongs to the one before.
      if (signal.aborted || this.#log.generation !== generation || this.#log.replacing) return null;
      if (!fetched.ok) return fetched;
      if (!this.#take(missing, fetched.value))
        return { status: 200, message: "these lines are not there any more" };
    }
    return { status: 200, message: "the server sends too little at a time" };
  }

  /** The value is whether anything became known. */
  #take(missing: OffsetRange, { from, output, total }: OutputPage): boolean {
    this.#log.announce(total);
    if (from > missing.from) this.#log.fillGap(missing.from, from);
    this.#log.fill(from, output);
    return from > missing.from || output.length > 0;
  }

  /** The first stretch of a page that is not there, though it could be. */
  #missingOf(number: number): OffsetRange | null {
    const { end, gaps } = this.#log;
    const page = this.#log.page(number * PAGE_ENTRIES);
    if (this.#log.failure !== null || (page && page.failure !== null)) return null;
    const behind = Math.min((number + 1) * PAGE_ENTRIES, end);
    let from = number * PAGE_ENTRIES;
    while (from < behind) {
      const at = from;
      const known =
        page?.runs().find((run) => run.from <= at && at < run.to) ??
        gaps.find((gap) => gap.from <= at && at < gap.to);
      if (!known) break;
      from = known.to;
    }
    if (from >= behind) return null;
    const next = page?.runs().find((run) => run.from > from)?.from ?? behind;
    return { from, to: Math.min(next, behind) };
  }
}

function pagesOf(ranges: readonly OffsetRange[]): readonly number[] {
  const pages = new Set<number>();
  for (const { from, to } of ranges) {
    for (let page = Math.floor(from / PAGE_ENTRIES); page * PAGE_ENTRIES < to; page += 1) pages.add(page);
  }
  return [...pages];
}
