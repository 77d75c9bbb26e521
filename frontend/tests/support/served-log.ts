/** A log on a server that a test imagines: any number of lines, asked for by range; and what was asked. */
import type { JobOutput } from "../../src/api/job";
import type { Fetched, JobsApi, OutputPage } from "../../src/api/jobs-api";

export class ServedLog implements JobsApi {
  total: number;
  /** Offsets before it are gone. */
  first = 0;
  /** Entries of an answer at most. */
  pageMax = 1e9;
  failure: string | null = null;
  failureOf: () => string | null = () => this.failure;
  /** Tag of every entry: another for a list that was written anew. */
  tag = "tag";
  readonly asked: { readonly from: number; readonly limit: number }[] = [];
  lineOf: (offset: number) => string = (offset) => `${offset}`;
  /** While set, answers wait for it. */
  hold: Promise<void> | null = null;

  constructor(total: number) {
    this.total = total;
  }

  outputAt(offset: number): JobOutput {
    return { timestamp: offset, line: this.lineOf(offset), stream: "stdout" };
  }

  async output(_: string, from: number, limit: number, signal?: AbortSignal): Promise<Fetched<OutputPage>> {
    this.asked.push({ from, limit });
    const answer = this.#answer(from, limit);
    await this.hold;
    if (signal?.aborted) return { ok: false, status: 0, message: "aborted" };
    return answer;
  }

  #answer(from: number, limit: number): Fetched<OutputPage> {
    const failure = this.failureOf();
    if (failure !== null) return { ok: false, status: 500, message: failure };
    const start = Math.min(Math.max(from, this.first), this.total);
    const count = Math.max(0, Math.min(limit, this.pageMax, this.total - start));
    const output = Array.from({ length: count }, (_, at) => this.outputAt(start + at));
    const next = start + count;
    const position = next > 0 ? `${next - 1}-${this.tag}` : null;
    return { ok: true, value: { output, from: start, next, total: this.total, position } };
  }

  job(): ReturnType<JobsApi["job"]> {
    return Promise.resolve({ ok: false, status: 404, message: "" });
  }

  downloadUrl(): string {
    return "";
  }

  patchUrl(): string {
    return "";
  }
}
