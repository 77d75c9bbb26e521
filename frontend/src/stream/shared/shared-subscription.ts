/**
 * One subscription of a tab to a stream that the hub holds: `Connection` without a connection.
 *
 * The same table of states, the same options, the same promises to the sink; what differs is whence it hears. Tries and
 * silence are the hub's business, which has one connection for all: `attempt` is its count, `reconnectDelayMs` and
 * `silenceMs` go unused. A refusal that may pass is this subscription's alone, and so is the wait after it.
 */
import { backoffMs } from "../backoff";
import { DENIALS, PROBE_MS } from "../connection";
import { type ConnectionEvent, nextState } from "../connection-state";
import type { Platform } from "../platform";
import { endsStream } from "../position";
import { mayPass } from "../response";
import {
  type ConnectionProblem,
  type ConnectionStatus,
  IDLE,
  type ServerEvent,
  type StreamSink,
  type StreamSource,
  type SubscribeOptions,
  type Subscription,
} from "../stream-source";
import type { LinkStatus, ToHub } from "./messages";

/** What a subscription needs of its tab. */
export interface SubscriptionHome {
  readonly platform: Platform;
  /** Where a subscription goes that the hub cannot serve. */
  readonly own: StreamSource;
  /** Whether there is no hub, and none to come. */
  alone(): boolean;
  /** Asks the hub; without effect while there is none: what is wanted is told to the next. */
  post(message: ToHub): void;
  /** A number that names this subscription to the hub from now on. */
  enlist(subscription: SharedSubscription): number;
  dismiss(id: number): void;
}

export class SharedSubscription implements Subscription {
  readonly #home: SubscriptionHome;
  readonly #topic: string;
  readonly #sink: StreamSink;
  readonly #options: SubscribeOptions;
  #status: ConnectionStatus = IDLE;
  #position: string | null;
  #id: number | null = null;
  #own: Subscription | null = null;
  #cancelWait: () => void = () => {};
  #forgotten = false;
  #closed = false;

  constructor(home: SubscriptionHome, topic: string, sink: StreamSink, options: SubscribeOptions) {
    this.#home = home;
    this.#topic = topic;
    this.#sink = sink;
    this.#options = options;
    this.#position = options.position ?? null;
  }

  // -- what the consumer wishes -----------------------------------------------------------------------------------

