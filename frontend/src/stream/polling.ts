/**
 * Questions asked again and again, one per key: the timing of everything that polls.
 *
 * Invariants:
 *  - Never two questions about one key at a time; the next is planned when the answer is there (or given up).
 *  - New keys are asked together, within the bound on questions under way: one that hangs delays no other.
 *  - What changed is asked again soon, what stays less often, what fails least.
 *  - A hidden page asks nothing, and all that fell due meanwhile as soon as it is seen.
 */
import type { PageVisibility } from "./page-visibility";
import type { Platform } from "./platform";

/** The wait after something changed, in milliseconds. */
export const ROUND_MS = 2_000;

/** The wait that a thing which stays leads to. */
export const ROUND_STEADY_MS = 5_000;

/** The wait that failures lead to. */
export const ROUND_FAILED_MS = 30_000;

/** Questions under way at most: a browser opens six connections to a server, and streams need some. */
export const QUESTIONS_MAX = 4;

/** An answer that takes longer is given up: more than a server of ours gives its own backend. */
export const ANSWER_TIMEOUT_MS = 20_000;

export type Outcome = "changed" | "same" | "failed";

export interface RoundsSettings {
  /** Asks once. It must not throw; `signal` says that the answer is not wanted any more. */
  readonly ask: (key: string, signal: AbortSignal) => Promise<Outcome>;
  readonly platform: Platform;
  readonly visibility: PageVisibility;
}

interface Plan {
  dueAtMs: number;
  waitMs: number;
  /** The question under way. */
  abort: AbortController | null;
}

export class Rounds {
  readonly #settings: RoundsSettings;
  readonly #plans = new Map<string, Plan>();
  #underWay = 0;
  #cancelTimer: () => void = () => {};
  #stopWatching: (() => void) | null = null;

  constructor(settings: RoundsSettings) {
    this.#settings = settings;
  }

  /** Asks about these from now on, those that are new at once. */
  add(keys: Iterable<string>): void {
    const dueAtMs = this.#settings.platform.now();
    for (const key of keys)
      if (!this.#plans.has(key)) this.#plans.set(key, { dueAtMs, waitMs: ROUND_MS, abort: null });
    if (this.#plans.size === 0) return;
    this.#stopWatching ??= this.#settings.visibility.onChange(() => this.#pump());
    this.#pump();
  }

  remove(keys: Iterable<string>): void {
    for (const key of keys) {
      this.#plans.get(key)?.abort?.abort();
      this.#plans.delete(key);
    }
    if (this.#plans.size === 0) {
      this.#stopWatching?.();
      this.#stopWatching = null;
    }
    this.#pump();
  }

  #pump(): void {
    const { platform, visibility } = this.#settings;
    this.#cancelTimer();
    if (visibility.hidden()) return;
    const waiting = [...this.#plans].filter(([, plan]) => plan.abort === null);
    for (const [key, plan] of waiting.toSorted(([, one], [, other]) => one.dueAtMs - other.dueAtMs)) {
      if (this.#underWay >= QUESTIONS_MAX) return;
      const waitMs = plan.dueAtMs - platform.now();
      if (waitMs > 0) {
        this.#cancelTimer = platform.after(waitMs, () => this.#pump());
        return;
      }
      // Every outcome is taken in there; nothing is left for this promise to say.
      void this.#ask(key, plan);
    }
  }

  async #ask(key: string, plan: Plan): Promise<void> {
    const { platform, ask } = this.#settings;
    const abort = new AbortController();
    plan.abort = abort;
    this.#underWay += 1;
    const cancelTimeout = platform.after(ANSWER_TIMEOUT_MS, () => abort.abort());
    const outcome = await ask(key, abort.signal);
    cancelTimeout();
    this.#underWay -= 1;
    plan.abort = null;
    plan.waitMs = nextWaitMs(plan.waitMs, outcome);
    plan.dueAtMs = platform.now() + plan.waitMs;
    this.#pump();
  }
}

function nextWaitMs(waitMs: number, outcome: Outcome): number {
  if (outcome === "changed") return ROUND_MS;
  return outcome === "same" ? Math.min(ROUND_STEADY_MS, waitMs * 1.5) : Math.min(ROUND_FAILED_MS, waitMs * 2);
}
