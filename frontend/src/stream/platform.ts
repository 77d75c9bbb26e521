/**
 * What is asked of the browser, in one place.
 *
 * First, what the connection needs from the world: a network, a clock, timers, chance. It is given as an argument, so
 * that tests run it on a clock of their own, and so that it runs in a worker as well as in a page.
 *
 * Second, the features that a browser may lack or refuse with an exception: blocked cookies, a private window, a strict
 * security policy, plain HTTP, too many calls. They are asked for here and nowhere else (a lint rule holds that), and
 * each has something to do in its place. A refusal must never reach a caller: an exception in an effect of React takes
 * the whole page away.
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

/** What a feature of the browser gives, or `otherwise` where it is missing or refused. */
export function attempt<Value, Other>(ask: () => Value, otherwise: Other): Value | Other {
  try {
    return ask();
  } catch {
    return otherwise;
  }
}

/** What the browser keeps under a name; `null` where it keeps nothing. */
export const readStored = (name: string): string | null => attempt(() => localStorage.getItem(name), null);

/** Keeps a text under a name; the value is whether the browser took it. */
export const writeStored = (name: string, text: string): boolean =>
  attempt(() => {
    localStorage.setItem(name, text);
    return true;
  }, false);

/** Changes the page's address without going anywhere. Browsers refuse it when it comes too often. */
export const replaceAddress = (address: string): void =>
  attempt(() => history.replaceState(history.state, "", address), undefined);

/** Tells the heights of elements, first and whenever they change. */
export interface SizeObserver {
  observe(element: Element): void;
  unobserve(element: Element): void;
  disconnect(): void;
}

export type ElementHeight = readonly [element: Element, height: number];

/** Without a ResizeObserver, heights are told once, a moment after an element is observed. */
export function sizeObserver(onSizes: (sizes: readonly ElementHeight[]) => void): SizeObserver {
  const observer = attempt(
    () =>
      new ResizeObserver((entries) =>
        onSizes(entries.map(({ target, contentRect }) => [target, contentRect.height])),
      ),
    null,
  );
  if (observer) return observer;
  const observed = new Set<Element>();
  return {
    observe(element) {
      observed.add(element);
      setTimeout(() => {
        if (observed.has(element)) onSizes([[element, element.getBoundingClientRect().height]]);
      });
    },
    unobserve: (element) => void observed.delete(element),
    disconnect: () => observed.clear(),
  };
}

/** Calls back whenever the size of an element changes, and at first; without an observer: when the window's does. */
export function onResize(element: Element, run: () => void): () => void {
  const observer = sizeObserver(run);
  observer.observe(element);
  globalThis.addEventListener?.("resize", run);
  return () => {
    observer.disconnect();
    globalThis.removeEventListener?.("resize", run);
  };
}

/** Calls back once the page's content was painted; the value is whether the browser tells of that. */
export const onFirstPaint = (run: () => void): boolean =>
  attempt(() => {
    const observer = new PerformanceObserver((list) => {
      if (list.getEntriesByName("first-contentful-paint").length === 0) return;
      observer.disconnect();
      run();
    });
    observer.observe({ type: "paint", buffered: true });
    return true;
  }, false);

/** Writes a text to the clipboard: not over plain HTTP, and not without a gesture of the reader. */
export async function writeClipboard(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** A turn by message, since a timer of 0 ms is held back to 4 ms when nested, and to a second in a hidden tab. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    const channel = attempt(() => new MessageChannel(), null);
    if (!channel) return void setTimeout(resolve);
    channel.port1.addEventListener("message", () => {
      channel.port1.close();
      resolve();
    });
    channel.port1.start();
    return channel.port2.postMessage(null);
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
