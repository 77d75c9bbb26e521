/** Colours of the files in view, as they come: until then a file is plain, and readable at once. */
import { useEffect, useState } from "react";
import type { FileDiff } from "../../stream/diff-store";
import { attempt } from "../../stream/platform";
import { type Colours, languageOf } from "./syntax";
import type { Answer, Question } from "./syntax.worker";

/** One worker for the page; it is made when the first file asks. */
class Painter {
  readonly #known = new WeakMap<FileDiff, Colours>();
  readonly #asked = new Map<number, { readonly file: FileDiff; readonly done: () => void }>();
  readonly #pending = new WeakSet<FileDiff>();
  /** Undefined until one was wanted; null where the browser has none, and files stay plain. */
  #worker: Worker | null | undefined;
  #number = 0;

  colours(file: FileDiff): Colours | null {
    return this.#known.get(file) ?? null;
  }

  /** Asks once for each file, however often it is called. */
  ask(file: FileDiff, done: () => void): void {
    if (this.#known.has(file) || this.#pending.has(file) || file.diff === "" || !languageOf(file.file))
      return;
    const worker = this.#start();
    if (!worker) return;
    this.#number += 1;
    this.#pending.add(file);
    this.#asked.set(this.#number, { file, done });
    const question: Question = { number: this.#number, file: file.file, diff: file.diff };
    worker.postMessage(question, []);
  }

  #start(): Worker | null {
    if (this.#worker !== undefined) return this.#worker;
    const worker = attempt(
      // oxlint-disable-next-line no-restricted-globals -- bundlers look for this very expression
      () => new Worker(new URL("./syntax.worker.ts", import.meta.url), { type: "module" }),
      null,
    );
    worker?.addEventListener("message", ({ data }: MessageEvent<Answer>) => {
      const asked = this.#asked.get(data.number);
      this.#asked.delete(data.number);
      if (!asked) return;
      this.#known.set(asked.file, data);
      asked.done();
    });
    this.#worker = worker;
    return worker;
  }
}

const painter = new Painter();

/** What looks a file's colours up, once they are there; the component is drawn again when some came. */
export function useColours(visible: readonly FileDiff[]): (file: FileDiff) => Colours | null {
  const [, redraw] = useState(0);
  useEffect(() => {
    for (const file of visible) painter.ask(file, () => redraw((count) => count + 1));
  }, [visible]);
  return (file) => painter.colours(file);
}
