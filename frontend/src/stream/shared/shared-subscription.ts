/**
 * One subscription of a tab to a stream that the hub holds: `Connection` without a connection.
 *
 * The same listener, so the same states, options and promises to the sink (listener.ts); what differs is whence it hears. Tries and
 * silence are the hub's business, which has one connection for all: `attempt` is its count, `reconnectDelayMs` and
 * `silenceMs` go unused. A refusal that may pass is this subscription's alone, and so is the wait after it.
 */
import { backoffMs } from "../backoff";
import { Listener, PROBE_MS } from "../listener";
import type { Platform } from "../platform";
import { mayPass } from "../response";
import type {
  ConnectionProblem,
  ConnectionStatus,
  ServerEvent,
  StreamSink,
  StreamSource,
  SubscribeOptions,
  Subscription,
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
  readonly #listener: Listener;
  #id: number | null = null;
  #own: Subscription | null = null;
  #cancelWait: () => void = () => {};

  constructor(home: SubscriptionHome, topic: string, sink: StreamSink, options: SubscribeOptions) {
    this.#home = home;
    this.#topic = topic;
    this.#sink = sink;
    this.#options = options;
    const letGo = (): void => this.#leave();
    this.#listener = new Listener({ name: topic, sink, options, platform: home.platform, letGo });
  }

  // -- what the consumer wishes -----------------------------------------------------------------------------------

  reconnect(): void {
    if (this.#own) return this.#own.reconnect();
    if (!this.#listener.connect()) return;
    if (this.#id === null) this.#enlist();
    else this.#home.post({ kind: "retry" });
  }

  disconnect(): void {
    if (this.#own) return this.#own.disconnect();
    this.#listener.disconnect();
  }

  restart(reason: string): void {
    if (this.#own) return this.#own.restart(reason);
    this.#lose(this.#listener.forget(reason), null);
  }

  finish(): void {
    if (this.#own) return this.#own.finish();
    this.#listener.finish();
  }

  close(): void {
    this.#own?.close();
    this.#listener.close();
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
    if (this.#listener.closed || this.#own || this.#id === null) return;
    this.#leave();
    const options = { ...this.#options, position: this.#listener.position };
    this.#own = this.#home.own.subscribe(this.#topic, this.#sink, options);
  }

  hearLink(link: LinkStatus): void {
    if (this.#id === null) return;
    if (link.state === "waiting" && link.problem) this.#lost(link.problem, link.attempt, link.retryAtMs);
    else if (link.state === "connecting" && this.#listener.status.retryAtMs !== null)
      this.#listener.move("retry", { retryAtMs: null });
  }

  hearOpened(resumedFrom: string | null): void {
    this.#listener.open(resumedFrom);
  }

  hearEvents(events: readonly ServerEvent[]): void {
    const id = this.#id;
    this.#listener.hear(events, () => id === this.#id);
  }

  hearRefusal(status: number, message: string, retryAfterMs: number | null): void {
    if (mayPass(status)) return this.#lose({ kind: "overload", status, message }, retryAfterMs);
    const problem: ConnectionProblem = { kind: "refused", status, message };
    if (!this.#listener.pollsAfter(status)) return this.#listener.refuse(problem);
    this.#leave();
    this.#waitFor(PROBE_MS, "fallback", { attempt: this.#listener.status.attempt + 1, problem });
  }

  // -- its state --------------------------------------------------------------------------------------------------

  #enlist(): void {
    this.#cancelWait();
    this.#id = this.#home.enlist(this);
    const { position } = this.#listener;
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
    this.#leave();
    if (this.#listener.atRest) return;
    const attempt = this.#listener.status.attempt + 1;
    const { reconnectDelayMs: baseMs = 3000, reconnectDelayMaxMs: capMs } = this.#options;
    const random = this.#home.platform.random();
    const waitMs = backoffMs({ attempt, baseMs, capMs, adviceMs, random });
    const event = this.#listener.eventOfLoss(attempt);
    if (event === "exhausted") return this.#listener.move(event, { attempt, retryAtMs: null, problem });
    this.#waitFor(event === "fallback" ? PROBE_MS : waitMs, event, { attempt, problem });
  }

  /** The one connection is lost, and made again by the hub. */
  #lost(problem: ConnectionProblem, attempt: number, retryAtMs: number | null): void {
    const event = this.#listener.eventOfLoss(attempt);
    if (event === "exhausted") this.#leave();
    this.#listener.move(event, { attempt, retryAtMs: event === "exhausted" ? null : retryAtMs, problem });
  }

  #waitFor(waitMs: number, event: "lost" | "fallback", change: Partial<ConnectionStatus>): void {
    const { platform } = this.#home;
    this.#cancelWait = platform.after(waitMs, () => {
      this.#listener.move("retry", { retryAtMs: null });
      this.#enlist();
    });
    this.#listener.move(event, { ...change, retryAtMs: platform.now() + waitMs });
  }
}
