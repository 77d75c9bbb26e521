/**
 * A document fed by a stream of JSON Patches: a snapshot, `ready`, then each change.
 *
 * Invariants:
 *  - What is shown is never half a snapshot: one is built aside, and takes the place of the old document at
 *    `ready`. Until then the old one stays on the screen.
 *  - A snapshot announces itself by adding an empty object at a path of one token (`add /jobs {}`). A resume sends no
 *    such thing, so its changes go straight to the document.
 *  - A snapshot cut by a lost connection is forgotten when the next one opens.
 *  - Operations wait for the frame and are applied in one patch, so that each touched object is copied once.
 *  - A patch that does not fit means that we hold another document than the server: start over, show the old one.
 */
import { FrameSignal, type Schedule } from "./frame";
import { type Json, type JsonObject, isList, isObject } from "./json";
import { applyPatch, parsePointer } from "./json-patch";
import {
  type ConnectionStatus,
  IDLE,
  type ServerEvent,
  type StreamSink,
  type StreamSource,
  type Subscription,
} from "./stream-source";

/** How long a stream without watchers is kept, in milliseconds: longer than a change of pages. */
export const LINGER_MS = 2_000;

/** The wait after a first failed try, where the server advises none: a server on the same machine is back soon. */
const RECONNECT_MS = 1_000;

export interface DocumentStoreSettings {
  readonly source: StreamSource;
  readonly topic: string;
  /** The document as of `initialPosition`, where the page brought one. */
  readonly initialDocument?: JsonObject | null;
  readonly initialPosition?: string | null;
  readonly schedule?: Schedule;
}

/** Immutable; a new object whenever something in it changed. */
export interface DocumentState {
  readonly document: JsonObject;
  /** Whether `document` is, or once was, whole: false only before the first snapshot. */
  readonly ready: boolean;
  readonly connection: ConnectionStatus;
}

export class DocumentStore {
  readonly #settings: DocumentStoreSettings;
  readonly #signal: FrameSignal;
  #state: DocumentState;
  #position: string | null;
  #snapshot: Json[] | null = null;
  #changes: Json[] = [];
  #subscription: Subscription | null = null;
  #watchers = 0;
  #cancelStop: () => void = () => {};

  constructor(settings: DocumentStoreSettings) {
    this.#settings = settings;
    this.#signal = new FrameSignal(settings.schedule, () => this.#flush());
    this.subscribe = this.#signal.subscribe;
    this.#position = settings.initialPosition ?? null;
    const document = settings.initialDocument ?? null;
    this.#state = { document: document ?? {}, ready: document !== null, connection: IDLE };
  }

  readonly subscribe: (listener: () => void) => () => void;

  /** The state as of the last frame. */
  readonly getState = (): DocumentState => this.#state;

  /**
   * Watches: the first watcher connects, where an earlier one left off; the last one to go disconnects, after a
   * moment, so that a change of pages does not reopen the stream. The document and the position stay.
   */
  watch(): () => void {
    this.#watchers += 1;
    this.#cancelStop();
    if (!this.#subscription) this.#start();
    let watching = true;
    return () => {
      if (!watching) return;
      watching = false;
      this.#watchers -= 1;
      if (this.#watchers === 0) this.#stopLater();
    };
  }

  reconnect(): void {
    this.#subscription?.reconnect();
  }

  #start(): void {
    const sink: StreamSink = {
      onOpen: () => {
        this.#snapshot = null;
      },
      onEvents: (events) => events.forEach((event) => this.#take(event)),
      onStatus: (connection) => this.#change({ connection }),
    };
    this.#subscription = this.#settings.source.subscribe(this.#settings.topic, sink, {
      position: this.#position,
      reconnectDelayMs: RECONNECT_MS,
    });
  }

  #stopLater(): void {
    const timer = setTimeout(() => this.#stop(), LINGER_MS);
    this.#cancelStop = () => clearTimeout(timer);
  }

  #stop(): void {
    this.#flush();
    this.#subscription?.close();
    this.#subscription = null;
    this.#change({ connection: IDLE });
  }

  #take(event: ServerEvent): void {
    // First the position, so that a patch that does not fit can take it back.
    if (event.id !== null) this.#position = event.id;
    if (event.event === "ready") this.#becomeReady();
    else if (event.event === "message") this.#collect(isList(event.data) ? event.data : [event.data]);
  }

  #collect(operations: readonly Json[]): void {
    for (const operation of operations) {
      if (!this.#snapshot && opensSnapshot(operation)) this.#snapshot = [];
      if (this.#snapshot) this.#snapshot.push(operation);
      else this.#changes.push(operation);
    }
    this.#signal.touch();
  }

  #becomeReady(): void {
    if (this.#snapshot) {
      const snapshot = this.#snapshot;
      this.#snapshot = null;
      this.#changes = [];
      this.#apply({}, snapshot);
    }
    this.#change({ ready: true });
  }

  #flush(): void {
    if (this.#changes.length === 0) return;
    const changes = this.#changes;
    this.#changes = [];
    this.#apply(this.#state.document, changes);
  }

  #apply(document: JsonObject, operations: readonly Json[]): void {
    const outcome = applyPatch(document, operations);
    if (outcome.ok && isObject(outcome.document)) return this.#change({ document: outcome.document });
    this.#position = null;
    this.#subscription?.restart(outcome.ok ? "the document is no object" : outcome.reason);
  }

  #change(change: Partial<DocumentState>): void {
    this.#state = { ...this.#state, ...change };
    this.#signal.touch();
  }
}

function opensSnapshot(operation: Json): boolean {
  if (!isObject(operation) || operation.op !== "add" || typeof operation.path !== "string") return false;
  return (
    parsePointer(operation.path)?.length === 1 &&
    isObject(operation.value) &&
    Object.keys(operation.value).length === 0
  );
}
