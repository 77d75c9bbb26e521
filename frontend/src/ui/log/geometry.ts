/**
 * Where rows are: arithmetic alone, in units of a row's height (a line that wraps has several).
 *
 * A browser ends a scroll space at some height (Firefox at 17.9 million pixels). Past `SCROLL_HEIGHT_MAX` the space is
 * scaled: its whole stands for the whole log, and the rows are placed where the reader looks. Two heights are therefore
 * told apart: that of the scroll space, and the "virtual" one that all units would take.
 */

/** The tallest scroll space, in CSS pixels: below what any browser allows. */
export const SCROLL_HEIGHT_MAX = 15_000_000;

/** Units drawn beyond each edge, so that a flick of the wheel meets no blank. */
export const OVERSCAN_UNITS = 12;

/** The height of a unit, in CSS pixels; `--row` in log.css says the same. */
export const ROW_HEIGHT = 20;

/** Figures in the largest line number: the width of the gutter. */
export function digitsOf(lines: number): number {
  return Math.max(3, String(lines).length);
}

export interface Space {
  /** The height of the whole log. */
  readonly units: number;
  /** The height of what is seen of it, in CSS pixels. */
  readonly viewHeight: number;
}

export interface Window {
  /** The first unit drawn, and the one behind the last. */
  readonly from: number;
  readonly to: number;
  /** Where the first unit drawn is, from the top of the scroll space. */
  readonly offset: number;
}

/** The height that the scroll space has. */
export function scrollHeight({ units }: Space): number {
  return Math.min(units * ROW_HEIGHT, SCROLL_HEIGHT_MAX);
}

/** Whether the log is too long for a scroll space of its own height. */
export function isScaled({ units }: Space): boolean {
  return units * ROW_HEIGHT > SCROLL_HEIGHT_MAX;
}

/** The largest `scrollTop`. */
export function bottom(space: Space): number {
  return Math.max(0, scrollHeight(space) - space.viewHeight);
}

/** Which units are drawn at a `scrollTop`, and where. */
export function windowAt(space: Space, scrollTop: number): Window {
  const top = Math.min(Math.max(0, scrollTop), bottom(space));
  const virtualTop = top * scale(space);
  const from = Math.max(0, Math.floor(virtualTop / ROW_HEIGHT) - OVERSCAN_UNITS);
  const to = Math.min(space.units, Math.ceil((virtualTop + space.viewHeight) / ROW_HEIGHT) + OVERSCAN_UNITS);
  return { from, to, offset: top + (from * ROW_HEIGHT - virtualTop) };
}

/** The unit at the upper edge, with its fraction. */
export function unitAt(space: Space, scrollTop: number): number {
  return (Math.min(Math.max(0, scrollTop), bottom(space)) * scale(space)) / ROW_HEIGHT;
}

/** The `scrollTop` that puts a unit (with its fraction) at the upper edge, as far as there is room below it. */
export function scrollTopOf(space: Space, unit: number): number {
  return Math.min(Math.max(0, (unit * ROW_HEIGHT) / scale(space)), bottom(space));
}

/** Virtual pixels per pixel of the scroll space; 1 unless the log is too long for it. */
function scale(space: Space): number {
  const virtual = space.units * ROW_HEIGHT - space.viewHeight;
  return bottom(space) > 0 ? virtual / bottom(space) : 1;
}
