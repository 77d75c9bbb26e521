/** Long lines that are not wrapped: how far the code is pushed to the left, on both sides and in all files alike. */
import { useCallback, useState } from "react";
import type { DiffStyle, Section } from "./layout";

/** Of one line that is drawn; see `DRAWN_CHARS_MAX`. */
const COLUMNS_MAX = 5_100;

export interface Shift {
  readonly px: number;
  readonly set: (px: number) => void;
  readonly setBar: (bar: HTMLDivElement | null) => void;
  readonly onWheel: (event: React.WheelEvent) => void;
}

/** The numbers stay where they are; the bar below is what is scrolled, by the wheel over the code too. */
export function useShift(): Shift {
  const [px, set] = useState(0);
  const [bar, setBar] = useState<HTMLDivElement | null>(null);
  const onWheel = useCallback(
    (event: React.WheelEvent): void => {
      const by = event.shiftKey && event.deltaX === 0 ? event.deltaY : event.deltaX;
      if (by !== 0) bar?.scrollBy({ left: by });
    },
    [bar],
  );
  return { px, set, setBar, onWheel };
}

interface SidewaysBarProps {
  readonly sections: readonly Section[];
  readonly style: DiffStyle;
  readonly shift: Shift;
}

/** The scroll bar of the longest line in view. */
export function SidewaysBar({ sections, style, shift }: SidewaysBarProps) {
  const longest = sections.reduce((most, { patch }) => Math.max(most, patch?.longest ?? 0), 0);
  const { set, setBar } = shift;
  // Twice the bar stands for a side that has half of the room.
  const width = `calc(${style === "split" ? "50% + " : ""}${Math.min(longest, COLUMNS_MAX) + 16}ch)`;
  return (
    <div
      className="d-sideways"
      ref={setBar}
      aria-hidden="true"
      onScroll={(event) => set(event.currentTarget.scrollLeft)}
    >
      <div style={{ width }} />
    </div>
  );
}
