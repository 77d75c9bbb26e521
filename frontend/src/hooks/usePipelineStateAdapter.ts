/**
 * Pipelines for pages, which need not know how they come: by stream, or by polling where the server's configuration
 * says so (`useSSEStatus`) and for as long as the stream fails.
 *
 * While polling stands in, the subscription to the stream stays: that is how it comes back by itself. Both write what
 * they learn to one board, so a change of transport shows no empty moment.
 */
import type { PipelineStatus } from "../pipelines/pipeline-status";
import type { SSEConnectionState } from "../pipelines/pipeline-sse-config";
import { useClient } from "./client-context";
import { NO_PIPELINES, type PipelineStatuses, useStatus, useStatuses, useWatched } from "./usePipelineBoard";
import { useSSEConnectionState, useSSEFallbackState } from "./usePipelineStateSSE";

export interface TransportInfo {
  readonly transport: "sse" | "polling";
  /** Whether the configuration wants a stream. */
  readonly isSSEEnabled: boolean;
  readonly isFallbackActive: boolean;
  readonly connectionState: SSEConnectionState;
  /** Tries the stream now. */
  readonly resetFallback: () => void;
}

/** How statuses come at present. */
export function useTransportInfo(): TransportInfo {
  const { useSSEStatus: isSSEEnabled } = useClient();
  const connectionState = useSSEConnectionState();
  const { isFallbackActive, resetFallback } = useSSEFallbackState();
  const transport = isSSEEnabled && !isFallbackActive ? "sse" : "polling";
  return { transport, isSSEEnabled, isFallbackActive, connectionState, resetFallback };
}

/** Watches them for as long as the component is there. */
export function usePipelineMonitoring(pipelineIds: readonly string[]): void {
  const { pipelines } = useClient();
  const { transport, isSSEEnabled } = useTransportInfo();
  useWatched(pipelines, isSSEEnabled ? pipelineIds : NO_PIPELINES);
  useWatched(pipelines.polls, transport === "polling" ? pipelineIds : NO_PIPELINES);
}

/** The status of one pipeline; `null` until it is known, or where there is no such pipeline. */
export function usePipelineState(pipelineId: string): PipelineStatus | null {
  usePipelineMonitoring([pipelineId]);
  return useStatus(useClient().pipelines.board, pipelineId);
}

/** The statuses of several pipelines by id. */
export function useMultiplePipelineState(pipelineIds: readonly string[]): PipelineStatuses {
  usePipelineMonitoring(pipelineIds);
  return useStatuses(useClient().pipelines.board, pipelineIds);
}
