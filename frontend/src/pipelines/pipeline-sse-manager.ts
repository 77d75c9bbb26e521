/**
 * The status of pipelines for a whole page over one stream, however many components watch.
 *
 * The connection, its tries, its silence and its table of states are those of every stream (connection.ts and
 * connection-state.ts). What is decided here is which pipelines it is about, and whether there shall be one at all:
 *
 *  - Subscriptions are counted, and gathered: what is wished for in one turn of the event loop opens one stream, and
 *    what nobody wants any more leaves the stream as it is for a moment, since it is often wanted again.
 *  - There is a connection while somebody watches, the page can be seen, and nobody said `disconnect()`.
 *  - Each connection goes on from the position of the one before, whatever pipelines it is about.
 *  - After the tries, `polling`: `sse-fallback-triggered` tells whoever can poll, and one try every 30 s goes on. The
 *    first event of a stream ends it; that a server answers is not enough, for a proxy may do that and send nothing.
 *  - Trouble that the stream told of ends with the next status of that pipeline, which may be the one it had: a server
 *    says it again when the trouble is over.
 *
 * A server takes at most 200 pipelines in one stream. Those past it are polled instead, which is slower and not blind.
 */
import { FetchStreams } from "../stream/fetch-streams";
import { type PageVisibility, browserVisibility } from "../stream/page-visibility";
import { PipelineBoard, type PipelineStatusListener, type PipelineView } from "./pipeline-board";
import { PipelinePolls } from "./pipeline-polls";
import {
  FALLBACK_EVENT,
  type FallbackDetail,
  LINGER_MS,
  PIPELINES_PER_STREAM_MAX,
  type SSEConnectionState,
  type SSEManagerConfig,
  SSE_MANAGER_DEFAULTS,
} from "./pipeline-sse-config";
import {
  INVALID_ID,
  type PipelineEvent,
  type PipelineStatus,
  UNAVAILABLE,
  isPipelineId,
  readPipelineEvent,
} from "./pipeline-status";
import { type Platform, browserPlatform } from "../stream/platform";
import {
  type ConnectionStatus,
  IDLE,
  type ServerEvent,
  type StreamSource,
  type Subscription,
} from "../stream/stream-source";

/** What the manager is made of; a test, or an application, puts in others. */
export interface SSEManagerParts {
  readonly streams: StreamSource;
  readonly board: PipelineBoard;
  readonly polls: PipelinePolls;
  readonly platform: Platform;
  readonly visibility: PageVisibility;
}

type ConnectionListener = (state: SSEConnectionState) => void;

export class PipelineSSEManager {
  readonly #config: Required<SSEManagerConfig>;
  readonly #parts: Pick<SSEManagerParts, "platform" | "visibility" | "streams">;
  readonly board: PipelineBoard;
  readonly polls: PipelinePolls;
  readonly #watchers = new Map<string, number>();
  readonly #held = new Set<string>();
  readonly #polled = new Set<string>();
  readonly #connectionListeners = new Set<ConnectionListener>();
  readonly #statusListeners = new Set<() => void>();
  #cancelApply: () => void = () => {};
  #applyAtMs = Number.POSITIVE_INFINITY;
  #leave: (() => void)[] = [];
  #topic: string | null = null;
  #subscription: Subscription | null = null;
  #position: string | null = null;
  #connection: ConnectionStatus = IDLE;
  #shown: ConnectionStatus & { readonly state: SSEConnectionState } = { ...IDLE, state: "disconnected" };
  #fallback = false;
  #stopped = false;

  constructor(config: SSEManagerConfig = {}, parts: Partial<SSEManagerParts> = {}) {
    this.#config = { ...SSE_MANAGER_DEFAULTS, ...config };
    const { platform = browserPlatform, visibility = browserVisibility } = parts;
    const board = parts.board ?? new PipelineBoard(platform);
    const polls = parts.polls ?? new PipelinePolls({ board, platform, visibility });
    this.#parts = { platform, visibility, streams: parts.streams ?? new FetchStreams({ platform }) };
    this.board = board;
    this.polls = polls;
  }

  // -- what is asked of it --------------------------------------------------------------------------------------

  /** The last status known, through a lost connection too; `null` where none is. */
  getPipelineStatus(pipelineId: string): PipelineStatus | null {
    return this.board.getPipeline(pipelineId).status;
  }

  getPipeline(pipelineId: string): PipelineView {
    return this.board.getPipeline(pipelineId);
  }

