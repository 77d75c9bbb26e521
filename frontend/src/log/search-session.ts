/**
 * A search through the whole log, by the server, that goes on while the log grows.
 *
 * There are two cursors. Everything before `through` was looked through, and `total` is exact over that. Of the hits,
 * those before `listedTo` are listed; the server lists some thousands at a time, so that of a million hits the first
 * can be shown at once. The rest is listed when someone steps there, or filters by it.
 *
 * Invariants:
 *  - Typing asks after `TYPING_MS`, and what was found before stays until the answer is there: nothing flickers.
 *  - One question is under way at most; a new search aborts the one before, and an answer to it is never taken.
 *  - A log that grows is asked about from `through` on, at most once in `GROWTH_MS`: no line is looked through twice
 *    for it.
 *  - What was not looked through is said (`complete`), and `goOn()` looks further.
 *  - What is looked for is nowhere kept but here.
 */
import { FrameSignal, type Schedule } from "../stream/frame";
import type { SearchPage, SearchQuestion, SearchReach } from "./log-api";
import { type LinesHere, countBelow, nearest } from "./outline";
import type { Platform } from "../stream/platform";
import type { Fetched } from "../api/questions";

/** From a keystroke to the question, in milliseconds: less than anyone waits between two words. */
const TYPING_MS = 120;

/** Between two questions about a log that grows, in milliseconds. */
const GROWTH_MS = 1_000;

/** A wait after which it is said that a search is under way. */
const SLOW_MS = 400;

export interface SearchSettings {
  readonly ask: (
    question: SearchQuestion,
    reach: SearchReach,
    signal: AbortSignal,
  ) => Promise<Fetched<SearchPage>>;
  readonly lines: Pick<LinesHere, "end" | "generation">;
  readonly platform: Pick<Platform, "after">;
  readonly schedule?: Schedule;
}

/** Immutable; a new object whenever something in it changed. */
export interface SearchState {
  /** What is shown was found by this question; null where nothing is looked for. */
  readonly question: SearchQuestion | null;
  readonly total: number;
  /** The offset up to which was looked. */
  readonly through: number;
  /** Whether the server came to the end of what there was. */
  readonly complete: boolean;
  /** The hits before `listedTo`, sorted. Not copied: it grows. */
  readonly offsets: readonly number[];
  readonly listedTo: number;
  /** Hits per bin of `0` to `through`, from the first answer; empty where the server gave none. */
  readonly ticks: readonly number[];
  /** Whether an answer is late enough to be worth a word. */
  readonly slow: boolean;
  readonly problem: string | null;
}

/** A hit that was stepped to. */
export interface HitPlace {
  readonly offset: number;
  /** Its place among all hits, from 0. */
  readonly index: number;
  readonly wrapped: boolean;
}

const NOTHING: SearchState = {
  question: null,
  total: 0,
  through: 0,
  complete: true,
  offsets: [],
  listedTo: 0,
  ticks: [],
  slow: false,
  problem: null,
};

export class SearchSession {
  readonly #settings: SearchSettings;
  readonly #signal: FrameSignal;
  #state = NOTHING;
  /** What is wanted; the state follows when the answer is there. */
  #wanted: SearchQuestion | null = null;
  #offsets: number[] = [];
  /** Of the list that is looked through. */
  #generation = 0;
  #asking: AbortController | null = null;
  #typing: (() => void) | null = null;
  #growing: (() => void) | null = null;
  #listing: Promise<void> | null = null;

  constructor(settings: SearchSettings) {
    this.#settings = settings;
    this.#signal = new FrameSignal(settings.schedule);
    this.subscribe = this.#signal.subscribe;
  }

  readonly subscribe: (listener: () => void) => () => void;

  readonly getState = (): SearchState => this.#state;

  /** Whether all hits in what was looked through are in `offsets`. */
  get isListed(): boolean {
    return this.#state.listedTo >= this.#state.through;
  }

