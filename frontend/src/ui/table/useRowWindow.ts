/**
 * Which rows of a long table are in the page: those in the window, and some on either side.
 *
 * Rows have one height, which is measured and not written down twice, so the rest is arithmetic. The page itself
 * scrolls: no box within a box, and a phone's address bar still folds away. A short table is whole, so that the
 * browser's own search finds everything in it.
 *
 * Decided against: a library for lists. It measures every row and places each by itself, which a table cannot have.
 */
import { type RefObject, useLayoutEffect, useState } from "react";

/** A table of at most so many rows is drawn whole. */
export const WHOLE_ROWS_MAX = 100;

/** Rows beyond either edge of the window, so that quick scrolling and the Tab key find some there. */
const OVERSCAN_ROWS = 12;

/** Before a row was measured; see `.t-row` in table.css. */
const ROW_HEIGHT_GUESS_PX = 53;

export interface RowWindow {
  /** Rows `first` to `end`, exclusive, are drawn. */
  readonly first: number;
  readonly end: number;
  /** In CSS pixels. */
  readonly rowHeight: number;
}

/** The rows to draw, of `count`, in a table whose body is `body`. */
export function useRowWindow(body: RefObject<HTMLElement | null>, count: number): RowWindow {
  const [rowHeight, setRowHeight] = useState(ROW_HEIGHT_GUESS_PX);
  const [range, setRange] = useState(() => rowsAt(0, globalThis.innerHeight ?? 800, ROW_HEIGHT_GUESS_PX));
  const whole = count <= WHOLE_ROWS_MAX;
  useLayoutEffect(() => {
    if (whole) return undefined;
    const look = (): void => {
      const element = body.current;
      if (!element) return;
      const measured = element.querySelector(".t-row")?.getBoundingClientRect().height ?? 0;
      const height = measured > 0 ? measured : ROW_HEIGHT_GUESS_PX;
      const above = -element.getBoundingClientRect().top;
      const next = rowsAt(above, globalThis.innerHeight, height);
      setRowHeight(height);
      setRange((before) => (before.first === next.first && before.end === next.end ? before : next));
    };
    look();
    globalThis.addEventListener("scroll", look, { passive: true });
    globalThis.addEventListener("resize", look);
    return () => {
      globalThis.removeEventListener("scroll", look);
      globalThis.removeEventListener("resize", look);
    };
  }, [body, whole, count]);
  if (whole) return { first: 0, end: count, rowHeight };
  const end = Math.min(count, range.end);
  return { first: Math.min(range.first, Math.max(0, end - 1)), end, rowHeight };
}

/** The rows around a window of `height` pixels whose upper edge is `above` pixels below the table's. */
export function rowsAt(
  above: number,
  height: number,
  rowHeight: number,
): { readonly first: number; readonly end: number } {
  const first = Math.floor(above / rowHeight) - OVERSCAN_ROWS;
  const end = Math.ceil((above + height) / rowHeight) + OVERSCAN_ROWS;
  // In steps, so that not each row scrolled by is a render.
  const step = OVERSCAN_ROWS / 3;
  return {
    first: Math.max(0, Math.floor(first / step) * step),
    end: Math.max(OVERSCAN_ROWS, Math.ceil(end / step) * step),
  };
}
