/** Pipelines by stream: however many components watch, the page has one, and `pipelineSSEManager` keeps it. */
import { useCallback, useSyncExternalStore } from "react";
import type { PipelineStatus } from "../pipelines/pipeline-status";
import type { SSEConnectionState } from "../pipelines/pipeline-sse-config";
import { useClient } from "./client-context";
import { type PipelineStatuses, useStatus, useStatuses, useWatched } from "./usePipelineBoard";

/** The status of one pipeline; `null` until it is known, or where there is no such pipeline. */
export function usePipelineStateSSE(pipelineId: string): PipelineStatus | null {
  usePipelineMonitoringSSE([pipelineId]);
  return useStatus(useClient().pipelines.board, pipelineId);
}

/** The statuses of several pipelines by id. */
export function useMultiplePipelineStateSSE(pipelineIds: readonly string[]): PipelineStatuses {
  usePipelineMonitoringSSE(pipelineIds);
  return useStatuses(useClient().pipelines.board, pipelineIds);
}

/** Watches them for as long as the component is there. */
export function usePipelineMonitoringSSE(pipelineIds: readonly string[]): void {
  useWatched(useClient().pipelines, pipelineIds);
}

export function useSSEConnectionState(): SSEConnectionState {
  const { pipelines } = useClient();
  const read = (): SSEConnectionState => pipelines.getConnectionState();
  return useSyncExternalStore(pipelines.onConnection, read, read);
}

export interface SSEFallbackState {
  /** Whether polling stands in for the stream. It ends by itself when there is a stream again. */
  readonly isFallbackActive: boolean;
  /** Tries the stream now. */
  readonly resetFallback: () => void;
}

export function useSSEFallbackState(): SSEFallbackState {
  const { pipelines } = useClient();
  const read = (): boolean => pipelines.isFallbackActive();
  const isFallbackActive = useSyncExternalStore(pipelines.onConnection, read, read);
  const resetFallback = useCallback(() => pipelines.resetFallback(), [pipelines]);
  return { isFallbackActive, resetFallback };
}
