/**
 * How many lines of the screen a line of text takes where long lines are wrapped: by arithmetic, so that the place of
 * every row is known without drawing it.
 *
 * The text is broken wherever the column ends (`line-break: anywhere`), not between words: code is read by columns, and
 * words cannot be counted without the browser. What a font may draw wider than a figure counts as two columns, so a row
 * may be a line too high and is never too low.
 */
import { INVISIBLE_COLUMNS, invisibleParts } from "../../log/terminal/invisible";

/** As `tab-size` in diff.css. */
const TAB_COLUMNS = 4;

/** Characters from here on may come from another font, and be as wide as two. */
const WIDE_FROM = 0x0590;

const TAB = 9;
const SPACE = 32;

/** Lines of `columns` columns that a text takes, at least one. */
export function linesOf(text: string, columns: number): number {
  const parts = invisibleParts(text);
  if (parts) {
    // A box is not broken: it is counted as wide as it is, and so much more as a line may lack before it.
    const boxes = parts.filter((part) => part.isInvisible).length;
    const rest = parts.map((part) => (part.isInvisible ? "" : part.text)).join("");
    return linesOf(rest + " ".repeat(boxes * 2 * INVISIBLE_COLUMNS), columns);
  }
  let lines = 1;
  let column = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    let width = code < SPACE || code >= WIDE_FROM ? 2 : 1;
    if (code === TAB) width = TAB_COLUMNS - (column % TAB_COLUMNS);
    if (column + width > columns) {
      lines += 1;
      column = code === TAB ? TAB_COLUMNS : width;
    } else column += width;
  }
  return lines;
}
