/**
 * The unnamed events of any event stream, in order, each once, over any number of reconnects.
 *
 * `eventSource` stands for the connection as an EventSource would: its address, its state, `close()`. It is not one,
 * for an EventSource gives up on most HTTP statuses, and hides them.
 */
import { useEffect, useMemo, useSyncExternalStore } from "react";
import type { ConnectionStatus, ServerEvent } from "../stream/stream-source";
import { EventLog, type Reading } from "../stream/event-log";
import type { Json } from "../stream/json";
import { useClient } from "./client-context";

/** Messages kept where the caller sets no other bound. */
const MAX_MESSAGES = 100_000;

/** The part of EventSource's interface that callers use. `readyState`: 0 connecting, 1 open, 2 closed. */
export interface EventSourceHandle {
  readonly url: string;
  readonly readyState: 0 | 1 | 2;
  close(): void;
}

export interface EventSourceManager {
  readonly messages: readonly Json[];
  readonly eventSource: EventSourceHandle | null;
  /** How many older messages were dropped to keep to the bound. */
  readonly dropped: number;
  readonly connection: ConnectionStatus;
  readonly reconnect: () => void;
}

export interface EventSourceManagerOptions {
  readonly maxMessages?: number;
}

export function useEventSourceManager(
  url: string,
  options: EventSourceManagerOptions = {},
): EventSourceManager {
  const { items, dropped, connection, log } = useEventLog(
    url,
    readMessage,
    options.maxMessages ?? MAX_MESSAGES,
  );
  return useMemo(() => {
    const readyState = connection.state === "connected" ? 1 : CLOSED.has(connection.state) ? 2 : 0;
    const eventSource: EventSourceHandle = { url, readyState, close: () => log.stop() };
    return { messages: items, eventSource, dropped, connection, reconnect: () => log.reconnect() };
  }, [url, items, dropped, connection, log]);
}

const CLOSED: ReadonlySet<string> = new Set(["disconnected", "error", "done"]);

function readMessage(event: ServerEvent): Reading<Json> {
  if (event.event === "message") return { kind: "item", item: event.data };
  if (event.event === "reset") return { kind: "reset" };
  return { kind: event.event === "done" || event.event === "finished" ? "end" : "nothing" };
}

/** The event log of a topic for as long as the component is there. `read` must not change between renders. */
export function useEventLog<T>(topic: string, read: (event: ServerEvent) => Reading<T>, maxItems: number) {
  const { streams } = useClient();
  const log = useMemo(
    () => new EventLog({ source: streams, topic, read, maxItems }),
    [streams, topic, read, maxItems],
  );
  useEffect(() => {
    log.start();
    return () => log.stop();
  }, [log]);
  return { ...useSyncExternalStore(log.subscribe, log.getState, log.getState), log };
}
