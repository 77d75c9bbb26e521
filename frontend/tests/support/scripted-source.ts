/** A StreamSource whose events a test speaks itself, and a frame that comes when the test says so. */
import type { Schedule } from "../../src/stream/frame";
import type { Json } from "../../src/stream/json";
import {
  type ConnectionStatus,
  IDLE,
  type StreamSink,
  type StreamSource,
  type SubscribeOptions,
  type Subscription,
} from "../../src/stream/stream-source";

export type Said = readonly [event: string, data: Json, id?: string];

export class ScriptedSubscription implements Subscription {
  readonly topic: string;
  readonly options: SubscribeOptions;
  readonly #sink: StreamSink;
  readonly calls: string[] = [];
  #closed = false;

  constructor(topic: string, sink: StreamSink, options: SubscribeOptions) {
    this.topic = topic;
    this.options = options;
    this.#sink = sink;
  }

  open(resumedFrom: string | null = this.options.position ?? null): this {
    this.status({ state: "connected" });
    this.#sink.onOpen(resumedFrom);
    return this;
  }

  say(...events: readonly Said[]): this {
    if (!this.#closed)
      this.#sink.onEvents(events.map(([event, data, id]) => ({ event, data, id: id ?? null })));
    return this;
  }

  status(change: Partial<ConnectionStatus>): this {
    if (!this.#closed) this.#sink.onStatus({ ...IDLE, ...change });
    return this;
  }

  reconnect(): void {
    this.calls.push("reconnect");
  }

  disconnect(): void {
    this.calls.push("disconnect");
  }

  restart(reason: string): void {
    this.calls.push(`restart: ${reason}`);
  }

  finish(): void {
    this.calls.push("finish");
    this.status({ state: "done" });
  }

  close(): void {
    this.calls.push("close");
    this.#closed = true;
  }
}

export class ScriptedSource implements StreamSource {
  readonly subscriptions: ScriptedSubscription[] = [];

  get last(): ScriptedSubscription {
    const subscription = this.subscriptions.at(-1);
    if (!subscription) throw new Error("nobody subscribed");
    return subscription;
  }

  subscribe(topic: string, sink: StreamSink, options: SubscribeOptions = {}): Subscription {
    const subscription = new ScriptedSubscription(topic, sink, options);
    this.subscriptions.push(subscription);
    return subscription;
  }
}

/** Frames by hand: `schedule` for the store, `next()` for the test. */
export class Frames {
  #due: (() => void)[] = [];

  readonly schedule: Schedule = (run) => {
    this.#due.push(run);
    return () => {
      this.#due = this.#due.filter((other) => other !== run);
    };
  };

  get pending(): number {
    return this.#due.length;
  }

  next(): void {
    const due = this.#due;
    this.#due = [];
    for (const run of due) run();
  }
}
