/**
 * Jobs as the dashboard knows them: read off the wire once, then typed.
 *
 * The same job arrives in three shapes: an object of the REST interface (camelCase), a row of the tables
 * (snake_case strings, as in its Redis hash; camelCase is accepted there too), and the `status` event (a part of
 * the camelCase object). Which statuses are terminal is decided here and nowhere else in the front end.
 */
import { type Json, type JsonObject, field, flag, isObject, number, text } from "../stream/json";

const KNOWN_STATUSES = [
  "pending",
  "running",
  "success",
  "failed",
  "cancelled",
  "initializing",
  "ready",
  "pushed",
  "archived",
] as const;

type KnownStatus = (typeof KNOWN_STATUSES)[number];

/** A job's or work session's status. One that is not known is passed through, and counts as not terminal. */
export type JobStatus = KnownStatus | (string & {});

const TERMINAL: ReadonlySet<string> = new Set<KnownStatus>([
  "success",
  "failed",
  "cancelled",
  "pushed",
  "archived",
]);

export function isTerminal(status: JobStatus): boolean {
  return TERMINAL.has(status);
}

export const OUTPUT_STREAMS = ["stdout", "stderr", "system", "error"] as const;

export type OutputStream = (typeof OUTPUT_STREAMS)[number];

/** One entry of a job's output. `timestamp` in milliseconds since the epoch; `line` may hold newlines. */
export interface JobOutput {
  readonly timestamp: number;
  readonly line: string;
  readonly stream: OutputStream;
  readonly source?: string;
}

/** What a `status` event says beside the status. */
export interface JobMetadata {
  readonly startedAt?: number;
  readonly finishedAt?: number;
  readonly errorMessage?: string;
  readonly linesAdded?: number;
  readonly linesRemoved?: number;
  readonly mrUrl?: string;
  readonly mrWarning?: string;
  readonly branch?: string;
}

/** A job with all that is known of it. Times in milliseconds since the epoch. */
export interface Job extends JobMetadata {
  readonly id: string;
  readonly status: JobStatus;
  readonly name?: string;
  readonly prompt?: string;
  readonly environment?: string;
  readonly repoUrl?: string;
  readonly repoName?: string;
  readonly createdAt?: number;
  readonly exitCode?: number;
  readonly command?: string;
  /** Its runner has gone silent and its lease has run out; the status is what it was. */
  readonly stale?: boolean;
  /** Its lines are gone, though it is not. */
  readonly outputExpired?: boolean;
}

/** A job from the REST interface or from the page's own data; `null` where it is none. */
export function readJob(value: Json | undefined): Job | null {
  if (!isObject(value)) return null;
  const id = text(value, "id");
  return id === undefined ? null : { ...readJobFields(value), id };
}

/** A job from a row of the tables. `id` is the row's key, since a hash need not repeat it. */
export function readRow(id: string, row: JsonObject): Job {
  return { ...readJobFields(camelCased(row)), id };
}

function readJobFields(source: JsonObject): Omit<Job, "id"> {
  return {
    ...readMetadata(source),
    status: text(source, "status") ?? "pending",
    name: text(source, "name"),
    prompt: text(source, "prompt"),
    environment: text(source, "environment"),
    repoUrl: text(source, "repoUrl"),
    repoName: text(source, "repoName"),
    createdAt: number(source, "createdAt"),
    exitCode: number(source, "exitCode"),
    command: text(source, "command"),
    stale: flag(source, "stale"),
    outputExpired: flag(source, "outputExpired"),
  };
}

/** The metadata in a `status` event or a whole job. A field that is absent there is absent here. */
export function readMetadata(source: JsonObject): JobMetadata {
  return {
    startedAt: number(source, "startedAt"),
    finishedAt: number(source, "finishedAt"),
    errorMessage: text(source, "errorMessage"),
    linesAdded: number(source, "linesAdded"),
    linesRemoved: number(source, "linesRemoved"),
    mrUrl: text(source, "mrUrl"),
    mrWarning: text(source, "mrWarning"),
    branch: text(source, "branch"),
  };
}

/** The metadata within a whole job. */
export function metadataOf(job: JobMetadata): JobMetadata {
  const { startedAt, finishedAt, errorMessage, linesAdded, linesRemoved, mrUrl, mrWarning, branch } = job;
  return { startedAt, finishedAt, errorMessage, linesAdded, linesRemoved, mrUrl, mrWarning, branch };
}

/** An entry of output. What is not of that shape is shown as its own text: one odd entry never ends a stream. */
export function readOutput(value: Json | undefined): JobOutput {
  if (!isObject(value))
    return {
      timestamp: 0,
      line: typeof value === "string" ? value : JSON.stringify(value ?? null),
      stream: "stdout",
    };
  const line = field(value, "line");
  const stream = OUTPUT_STREAMS.find((known) => known === value.stream) ?? "stdout";
  const source = text(value, "source");
  const output = {
    timestamp: number(value, "timestamp") ?? 0,
    line: typeof line === "string" ? line : JSON.stringify(value),
    stream,
  };
  return source === undefined ? output : { ...output, source };
}

function camelCased(row: JsonObject): JsonObject {
  const entries = Object.entries(row).map(([name, value]) => [
    name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    value,
  ]);
  return Object.fromEntries(entries) as JsonObject;
}
