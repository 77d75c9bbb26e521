/**
 * One stream, kept open: fetch and an event-stream parser, driven by the table in connection-state.ts.
 *
 * Invariants (and those of listener.ts):
 *  - At most one request is under way; what an older one still delivers is dropped (`#generation`).
 *  - Liveness is judged by this machine's clock alone: any byte counts, comments too.
 *  - `done` is final, see the table.
 *
 * EventSource was decided against for our own pages: it hides comments (so no heartbeat), hides HTTP statuses (so
 * 401, 404 and 503 look alike), gives up for good on most of them, and fires `error` both for its own troubles and
 * for a server's event of that name. Known and harmless: the parser does not report a frame of `id:` alone, so a
 * resume may begin a little earlier than it could, among records this client may not see anyway.
 */
import { backoffMs } from "./backoff";
import { type ReadinessProbe, mayProbe } from "./readiness-probe";
import { type Frame, readPieces } from "./event-reader";
import { jsonOrText } from "./json";
import { Listener, PROBE_MS } from "./listener";
import type { Platform } from "./platform";
import { type Answer, readAnswer, unreachable } from "./response";
import type {
  ConnectionProblem,
  ConnectionStatus,
  ServerEvent,
  StreamSink,
  SubscribeOptions,
  Subscription,
} from "./stream-source";

/** Silence after which a connection counts as dead: one and a half of the server's 30 s. */
export const SILENCE_MS = 45_000;

/** Wait for the first byte of an answer; the server sends it at once. */
export const CONNECT_TIMEOUT_MS = 20_000;

export interface ConnectionSettings extends SubscribeOptions {
  readonly url: string;
  readonly headers?: () => Readonly<Record<string, string>>;
  /** Where a server that is away is knocked at; without one, waits run their course. */
  readonly readinessProbe?: ReadinessProbe;
}

export class Connection implements Subscription {
  readonly #settings: ConnectionSettings;
  readonly #platform: Platform;
  readonly #listener: Listener;
  #adviceMs: number | null = null;
  #generation = 0;
  #abort: AbortController | null = null;
  #cancelTimer: () => void = () => {};
  #stopWaking: (() => void) | null = null;
  #stopProbing: () => void = () => {};
  /** Whether the try under way was brought forward, and no event has come of it yet. */
  #broughtForward = false;
  #heardAtMs = 0;

  constructor(settings: ConnectionSettings, sink: StreamSink, platform: Platform) {
    this.#settings = settings;
    this.#platform = platform;
    const letGo = (): void => this.#stop();
    this.#listener = new Listener({ name: settings.url, sink, options: settings, platform, letGo });
  }

  reconnect(): void {
    if (this.#listener.connect()) this.#open();
  }

  disconnect(): void {
    this.#listener.disconnect();
  }

  restart(reason: string): void {
    this.#lose(this.#listener.forget(reason));
  }

  finish(): void {
    this.#listener.finish();
  }

  close(): void {
    this.#listener.close();
  }

  #stop(): void {
    this.#generation += 1;
    this.#abort?.abort();
    this.#abort = null;
    this.#cancelTimer();
    this.#stopProbing();
    this.#stopWaking?.();
    this.#stopWaking = null;
  }

