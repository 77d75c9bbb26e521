/**
 * One notification per animation frame.
 *
 * Stores take in thousands of events per second and tell React at most once per frame. A hidden page gets no
 * animation frames at all, so a slow timer runs beside each, and whichever comes first counts.
 */

/** Runs a callback soon, once; the result cancels it. */
export type Schedule = (run: () => void) => () => void;

/** How long a page without animation frames (hidden, or in the background) waits, in milliseconds. */
const HIDDEN_FRAME_MS = 250;

/** In a page: the next animation frame. In a worker or on a server: the timer. */
export const onNextFrame: Schedule = (run) => {
  const timer = setTimeout(settle, HIDDEN_FRAME_MS);
  const frame = globalThis.requestAnimationFrame?.(settle);
  function cancel(): void {
    clearTimeout(timer);
    if (frame !== undefined) cancelAnimationFrame(frame);
  }
  function settle(): void {
    cancel();
    run();
  }
  return cancel;
};

/**
 * Listeners that are told once per frame that something changed.
 *
 * `version` changes only at that moment: what a component read during a frame stays true for its whole render.
 */
export class FrameSignal {
  version = 0;
  readonly #listeners = new Set<() => void>();
  readonly #schedule: Schedule;
  readonly #prepare: () => void;
  #due = false;

  /** `prepare` runs at the frame before the listeners do, for work that is better done once than per event. */
  constructor(schedule: Schedule = onNextFrame, prepare: () => void = () => {}) {
    this.#schedule = schedule;
    this.#prepare = prepare;
  }

  /** Asks for a notification at the next frame; asking often is free. */
  touch(): void {
    if (this.#due) return;
    this.#due = true;
    this.#schedule(() => {
      this.#prepare();
      this.#due = false;
      this.version += 1;
      for (const listener of this.#listeners) listener();
    });
  }

  /** An arrow, so that it can be handed to `useSyncExternalStore` as it is. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };
}