  /** Watches pipelines until as many calls of `unsubscribe` name them. */
  subscribe(pipelineIds: string | readonly string[]): void {
    for (const id of listed(pipelineIds)) {
      this.#watchers.set(id, (this.#watchers.get(id) ?? 0) + 1);
      this.#hold(id);
    }
    this.#applyAfter(0);
  }

  unsubscribe(pipelineIds: string | readonly string[]): void {
    for (const id of listed(pipelineIds)) {
      const count = this.#watchers.get(id) ?? 0;
      if (count > 1) this.#watchers.set(id, count - 1);
      else this.#watchers.delete(id);
    }
    this.#applyAfter(LINGER_MS);
  }

  /** Hears each change of a status, once, in order. The result stops it. */
  addStatusListener(listener: PipelineStatusListener): () => void {
    return this.board.onStatus(listener);
  }

  /** Hears each change of the connection's state. The result stops it. */
  addConnectionListener(listener: ConnectionListener): () => void {
    this.#connectionListeners.add(listener);
    return () => {
      this.#connectionListeners.delete(listener);
    };
  }

  /** Hears of anything about the connection, the next try's time too. */
  readonly onConnection = (listener: () => void): (() => void) => {
    this.#statusListeners.add(listener);
    return () => {
      this.#statusListeners.delete(listener);
    };
  };

  getConnectionState(): SSEConnectionState {
    return this.#shown.state;
  }

  /** The state with its tries and its trouble. Immutable; a new object for each change. */
  readonly getConnectionStatus = (): ConnectionStatus => this.#shown;

  /** Whether polling stands in for the stream now. */
  isFallbackActive(): boolean {
    return this.#fallback;
  }

  /** Ends the fallback and tries the stream again, with all its tries. */
  resetFallback(): void {
    if (!this.#fallback) return;
    this.#fallback = false;
    this.reconnect();
    this.#show();
  }

  /** Drops the connection until `reconnect()`; subscriptions and the position stay. */
  disconnect(): void {
    this.#stopped = true;
    this.#fallback = false;
    this.#apply();
  }

  /** Tries now, whatever the state. */
  reconnect(): void {
    this.#stopped = false;
    if (this.#connection.state === "done") {
      this.#close();
      this.#position = null;
    }
    if (this.#subscription) this.#subscription.reconnect();
    this.#apply();
  }

  // -- which pipelines, and whether -----------------------------------------------------------------------------

  #hold(id: string): void {
    if (this.#held.has(id)) return;
    this.#held.add(id);
    this.board.hold(id);
    if (!isPipelineId(id)) this.board.setProblem(id, { code: INVALID_ID, message: "Invalid pipeline ID" });
  }

  #applyAfter(delayMs: number): void {
    const { platform } = this.#parts;
    const atMs = platform.now() + delayMs;
    if (atMs >= this.#applyAtMs) return;
    this.#cancelApply();
    this.#applyAtMs = atMs;
    this.#cancelApply = platform.after(delayMs, () => this.#apply());
  }

  #apply(): void {
    this.#cancelApply();
    this.#applyAtMs = Number.POSITIVE_INFINITY;
    for (const id of this.#held) {
      if (this.#watchers.has(id)) continue;
      this.#held.delete(id);
      this.board.release(id);
    }
    this.#attend(this.#watchers.size > 0);
    const ids = this.#streamed();
    if (ids.length === 0 || this.#stopped || this.#parts.visibility.hidden()) this.#close();
    else this.#openFor(ids);
    this.#pollTheRest();
  }

  /** Listens to the page only while somebody watches pipelines, so that a manager nobody uses costs nothing. */
  #attend(wanted: boolean): void {
    if (wanted === this.#leave.length > 0) return;
    for (const leave of this.#leave) leave();
    this.#leave = wanted ? [this.#parts.visibility.onChange(() => this.#apply())] : [];
  }

  #valid(): readonly string[] {
    return [...this.#watchers.keys()].filter(isPipelineId);
  }

  #streamed(): readonly string[] {
    return this.#valid().slice(0, PIPELINES_PER_STREAM_MAX).toSorted();
  }

  /** Polls what the stream has no room for. */
  #pollTheRest(): void {
    const wanted = new Set(this.#stopped ? [] : this.#valid().slice(PIPELINES_PER_STREAM_MAX));
    const gone = [...this.#polled].filter((id) => !wanted.has(id));
    const come = [...wanted].filter((id) => !this.#polled.has(id));
    for (const id of gone) this.#polled.delete(id);
    for (const id of come) this.#polled.add(id);
    if (gone.length > 0) this.polls.unsubscribe(gone);
    if (come.length > 0) this.polls.subscribe(come);
  }

  // -- the stream -----------------------------------------------------------------------------------------------

  #openFor(ids: readonly string[]): void {
    const topic = `${this.#config.endpoint}?pipelineIds=${ids.map(encodeURIComponent).join(",")}`;
    if (this.#subscription && topic === this.#topic) return;
    this.#drop();
    this.#topic = topic;
    this.#debug(`Connecting to ${topic}`);
    const sink = {
      onOpen: () => {},
      onEvents: (events: readonly ServerEvent[]) => this.#hear(events),
      onStatus: (status: ConnectionStatus) => this.#follow(status),
    };
    this.#subscription = this.#parts.streams.subscribe(topic, sink, {
      position: this.#position,
      attemptsMax: this.#config.maxReconnectAttempts,
      reconnectDelayMs: this.#config.reconnectDelay,
      reconnectDelayMaxMs: this.#config.maxReconnectDelay,
      silenceMs: this.#config.heartbeatTimeout,
      pollWhenExhausted: this.#config.enablePollingFallback,
    });
  }

  #close(): void {
    this.#drop();
    this.#connection = IDLE;
    this.#show();
  }

  #drop(): void {
    this.#subscription?.close();
    this.#subscription = null;
    this.#topic = null;
  }

  #follow(status: ConnectionStatus): void {
    const before = this.#connection.state;
    this.#connection = status;
    if (status.state === "connected" && before !== "connected") this.#debug("Connection established");
    const falls = status.state === "polling" && !this.#fallback;
    this.#fallback ||= falls;
    this.#show();
    if (falls) this.#tellOfFallback(status);
  }

