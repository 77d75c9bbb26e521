/**
 * Whether a hub in a SharedWorker is still there. A worker that dies says nothing: its process was killed, or crashed
 * with another tab that lived in it, and no browser tells the tabs that are left. So a hub that has been quiet for a
 * moment is asked, and one that does not answer soon is taken for dead.
 *
 * Invariants:
 *  - Only what a tab can judge counts: a question without an answer, at a time when the tab's own timers ran. A timer
 *    that comes late (the machine slept, the page was frozen, a debugger stopped it) means that the tab was away, so
 *    it asks again.
 *  - Nobody waits for a page that nobody can see, and its timers are held back: a hidden page does not ask. It asks at
 *    once when it is looked at again.
 *  - A hub that speaks anyway is not asked: a busy stream costs nothing.
 *
 * A false alarm (a worker that a debugger stopped, or a machine with far too much to do) costs one reconnect by
 * position, so the answer need not be waited for long.
 *
 * Decided against: a lock that the worker holds, whose release would say so at once (Web Locks do not exist on plain
 * HTTP in a LAN); the `close` event of ports, which Chromium 156 does not have.
 */
import type { PageVisibility } from "../page-visibility";
import type { Platform } from "../platform";

/** How long a hub may be quiet before it is asked, in milliseconds. */
export const QUIET_HUB_MS = 2_000;

/** How long its answer may take, in milliseconds: a worker never works at one stretch for a tenth of it. */
export const HUB_ANSWER_MS = 2_500;

/** A timer that is later than this says that the tab itself was away, in milliseconds. */
export const LATE_MS = 1_000;

export interface HubWatchSettings {
  readonly platform: Platform;
  readonly visibility: PageVisibility;
  /** Asks the hub; whatever it says then is an answer. */
  readonly ask: () => void;
  /** It does not answer. Called once; the watch has ended. */
  readonly onDead: () => void;
}

export class HubWatch {
  readonly #settings: HubWatchSettings;
  readonly #stopLooking: () => void;
  #heardAtMs = 0;
  #answered = true;
  /** Whether a timer runs: none before the hub first spoke, and none while the page is hidden. */
  #watching = false;
  #stopped = false;
  #cancel: () => void = () => {};

  constructor(settings: HubWatchSettings) {
    this.#settings = settings;
    this.#stopLooking = settings.visibility.onChange(() => this.#seen());
  }

  /** The hub has said something. */
  heard(): void {
    this.#answered = true;
    this.#heardAtMs = this.#settings.platform.now();
    if (!this.#watching && !this.#settings.visibility.hidden()) this.#watch();
  }

  stop(): void {
    this.#stopped = true;
    this.#rest();
    this.#stopLooking();
  }

  #seen(): void {
    if (this.#settings.visibility.hidden()) this.#rest();
    else if (this.#heardAtMs > 0 && !this.#watching) this.#ask();
  }

  #rest(): void {
    this.#watching = false;
    this.#cancel();
  }

  #watch(): void {
    const { platform } = this.#settings;
    const leftMs = this.#heardAtMs + QUIET_HUB_MS - platform.now();
    if (leftMs <= 0) return this.#ask();
    this.#after(leftMs, () => this.#watch());
  }

  #ask(): void {
    const { platform, ask, onDead } = this.#settings;
    const askedAtMs = platform.now();
    this.#answered = false;
    this.#after(HUB_ANSWER_MS, () => {
      if (this.#answered) return this.#watch();
      if (platform.now() - askedAtMs > HUB_ANSWER_MS + LATE_MS) return this.#ask();
      this.stop();
      onDead();
    });
    ask();
  }

  #after(delayMs: number, run: () => void): void {
    if (this.#stopped) return;
    this.#watching = true;
    this.#cancel();
    this.#cancel = this.#settings.platform.after(delayMs, run);
  }
}
