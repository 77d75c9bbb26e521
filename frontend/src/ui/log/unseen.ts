/** What came since the reader left the end: how many lines, and how many of them are errors. */
import type { JobOutput } from "../../api/job";
import type { LineStore } from "../../log/line-store";
import { BY_STREAM } from "./log-controls";

export class Unseen {
  isError: (output: JobOutput) => boolean = BY_STREAM.isError;
  readonly #log: LineStore;
  #generation: number;
  #from = 0;
  #looked = 0;
  #errors = 0;
  #count = { lines: 0, errors: 0 };

  constructor(log: LineStore) {
    this.#log = log;
    this.#generation = log.generation;
  }

  get count(): { readonly lines: number; readonly errors: number } {
    return this.#count;
  }

  /** Counts from here. */
  begin(): void {
    this.#from = this.#looked = this.#log.end;
    this.#errors = 0;
    this.#count = { lines: 0, errors: 0 };
  }

  reset(): void {
    this.begin();
  }

  /** Counts what came since the last look. */
  look(following: boolean): void {
    const { generation, end } = this.#log;
    if (generation !== this.#generation) this.#from = this.#looked = this.#errors = 0;
    this.#generation = generation;
    if (following) return;
    this.#looked = Math.max(this.#looked, end - this.#log.loaded);
    for (; this.#looked < end; this.#looked += 1) {
      const output = this.#log.entry(this.#looked);
      if (output && this.isError(output)) this.#errors += 1;
    }
    this.#count = { lines: end - this.#from, errors: this.#errors };
  }
}
