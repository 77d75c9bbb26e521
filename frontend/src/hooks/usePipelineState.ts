/**
 * Pipelines by polling: `GET /ui-api/pipeline/{id}/health` every few seconds, once for all components that ask.
 *
 * Pages take the hooks of the same names in usePipelineStateAdapter.ts, which come here where there is no stream.
 */
import type { PipelineStatus } from "../pipelines/pipeline-status";
import { useClient } from "./client-context";
import { type PipelineStatuses, useStatus, useStatuses, useWatched } from "./usePipelineBoard";

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

/** Polls them for as long as the component is there. */
export function usePipelineMonitoring(pipelineIds: readonly string[]): void {
  useWatched(useClient().pipelines.polls, pipelineIds);
}
