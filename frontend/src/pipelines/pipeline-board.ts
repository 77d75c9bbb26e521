/**
 * What is known of pipelines, whoever brought it: the stream and the polls write here, hooks and pages read.
 *
 * One board for both transports, so that a change from one to the other shows no empty moment and loses no status.
 *
 * Invariants:
 *  - Only pipelines that somebody holds are known. One that is let go is forgotten after a moment, so that a change
 *    of pages, or of transports, does not empty the screen.
 *  - A problem leaves the status that was known, unless it says that there is no such pipeline. A status ends it.
 *  - `onStatus` hears each change of a status once, in order; `subscribe` hears of anything, once per frame.
 */
import { FrameSignal, type Schedule } from "../stream/frame";
import { type PipelineProblem, type PipelineStatus, saysThereIsNone } from "./pipeline-status";
import { type Platform, browserPlatform } from "../stream/platform";

/** How long a pipeline that nobody holds is remembered, in milliseconds: longer than a change of pages. */
export const FORGET_MS = 2_000;

/** What is known of one pipeline. Immutable; a new object for each change. */
export interface PipelineView {
  readonly status: PipelineStatus | null;
  readonly problem: PipelineProblem | null;
  /** When this browser saw the status change, by its own clock; `null` where it has not. */
  readonly changedAtMs: number | null;
}

export interface PipelineStatusChange {
  readonly pipelineId: string;
  readonly status: PipelineStatus;
  readonly previousStatus: PipelineStatus | null;
}

export type PipelineStatusListener = (change: PipelineStatusChange) => void;

export const UNKNOWN: PipelineView = { status: null, problem: null, changedAtMs: null };

interface Entry {
  view: PipelineView;
  holders: number;
  cancelForget: () => void;
}

export class PipelineBoard {
  readonly #platform: Platform;
  readonly #signal: FrameSignal;
  readonly #entries = new Map<string, Entry>();
  readonly #listeners = new Set<PipelineStatusListener>();
  #views: ReadonlyMap<string, PipelineView> = new Map();
  #backendProblem: PipelineProblem | null = null;

  constructor(platform: Platform = browserPlatform, schedule?: Schedule) {
    this.#platform = platform;
    this.#signal = new FrameSignal(schedule, () => {
      this.#views = new Map([...this.#entries].map(([id, { view }]) => [id, view]));
    });
    this.subscribe = this.#signal.subscribe;
  }

  readonly subscribe: (listener: () => void) => () => void;

  /** All that was known at the last frame; a new map for each frame in which anything changed. */
  readonly getViews = (): ReadonlyMap<string, PipelineView> => this.#views;

  getPipeline(id: string): PipelineView {
    return this.#entries.get(id)?.view ?? UNKNOWN;
  }

  /** What is wrong with the backend of all pipelines. */
  getBackendProblem(): PipelineProblem | null {
    return this.#backendProblem;
  }

  /** How many pipelines are known or about to be. */
  get size(): number {
    return this.#entries.size;
  }

  hold(id: string): void {
    const entry = this.#entries.get(id) ?? { view: UNKNOWN, holders: 0, cancelForget: () => {} };
    entry.cancelForget();
    entry.holders += 1;
    this.#entries.set(id, entry);
  }

  release(id: string): void {
    const entry = this.#entries.get(id);
    if (!entry || entry.holders === 0) return;
    entry.holders -= 1;
    if (entry.holders > 0) return;
    entry.cancelForget = this.#platform.after(FORGET_MS, () => {
      this.#entries.delete(id);
      if (this.#entries.size === 0) this.#backendProblem = null;
      this.#signal.touch();
    });
  }

  /** The backend has spoken of a pipeline, so it is there. */
  setStatus(id: string, status: PipelineStatus): void {
    this.setBackendProblem(null);
    const entry = this.#entries.get(id);
    if (!entry) return;
    const { status: previousStatus, problem, changedAtMs } = entry.view;
    if (status === previousStatus && problem === null) return;
    const changed = status !== previousStatus;
    const seenChanging = changed && previousStatus !== null;
    entry.view = { status, problem: null, changedAtMs: seenChanging ? this.#platform.now() : changedAtMs };
    this.#signal.touch();
    if (changed) for (const listener of this.#listeners) listener({ pipelineId: id, status, previousStatus });
  }

  setProblem(id: string, problem: PipelineProblem): void {
    const entry = this.#entries.get(id);
    if (!entry || same(entry.view.problem, problem)) return;
    entry.view = saysThereIsNone(problem) ? { ...UNKNOWN, problem } : { ...entry.view, problem };
    this.#signal.touch();
  }

  setBackendProblem(problem: PipelineProblem | null): void {
    if (same(this.#backendProblem, problem)) return;
    this.#backendProblem = problem;
    this.#signal.touch();
  }

  onStatus(listener: PipelineStatusListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }
}

function same(one: PipelineProblem | null, other: PipelineProblem | null): boolean {
  return one?.code === other?.code && one?.message === other?.message;
}