  #open(): void {
    this.#stop();
    const generation = this.#generation;
    this.#stopWaking = this.#platform.onWake(() => this.#wake());
    this.#adviceMs = null;
    this.#heardAtMs = this.#platform.now();
    const abort = new AbortController();
    this.#abort = abort;
    this.#watch(CONNECT_TIMEOUT_MS);
    // The loop reports every outcome through the table; nothing is left for this promise to say.
    void this.#run(generation, abort.signal);
  }

  async #run(generation: number, signal: AbortSignal): Promise<void> {
    const current = (): boolean => generation === this.#generation;
    const resumedFrom = this.#listener.position;
    try {
      const response = await this.#platform.fetch(this.#settings.url, this.#request(resumedFrom, signal));
      if (!current()) return;
      const answer = await readAnswer(response);
      if (!current()) return;
      if (answer.kind === "stream") await this.#read(answer.body, resumedFrom, current);
      else this.#conclude(answer);
    } catch (fault) {
      if (current()) this.#lose({ kind: "network", message: unreachable(fault) });
    }
  }

  #request(position: string | null, signal: AbortSignal): RequestInit {
    const headers: Record<string, string> = { Accept: "text/event-stream", ...this.#settings.headers?.() };
    if (position !== null) headers["Last-Event-ID"] = position;
    return { headers, signal, cache: "no-store", credentials: "same-origin" };
  }

  #conclude(answer: Exclude<Answer, { kind: "stream" }>): void {
    switch (answer.kind) {
      case "ended":
        return this.#listener.finish();
      case "refused":
        return this.#takeRefusal({ kind: "refused", status: answer.status, message: answer.message });
      case "overload":
        this.#adviceMs = answer.retryAfterMs;
        return this.#lose({ kind: "overload", status: answer.status, message: answer.message });
    }
  }

  async #read(
    body: ReadableStream<Uint8Array>,
    resumedFrom: string | null,
    current: () => boolean,
  ): Promise<void> {
    this.#hear();
    this.#listener.open(resumedFrom);
    if (!current()) return;
    for await (const { frames, adviceMs } of readPieces(body, this.#platform)) {
      if (!current()) return;
      this.#hear();
      this.#adviceMs = adviceMs ?? this.#adviceMs;
      if (frames.length > 0) this.#broughtForward = false;
      this.#listener.hear(frames.map(serverEvent), current);
    }
    if (current()) this.#lose({ kind: "network", message: "the server closed the stream" });
  }

  #takeRefusal(problem: ConnectionProblem & { kind: "refused" }): void {
    if (!this.#listener.pollsAfter(problem.status)) return this.#listener.refuse(problem);
    this.#stop();
    this.#retryAfter(PROBE_MS, "fallback", { attempt: this.#listener.status.attempt + 1, problem });
  }

  #lose(problem: ConnectionProblem): void {
    this.#stop();
    if (this.#listener.atRest) return;
    const probe = !this.#broughtForward;
    this.#broughtForward = false;
    // A try that was brought forward is not one of those that were allowed: the wait it cut short is waited now.
    const attempt = Math.max(1, this.#listener.status.attempt + (probe ? 1 : 0));
    const event = this.#listener.eventOfLoss(attempt);
    if (event === "exhausted") return this.#listener.move(event, { attempt, retryAtMs: null, problem });
    const waitMs = event === "fallback" ? PROBE_MS : this.#waitMs(attempt);
    this.#retryAfter(waitMs, event, { attempt, problem });
    if (probe && mayProbe(problem, waitMs, this.#adviceMs)) this.#probe();
  }

  #probe(): void {
    const generation = this.#generation;
    const { readinessProbe } = this.#settings;
    if (!readinessProbe || this.#listener.closed || this.#listener.status.retryAtMs === null) return;
    this.#stopProbing = readinessProbe.wait(() => {
      if (generation !== this.#generation) return;
      this.#broughtForward = true;
      this.#retry();
    });
  }

  #retryAfter(waitMs: number, event: "lost" | "fallback", change: Partial<ConnectionStatus>): void {
    // Armed before it is told, so that a sink that closes what it hears of leaves no timer behind.
    this.#stopWaking = this.#platform.onWake(() => this.#retry());
    this.#cancelTimer = this.#platform.after(waitMs, () => this.#retry());
    this.#listener.move(event, { ...change, retryAtMs: this.#platform.now() + waitMs });
  }

  #waitMs(attempt: number): number {
    const { reconnectDelayMs: baseMs = 3000, reconnectDelayMaxMs: capMs } = this.#settings;
    return backoffMs({ attempt, baseMs, capMs, adviceMs: this.#adviceMs, random: this.#platform.random() });
  }

  #retry(): void {
    this.#listener.move("retry", { retryAtMs: null });
    this.#open();
  }

  #hear(): void {
    this.#heardAtMs = this.#platform.now();
    this.#watch(this.#silenceMs());
  }

  #silenceMs(): number {
    return this.#settings.silenceMs ?? SILENCE_MS;
  }

  #watch(patienceMs: number): void {
    this.#cancelTimer();
    const generation = this.#generation;
    this.#cancelTimer = this.#platform.after(patienceMs, () => {
      if (generation === this.#generation)
        this.#lose({ kind: "silence", message: "nothing was heard for too long" });
    });
  }

  /** After a sleep of the machine the timer may be late; the clock is not. */
  #wake(): void {
    const silentMs = this.#platform.now() - this.#heardAtMs;
    if (silentMs > this.#silenceMs())
      this.#lose({ kind: "silence", message: "nothing was heard for too long" });
  }
}

function serverEvent({ event, data, id }: Frame): ServerEvent {
  return { event: event ?? "message", data: jsonOrText(data), id: id ?? null };
}
