/**
 * One job, watched: its stream brought together with its lines, its status and its errors. `useJobStream` and the
 * job page are thin shells around this.
 *
 * Invariants:
 *  - Each line is there once, in order, over any number of reconnects: a connection goes on behind the last position,
 *    and one that was asked without a position replaces what was there instead of adding to it.
 *  - `done` is final: nothing that arrives later, and no timer, opens the stream again.
 *  - A server's event named `error` sets `error`. A transport's trouble never does: it shows in `connection` alone.
 *    A refusal (404, 403 …) sets both, since no try will follow.
 */
import type { Schedule } from "./frame";
import { FrameSignal } from "./frame";
import {
  type Job,
  type JobMetadata,
  type JobOutput,
  type JobStatus,
  metadataOf,
  readMetadata,
  readOutput,
} from "./job";
import { type JsonObject, isObject, number, text } from "./json";
import { jobPath } from "./jobs-api";
import { LineStore } from "./line-store";
import { parsePosition } from "./position";
import {
  type ConnectionStatus,
  IDLE,
  type ServerEvent,
  type StreamSink,
  type StreamSource,
  type Subscription,
} from "./stream-source";

/** How long lines that no longer hold stay on the screen where nothing takes their place, in milliseconds. */
const RESET_PATIENCE_MS = 1_000;

export interface JobSessionSettings {
  readonly source: StreamSource;
  readonly jobId: string;
  readonly initialJob?: Pick<Job, "status"> & JobMetadata;
  readonly initialOutput?: readonly JobOutput[];
  /** The offset of the first entry of `initialOutput`. */
  readonly initialFrom?: number;
  /** The position behind the last entry of `initialOutput`; without it the replay replaces them. */
  readonly initialPosition?: string | null;
  /** Without a position: how many lines before the end to begin. Default: all history. */
  readonly tail?: number;
  /** How many lines there are, as far as is known. */
  readonly initialTotal?: number;
  readonly maxLines?: number;
  /** Bytes of lines kept, about. */
  readonly maxBytes?: number;
  readonly autoReconnect?: boolean;
  readonly reconnectDelay?: number;
  readonly schedule?: Schedule;
}

/** Immutable; a new object whenever something in it changed. */
export interface JobSessionState {
  readonly status: JobStatus;
  readonly metadata: JobMetadata;
  /** Whether the stream has said how the job stands; until then status and metadata are what was given. */
  readonly heard: boolean;
  readonly isDone: boolean;
  readonly error: string | null;
  readonly connection: ConnectionStatus;
}

export class JobSession {
  readonly log: LineStore;
  readonly #settings: JobSessionSettings;
  readonly #signal: FrameSignal;
  #state: JobSessionState;
  #position: string | null;
  #subscription: Subscription | null = null;
  #resetTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(settings: JobSessionSettings) {
    this.#settings = settings;
    this.#signal = new FrameSignal(settings.schedule);
    this.subscribe = this.#signal.subscribe;
    const { maxLines = 10_000, maxBytes, schedule } = settings;
    this.log = new LineStore({ maxLines, maxBytes, schedule });
    this.#position = settings.initialPosition ?? null;
    const { initialJob } = settings;
    const metadata = initialJob ? metadataOf(initialJob) : {};
    this.#state = {
      status: initialJob?.status ?? "pending",
      metadata,
      heard: false,
      isDone: false,
      error: null,
      connection: IDLE,
    };
    const from = settings.initialFrom ?? 0;
    settings.initialOutput?.forEach((output, index) => this.log.append({ offset: from + index, output }));
    this.log.announce(settings.initialTotal ?? 0);
  }

  readonly subscribe: (listener: () => void) => () => void;

  readonly getState = (): JobSessionState => this.#state;

  /** Connects where it left off. Without effect when done or already started. */
  start(): void {
    if (this.#subscription || this.#state.isDone) return;
    const { source, autoReconnect, reconnectDelay } = this.#settings;
    const sink: StreamSink = {
      onOpen: (resumedFrom) => this.#opened(resumedFrom),
      onEvents: (events) => events.forEach((event) => this.#take(event)),
      onStatus: (connection) => this.#connectionChanged(connection),
    };
    this.#subscription = source.subscribe(this.#topic(), sink, {
      position: this.#position,
      ...(autoReconnect === undefined ? {} : { autoReconnect }),
      ...(reconnectDelay === undefined ? {} : { reconnectDelayMs: reconnectDelay }),
    });
  }

  /** Lets the connection go; lines and position stay for a later `start()`. */
  stop(): void {
    this.#subscription?.close();
    this.#subscription = null;
    if (!this.#state.isDone) this.#change({ connection: IDLE });
  }

  /** Tries now. */
  reconnect(): void {
    if (this.#state.isDone) return;
    this.#change({ error: null });
    if (this.#subscription) this.#subscription.reconnect();
    else this.start();
  }

  /** Drops the connection until `reconnect()`. */
  disconnect(): void {
    this.#subscription?.disconnect();
  }

  #topic(): string {
    const { jobId, tail } = this.#settings;
    const path = `${jobPath(jobId)}/stream`;
    return tail === undefined ? path : `${path}?tail=${tail}`;
  }

  #opened(resumedFrom: string | null): void {
    if (resumedFrom === null) this.log.beginReplacement(null);
  }

  #connectionChanged(connection: ConnectionStatus): void {
    const before = this.#state.connection.state;
    const opened = connection.state === "connected" && before !== "connected";
    const refusal =
      connection.state === "error" && connection.problem?.kind === "refused"
        ? connection.problem.message
        : null;
    // What the server said before it closed says more than the 404 that follows.
    this.#change({ connection, error: opened ? null : (this.#state.error ?? refusal) });
    this.#settle();
  }

  #take(event: ServerEvent): void {
    if (this.#state.isDone) return;
    const data = isObject(event.data) ? event.data : {};
    switch (event.event) {
      case "output":
        this.log.append({
          offset: parsePosition(event.id)?.offset ?? this.log.nextOffset,
          output: readOutput(event.data),
        });
        break;
      case "status":
        this.#change({
          heard: true,
          status: text(data, "status") ?? this.#state.status,
          metadata: readMetadata(data),
        });
        break;
      case "gap":
        this.log.appendGap(number(data, "from") ?? 0, number(data, "to") ?? 0);
        break;
      case "reset":
        this.#reset(text(data, "reason") ?? "");
        break;
      case "error":
        this.#change({ error: text(data, "message") ?? "The server reported an error" });
        break;
      case "done":
        this.#finish(data);
        break;
      default:
        break; // an event of a later version: what we do not know, we do not need
    }
    if (event.id !== null) this.#position = event.id;
    if (this.#state.isDone) this.#settle();
  }

  /** Tells the log whether the stream is over: then nothing more comes, and a list written anew is not told of. */
  #settle(): void {
    const { isDone, connection } = this.#state;
    this.log.settle(isDone || connection.state === "error" ? this.#position : null);
  }

  #reset(reason: string): void {
    this.log.beginReplacement(reason);
    // Of two that follow each other closely, the first one's patience says nothing of the second.
    clearTimeout(this.#resetTimer);
    this.#resetTimer = setTimeout(() => this.log.commitReplacement(), RESET_PATIENCE_MS);
  }

  #finish(data: JsonObject): void {
    this.log.commitReplacement();
    this.#change({
      status: text(data, "status") ?? this.#state.status,
      heard: true,
      isDone: true,
      error: null,
    });
    this.#subscription?.finish();
  }

  #change(change: Partial<JobSessionState>): void {
    this.#state = { ...this.#state, ...change };
    this.#signal.touch();
  }
}
