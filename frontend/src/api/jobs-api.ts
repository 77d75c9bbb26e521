/**
 * The REST questions that pages ask about jobs, as an interface and its fetch. Failures are values: a page shows
 * them beside what it already has.
 */
import { type Job, type JobOutput, readJob, readOutput } from "./job";
import { type Json, isList, isObject, number, text } from "../stream/json";
import { type Fetched, type QuestionSettings, askJson } from "./questions";

export type { Fetched } from "./questions";

/**
 * A page of output: entry `i` is at offset `from + i`; `next` is the offset behind the last one, `position` that of the
 * last one; null where the server does not know it.
 */
export interface OutputPage {
  readonly output: readonly JobOutput[];
  readonly from: number;
  readonly next: number;
  readonly total: number;
  readonly position: string | null;
}

export interface JobsApi {
  job(id: string, signal?: AbortSignal): Promise<Fetched<Job>>;
  /** At most `limit` entries from offset `from`; the server may give fewer. */
  output(id: string, from: number, limit: number, signal?: AbortSignal): Promise<Fetched<OutputPage>>;
  /** Where all of a job's output is, as text. */
  downloadUrl(id: string): string;
  /** Where all that it changes in its worktree is, as one patch. */
  patchUrl(id: string): string;
}

export type JobsApiSettings = QuestionSettings;

export class FetchJobsApi implements JobsApi {
  readonly #settings: JobsApiSettings;

  constructor(settings: JobsApiSettings = {}) {
    this.#settings = settings;
  }

  job(id: string, signal?: AbortSignal): Promise<Fetched<Job>> {
    return this.#ask(jobPath(id), readJob, signal);
  }

  output(id: string, from: number, limit: number, signal?: AbortSignal): Promise<Fetched<OutputPage>> {
    return this.#ask(`${jobPath(id)}/output?from=${from}&limit=${limit}`, readPage, signal);
  }

  downloadUrl(id: string): string {
    return `${this.#settings.baseUrl ?? ""}${jobPath(id)}/output?download=1`;
  }

  patchUrl(id: string): string {
    return `${this.#settings.baseUrl ?? ""}${jobPath(id)}/diff?download=1`;
  }

  #ask<T>(
    path: string,
    read: (value: Json | undefined) => T | null,
    signal?: AbortSignal,
  ): Promise<Fetched<T>> {
    return askJson(this.#settings, path, read, signal);
  }
}

/** The path of a job's resource. */
export function jobPath(id: string): string {
  return `/api/jobs/${encodeURIComponent(id)}`;
}

function readPage(value: Json | undefined): OutputPage | null {
  if (!isObject(value) || !isList(value.output)) return null;
  const output = value.output.map(readOutput);
  const from = number(value, "from") ?? 0;
  const next = number(value, "next") ?? from + output.length;
  const position = text(value, "position") ?? null;
  return { output, from, next, total: number(value, "total") ?? next, position };
}
