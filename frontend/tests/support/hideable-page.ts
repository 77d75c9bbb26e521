/** A page that a test hides and shows. */
import type { PageVisibility } from "../../src/stream/page-visibility";

export class HideablePage implements PageVisibility {
  #hidden = false;
  readonly #listeners = new Set<() => void>();

  get listeners(): number {
    return this.#listeners.size;
  }

  hidden(): boolean {
    return this.#hidden;
  }

  onChange(run: () => void): () => void {
    this.#listeners.add(run);
    return () => {
      this.#listeners.delete(run);
    };
  }

  set(hidden: boolean): void {
    this.#hidden = hidden;
    for (const run of this.#listeners) run();
  }
}
