/**
 * What the connection needs from the world: a network, a clock, timers, chance. Given as an argument, so that tests
 * run it on a clock of their own, and so that it runs in a worker as well as in a page.
 */

export interface Platform {
  fetch(url: string, init: RequestInit): Promise<Response>;
  /** Milliseconds since the epoch, by this machine's clock and no other. */
  now(): number;
  /** Runs once after a delay; the result cancels it. */
  after(delayMs: number, run: () => void): () => void;
  /** Uniform in [0, 1). */
  random(): number;
  /** Calls back whenever the network is back or the page is looked at again; the result stops it. */
  onWake(run: () => void): () => void;
  /** Gives the event loop one turn. */
  turn(): Promise<void>;
  /** For the developer's console. */
  debug(message: string): void;
}

function onWake(run: () => void): () => void {
  const whenVisible = (): void => {
    if (globalThis.document?.visibilityState !== "hidden") run();
  };
  globalThis.addEventListener?.("online", run);
  globalThis.document?.addEventListener("visibilitychange", whenVisible);
  return () => {
    globalThis.removeEventListener?.("online", run);
    globalThis.document?.removeEventListener("visibilitychange", whenVisible);
  };
}

/** A turn by message, since a timer of 0 ms is held back to 4 ms when nested, and to a second in a hidden tab. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    const channel = new MessageChannel();
    channel.port1.addEventListener("message", () => {
      channel.port1.close();
      resolve();
    });
    channel.port1.start();
    channel.port2.postMessage(null);
  });
}

/** The browser's own (a page's or a worker's). */
export const browserPlatform: Platform = {
  fetch: (url, init) => globalThis.fetch(url, init),
  now: () => Date.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
  onWake,
  turn,
  // oxlint-disable-next-line no-console -- the one place; shown only where the console shows debug messages
  debug: (message) => console.debug(`[SSE Manager] ${message}`),
};
