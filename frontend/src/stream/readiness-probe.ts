/**
 * The door of a server that is away: knocked at until somebody opens, so that a restart is over for us when it is over.
 *
 * A wait between tries that doubles finds a server late that was back after two seconds. So while a next try is waited
 * for, `GET /readyz` is asked about twice a second: it needs no sign-in, costs the server next to nothing, and says yes
 * only when streams would be served (a server that drains says 503, so nobody is brought to the one that is leaving).
 * A yes brings the try forward; nothing else of the wait changes, and where no yes comes it runs its course.
 *
 * Invariants:
 *  - One knock at a time, for all who wait at this door.
 *  - Never in step with others (trap 32): the time between knocks is random, and so is a moment before a yes is told,
 *    for a server that begins answers all who waited in its queue at once.
 *  - Bounded: twice a second for a minute, then every few seconds; not at all while nobody can see the page, which is
 *    tried at once when it is looked at again (`Platform.onWake`).
 *  - A server's own wish is kept: one that said "later" because it is overloaded (10 s or more, or 429) is not knocked
 *    at. Its 1 to 3 s, and the 3 to 8 s of a drain, are there for a restart to be over by then: that is asked here.
 *  - A yes after which the try fails all the same was worth little: that wait is not cut short again. So something in
 *    between that says yes to everything doubles the tries at most, and uses up none of a consumer's (`attemptsMax`).
 *
 * Not asked is whether there is a network: a server on the same machine needs none, and a knock without one is free.
 */
import { isObject, parseJson } from "./json";
import type { PageVisibility } from "./page-visibility";
import type { Platform } from "./platform";
import type { ConnectionProblem } from "./stream-source";

/** Waits no longer than this are left alone. */
export const SHORT_WAIT_MS = 500;

/** Between knocks in the first minute, and after it: from, and up to so much more by chance, in milliseconds. */
export const PROBE_MS = { from: 300, chance: 300 } as const;
export const PROBE_LATE_MS = { from: 3_000, chance: 2_000 } as const;
export const PROBE_OFTEN_MS = 60_000;

/** A yes is told after a random moment of up to so long, in milliseconds. */
export const YES_CHANCE_MS = 300;

/** How long an answer may take, in milliseconds: a server that begins takes connections before it answers them. */
export const PROBE_TIMEOUT_MS = 10_000;

/** Advice of this length and more is about load, not about a restart, in milliseconds. */
export const WISH_MS = 10_000;

const PATH = "/readyz";

export interface ReadinessProbeSettings {
  readonly platform: Platform;
  /** Who can see what waits here. */
  readonly visibility: Pick<PageVisibility, "hidden">;
  /** Where the server is: `""` for the page's own origin. */
  readonly baseUrl?: string;
}

/** Whether the wait after this failure may be cut short by a server that is there again. */
export function mayProbe(problem: ConnectionProblem, waitMs: number, adviceMs: number | null): boolean {
  if (waitMs <= SHORT_WAIT_MS || (adviceMs ?? 0) >= WISH_MS) return false;
  // Refused, or at fault: the server is there, and that it is was not what was wrong.
  if (problem.kind === "refused" || problem.kind === "fault") return false;
  return problem.kind !== "overload" || problem.status !== 429;
}

export class ReadinessProbe {
  readonly #settings: ReadinessProbeSettings;
  readonly #waiting = new Set<() => void>();
  #cancel: () => void = () => {};
  #asked: AbortController | null = null;
  /** When the first who waits now, or waited a moment ago, came. */
  #beganMs = 0;
  #leftMs = Number.NEGATIVE_INFINITY;

  constructor(settings: ReadinessProbeSettings) {
    this.#settings = settings;
  }

  /** Calls back once, when the server says that it is there. The result ends the waiting. */
  wait(opened: () => void): () => void {
    const { platform } = this.#settings;
    if (this.#waiting.size === 0) {
      // Between two waits there is a try, which takes its time.
      if (platform.now() - this.#leftMs > PROBE_OFTEN_MS / 2) this.#beganMs = platform.now();
      this.#plan();
    }
    this.#waiting.add(opened);
    return () => this.#leave(opened);
  }

  #leave(opened: () => void): void {
    if (!this.#waiting.delete(opened) || this.#waiting.size > 0) return;
    this.#cancel();
    this.#asked?.abort();
    this.#asked = null;
    this.#leftMs = this.#settings.platform.now();
  }

  #plan(): void {
    const { platform } = this.#settings;
    const early = platform.now() - this.#beganMs < PROBE_OFTEN_MS;
    this.#after(early ? PROBE_MS : PROBE_LATE_MS, () => {
      if (this.#settings.visibility.hidden()) this.#plan();
      else void this.#probe();
    });
  }

  #after(time: { readonly from: number; readonly chance: number }, run: () => void): void {
    const { platform } = this.#settings;
    this.#cancel = platform.after(time.from + time.chance * platform.random(), run);
  }

  async #probe(): Promise<void> {
    const asked = new AbortController();
    this.#asked = asked;
    this.#cancel = this.#settings.platform.after(PROBE_TIMEOUT_MS, () => asked.abort());
    const yes = await this.#ask(asked.signal);
    if (this.#asked !== asked) return;
    this.#asked = null;
    this.#cancel();
    if (yes) this.#after({ from: 0, chance: YES_CHANCE_MS }, () => this.#open());
    else this.#plan();
  }

  /** Not only the status counts: a page that some server in between shows for every path is no answer of ours. */
  async #ask(signal: AbortSignal): Promise<boolean> {
    const { platform, baseUrl = "" } = this.#settings;
    try {
      const response = await platform.fetch(baseUrl + PATH, {
        signal,
        cache: "no-store",
        credentials: "same-origin", // needs none; a proxy in front may
      });
      const said = parseJson(await response.text());
      return response.ok && isObject(said) && said.status === "ok";
    } catch {
      return false;
    }
  }

  #open(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    this.#leftMs = this.#settings.platform.now();
    for (const opened of waiting) opened();
  }
}
