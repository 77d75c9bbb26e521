/**
 * The events of any stream, as a growing list: what `useEventSourceManager` and `useLogStream` show.
 *
 * Callers get a new array for each change, so each costs a copy of all: one per frame, and of a long list a few per
 * second, so that what is copied grows with time and not with the square of the list (trap 27). What came without a
 * position is replaced when the stream begins anew, so nothing is there twice. `maxItems` bounds the list; `dropped`
 * counts what went.
 */
import { FrameSignal, type Schedule, onNextFrame } from "./frame";
import {
  type ConnectionStatus,
  IDLE,
  type ServerEvent,
  type StreamSource,
  type Subscription,
} from "./stream-source";

/** A list of more items than this is shown anew every so many milliseconds, and not with each frame. */
export const LONG_LIST = 10_000;
export const LONG_LIST_MS = 200;

/** What an event adds to the list. */
export type Reading<T> =
  | { readonly kind: "item"; readonly item: T }
  /** The stream is complete. */
  | { readonly kind: "end" }
  /** What was there no longer holds. */
  | { readonly kind: "reset" }
  | { readonly kind: "nothing" };

export interface EventLogSettings<T> {
  readonly source: StreamSource;
  readonly topic: string;
  readonly read: (event: ServerEvent) => Reading<T>;
  readonly maxItems: number;
  readonly schedule?: Schedule;
}

/** Immutable; a new object whenever something in it changed. */
export interface EventLogState<T> {
  readonly items: readonly T[];
  readonly dropped: number;
  readonly connection: ConnectionStatus;
}

export class EventLog<T> {
  readonly #settings: EventLogSettings<T>;
  readonly #signal: FrameSignal;
  #state: EventLogState<T> = { items: [], dropped: 0, connection: IDLE };
  #arrived: T[] = [];
  #replacing = false;
  #clearing = false;
  #position: string | null = null;
  #subscription: Subscription | null = null;

  constructor(settings: EventLogSettings<T>) {
    this.#settings = settings;
    const { schedule = onNextFrame } = settings;
    const soon: Schedule = (run) =>
      this.#state.items.length > LONG_LIST ? after(LONG_LIST_MS, run) : schedule(run);
    this.#signal = new FrameSignal(soon, () => this.#flush());
    this.subscribe = this.#signal.subscribe;
  }

  readonly subscribe: (listener: () => void) => () => void;

  readonly getState = (): EventLogState<T> => this.#state;

  start(): void {
    if (this.#subscription) return;
    this.#subscription = this.#settings.source.subscribe(
      this.#settings.topic,
      {
        onOpen: (resumedFrom) => {
          this.#replacing ||= resumedFrom === null;
        },
        onEvents: (events) => events.forEach((event) => this.#take(event)),
        onStatus: (connection) => this.#change({ connection }),
      },
      { position: this.#position },
    );
  }

  stop(): void {
    this.#subscription?.close();
    this.#subscription = null;
    if (this.#state.connection.state !== "done") this.#change({ connection: IDLE });
  }

  reconnect(): void {
    if (this.#subscription) this.#subscription.reconnect();
    else this.start();
  }

  #take(event: ServerEvent): void {
    const reading = this.#settings.read(event);
    if (event.id !== null) this.#position = event.id;
    if (reading.kind === "item") this.#add(reading.item);
    else if (reading.kind === "reset") this.#replacing = true;
    else if (reading.kind === "end") this.#subscription?.finish();
  }

  #add(item: T): void {
    if (this.#replacing) {
      this.#replacing = false;
      this.#arrived = [];
      this.#clearing = true;
    }
    this.#arrived.push(item);
    this.#signal.touch();
  }

  /** One copy, of pointers; bounded by `maxItems`. What is replaced goes in this same step. */
  #flush(): void {
    if (this.#arrived.length === 0) return;
    const all = this.#clearing ? this.#arrived : [...this.#state.items, ...this.#arrived];
    const dropped = this.#clearing ? 0 : this.#state.dropped;
    this.#clearing = false;
    this.#arrived = [];
    const surplus = Math.max(0, all.length - this.#settings.maxItems);
    const items = surplus > 0 ? all.slice(surplus) : all;
    this.#state = { ...this.#state, items, dropped: dropped + surplus };
  }

  #change(change: Partial<EventLogState<T>>): void {
    this.#state = { ...this.#state, ...change };
    this.#signal.touch();
  }
}

function after(delayMs: number, run: () => void): () => void {
  const timer = setTimeout(run, delayMs);
  return () => clearTimeout(timer);
}
