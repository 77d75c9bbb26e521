/**
 * Pipelines off the wire: the events of their stream, and the words for how a pipeline stands. Pure.
 *
 * What is no event of the four kinds, or lacks a field, is nothing: one odd frame must not end a stream that is
 * otherwise sound. An event of the server named `error` is about a pipeline or its backend; it has nothing to do with
 * a transport that fails, which never arrives here.
 */
import { type Json, type JsonObject, isList, isObject, number, text } from "../stream/json";
import type { ServerEvent } from "../stream/stream-source";

export type KnownPipelineStatus =
  | "active"
  | "starting"
  | "stopping"
  | "stopped"
  | "pausing"
  | "paused"
  | "resuming"
  | "terminating"
  | "failed";

/** How a pipeline stands. A word that is not known is passed through. */
export type PipelineStatus = KnownPipelineStatus | (string & {});

/** Times of these events are the server's, in milliseconds; nothing here compares them with the browser's clock. */
export interface SSEStatusUpdateEvent {
  readonly type: "status_update";
  readonly timestamp: number;
  readonly pipelineId: string;
  readonly status: PipelineStatus;
  readonly previousStatus?: PipelineStatus;
}

export interface SSEBatchUpdateEvent {
  readonly type: "batch_update";
  readonly timestamp: number;
  readonly updates: readonly { readonly pipelineId: string; readonly status: PipelineStatus }[];
}

export interface SSEHeartbeatEvent {
  readonly type: "heartbeat";
  readonly timestamp: number;
}

export interface SSEErrorEvent {
  readonly type: "error";
  readonly timestamp: number;
  readonly message: string;
  /** Absent where it is about the backend of all pipelines. */
  readonly pipelineId?: string;
  readonly code?: string;
}

export type PipelineEvent = SSEStatusUpdateEvent | SSEBatchUpdateEvent | SSEHeartbeatEvent | SSEErrorEvent;

/** What is wrong with a pipeline, or with what knows of it. */
export interface PipelineProblem {
  readonly code: string;
  readonly message: string;
}

export const NOT_FOUND = "PIPELINE_NOT_FOUND";
export const INVALID_ID = "INVALID_PIPELINE_ID";
export const UNAVAILABLE = "BACKEND_UNAVAILABLE";

/** Whether the problem says that there is no such pipeline, and so no status; any other leaves the last one known. */
export function saysThereIsNone(problem: PipelineProblem): boolean {
  return problem.code === NOT_FOUND || problem.code === INVALID_ID;
}

const ID = /^[a-z](?:[a-z0-9]|-(?!-)){0,38}[a-z0-9]$/;

/** Whether it can be a pipeline's id: 2 to 40 of `a-z0-9-`, a letter first, no hyphen last and no two in a row. */
export function isPipelineId(id: string): boolean {
  return ID.test(id);
}

/** The event, or `null` where it is none of the four. */
export function readPipelineEvent(event: ServerEvent): PipelineEvent | null {
  if (!isObject(event.data)) return null;
  const timestamp = number(event.data, "timestamp") ?? 0;
  switch (event.event) {
    case "batch_update":
      return readBatch(event.data, timestamp);
    case "status_update":
      return readUpdate(event.data, timestamp);
    case "heartbeat":
      return { type: "heartbeat", timestamp };
    case "error":
      return readError(event.data, timestamp);
    default:
      return null;
  }
}

function readBatch(data: JsonObject, timestamp: number): SSEBatchUpdateEvent {
  const updates = isList(data.updates) ? data.updates.flatMap(readPair) : [];
  return { type: "batch_update", timestamp, updates };
}

function readPair(value: Json): { pipelineId: string; status: PipelineStatus }[] {
  if (!isObject(value)) return [];
  const pipelineId = text(value, "pipelineId");
  const status = text(value, "status");
  return pipelineId === undefined || status === undefined ? [] : [{ pipelineId, status }];
}

function readUpdate(data: JsonObject, timestamp: number): SSEStatusUpdateEvent | null {
  const [pair] = readPair(data);
  if (!pair) return null;
  const previousStatus = text(data, "previousStatus");
  return {
    type: "status_update",
    timestamp,
    ...pair,
    ...(previousStatus === undefined ? {} : { previousStatus }),
  };
}

function readError(data: JsonObject, timestamp: number): SSEErrorEvent {
  const message = text(data, "message") ?? "Unknown error";
  const pipelineId = text(data, "pipelineId");
  const code = text(data, "code");
  return {
    type: "error",
    timestamp,
    message,
    ...(pipelineId === undefined ? {} : { pipelineId }),
    ...(code === undefined ? {} : { code }),
  };
}

const WORDS: Readonly<Record<string, KnownPipelineStatus>> = {
  running: "active",
  no_configuration: "active",
  unknown: "active",
  created: "starting",
  deploying: "starting",
  terminated: "stopped",
  deleted: "stopped",
  deleting: "terminating",
  error: "failed",
};

/** A dashboard's word for `overall_status` of a health document, which is the backend's own (PROTOCOL.md, L9). */
export function pipelineStatusOf(overallStatus: string): PipelineStatus {
  const word = overallStatus.trim().toLowerCase();
  if (word.endsWith("failed")) return "failed";
  return Object.hasOwn(WORDS, word) ? (WORDS[word] ?? word) : word;
}
