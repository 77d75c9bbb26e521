/** How many columns of code fit beside the line numbers: where a long line is broken. */
import { useLayoutEffect, useState } from "react";
import { onResize } from "../../stream/platform";
import type { DiffStyle } from "./layout";

/** Padding of a number, in pixels; diff.css says the same: 1.2em of 12.5px. */
const NUMBER_PADDING_PX = 15;
/** The mark, and a column to spare: what is drawn is rounded. */
const MARK_COLUMNS = 3;
const COLUMNS_MIN = 20;

interface Measure {
  readonly widthPx: number;
  readonly columnPx: number;
}

/** Null until it was measured. */
export function useColumns(scroller: HTMLElement | null, digits: number, style: DiffStyle): number | null {
  const [measure, setMeasure] = useState<Measure | null>(null);
  useLayoutEffect(() => {
    if (!scroller) return undefined;
    const look = (): void => {
      const widthPx = scroller.clientWidth;
      if (widthPx > 0) setMeasure({ widthPx, columnPx: columnIn(scroller) });
    };
    look();
    return onResize(scroller, look);
  }, [scroller]);
  if (!measure) return null;
  const numbers = style === "split" ? 1 : 2;
  const widthPx = style === "split" ? measure.widthPx / 2 - 1 : measure.widthPx;
  const room = (widthPx - numbers * NUMBER_PADDING_PX) / measure.columnPx - numbers * digits - MARK_COLUMNS;
  return Math.max(COLUMNS_MIN, Math.floor(room));
}

const PROBE_COLUMNS = 100;

function columnIn(scroller: HTMLElement): number {
  const probe = document.createElement("span");
  probe.className = "d-probe";
  probe.textContent = "0".repeat(PROBE_COLUMNS);
  scroller.append(probe);
  const { width } = probe.getBoundingClientRect();
  probe.remove();
  return width > 0 ? width / PROBE_COLUMNS : 8;
}
