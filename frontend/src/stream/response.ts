/**
 * What a server's first answer means for a stream.
 *
 * Told apart are: a stream; the end (204); a refusal that asking again will not change; and a server that is away,
 * busy or draining, which is asked again later. An answer of another type (a proxy's sign-in page, say) is a
 * refusal: to read it as a stream would show nothing for ever.
 */
import { isObject, parseJson, text } from "./json";

export type Answer =
  | { readonly kind: "stream"; readonly body: ReadableStream<Uint8Array> }
  | { readonly kind: "ended" }
  | { readonly kind: "refused"; readonly status: number; readonly message: string }
  | {
      readonly kind: "overload";
      readonly status: number;
      readonly message: string;
      readonly retryAfterMs: number | null;
    };

/** The longest text of a refusal that is shown, in UTF-16 units. */
const MESSAGE_LENGTH_MAX = 300;

const MAY_PASS = new Set([408, 425, 429]);

/** Whether asking again later may be answered otherwise. */
export function mayPass(status: number): boolean {
  return status >= 500 || MAY_PASS.has(status);
}

/** Reads the status and, for a refusal, the beginning of its text. */
export async function readAnswer(response: Response): Promise<Answer> {
  const { status } = response;
  if (status === 204) return { kind: "ended" };
  if (status === 200 && response.body && isEventStream(response))
    return { kind: "stream", body: response.body };
  if (status === 200) {
    await response.body?.cancel();
    return { kind: "refused", status, message: "the answer is not an event stream" };
  }
  const message = await refusalText(response);
  if (mayPass(status)) {
    return { kind: "overload", status, message, retryAfterMs: retryAfterMs(response) };
  }
  return { kind: "refused", status, message };
}

function isEventStream(response: Response): boolean {
  return (response.headers.get("Content-Type") ?? "").toLowerCase().startsWith("text/event-stream");
}

function retryAfterMs(response: Response): number | null {
  const seconds = Number(response.headers.get("Retry-After") ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : null;
}

/**
 * Why there was no answer, or no more of it. What browsers say ("Failed to fetch", "NetworkError when attempting …")
 * differs, and beside a run or a pipeline it reads as if that had failed.
 */
export function unreachable(fault: unknown): string {
  if (fault instanceof TypeError) return "the server cannot be reached";
  return fault instanceof Error ? fault.message : "the connection broke off";
}

/** The message of a refusal: plain text, or the `error` of a JSON object; never a page of HTML. */
export async function refusalText(response: Response): Promise<string> {
  const fallback = `HTTP ${response.status}`;
  const type = response.headers.get("Content-Type") ?? "";
  try {
    const body = await response.text();
    if (type.includes("html") || body.trim() === "") return fallback;
    const json = parseJson(body);
    const named = isObject(json) ? text(json, "error") : undefined;
    return (named ?? body.trim()).slice(0, MESSAGE_LENGTH_MAX);
  } catch {
    return fallback;
  }
}
