/**
 * The events of any stream, as a growing list: what `useEventSourceManager` and `useLogStream` show.
 *
 * Callers get a new array for each change, so each costs a copy of all: one per frame, and of a long list a few per
 * second, so that what is copied grows with time and not with the square of the list (trap 27). What came without a
 * position is replaced when the stream begins anew, so nothing is there twice. `maxItems` bounds the list; `dropped`
 * counts what went.
 */
import { IDLE, type ServerEvent } from "./stream-source";
import { type StreamState, StreamStore, type StreamStoreSettings } from "./stream-store";

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

export interface EventLogSettings<T> extends Pick<StreamStoreSettings, "source" | "topic" | "schedule"> {
  readonly read: (event: ServerEvent) => Reading<T>;
  readonly maxItems: number;
}

/** Immutable; a new object whenever something in it changed. */
export interface EventLogState<T> extends StreamState {
  readonly items: readonly T[];
  readonly dropped: number;
}

export class EventLog<T> extends StreamStore<EventLogState<T>> {
  readonly #read: (event: ServerEvent) => Reading<T>;
  readonly #maxItems: number;
  #arrived: T[] = [];
  #replacing = false;
  #clearing = false;

  constructor({ read, maxItems, ...settings }: EventLogSettings<T>) {
    super(settings, { items: [], dropped: 0, connection: IDLE });
    this.#read = read;
    this.#maxItems = maxItems;
  }

  protected override schedule(run: () => void): () => void {
    return this.getState().items.length > LONG_LIST ? after(LONG_LIST_MS, run) : super.schedule(run);
  }

  protected override opened(resumedFrom: string | null): void {
    this.#replacing ||= resumedFrom === null;
  }

  protected override tryNow(): void {
    if (this.started) super.tryNow();
    else this.start();
  }

  protected override take(event: ServerEvent): void {
    const reading = this.#read(event);
    if (reading.kind === "item") this.#add(reading.item);
    else if (reading.kind === "reset") this.#replacing = true;
    else if (reading.kind === "end") this.finish();
  }

  #add(item: T): void {
    if (this.#replacing) {
      this.#replacing = false;
      this.#arrived = [];
      this.#clearing = true;
    }
    this.#arrived.push(item);
    this.touch();
  }

  /** One copy, of pointers; bounded by `maxItems`. What is replaced goes in this same step. */
  protected override flush(): void {
    if (this.#arrived.length === 0) return;
    const state = this.getState();
    const all = this.#clearing ? this.#arrived : [...state.items, ...this.#arrived];
    const dropped = this.#clearing ? 0 : state.dropped;
    this.#clearing = false;
    this.#arrived = [];
    const surplus = Math.max(0, all.length - this.#maxItems);
    this.change({ items: surplus > 0 ? all.slice(surplus) : all, dropped: dropped + surplus });
  }
}

function after(delayMs: number, run: () => void): () => void {
  const timer = setTimeout(run, delayMs);
  return () => clearTimeout(timer);
}