  reconnect(): void {
    if (this.#own) return this.#own.reconnect();
    if (this.#closed || this.#status.state === "connected") return;
    this.#move("connect", { attempt: 0, retryAtMs: null, problem: null });
    if (this.#status.state !== "connecting") return;
    if (this.#id === null) this.#enlist();
    else this.#home.post({ kind: "retry" });
  }

  disconnect(): void {
    if (this.#own) return this.#own.disconnect();
    this.#leave();
    this.#move("disconnect", { attempt: 0, retryAtMs: null, problem: null });
  }

  restart(reason: string): void {
    if (this.#own) return this.#own.restart(reason);
    this.#home.platform.debug(`${this.#topic}: starting over, ${reason}`);
    this.#position = null;
    this.#forgotten = true;
    this.#lose({ kind: "fault", message: reason }, null);
  }

  finish(): void {
    if (this.#own) return this.#own.finish();
    this.#leave();
    this.#move("ended", { attempt: 0, retryAtMs: null, problem: null });
  }

  close(): void {
    this.#own?.close();
    this.#leave();
    this.#closed = true;
  }

  // -- what the hub says ------------------------------------------------------------------------------------------

  /** Asks a hub that knows nothing of it; what was under way for the old one means nothing any more. */
  enlistAnew(): void {
    if (this.#id === null) return;
    this.#home.dismiss(this.#id);
    this.#enlist();
  }

  /** There is no hub (any more), or none that can serve this. */
  goOnAlone(): void {
    if (this.#closed || this.#own || this.#id === null) return;
    this.#leave();
    const options = { ...this.#options, position: this.#position };
    this.#own = this.#home.own.subscribe(this.#topic, this.#sink, options);
  }

  hearLink(link: LinkStatus): void {
    if (this.#id === null) return;
    if (link.state === "waiting" && link.problem) this.#lost(link.problem, link.attempt, link.retryAtMs);
    else if (link.state === "connecting" && this.#status.retryAtMs !== null)
      this.#move("retry", { retryAtMs: null });
  }

  hearOpened(resumedFrom: string | null): void {
    this.#move("opened", { retryAtMs: null, problem: null });
    this.#deliver(() => this.#sink.onOpen(resumedFrom));
  }

  hearEvents(events: readonly ServerEvent[]): void {
    if (this.#closed) return;
    const id = this.#id;
    this.#forgotten = false;
    this.#deliver(() => this.#sink.onEvents(events));
    const last = events.findLast((event) => event.id !== null)?.id ?? null;
    if (last !== null && !this.#forgotten) this.#position = last;
    // The sink may have ended or dropped this subscription while it looked at the events.
    if (id !== this.#id) return;
    if (this.#status.attempt > 0) this.#move("opened", { attempt: 0 });
    if (last !== null && endsStream(last)) this.finish();
  }

  hearRefusal(status: number, message: string, retryAfterMs: number | null): void {
    if (mayPass(status)) return this.#lose({ kind: "overload", status, message }, retryAfterMs);
    const problem: ConnectionProblem = { kind: "refused", status, message };
    if (!this.#options.pollWhenExhausted || DENIALS.has(status)) return this.#refuse(problem);
    this.#leave();
    this.#waitFor(PROBE_MS, "fallback", { attempt: this.#status.attempt + 1, problem });
  }

  // -- its state --------------------------------------------------------------------------------------------------

  #enlist(): void {
    this.#cancelWait();
    this.#id = this.#home.enlist(this);
    const position = this.#position === "" ? null : this.#position;
    this.#home.post({ kind: "subscribe", id: this.#id, topic: this.#topic, position });
    if (this.#home.alone()) this.goOnAlone();
  }

  #leave(): void {
    this.#cancelWait();
    if (this.#id === null) return;
    this.#home.dismiss(this.#id);
    this.#home.post({ kind: "unsubscribe", id: this.#id });
    this.#id = null;
  }

  /** Its stream is lost while the one connection may well stand: it comes back by itself, after a wait of its own. */
  #lose(problem: ConnectionProblem, adviceMs: number | null): void {
    const { state } = this.#status;
    this.#leave();
    if (this.#closed || state === "done" || state === "disconnected" || state === "error") return;
    const attempt = this.#status.attempt + 1;
    const { reconnectDelayMs: baseMs = 3000, reconnectDelayMaxMs: capMs } = this.#options;
    const random = this.#home.platform.random();
    const waitMs = backoffMs({ attempt, baseMs, capMs, adviceMs, random });
    const event = this.#eventOfLoss(attempt);
    if (event === "exhausted") return this.#move(event, { attempt, retryAtMs: null, problem });
    this.#waitFor(event === "fallback" ? PROBE_MS : waitMs, event, { attempt, problem });
  }

  /** The one connection is lost, and made again by the hub. */
  #lost(problem: ConnectionProblem, attempt: number, retryAtMs: number | null): void {
    const event = this.#eventOfLoss(attempt);
    if (event === "exhausted") this.#leave();
    this.#move(event, { attempt, retryAtMs: event === "exhausted" ? null : retryAtMs, problem });
  }

  #eventOfLoss(attempt: number): "lost" | "exhausted" | "fallback" {
    const { autoReconnect = true, attemptsMax = Number.POSITIVE_INFINITY } = this.#options;
    if (autoReconnect && attempt <= attemptsMax) return "lost";
    return this.#options.pollWhenExhausted ? "fallback" : "exhausted";
  }

  #waitFor(waitMs: number, event: ConnectionEvent, change: Partial<ConnectionStatus>): void {
    const { platform } = this.#home;
    this.#cancelWait = platform.after(waitMs, () => {
      this.#move("retry", { retryAtMs: null });
      this.#enlist();
    });
    this.#move(event, { ...change, retryAtMs: platform.now() + waitMs });
  }

  #refuse(problem: ConnectionProblem): void {
    this.#leave();
    this.#move("refused", { retryAtMs: null, problem });
  }

  /** A sink that throws would see the same events again after a reconnect, for ever: stop instead, and say so. */
  #deliver(call: () => void): void {
    try {
      call();
    } catch (fault) {
      this.#refuse({ kind: "fault", message: fault instanceof Error ? fault.message : String(fault) });
    }
  }

  #move(event: ConnectionEvent, change: Partial<ConnectionStatus>): void {
    if (this.#closed) return;
    const from = this.#status.state;
    const state = nextState(from, event);
    if (from === "done") return;
    this.#status = { ...this.#status, ...change, state };
    if (from !== state) this.#home.platform.debug(`${this.#topic}: ${from} → ${state} (${event})`);
    this.#sink.onStatus(this.#status);
  }
}
