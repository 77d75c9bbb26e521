/** Looks at the heights of rows as they are drawn, and says which they are: one observer for all of them. */
import { type SizeObserver, sizeObserver } from "../../../stream/platform";
import { ROW_HEIGHT } from "../geometry";

export interface MeasuredRow {
  readonly offset: number;
  readonly part: number;
  readonly units: number;
}

export class RowObserver {
  readonly #observer: SizeObserver;
  #observed = new Set<Element>();

  constructor(onMeasured: (rows: readonly MeasuredRow[]) => void) {
    this.#observer = sizeObserver((sizes) =>
      onMeasured(sizes.flatMap(([text, height]) => measured(text, height))),
    );
  }

  /** Observes these texts of rows, and no others. */
  look(texts: Iterable<Element>): void {
    const now = new Set(texts);
    for (const text of this.#observed) if (!now.has(text)) this.#observer.unobserve(text);
    for (const text of now) if (!this.#observed.has(text)) this.#observer.observe(text);
    this.#observed = now;
  }

  close(): void {
    this.#observer.disconnect();
    this.#observed.clear();
  }
}

function measured(text: Element, height: number): readonly MeasuredRow[] {
  const slot = text.closest<HTMLElement>(".slot:not(.held)");
  if (!slot || height === 0) return [];
  const { offset, part } = slot.dataset;
  return [
    { offset: Number(offset), part: Number(part), units: Math.max(1, Math.round(height / ROW_HEIGHT)) },
  ];
}
