/**
 * What the stores and hooks ask of a connection, and nothing about how it is made.
 *
 * A topic is the path and query of a stream, as in `POST /api/streams`. `FetchStreams` opens one connection per
 * topic; a source that shares one connection between all tabs can stand in its place without a change above it,
 * which is why the reconnecting, the positions and the heartbeat live below this interface and not in the hooks.
 */
import type { ConnectionState } from "./connection-state";
import type { Json } from "./json";

/** One event as the server sent it; `event` is `"message"` where it has no name. */
export interface ServerEvent {
  readonly event: string;
  /** The JSON value of `data`, or its text where it is not JSON. */
  readonly data: Json;
  /** The position that this event brings the client to, where it carries one. */
  readonly id: string | null;
}

/** Why there is no connection. A transport's trouble, never an event of the server named `error`. */
export type ConnectionProblem =
  | { readonly kind: "network"; readonly message: string }
  | { readonly kind: "silence"; readonly message: string }
  | { readonly kind: "overload"; readonly status: number; readonly message: string }
  | { readonly kind: "refused"; readonly status: number; readonly message: string }
  | { readonly kind: "fault"; readonly message: string };

/** How a subscription stands. Immutable; a new object for each change. */
export interface ConnectionStatus {
  readonly state: ConnectionState;
  /** Tries that failed since the last sound event. */
  readonly attempt: number;
  /** When the next try begins, by `Date.now()`, or `null` where none is due. */
  readonly retryAtMs: number | null;
  readonly problem: ConnectionProblem | null;
}

export const IDLE: ConnectionStatus = { state: "disconnected", attempt: 0, retryAtMs: null, problem: null };

export interface SubscribeOptions {
  /** The last position known; the stream goes on behind it. */
  readonly position?: string | null;
  /** Whether a lost connection is made again by itself. Default true. */
  readonly autoReconnect?: boolean;
  /** The wait after a first failure where the server advises none, in milliseconds. Default 3000. */
  readonly reconnectDelayMs?: number;
  /** The longest wait that doubling leads to, in milliseconds. Default 30,000. */
  readonly reconnectDelayMaxMs?: number;
  /** Silence after which the connection counts as dead, in milliseconds. Default: the source's. */
  readonly silenceMs?: number;
  /** Tries in a row before giving up. Default: no bound, since the wait between them has one. */
  readonly attemptsMax?: number;
  /**
   * Whether giving up means polling (by the consumer) instead of an error. Default false. Then a refusal is answered
   * so too, unless it would meet a poll just the same (400, 401, 403): a proxy may let questions pass, and no streams.
   */
  readonly pollWhenExhausted?: boolean;
}

/** What a subscriber hears. Calls are synchronous, in order, and never after `close()`. */
export interface StreamSink {
  /** A connection stands. `resumedFrom` is the position it asked for; `null` means that all is sent anew. */
  onOpen(resumedFrom: string | null): void;
  /** Events in the order of the server, as many as arrived together. */
  onEvents(events: readonly ServerEvent[]): void;
  onStatus(status: ConnectionStatus): void;
}

export interface Subscription {
  /** Tries now, whether waiting, in error, or on purpose disconnected. Without effect when done. */
  reconnect(): void;
  /** Drops the connection and keeps the position. */
  disconnect(): void;
  /** Forgets the position, and connects again after the usual wait: what was received does not fit together. */
  restart(reason: string): void;
  /** Says that the stream is complete, for servers whose last event does not say so in its id. */
  finish(): void;
  /** Ends the subscription for good; nothing is heard after it. */
  close(): void;
}

export interface StreamSource {
  subscribe(topic: string, sink: StreamSink, options?: SubscribeOptions): Subscription;
}
