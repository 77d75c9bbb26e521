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
import { type Json, type JsonObject, isList, isObject } from "./json";
import { applyPatch, parsePointer } from "./json-patch";
import { IDLE, type ServerEvent } from "./stream-source";
import { type StreamState, StreamStore, type StreamStoreSettings } from "./stream-store";

/** How long a stream without watchers is kept, in milliseconds: longer than a change of pages. */
export const LINGER_MS = 2_000;

/** The wait after a first failed try, where the server advises none: a server on the same machine is back soon. */
const RECONNECT_MS = 1_000;

export interface DocumentStoreSettings extends Pick<
  StreamStoreSettings,
  "source" | "topic" | "schedule" | "initialPosition"
> {
  /** The document as of `initialPosition`, where the page brought one. */
  readonly initialDocument?: JsonObject | null;
}

/** Immutable; a new object whenever something in it changed. */
export interface DocumentState extends StreamState {
  readonly document: JsonObject;
  /** Whether `document` is, or once was, whole: false only before the first snapshot. */
  readonly ready: boolean;
  /** How many rows the server has and does not send, by table; a table that is not named sends all. */
  readonly leftOut: JsonObject;
}

export class DocumentStore extends StreamStore<DocumentState> {
  #snapshot: Json[] | null = null;
  #changes: Json[] = [];
  #leftOut: JsonObject = {};
  /** Whether this connection has said `ready`. */
  #isReady = false;
  #watchers = 0;
  #cancelStop: () => void = () => {};

  constructor({ initialDocument = null, ...settings }: DocumentStoreSettings) {
    const state = {
      document: initialDocument ?? {},
      ready: initialDocument !== null,
      leftOut: {},
      connection: IDLE,
    };
    super({ ...settings, options: { reconnectDelayMs: RECONNECT_MS } }, state);
  }

  /**
   * Watches: the first watcher connects, where an earlier one left off; the last one to go disconnects, after a
   * moment, so that a change of pages does not reopen the stream. The document and the position stay.
   */
  watch(): () => void {
    this.#watchers += 1;
    this.#cancelStop();
    this.start();
    let watching = true;
    return () => {
      if (!watching) return;
      watching = false;
      this.#watchers -= 1;
      if (this.#watchers === 0) this.#stopLater();
    };
  }

  override stop(): void {
    this.flush();
    super.stop();
  }

  #stopLater(): void {
    const timer = setTimeout(() => this.stop(), LINGER_MS);
    this.#cancelStop = () => clearTimeout(timer);
  }

  protected override opened(): void {
    this.#snapshot = null;
    this.#leftOut = {};
    this.#isReady = false;
  }

  protected override take(event: ServerEvent): void {
    if (event.event === "ready") this.#becomeReady();
    else if (event.event === "left-out") this.#takeLeftOut(isObject(event.data) ? event.data : {});
    else if (event.event === "message") this.#collect(isList(event.data) ? event.data : [event.data]);
  }

  #collect(operations: readonly Json[]): void {
    for (const operation of operations) {
      if (!this.#snapshot && opensSnapshot(operation)) this.#snapshot = [];
      if (this.#snapshot) this.#snapshot.push(operation);
      else this.#changes.push(operation);
    }
    this.touch();
  }

  /** Comes before `ready`, where it is told with the document, or with a change. */
  #takeLeftOut(leftOut: JsonObject): void {
    this.#leftOut = leftOut;
    if (this.#isReady) this.change({ leftOut });
  }

  #becomeReady(): void {
    if (this.#snapshot) {
      const snapshot = this.#snapshot;
      this.#snapshot = null;
      this.#changes = [];
      this.#apply({}, snapshot);
    }
    this.#isReady = true;
    this.change({ ready: true, leftOut: this.#leftOut });
  }

  protected override flush(): void {
    if (this.#changes.length === 0) return;
    const changes = this.#changes;
    this.#changes = [];
    this.#apply(this.getState().document, changes);
  }

  #apply(document: JsonObject, operations: readonly Json[]): void {
    const outcome = applyPatch(document, operations);
    if (outcome.ok && isObject(outcome.document)) this.change({ document: outcome.document });
    else this.startOver(outcome.ok ? "the document is no object" : outcome.reason);
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
