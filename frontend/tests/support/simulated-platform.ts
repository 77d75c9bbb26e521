/** A platform on a clock of its own, whose network is a script: nothing in it waits for real time. */
import type { Platform } from "../../src/stream/platform";

interface Timer {
  readonly atMs: number;
  readonly run: () => void;
}

/** A response under way: the test sends, ends or breaks it. */
export class Exchange {
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly signal: AbortSignal | null;
  readonly body: string;
  #answer: (response: Response) => void = () => {};
  #refuse: (fault: Error) => void = () => {};
  #body: ReadableStreamDefaultController<Uint8Array> | null = null;
  readonly response: Promise<Response>;

  constructor(url: string, init: RequestInit) {
    this.url = url;
    this.headers = init.headers as Record<string, string>;
    this.signal = init.signal ?? null;
    this.body = typeof init.body === "string" ? init.body : "";
    this.response = new Promise((resolve, reject) => {
      this.#answer = resolve;
      this.#refuse = reject;
    });
    this.signal?.addEventListener("abort", () => this.#refuse(new Error("aborted")));
  }

  get position(): string | null {
    return this.headers["Last-Event-ID"] ?? null;
  }

  open(): void {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#body = controller;
      },
    });
    this.#answer(new Response(body, { headers: { "Content-Type": "text/event-stream; charset=utf-8" } }));
  }

  send(text: string): void {
    this.sendBytes(new TextEncoder().encode(text));
  }

  sendBytes(bytes: Uint8Array): void {
    if (!this.signal?.aborted) this.#body?.enqueue(bytes);
  }

  end(): void {
    if (!this.signal?.aborted) this.#body?.close();
  }

  cut(): void {
    this.#body?.error(new Error("connection reset"));
    this.#body = null; // what is said on a connection that is cut reaches nobody
  }

  answer(status: number, body: string | null = null, headers: Record<string, string> = {}): void {
    this.#answer(new Response(body, { status, headers }));
  }

  fail(): void {
    this.#refuse(new Error("connection refused"));
  }
}

export class SimulatedPlatform implements Platform {
  readonly exchanges: Exchange[] = [];
  /** Questions whether the server is there, by when they came; they are answered as `door` says. */
  readonly probes: number[] = [];
  readinessProbe: () => Response | "silence" | null = () => null;
  /** What chance gives, in [0, 1). */
  chance: () => number = () => 0;
  #nowMs = 1_000_000;
  #timers: Timer[] = [];
  readonly #wakers = new Set<() => void>();

  get last(): Exchange {
    const exchange = this.exchanges.at(-1);
    if (!exchange) throw new Error("nothing was asked of the network");
    return exchange;
  }

  get timers(): number {
    return this.#timers.length;
  }

  get wakers(): number {
    return this.#wakers.size;
  }

  readonly fetch = (url: string, init: RequestInit): Promise<Response> => {
    if (url.endsWith("/readyz")) return this.#probed(init.signal ?? null);
    const exchange = new Exchange(url, init);
    this.exchanges.push(exchange);
    return exchange.response;
  };

  now(): number {
    return this.#nowMs;
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  #probed(signal: AbortSignal | null): Promise<Response> {
    this.probes.push(this.#nowMs);
    const answer = this.readinessProbe();
    if (answer === "silence")
      return new Promise((_, reject) => {
        signal?.addEventListener("abort", () => reject(new Error("aborted")));
      });
    return answer ? Promise.resolve(answer) : Promise.reject(new TypeError("connection refused"));
  }

  random(): number {
    return this.chance();
  }

  onWake(run: () => void): () => void {
    this.#wakers.add(run);
    return () => {
      this.#wakers.delete(run);
    };
  }

  wake(): void {
    for (const run of this.#wakers) run();
  }

  turn(): Promise<void> {
    return Promise.resolve();
  }

  debug: (message: string) => void = () => {};

  /** Lets time pass, running what falls due in order. */
  pass(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const due = this.#timers
        .filter((timer) => timer.atMs <= untilMs)
        .toSorted((a, b) => a.atMs - b.atMs)[0];
      if (!due) break;
      this.#timers = this.#timers.filter((timer) => timer !== due);
      this.#nowMs = Math.max(this.#nowMs, due.atMs); // one that is late, after a sleep, does not turn the clock back
      due.run();
    }
    this.#nowMs = untilMs;
  }

  /** Lets time pass without the timers being run, as while a machine sleeps. */
  sleep(ms: number): void {
    this.#nowMs += ms;
  }
}

/** Lets all pending promises settle. */
export async function settle(): Promise<void> {
  for (let round = 0; round < 20; round += 1) await new Promise((resolve) => setImmediate(resolve));
}
