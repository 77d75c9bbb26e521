/**
 * One stream, kept open: fetch and an event-stream parser, driven by the table in connection-state.ts.
 *
 * Invariants:
 *  - A position counts as reached only after the events up to it were handed to the sink, in order.
 *  - At most one request is under way; what an older one still delivers is dropped (`#generation`).
 *  - Liveness is judged by this machine's clock alone: any byte counts, comments too.
 *  - `done` is final, see the table.
 *
 * EventSource was decided against for our own pages: it hides comments (so no heartbeat), hides HTTP statuses (so
 * 401, 404 and 503 look alike), gives up for good on most of them, and fires `error` both for its own troubles and
 * for a server's event of that name. Known and harmless: the parser does not report a frame of `id:` alone, so a
 * resume may begin a little earlier than it could, among records this client may not see anyway.
 */
import { createParser } from "eventsource-parser";
import { backoffMs } from "./backoff";
import { type ConnectionEvent, nextState } from "./connection-state";
import { type Door, mayKnock } from "./door";
import { jsonOrText } from "./json";
import type { Platform } from "./platform";
import { endsStream } from "./position";
import { type Answer, readAnswer, unreachable } from "./response";
import {
  type ConnectionProblem,
  type ConnectionStatus,
  IDLE,
  type ServerEvent,
  type StreamSink,
  type SubscribeOptions,
  type Subscription,
} from "./stream-source";

/** Silence after which a connection counts as dead: one and a half of the server's 30 s. */
export const SILENCE_MS = 45_000;

/** Wait for the first byte of an answer; the server sends it at once. */
export const CONNECT_TIMEOUT_MS = 20_000;

/** Wait between tries while polling stands in for the stream. */
export const PROBE_MS = 30_000;

/** Refusals that a poll would be met with just the same. */
export const DENIALS: ReadonlySet<number> = new Set([400, 401, 403]);

/** The longest frame taken in, in UTF-16 units; a server's longest line is 1 MiB. */
export const FRAME_LENGTH_MAX = 16 * 1024 * 1024;

/** Work at one stretch before the event loop gets a turn, so that a long replay leaves the page usable. */
export const STRETCH_MS = 8;

export interface ConnectionSettings extends SubscribeOptions {
  readonly url: string;
  readonly headers?: () => Readonly<Record<string, string>>;
  /** Where a server that is away is knocked at; without one, waits run their course. */
  readonly door?: Door;
}

export class Connection implements Subscription {
  readonly #settings: ConnectionSettings;
  readonly #sink: StreamSink;
  readonly #platform: Platform;
  #status: ConnectionStatus = IDLE;
  #position: string | null;
  #adviceMs: number | null = null;
  #generation = 0;
  #abort: AbortController | null = null;
  #cancelTimer: () => void = () => {};
  #stopWaking: (() => void) | null = null;
  #stopKnocking: () => void = () => {};
  /** Whether the try under way was brought forward, and no event has come of it yet. */
  #broughtForward = false;
  #heardAtMs = 0;
  #forgotten = false;
  #closed = false;

  constructor(settings: ConnectionSettings, sink: StreamSink, platform: Platform) {
    this.#settings = settings;
    this.#sink = sink;
    this.#platform = platform;
    this.#position = settings.position ?? null;
  }

