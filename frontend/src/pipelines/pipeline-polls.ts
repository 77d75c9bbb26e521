/**
 * Pipelines by asking: what serves where there is no stream, or for as long as there is none.
 *
 * Counted: two components that poll the same pipeline cost one question, and one that goes stops none. A server that
 * cannot be reached says nothing of a pipeline: what is known stays, and it is asked less often. When which is asked:
 * polling.ts.
 */
import { isObject, parseJson, text } from "../stream/json";
import { type PageVisibility, browserVisibility } from "../stream/page-visibility";
import type { PipelineBoard } from "./pipeline-board";
import { INVALID_ID, NOT_FOUND, UNAVAILABLE, isPipelineId, pipelineStatusOf } from "./pipeline-status";
import { type Platform, browserPlatform } from "../stream/platform";
import { type Outcome, Rounds } from "../stream/polling";

export interface PipelinePollsSettings {
  readonly board: PipelineBoard;
  readonly baseUrl?: string;
  readonly headers?: () => Readonly<Record<string, string>>;
  readonly platform?: Platform;
  readonly visibility?: PageVisibility;
}

export class PipelinePolls {
  readonly #settings: PipelinePollsSettings;
  readonly #platform: Platform;
  readonly #rounds: Rounds;
  readonly #watchers = new Map<string, number>();

  constructor(settings: PipelinePollsSettings) {
    const { platform = browserPlatform, visibility = browserVisibility } = settings;
    this.#settings = settings;
    this.#platform = platform;
    this.#rounds = new Rounds({ ask: (id, signal) => this.#ask(id, signal), platform, visibility });
  }

  /** Asks for these pipelines until as many calls of `unsubscribe` name them. */
  subscribe(ids: readonly string[]): void {
    const fresh = ids.filter((id) => this.#count(id, 1) === 1);
    for (const id of fresh) this.#begin(id);
    this.#rounds.add(fresh.filter(isPipelineId));
  }

  unsubscribe(ids: readonly string[]): void {
    const gone = ids.filter((id) => this.#watchers.has(id) && this.#count(id, -1) === 0);
    for (const id of gone) this.#settings.board.release(id);
    this.#rounds.remove(gone);
  }

  #count(id: string, by: number): number {
    const count = (this.#watchers.get(id) ?? 0) + by;
    if (count > 0) this.#watchers.set(id, count);
    else this.#watchers.delete(id);
    return count;
  }

  #begin(id: string): void {
    this.#settings.board.hold(id);
    if (!isPipelineId(id))
      this.#settings.board.setProblem(id, { code: INVALID_ID, message: "Invalid pipeline ID" });
  }

  async #ask(id: string, signal: AbortSignal): Promise<Outcome> {
    const { baseUrl = "", headers } = this.#settings;
    try {
      const response = await this.#platform.fetch(
        `${baseUrl}/ui-api/pipeline/${encodeURIComponent(id)}/health`,
        {
          headers: { Accept: "application/json", ...headers?.() },
          signal,
          cache: "no-store",
          credentials: "same-origin",
        },
      );
      const body = await response.text();
      return signal.aborted ? "failed" : this.#take(id, response.status, body);
    } catch {
      return "failed";
    }
  }

  #take(id: string, httpStatus: number, body: string): Outcome {
    const { board } = this.#settings;
    const answer = parseJson(body);
    if (!isObject(answer)) return "failed";
    if (answer.success === true && isObject(answer.health)) {
      const status = pipelineStatusOf(text(answer.health, "overall_status") ?? "unknown");
      const before = board.getPipeline(id).status;
      board.setStatus(id, status);
      return status === before ? "same" : "changed";
    }
    // An answer of another shape comes from something in between, and says nothing of the pipeline.
    if (answer.success !== false) return "failed";
    const code = httpStatus === 404 ? NOT_FOUND : UNAVAILABLE;
    board.setProblem(id, { code, message: text(answer, "error") ?? `HTTP ${httpStatus}` });
    return "failed";
  }
}
