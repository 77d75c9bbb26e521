/**
 * The REST questions that pages ask about jobs, as an interface and its fetch. Failures are values: a page shows
 * them beside what it already has.
 */
import { type Job, type JobOutput, readJob, readOutput } from "./job";
import { type Json, isList, isObject, number, parseJson } from "./json";
import { refusalText } from "./response";

export type Fetched<T> =
  | { readonly ok: true; readonly value: T }
  /** `status` is 0 where no answer came. */
  | { readonly ok: false; readonly status: number; readonly message: string };

/** A page of output: entry `i` is at offset `from + i`; `next` is the offset behind the last one. */
export interface OutputPage {
  readonly output: readonly JobOutput[];
  readonly from: number;
  readonly next: number;
  readonly total: number;
}

export interface JobsApi {
  job(id: string, signal?: AbortSignal): Promise<Fetched<Job>>;
  /** At most `limit` entries from offset `from`; the server may give fewer. */
  output(id: string, from: number, limit: number, signal?: AbortSignal): Promise<Fetched<OutputPage>>;
  /** Where all of a job's output is, as text. */
  downloadUrl(id: string): string;
}

export interface JobsApiSettings {
  readonly baseUrl?: string;
  readonly headers?: () => Readonly<Record<string, string>>;
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
}

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

  async #ask<T>(
    path: string,
    read: (value: Json | undefined) => T | null,
    signal?: AbortSignal,
  ): Promise<Fetched<T>> {
    const { baseUrl = "", headers, fetch = (url, init) => globalThis.fetch(url, init) } = this.#settings;
    try {
      const init: RequestInit = {
        headers: { Accept: "application/json", ...headers?.() },
        credentials: "same-origin",
        ...(signal ? { signal } : {}),
      };
      const response = await fetch(baseUrl + path, init);
      if (!response.ok) return { ok: false, status: response.status, message: await refusalText(response) };
      const value = read(parseJson(await response.text()));
      if (value !== null) return { ok: true, value };
      return { ok: false, status: response.status, message: "the answer has another shape than expected" };
    } catch (fault) {
      return { ok: false, status: 0, message: fault instanceof Error ? fault.message : "network error" };
    }
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
  return { output, from, next, total: number(value, "total") ?? next };
}
