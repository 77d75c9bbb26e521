/**
 * Runs off the wire: what their streams and their questions say. Pure.
 *
 * Which statuses are terminal is decided here and nowhere else in the front end. (Jobs have their own words, in
 * job.ts.) A word is read whatever its case; one that is not known counts as running, so nothing ends by mistake.
 */
import { type Json, type JsonObject, field, isList, isObject, number, text } from "../stream/json";

/** How a run stands: `waiting`, `running`, one of the terminal words, or what a worker calls it. */
export type RunStatus = string;

export type RunOutcome = "succeeded" | "failed" | "stopped";

const OUTCOMES: Readonly<Record<string, RunOutcome>> = {
  completed: "succeeded",
  passed: "succeeded",
  failed: "failed",
  error: "failed",
  blocked: "failed",
  cancelled: "stopped",
};

const WAITING: ReadonlySet<string> = new Set([
  "waiting",
  "pending",
  "queued",
  "scheduled",
  "created",
  "delayed",
]);

/** How it ended; `null` where it has not. */
export function outcomeOf(status: RunStatus): RunOutcome | null {
  return Object.hasOwn(OUTCOMES, status) ? (OUTCOMES[status] ?? null) : null;
}

export function isTerminalRun(status: RunStatus): boolean {
  return outcomeOf(status) !== null;
}

/** The later of two statuses of one run: terminal over running over waiting. */
export function laterStatus(known: RunStatus, heard: RunStatus): RunStatus {
  return rankOf(heard) >= rankOf(known) ? heard : known;
}

function rankOf(status: RunStatus): number {
  if (isTerminalRun(status)) return 2;
  return WAITING.has(status) ? 0 : 1;
}

/** What was said of a run. Times in milliseconds since the epoch. */
export interface RunNews {
  readonly status: RunStatus;
  readonly startedAtMs: number | null;
  readonly errorDetails: string | null;
}

/** Reads a frame of a run's stream, or the answer about its status; `null` where it says no status. */
export function readRunNews(data: Json | undefined): RunNews | null {
  if (!isObject(data)) return null;
  const status = text(data, "status")?.trim().toLowerCase();
  if (status === undefined || status === "") return null;
  return {
    status: status === "canceled" ? "cancelled" : status,
    startedAtMs: moment(data, "startedAt"),
    errorDetails: text(data, "errorDetails") ?? text(data, "error") ?? null,
  };
}

/** A run that the server names as under way. */
export interface RunningJob {
  readonly runId: string;
  readonly jobId: string;
  readonly name: string | null;
}

/** Reads the answer of `/api/jobs/status/running`; `null` where it is none. */
export function readRunningJobs(data: Json | undefined): readonly RunningJob[] | null {
  if (!isObject(data) || !isList(data.runningJobs)) return null;
  return data.runningJobs.flatMap((job) => {
    if (!isObject(job)) return [];
    const runId = text(job, "runId");
    const jobId = text(job, "jobId");
    return runId === undefined || jobId === undefined
      ? []
      : [{ runId, jobId, name: text(job, "name") ?? null }];
  });
}

function moment(data: JsonObject, name: string): number | null {
  const value = field(data, name);
  const ms = typeof value === "string" ? Date.parse(value) : number(data, name);
  return ms === undefined || Number.isNaN(ms) ? null : ms;
}
