/**
 * The log of a process, entry by entry. What is lost for good, or no longer kept here, is an entry too, so that no one
 * misses it unseen.
 */
import { useMemo } from "react";
import { type JsonObject, isObject, number, text } from "../stream/json";
import type { Reading } from "../stream/event-log";
import type { ServerEvent } from "../stream/stream-source";
import { useEventLog } from "./useEventSourceManager";

const TYPES = ["stdout", "stderr", "system", "error"] as const;

export interface LogEntry {
  readonly type: (typeof TYPES)[number];
  readonly content: string;
  readonly timestamp: Date;
}

/** Entries kept; the oldest go first. */
const MAX_ENTRIES = 100_000;

export function useLogStream(processId: string): readonly LogEntry[] {
  const topic = `/api/events/processes/${encodeURIComponent(processId)}/logs`;
  const { items, dropped } = useEventLog(topic, readEntry, MAX_ENTRIES);
  return useMemo(() => (dropped === 0 ? items : [droppedEntry(dropped, items), ...items]), [items, dropped]);
}

function droppedEntry(dropped: number, [first]: readonly LogEntry[]): LogEntry {
  const content = `${dropped} earlier lines are not kept here`;
  return { type: "system", content, timestamp: first?.timestamp ?? new Date(0) };
}

function readEntry(event: ServerEvent): Reading<LogEntry> {
  const data = isObject(event.data) ? event.data : {};
  switch (event.event) {
    case "message":
      return { kind: "item", item: entryOf(data) };
    case "gap": {
      const content = `Lines ${(number(data, "from") ?? 0) + 1} to ${(number(data, "to") ?? 0) + 1} are gone`;
      return { kind: "item", item: { type: "system", content, timestamp: new Date() } };
    }
    case "reset":
      return { kind: "reset" };
    case "finished":
      return { kind: "end" };
    default:
      return { kind: "nothing" };
  }
}

function entryOf(data: JsonObject): LogEntry {
  return {
    type: TYPES.find((known) => known === data.type) ?? "stdout",
    content: text(data, "content") ?? "",
    timestamp: new Date(text(data, "timestamp") ?? 0),
  };
}
