/**
 * One job, watched: its stream brought together with its lines, its status and its errors. `useJobStream` and the
 * job page are thin shells around this.
 *
 * Invariants:
 *  - Each line is there once, in order, over any number of reconnects: a connection goes on behind the last position,
 *    and one that was asked without a position replaces what was there instead of adding to it.
 *  - `done` is final: nothing that arrives later, no timer and no `reconnect()` opens the stream again. A job may run
 *    once more under its name, and who has learned that from elsewhere says so (`resume()`): the stream goes on behind
 *    its end. A server that knows nothing of it answers that the end is true, and the session is done as before.
 *  - A server's event named `error` sets `error`. A transport's trouble never does: it shows in `connection` alone.
 *    A refusal (404, 403 …) sets both, since no try will follow.
 */
import {
  type Job,
  type JobMetadata,
  type JobOutput,
  type JobStatus,
  metadataOf,
  readMetadata,
  readOutput,
} from "../api/job";
import { type JsonObject, isObject, number, text } from "../stream/json";
import { jobPath } from "../api/jobs-api";
import { LineStore } from "./line-store";
import { endsStream, parsePosition } from "../stream/position";
import { type ConnectionStatus, IDLE, type ServerEvent } from "../stream/stream-source";
import { type StreamState, StreamStore, type StreamStoreSettings } from "../stream/stream-store";

/** How long lines that no longer hold stay on the screen where nothing takes their place, in milliseconds. */
const RESET_PATIENCE_MS = 1_000;

export interface JobSessionSettings extends Pick<
  StreamStoreSettings,
  "source" | "schedule" | "initialPosition"
> {
  readonly jobId: string;
  readonly initialJob?: Pick<Job, "status"> & JobMetadata;
  /** Known lines, up to `initialPosition`; without that the replay replaces them. */
  readonly initialOutput?: readonly JobOutput[];
  /** The offset of the first entry of `initialOutput`. */
  readonly initialFrom?: number;
  /** Without a position: how many lines before the end to begin. Default: all history. */
  readonly tail?: number;
  /** How many lines there are, as far as is known. */
  readonly initialTotal?: number;
  readonly maxLines?: number;
  /** Bytes of lines kept, about. */
  readonly maxBytes?: number;
  readonly autoReconnect?: boolean;
  /** The wait after a first failure, in milliseconds, where the server advises none. */
  readonly reconnectDelay?: number;
}

/** Immutable; a new object whenever something in it changed. */
export interface JobSessionState extends StreamState {
  readonly status: JobStatus;
  readonly metadata: JobMetadata;
  /** Whether the stream has said how the job stands; until then status and metadata are what was given. */
  readonly heard: boolean;
  readonly isDone: boolean;
  readonly error: string | null;
}

export class JobSession extends StreamStore<JobSessionState> {
  readonly log: LineStore;
  #resetTimer: ReturnType<typeof setTimeout> | undefined;

  constructor({ jobId, tail, reconnectDelay: reconnectDelayMs, ...settings }: JobSessionSettings) {
    const { source, schedule, initialPosition, autoReconnect, initialJob } = settings;
    const topic = `${jobPath(jobId)}/stream${tail === undefined ? "" : `?tail=${tail}`}`;
    super(
      { source, topic, schedule, initialPosition, options: { autoReconnect, reconnectDelayMs } },
      {
        status: initialJob?.status ?? "pending",
        metadata: initialJob ? metadataOf(initialJob) : {},
        heard: false,
        isDone: false,
        error: null,
        connection: IDLE,
      },
    );
    const { maxLines = 10_000, maxBytes, initialFrom = 0, initialTotal = 0 } = settings;
    this.log = new LineStore({ maxLines, maxBytes, schedule });
    settings.initialOutput?.forEach((output, index) =>
      this.log.append({ offset: initialFrom + index, output }),
    );
    this.log.announce(initialTotal);
  }

  /** As any store's; without effect when done. */
  override start(): void {
    if (!this.getState().isDone) super.start();
  }

  /** Drops the connection until `reconnect()`. */
  readonly disconnect = (): void => this.drop();

  protected override tryNow(): void {
    if (this.getState().isDone) return;
    this.change({ error: null });
    if (this.started) super.tryNow();
    else this.start();
  }

  protected override goOn(): void {
    if (!this.getState().isDone) return;
    this.change({ isDone: false });
    super.goOn();
  }

  protected override opened(resumedFrom: string | null): void {
    if (resumedFrom === null) this.log.beginReplacement(null);
  }

  protected override connectionChanged(connection: ConnectionStatus): void {
    const { connection: before, error } = this.getState();
    const opened = connection.state === "connected" && before.state !== "connected";
    const refusal =
      connection.state === "error" && connection.problem?.kind === "refused"
        ? connection.problem.message
        : null;
    // What the server said before it closed says more than the 404 that follows.
    this.change({ connection, error: opened ? null : (error ?? refusal) });
    // Who stands at the end and is told that it is over, without a word more, is where it was.
    if (connection.state === "done" && endsStream(this.position ?? "")) this.change({ isDone: true });
    this.#settle();
  }

  protected override take(event: ServerEvent): void {
    const { status, isDone } = this.getState();
    if (isDone) return;
    const data = isObject(event.data) ? event.data : {};
    switch (event.event) {
      case "output":
        this.log.append({
          offset: parsePosition(event.id)?.offset ?? this.log.nextOffset,
          output: readOutput(event.data),
        });
        break;
      case "status":
        this.change({
          heard: true,
          status: text(data, "status") ?? status,
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
        this.change({ error: text(data, "message") ?? "The server reported an error" });
        break;
      case "done":
        this.#finish(data);
        break;
      default:
        break; // an event of a later version: what we do not know, we do not need
    }
  }

  /** Tells the log whether the stream is over: then nothing more comes, and a list written anew is not told of. */
  #settle(): void {
    const { isDone, connection } = this.getState();
    this.log.settle(isDone || connection.state === "error" ? this.position : null);
  }

  #reset(reason: string): void {
    this.log.beginReplacement(reason);
    // Of two that follow each other closely, the first one's patience says nothing of the second.
    clearTimeout(this.#resetTimer);
    this.#resetTimer = setTimeout(() => this.log.commitReplacement(), RESET_PATIENCE_MS);
  }

  #finish(data: JsonObject): void {
    this.log.commitReplacement();
    const status = text(data, "status") ?? this.getState().status;
    this.change({ status, heard: true, isDone: true, error: null });
    this.finish();
    this.#settle();
  }
}
