/** The hooks, for another React application. See hooks/ for each, stream/ for what they are made of. */
export { FantailProvider, useClient } from "./hooks/client-context";
export { type Tables, useTables } from "./hooks/useTables";
export { type JobStream, type UseJobStreamOptions, useJobStream } from "./hooks/useJobStream";
export { type JobSessionOptions, type WatchedJob, useJobSession } from "./hooks/useJobSession";
export {
  type EventSourceHandle,
  type EventSourceManager,
  type EventSourceManagerOptions,
  useEventSourceManager,
} from "./hooks/useEventSourceManager";
export { type LogEntry, useLogStream } from "./hooks/useLogStream";
export { useDiffFiles, useDiffStream } from "./hooks/useDiffStream";
export { type Client, type ClientSettings, createClient } from "./stream/client";
export type { ConnectionState } from "./stream/connection-state";
export type { DiffState, FileDiff } from "./stream/diff-store";
export { type Job, type JobMetadata, type JobOutput, type JobStatus, isTerminal } from "./stream/job";
export type { ConnectionProblem, ConnectionStatus, ServerEvent, StreamSource } from "./stream/stream-source";