  reconnect(): void {
    if (this.#closed || this.#status.state === "connected") return;
    this.#move("connect", { attempt: 0, retryAtMs: null, problem: null });
    if (this.#status.state === "connecting") this.#open();
  }

  disconnect(): void {
    this.#stop();
    this.#move("disconnect", { attempt: 0, retryAtMs: null, problem: null });
  }

  restart(reason: string): void {
    this.#platform.debug(`${this.#settings.url}: starting over, ${reason}`);
    this.#position = null;
    this.#forgotten = true;
    this.#lose({ kind: "fault", message: reason });
  }

  finish(): void {
    this.#stop();
    this.#move("ended", { attempt: 0, retryAtMs: null, problem: null });
  }

  close(): void {
    this.#stop();
    this.#closed = true;
  }

  #move(event: ConnectionEvent, change: Partial<ConnectionStatus>): void {
    if (this.#closed) return;
    const from = this.#status.state;
    const state = nextState(from, event);
    if (from === "done") return;
    this.#status = { ...this.#status, ...change, state };
    if (from !== state) this.#platform.debug(`${this.#settings.url}: ${from} → ${state} (${event})`);
    this.#sink.onStatus(this.#status);
  }

  #stop(): void {
    this.#generation += 1;
    this.#abort?.abort();
    this.#abort = null;
    this.#cancelTimer();
    this.#stopKnocking();
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
    // An empty position is none: the stream took it back, with a reset, and is to send everything anew.
    const resumedFrom = this.#position === "" ? null : this.#position;
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
        return this.finish();
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
    this.#move("opened", { retryAtMs: null, problem: null });
    this.#deliver(() => this.#sink.onOpen(resumedFrom));
    let batch: ServerEvent[] = [];
    const parser = createParser({
      onEvent: ({ event, data, id }) =>
        batch.push({ event: event ?? "message", data: jsonOrText(data), id: id ?? null }),
      onRetry: (delayMs) => {
        this.#adviceMs = delayMs;
      },
      maxBufferSize: FRAME_LENGTH_MAX,
    });
    const reader = body.getReader();
    const decoder = new TextDecoder();
    let stretchBegan = this.#platform.now();
    while (current()) {
      const { done, value } = await reader.read();
      if (!current()) return;
      if (done) return this.#lose({ kind: "network", message: "the server closed the stream" });
      this.#hear();
      batch = [];
      parser.feed(decoder.decode(value, { stream: true }));
      this.#take(batch);
      if (this.#platform.now() - stretchBegan < STRETCH_MS) continue;
      await this.#platform.turn();
      stretchBegan = this.#platform.now();
    }
  }

  #take(batch: readonly ServerEvent[]): void {
    if (batch.length === 0) return;
    const generation = this.#generation;
    this.#forgotten = false;
    this.#broughtForward = false;
    this.#deliver(() => this.#sink.onEvents(batch));
    const last = batch.findLast((event) => event.id !== null)?.id ?? null;
    if (last !== null && !this.#forgotten) this.#position = last;
    // The sink may have ended or dropped this connection while it looked at the events.
    if (generation !== this.#generation) return;
    if (this.#status.attempt > 0) this.#move("opened", { attempt: 0 });
    if (last !== null && endsStream(last)) this.finish();
  }

  /** A sink that throws would see the same events again after a reconnect, for ever: stop instead, and say so. */
  #deliver(call: () => void): void {
    try {
      call();
    } catch (fault) {
      this.#refuse({ kind: "fault", message: fault instanceof Error ? fault.message : String(fault) });
    }
  }

  #takeRefusal(problem: ConnectionProblem & { kind: "refused" }): void {
    if (!this.#settings.pollWhenExhausted || DENIALS.has(problem.status)) return this.#refuse(problem);
    this.#stop();
    this.#retryAfter(PROBE_MS, "fallback", { attempt: this.#status.attempt + 1, problem });
  }

  #refuse(problem: ConnectionProblem): void {
    this.#stop();
    this.#move("refused", { retryAtMs: null, problem });
  }

  #lose(problem: ConnectionProblem): void {
    this.#stop();
    const { state } = this.#status;
    if (this.#closed || state === "done" || state === "disconnected" || state === "error") return;
    const knock = !this.#broughtForward;
    this.#broughtForward = false;
    // A try that was brought forward is not one of those that were allowed: the wait it cut short is waited now.
    const attempt = Math.max(1, this.#status.attempt + (knock ? 1 : 0));
    const {
      autoReconnect = true,
      attemptsMax = Number.POSITIVE_INFINITY,
      pollWhenExhausted = false,
    } = this.#settings;
    const exhausted = !autoReconnect || attempt > attemptsMax;
    if (exhausted && !pollWhenExhausted) {
      return this.#move("exhausted", { attempt, retryAtMs: null, problem });
    }
    const waitMs = exhausted ? PROBE_MS : this.#waitMs(attempt);
    this.#retryAfter(waitMs, exhausted ? "fallback" : "lost", { attempt, problem });
    if (knock && mayKnock(problem, waitMs, this.#adviceMs)) this.#knock();
  }

  #knock(): void {
    const generation = this.#generation;
    const { door } = this.#settings;
    if (!door || this.#closed || this.#status.retryAtMs === null) return;
    this.#stopKnocking = door.wait(() => {
      if (generation !== this.#generation) return;
      this.#broughtForward = true;
      this.#retry();
    });
  }

  #retryAfter(waitMs: number, event: ConnectionEvent, change: Partial<ConnectionStatus>): void {
    // Armed before it is told, so that a sink that closes what it hears of leaves no timer behind.
    this.#stopWaking = this.#platform.onWake(() => this.#retry());
    this.#cancelTimer = this.#platform.after(waitMs, () => this.#retry());
    this.#move(event, { ...change, retryAtMs: this.#platform.now() + waitMs });
  }

  #waitMs(attempt: number): number {
    const { reconnectDelayMs: baseMs = 3000, reconnectDelayMaxMs: capMs } = this.#settings;
    return backoffMs({ attempt, baseMs, capMs, adviceMs: this.#adviceMs, random: this.#platform.random() });
  }

  #retry(): void {
    this.#move("retry", { retryAtMs: null });
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