  #tellOfFallback(status: ConnectionStatus): void {
    const detail: FallbackDetail = {
      attempts: status.attempt,
      reason: status.problem?.message ?? "the tries are used up",
    };
    this.#debug(`Falling back to polling: ${detail.reason}`);
    globalThis.dispatchEvent?.(new CustomEvent(FALLBACK_EVENT, { detail }));
  }

  /** Shows the state to who listens. While polling stands in, all that the stream tries is `polling`. */
  #show(): void {
    const { state } = this.#connection;
    const tries = state === "connecting" || state === "reconnecting" || state === "connected";
    const shown = state === "done" ? "disconnected" : this.#fallback && tries ? "polling" : state;
    const before = this.#shown.state;
    this.#shown = { ...this.#connection, state: shown };
    for (const listener of this.#statusListeners) listener();
    if (shown === before) return;
    for (const listener of this.#connectionListeners) listener(shown);
  }

  #hear(events: readonly ServerEvent[]): void {
    if (this.#fallback) {
      this.#fallback = false;
      this.#show();
    }
    for (const event of events) {
      const read = readPipelineEvent(event);
      if (read) this.#take(read);
      if (event.id !== null) this.#position = event.id;
    }
  }

  #debug(message: string): void {
    this.#parts.platform.debug(message);
  }

  #take(event: PipelineEvent): void {
    switch (event.type) {
      case "heartbeat":
        return;
      case "batch_update":
        this.#debug(`Batch update: ${event.updates.length} pipelines`);
        this.board.setBackendProblem(null);
        for (const { pipelineId, status } of event.updates) this.board.setStatus(pipelineId, status);
        return;
      case "status_update": {
        const before = event.previousStatus ?? this.getPipelineStatus(event.pipelineId) ?? "unknown";
        this.#debug(`Status update: ${event.pipelineId} ${before} -> ${event.status}`);
        this.board.setStatus(event.pipelineId, event.status);
        return;
      }
      case "error": {
        const { pipelineId, message, code = UNAVAILABLE } = event;
        this.#debug(`Error: ${pipelineId === undefined ? "" : `${pipelineId}: `}${message}`);
        if (pipelineId === undefined) this.board.setBackendProblem({ code, message });
        else this.board.setProblem(pipelineId, { code, message });
      }
    }
  }
}

/** The page's own, for the server that the page came from. It does nothing until somebody subscribes. */
export const pipelineSSEManager = new PipelineSSEManager();

function listed(pipelineIds: string | readonly string[]): readonly string[] {
  return typeof pipelineIds === "string" ? [pipelineIds] : pipelineIds;
}
