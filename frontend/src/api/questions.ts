/** Questions that are answered once, with JSON. Failures are values: a page shows them beside what it already has. */
import { type Json, parseJson } from "../stream/json";
import { refusalText, unreachable } from "../stream/response";

export type Fetched<T> =
  | { readonly ok: true; readonly value: T }
  /** `status` is 0 where no answer came. */
  | { readonly ok: false; readonly status: number; readonly message: string };

export interface QuestionSettings {
  /** Where the server is: `""` for the page's own origin. */
  readonly baseUrl?: string;
  readonly headers?: () => Readonly<Record<string, string>>;
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
}

/** Asks for `path`. `read` gives `null` for an answer of another shape than expected. It never throws. */
export async function askJson<T>(
  settings: QuestionSettings,
  path: string,
  read: (value: Json | undefined) => T | null,
  signal?: AbortSignal,
): Promise<Fetched<T>> {
  const { baseUrl = "", headers, fetch = (url, init) => globalThis.fetch(url, init) } = settings;
  try {
    const response = await fetch(baseUrl + path, {
      headers: { Accept: "application/json", ...headers?.() },
      credentials: "same-origin",
      ...(signal ? { signal } : {}),
    });
    if (!response.ok) return { ok: false, status: response.status, message: await refusalText(response) };
    const value = read(parseJson(await response.text()));
    if (value !== null) return { ok: true, value };
    return { ok: false, status: response.status, message: "the answer has another shape than expected" };
  } catch (fault) {
    return { ok: false, status: 0, message: unreachable(fault) };
  }
}
