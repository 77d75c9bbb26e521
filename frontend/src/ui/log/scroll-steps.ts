/**
 * How far the wheel and the keys scroll a log whose scroll space is scaled.
 *
 * There a pixel of the space is several of the log, and a browser's own step, a page above all, would pass over lines that
 * were never on the screen. So the steps are taken in rows, by the log itself, without the browser's animation. The scroll
 * bar and a finger stay the browser's: they are for going far. A log that is not scaled is left to the browser entirely.
 */
import { ROW_HEIGHT } from "./geometry";

/** Units that a step down takes, negative up; 0 for a key that is none. `viewUnits`: the height of the view. */
export function keyStep(
  { key, shiftKey }: { readonly key: string; readonly shiftKey: boolean },
  viewUnits: number,
): number {
  // A row of the last page stays, so that the eye finds where it was.
  const page = Math.max(1, Math.floor(viewUnits) - 1);
  if (key === " ") return shiftKey ? -page : page;
  if (shiftKey) return 0;
  switch (key) {
    case "PageDown":
      return page;
    case "PageUp":
      return -page;
    case "ArrowDown":
      return 2;
    case "ArrowUp":
      return -2;
    default:
      return 0;
  }
}

/** Units that a turn of the wheel takes. Its unit is the browser's choice: pixels, rows or pages (UI Events, 3.5.2). */
export function wheelStep(
  { deltaY, deltaMode }: { readonly deltaY: number; readonly deltaMode: number },
  viewUnits: number,
): number {
  if (deltaMode === 1) return deltaY;
  return deltaMode === 2 ? deltaY * viewUnits : deltaY / ROW_HEIGHT;
}
