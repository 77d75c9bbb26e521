/**
 * Who listens to a stream, and how far it has come: the half of a subscription that is the same whoever brings the
 * events, a connection of its own (`Connection`) or the hub that all tabs share (`SharedSubscription`).
 *
 * Invariants:
 *  - The state changes by the table in connection-state.ts alone; each change is told once, and none after `close()`.
 *  - A position counts as reached only after the events up to it were handed to the sink, in order; one that was
 *    forgotten meanwhile stays forgotten.
 *  - Whatever ends the stream lets go of the transport first, so nothing of it is heard afterwards.
 */
import { type ConnectionEvent, type ConnectionState, nextState } from "./connection-state";
import type { Platform } from "./platform";
import { endsStream } from "./position";
import {
  type ConnectionProblem,
  type ConnectionStatus,
  IDLE,
  type ServerEvent,
  type StreamSink,
  type SubscribeOptions,
} from "./stream-source";

/** Wait between tries while polling stands in for the stream. */
export const PROBE_MS = 30_000;

/** Refusals that a poll would be met with just the same. */
export const DENIALS: ReadonlySet<number> = new Set([400, 401, 403]);

/** States that a lost transport changes nothing of. */
const AT_REST: ReadonlySet<ConnectionState> = new Set(["done", "disconnected", "error"]);

const CALM = { attempt: 0, retryAtMs: null, problem: null };

export interface ListenerSettings {
  /** What the stream is called in the developer's console. */
  readonly name: string;
  readonly sink: StreamSink;
  readonly options: SubscribeOptions;
  readonly platform: Platform;
  /** Lets go of the transport, and of whatever waits to bring it back. */
  readonly letGo: () => void;
}

export class Listener {
  readonly #settings: ListenerSettings;
  #status: ConnectionStatus = IDLE;
  #position: string | null;
  #forgotten = false;
  #closed = false;

  constructor(settings: ListenerSettings) {
    this.#settings = settings;
    this.#position = settings.options.position ?? null;
  }

  get status(): ConnectionStatus {
    return this.#status;
  }

  /** What a server can go on behind. An empty position is none: the stream took it back, and is to send all anew. */
  get position(): string | null {
    return this.#position === "" ? null : this.#position;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whether a loss of the transport is no matter, as nothing is wanted of it. */
  get atRest(): boolean {
    return this.#closed || AT_REST.has(this.#status.state);
  }

  // -- what is wished of it -------------------------------------------------------------------------------------

  /** Somebody wishes the stream; returns whether it is to be asked for. */
  connect(): boolean {
    if (this.#closed || this.#status.state === "connected") return false;
    this.move("connect", CALM);
    return this.#status.state === "connecting";
  }

  disconnect(): void {
    this.#settings.letGo();
    this.move("disconnect", CALM);
  }

  finish(): void {
    this.#settings.letGo();
    this.move("ended", CALM);
  }

  refuse(problem: ConnectionProblem): void {
    this.#settings.letGo();
    this.move("refused", { retryAtMs: null, problem });
  }

  close(): void {
    this.#settings.letGo();
    this.#closed = true;
  }

  /** What was received does not fit together: the next connection asks for everything. Returns what to lose it by. */
  forget(reason: string): ConnectionProblem {
    this.#settings.platform.debug(`${this.#settings.name}: starting over, ${reason}`);
    this.#position = null;
    this.#forgotten = true;
    return { kind: "fault", message: reason };
  }

  // -- what the transport brings --------------------------------------------------------------------------------

  open(resumedFrom: string | null): void {
    this.move("opened", { retryAtMs: null, problem: null });
    this.#deliver(() => this.#settings.sink.onOpen(resumedFrom));
  }

  /** `current` is asked after the sink has looked: it may have ended or dropped the transport meanwhile. */
  hear(events: readonly ServerEvent[], current: () => boolean): void {
    if (this.#closed || events.length === 0) return;
    this.#forgotten = false;
    this.#deliver(() => this.#settings.sink.onEvents(events));
    const last = events.findLast((event) => event.id !== null)?.id ?? null;
    if (last !== null && !this.#forgotten) this.#position = last;
    if (!current()) return;
    if (this.#status.attempt > 0) this.move("opened", { attempt: 0 });
    if (last !== null && endsStream(last)) this.finish();
  }

  /** What follows the loss of the transport: another try, or where this was the last, polling or an error. */
  eventOfLoss(attempt: number): "lost" | "exhausted" | "fallback" {
    const { autoReconnect = true, attemptsMax, pollWhenExhausted } = this.#settings.options;
    if (autoReconnect && attempt <= (attemptsMax ?? Number.POSITIVE_INFINITY)) return "lost";
    return pollWhenExhausted ? "fallback" : "exhausted";
  }

  /** Whether a refusal leaves polling, which the server may let pass where it lets no stream. */
  pollsAfter(status: number): boolean {
    return this.#settings.options.pollWhenExhausted === true && !DENIALS.has(status);
  }

  move(event: ConnectionEvent, change: Partial<ConnectionStatus>): void {
    if (this.#closed) return;
    const { name, platform, sink } = this.#settings;
    const from = this.#status.state;
    const state = nextState(from, event);
    if (from === "done") return;
    this.#status = { ...this.#status, ...change, state };
    if (from !== state) platform.debug(`${name}: ${from} → ${state} (${event})`);
    sink.onStatus(this.#status);
  }

  /** A sink that throws would see the same events again after a reconnect, for ever: stop instead, and say so. */
  #deliver(call: () => void): void {
    try {
      call();
    } catch (fault) {
      this.refuse({ kind: "fault", message: fault instanceof Error ? fault.message : String(fault) });
    }
  }
}
