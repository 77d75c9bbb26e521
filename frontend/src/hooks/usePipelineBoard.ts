/** What the hooks of both transports share: to watch pipelines through one, and to read what is known of them. */
import { useEffect, useMemo, useRef, useSyncExternalStore } from "react";
import { type PipelineBoard, type PipelineView, UNKNOWN } from "../pipelines/pipeline-board";
import type { PipelineStatus } from "../pipelines/pipeline-status";

/** Who brings statuses: the stream's manager, or the polls. Both count. */
interface Feed {
  subscribe(ids: readonly string[]): void;
  unsubscribe(ids: readonly string[]): void;
}

export type PipelineStatuses = Readonly<Record<string, PipelineStatus | null>>;

/** For a transport that is not used now. */
export const NO_PIPELINES: readonly string[] = [];

/** Watches for as long as the component is there. What stays in the list is not let go in between. */
export function useWatched(feed: Feed, pipelineIds: readonly string[]): void {
  const ids = useStable(pipelineIds);
  const held = useRef<readonly string[]>([]);
  useEffect(() => {
    const before = held.current;
    held.current = ids;
    feed.subscribe(ids);
    feed.unsubscribe(before);
  }, [feed, ids]);
  useEffect(
    () => () => {
      feed.unsubscribe(held.current);
      held.current = [];
    },
    [feed],
  );
}

export function useStatus(board: PipelineBoard, pipelineId: string): PipelineStatus | null {
  const read = (): PipelineStatus | null => board.getPipeline(pipelineId).status;
  return useSyncExternalStore(board.subscribe, read, read);
}

export function useStatuses(board: PipelineBoard, pipelineIds: readonly string[]): PipelineStatuses {
  const views = useViews(board, pipelineIds);
  return useMemo(() => Object.fromEntries([...views].map(([id, { status }]) => [id, status])), [views]);
}

/** All that is known of each. A pipeline that did not change keeps its object. */
export function useViews(
  board: PipelineBoard,
  pipelineIds: readonly string[],
): ReadonlyMap<string, PipelineView> {
  const ids = useStable(pipelineIds);
  const known = useSyncExternalStore(board.subscribe, board.getViews, board.getViews);
  return useMemo(() => new Map(ids.map((id) => [id, known.get(id) ?? UNKNOWN])), [ids, known]);
}

/** The same array for as long as the ids in it are the same: callers make a new one at each render. */
function useStable(pipelineIds: readonly string[]): readonly string[] {
  const key = JSON.stringify(pipelineIds);
  return useMemo(() => JSON.parse(key) as readonly string[], [key]);
}
