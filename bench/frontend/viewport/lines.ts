/** The lines that all contenders show: what builds and tests print, without colours, which the others do not read. */
export const lineOf = (number: number): string =>
  `2026-03-01T10:20:${String(number % 60).padStart(2, "0")}Z INFO  com.example.Worker - processed batch ${number} in 12 ms`;

export const linesOf = (from: number, count: number): string[] =>
  Array.from({ length: count }, (_, index) => lineOf(from + index));

/** A way to show a log that is measured. */
export interface Contender {
  /** Makes so many lines. */
  fill(count: number): void;
  /** Shows them at their end, in an element that has a size. */
  mount(element: HTMLElement): void;
  /** Adds lines, and stays at the end. */
  append(count: number): void;
  /** The element that scrolls. */
  scroller(): Element | null;
}
