/**
 * Which pipelines the page is about: those that the server has in its table, and those that this reader added.
 *
 * A server knows only pipelines that somebody watches, so what was added here is kept in this browser. One that the
 * reader takes off the page stays off for as long as the page is open, though the server may still name it.
 */
import { useCallback, useMemo, useState } from "react";
import { useTables } from "../../hooks/useTables";
import { isPipelineId } from "../../pipelines/pipeline-status";
import { attempt, readStored, writeStored } from "../../stream/platform";

export const STORAGE_KEY = "fantail.pipelines";

/** Ids kept: far more than anybody types, and little for a browser to keep. */
export const IDS_MAX = 1_000;

export interface PipelineIds {
  readonly ids: readonly string[];
  /** Adds ids separated by commas or spaces; returns those that can be no ids. */
  readonly add: (typed: string) => readonly string[];
  readonly remove: (id: string) => void;
}

export function usePipelineIds(): PipelineIds {
  const [own, setOwn] = useState(stored);
  const [off, setOff] = useState<ReadonlySet<string>>(new Set());
  const named = useTables("pipelines").table("pipelines");
  const ids = useMemo(() => {
    const all = new Set([...own, ...Object.keys(named)]);
    return [...all].filter((id) => !off.has(id)).toSorted();
  }, [own, named, off]);
  const add = useCallback(
    (typed: string) => {
      const given = typed.split(/[\s,]+/).filter((part) => part !== "");
      const valid = given.filter(isPipelineId);
      setOwn(store([...new Set([...own, ...valid])]));
      setOff(new Set([...off].filter((id) => !valid.includes(id))));
      return given.filter((id) => !isPipelineId(id));
    },
    [own, off],
  );
  const remove = useCallback(
    (id: string) => {
      setOwn(store(own.filter((other) => other !== id)));
      setOff(new Set([...off, id]));
    },
    [own, off],
  );
  return { ids, add, remove };
}

function stored(): readonly string[] {
  const value = attempt(() => JSON.parse(readStored(STORAGE_KEY) ?? "[]") as unknown, []);
  if (!Array.isArray(value)) return [];
  return value.filter((id): id is string => typeof id === "string" && isPipelineId(id)).slice(0, IDS_MAX);
}

/** A browser that keeps nothing (private, or full) still shows them until the page is closed. */
function store(ids: readonly string[]): readonly string[] {
  const kept = ids.slice(-IDS_MAX);
  writeStored(STORAGE_KEY, JSON.stringify(kept));
  return kept;
}
