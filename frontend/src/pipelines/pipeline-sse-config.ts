/** What can be set of the pipelines' stream, the states it shows, and the event that says that polling stands in. */

export interface SSEManagerConfig {
  /** Default `/ui-api/pipeline/status/stream`. */
  readonly endpoint?: string;
  /** Tries in a row before the fallback. Default 5. */
  readonly maxReconnectAttempts?: number;
  /** The wait before the first try, in milliseconds; it doubles. Default 1000. */
  readonly reconnectDelay?: number;
  /** What it doubles to at most, in milliseconds. Default 30,000. */
  readonly maxReconnectDelay?: number;
  /** Silence after which a connection counts as dead, in milliseconds by this browser's clock. Default 45,000. */
  readonly heartbeatTimeout?: number;
  /** Whether polling stands in after the tries; else they end in `error`. Default true. */
  readonly enablePollingFallback?: boolean;
}

export const SSE_MANAGER_DEFAULTS: Required<SSEManagerConfig> = {
  endpoint: "/ui-api/pipeline/status/stream",
  maxReconnectAttempts: 5,
  reconnectDelay: 1000,
  maxReconnectDelay: 30_000,
  heartbeatTimeout: 45_000,
  enablePollingFallback: true,
};

export type SSEConnectionState =
  | "disconnected"
  | "connecting"
  | "connected"
  | "reconnecting"
  | "polling"
  | "error";

/** Dispatched on the window when the tries are used up; `detail` is a `FallbackDetail`. */
export const FALLBACK_EVENT = "sse-fallback-triggered";

export interface FallbackDetail {
  readonly attempts: number;
  readonly reason: string;
}

/** Pipelines that a server takes in one stream. */
export const PIPELINES_PER_STREAM_MAX = 200;

/** How long a stream keeps what nobody watches any more, in milliseconds: longer than a change of pages. */
export const LINGER_MS = 2_000;