  /** Looks for something else, soon; for nothing where the text is empty, at once. */
  look(question: SearchQuestion): void {
    this.#stop();
    if (question.text === "" && !question.stderr) {
      this.clear();
      return;
    }
    this.#wanted = question;
    this.#typing = this.#settings.platform.after(TYPING_MS, () => {
      this.#typing = null;
      void this.#begin(question);
    });
  }

  /** Asks at once for what was typed last, or again after a failure. */
  async now(): Promise<void> {
    const question = this.#wanted;
    if (!question || (question === this.#state.question && !this.#state.problem)) return;
    this.#stop();
    await this.#begin(question);
  }

  clear(): void {
    this.#stop();
    this.#wanted = null;
    this.#offsets = [];
    this.#change(NOTHING);
  }

  /** Says that the log may have grown. */
  grown(): void {
    const { question, through, complete, problem } = this.#state;
    if (!question || question !== this.#wanted || problem !== null || !complete || this.#growing) return;
    const { end, generation } = this.#settings.lines;
    if (end < through || generation !== this.#generation) void this.#again(question);
    else if (end > through && !this.#asking) this.#growing = this.#later();
  }

  /** Looks further where the time was up. */
  async goOn(): Promise<void> {
    const { question, through } = this.#state;
    if (question && !this.#asking) await this.#ask(question, { from: through, stops: false });
  }

  /** Lists up to `max` hits, and says whether that is all of them. */
  async list(max: number): Promise<boolean> {
    while (!this.isListed && this.#offsets.length < max) {
      const before = this.#offsets.length;
      await this.#listMore();
      if (this.#offsets.length === before && !this.isListed) return false;
    }
    return this.isListed;
  }

  /** The nearest hit behind (`1`) or before (`-1`) an entry, round the ends; `null` where there is none. */
  async step(offset: number, step: 1 | -1): Promise<HitPlace | null> {
    await this.now();
    let place = nearest(this.#offsets, offset, step);
    // What is not listed lies behind what is.
    const unknown = (): boolean =>
      !this.isListed && (offset >= this.#state.listedTo || place === null || place.wrapped);
    while (unknown()) {
      const before = this.#state.listedTo;
      await this.#listMore();
      if (this.#state.listedTo === before) break;
      place = nearest(this.#offsets, offset, step);
    }
    return place;
  }

  /** The place of a hit among all, from 0; null where it is none, or not listed. */
  indexOf(offset: number): number | null {
    const index = countBelow(this.#offsets, offset);
    return this.#offsets[index] === offset ? index : null;
  }

  async #begin(question: SearchQuestion): Promise<void> {
    this.#generation = this.#settings.lines.generation;
    await this.#ask(question, { from: 0, stops: false });
  }

  async #again(question: SearchQuestion): Promise<void> {
    this.#stop();
    await this.#begin(question);
  }

  #later(): () => void {
    return this.#settings.platform.after(GROWTH_MS, () => {
      this.#growing = null;
      const { question, through } = this.#state;
      if (question && !this.#asking) void this.#ask(question, { from: through, stops: false });
    });
  }

  /** The next page of hits. Those who ask at the same time share it. */
  #listMore(): Promise<void> {
    const { question } = this.#state;
    if (!question || this.isListed) return Promise.resolve();
    this.#listing ??= this.#ask(question, { from: this.#state.listedTo, stops: true }).finally(() => {
      this.#listing = null;
    });
    return this.#listing;
  }

  async #ask(question: SearchQuestion, reach: SearchReach): Promise<void> {
    this.#asking?.abort();
    const asking = new AbortController();
    this.#asking = asking;
    const cancelSlow = reach.stops
      ? null
      : this.#settings.platform.after(SLOW_MS, () => this.#change({ slow: true }));
    const fetched = await this.#settings.ask(question, reach, asking.signal);
    cancelSlow?.();
    if (this.#asking !== asking) return;
    this.#asking = null;
    if (!fetched.ok) this.#failed(question, fetched.message);
    else if (question !== this.#state.question || reach.from === 0) this.#first(question, fetched.value);
    else if (reach.stops) this.#listed(fetched.value);
    else this.#further(reach.from, fetched.value);
    this.grown();
  }

  #failed(question: SearchQuestion, problem: string): void {
    // What a search found stays while only its continuation failed; of another search nothing is shown.
    const kept = question === this.#state.question ? {} : { ...NOTHING, question };
    if (question !== this.#state.question) this.#offsets = [];
    this.#change({ ...kept, problem, slow: false });
  }

  #first(question: SearchQuestion, page: SearchPage): void {
    this.#offsets = [...page.offsets];
    this.#change({
      question,
      total: page.total,
      through: page.through,
      complete: page.complete,
      offsets: this.#offsets,
      listedTo: page.next ?? page.through,
      ticks: page.ticks,
      slow: false,
      problem: null,
    });
  }

  /** More of the hits that are counted already, and of those behind them that are not. */
  #listed(page: SearchPage): void {
    const { through, total, complete } = this.#state;
    this.#append(page.offsets);
    const listedTo = page.next ?? page.through;
    const further = listedTo > through;
    this.#change({
      listedTo,
      through: further ? listedTo : through,
      total: further ? this.#offsets.length : total,
      complete: further ? page.complete : complete,
      problem: null,
    });
  }

  /** What comes behind all that was looked through. */
  #further(from: number, page: SearchPage): void {
    const { listedTo, total } = this.#state;
    const isListed = listedTo >= from;
    if (isListed) this.#append(page.offsets);
    this.#change({
      through: page.through,
      complete: page.complete,
      total: total + page.total,
      listedTo: isListed ? (page.next ?? page.through) : listedTo,
      slow: false,
      problem: null,
    });
  }

  #append(offsets: readonly number[]): void {
    for (const offset of offsets) this.#offsets.push(offset);
  }

  #stop(): void {
    this.#asking?.abort();
    this.#asking = null;
    this.#typing?.();
    this.#typing = null;
    this.#growing?.();
    this.#growing = null;
    this.#listing = null;
  }

  #change(change: Partial<SearchState>): void {
    this.#state = { ...this.#state, ...change };
    this.#signal.touch();
  }
}
