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
export {
  type TransportInfo,
  useMultiplePipelineState,
  usePipelineMonitoring,
  usePipelineState,
  useTransportInfo,
} from "./hooks/usePipelineStateAdapter";
export {
  type SSEFallbackState,
  useMultiplePipelineStateSSE,
  usePipelineMonitoringSSE,
  usePipelineStateSSE,
  useSSEConnectionState,
  useSSEFallbackState,
} from "./hooks/usePipelineStateSSE";
export {
  useMultiplePipelineState as useMultiplePipelineStatePolling,
  usePipelineMonitoring as usePipelineMonitoringPolling,
  usePipelineState as usePipelineStatePolling,
} from "./hooks/usePipelineState";
export type { PipelineStatuses } from "./hooks/usePipelineBoard";
export { type JobContext, JobProvider, type JobProviderProps, useJobContext } from "./hooks/useJobContext";
export { type Client, type ClientSettings, createClient } from "./client";
export type { ConnectionState } from "./stream/connection-state";
export type { DiffState, FileDiff } from "./stream/diff-store";
export { type Job, type JobMetadata, type JobOutput, type JobStatus, isTerminal } from "./api/job";
export { type SharedStreamsOptions, sharedStreams } from "./stream/shared/worker-transport";
export type { ConnectionProblem, ConnectionStatus, ServerEvent, StreamSource } from "./stream/stream-source";
export type { PipelineStatusChange, PipelineStatusListener, PipelineView } from "./pipelines/pipeline-board";
export { PipelineSSEManager, pipelineSSEManager } from "./pipelines/pipeline-sse-manager";
export {
  FALLBACK_EVENT,
  type FallbackDetail,
  type SSEConnectionState,
  type SSEManagerConfig,
} from "./pipelines/pipeline-sse-config";
export type {
  PipelineEvent,
  PipelineProblem,
  PipelineStatus,
  SSEBatchUpdateEvent,
  SSEErrorEvent,
  SSEHeartbeatEvent,
  SSEStatusUpdateEvent,
} from "./pipelines/pipeline-status";
export type { ActiveRun, RunEnd } from "./runs/run-registry";
export { type RunOutcome, type RunStatus, isTerminalRun } from "./runs/run-status";
