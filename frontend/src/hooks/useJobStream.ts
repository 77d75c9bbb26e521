/**
 * A job's status and lines, live.
 *
 * `lines` is an array because a caller maps over it; it is made once per frame at most, and bounded by `maxLines`. A
 * view of very long logs takes the line store of `useJobSession` instead, and reads the rows it shows.
 */
import { useSyncExternalStore } from "react";
import type { Job, JobMetadata, JobOutput, JobStatus } from "../api/job";
import { useJobSession } from "./useJobSession";

export interface UseJobStreamOptions {
  /** What is known before the stream speaks. */
  readonly initialJob?: Pick<Job, "status"> & JobMetadata;
  readonly initialOutput?: readonly JobOutput[];
  /** The position behind `initialOutput`; without it the replay replaces those lines. */
  readonly initialPosition?: string;
  /** Lines kept; the oldest go first. Default 10,000. */
  readonly maxLines?: number;
  /** Whether a lost connection is made again by itself. Default true. */
  readonly autoReconnect?: boolean;
  /** The wait before the first try, in milliseconds, where the server advises none; it doubles. Default 3000. */
  readonly reconnectDelay?: number;
}

export interface JobStream {
  readonly status: JobStatus;
  readonly lines: readonly JobOutput[];
  readonly isConnected: boolean;
  /** Final: nothing more will come. */
  readonly isDone: boolean;
  /** What the server reported, or why it refused. A broken connection alone is not an error of the job's. */
  readonly error: string | null;
  readonly metadata: JobMetadata;
  /** Tries now. */
  readonly reconnect: () => void;
  /** Drops the connection until `reconnect`. */
  readonly disconnect: () => void;
}

export function useJobStream(jobId: string, options: UseJobStreamOptions = {}): JobStream {
  const { maxLines = 10_000, autoReconnect = true, reconnectDelay = 3000, ...initial } = options;
  const session = useJobSession(jobId, { ...initial, maxLines, autoReconnect, reconnectDelay });
  const { status, isDone, error, metadata, log, reconnect, disconnect } = session;
  useSyncExternalStore(
    log.subscribe,
    () => log.version,
    () => log.version,
  );
  const isConnected = session.connection.state === "connected";
  return { status, lines: log.records(), isConnected, isDone, error, metadata, reconnect, disconnect };
}
